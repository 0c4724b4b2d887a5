"""What the answer of a detection network may look like: its grid of cells, its shapes, and its numbers.

What always holds: a question about numbers is answered by what they cannot be. A score lies in 0..1, a column
of classes holds whole numbers, the centre of a decoded box lies near its cell; not-a-number says nothing.

    cells of stride 8 in a picture of 24 x 16      G = 3 * 2, and so on for each stride
    ┌───┬───┬───┐
    │ 0 │ 1 │ 2 │
    ├───┼───┼───┤
    │ 3 │ 4 │ 5 │
    └───┴───┴───┘
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Int64

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
BINS = 8  # of a distance told as a distribution: 0 to 7 strides

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold what is known of a file beside its answer: classes, input (height, width), names of its ports."""

    classes: int
    size: tuple[int, int]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


# ── arithmetic ────────────────────────────────────────────────────────────────────────────────────


def corners(centred: Array) -> Float32:
    """Turn (N,4) centres and sizes into corners."""
    half = centred[:, 2:] / 2
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], axis=1).astype(np.float32)


def sigmoid(x: Array) -> Float32:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)), np.float32)


@lru_cache(maxsize=32)
def cells(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Float32, Float32]:
    """Return the left upper corner of each cell (G,2), in cells, and its stride (G,1); rows first."""
    origins = []
    steps = []
    for stride in strides:
        rows = -(-size[0] // stride)
        columns = -(-size[1] // stride)
        y, x = np.mgrid[:rows, :columns]
        origins.append(np.stack([x, y], -1).reshape(-1, 2))
        steps.append(np.full((rows * columns, 1), stride))
    return np.concatenate(origins).astype(np.float32), np.concatenate(steps).astype(np.float32)


def grid(size: tuple[int, int], rows: int, each: int = 1) -> tuple[int, ...] | None:
    """Return the strides whose cells, `each` boxes a cell, make so many rows, if any."""
    counts = {each * len(cells(size, strides)[0]): strides for strides in STRIDES}
    return counts.get(rows)


def spread(boxes: Array, offsets: Array, strides: Array, least: float) -> Float32:
    """Return corners (N,4) of boxes told as four distributions (N,4*BINS) of distances from `offsets`."""
    odds = boxes.reshape(len(boxes), 4, BINS).astype(np.float64)
    odds = np.exp(odds - odds.max(-1, keepdims=True))
    sides = (odds @ np.arange(BINS)) / odds.sum(-1) * strides
    centre = (offsets + least) * strides
    return np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], 1).astype(np.float32)


def best_classes(scores: Array, confidence: float) -> tuple[Array, Float32, Int64]:
    """Return of (N,C) the rows to keep (N,), their scores and their classes; not-a-number stays."""
    top = scores.max(1)
    good = ~(top <= confidence)
    return good, top[good].astype(np.float32), scores[good].argmax(1).astype(np.int64)


# ── what numbers can be ───────────────────────────────────────────────────────────────────────────


def within(values: Array, low: float, high: float) -> bool:
    return not bool(((values < low) | (values > high)).any())


def soft(scores: Array) -> bool:
    """Say whether these may be the scores of a network: in 0..1, and not whole numbers alone."""
    return within(scores, 0, 1.001) and (not scores.any() or bool((scores != np.round(scores)).any()))


def each_soft(scores: Array) -> bool:
    """Say whether each column (N,C) may be scores of a class; one of whole numbers may be its number."""
    return not scores.any() or bool((scores != np.round(scores)).any(0).all())


def head_like(objectness: Array, classes: Array) -> bool:
    """Say whether these may be the objectness (N,) and the classes (N,C) of a network."""
    alive = bool(classes.any()) or not objectness.any()
    return alive and within(objectness, 0, 1.001) and soft(classes)


def plane_of(arrays: list[Array]) -> Array:
    """Return the rows (N,K) of an only output (1,N,K); else none."""
    only = len(arrays) == 1 and arrays[0].ndim == 3 and arrays[0].shape[0] == 1
    return arrays[0][0] if only else np.zeros((0, 0), np.float32)


def rows_of(arrays: list[Array]) -> Array:
    """Return the rows (N,K) of an only output (N,K) or (1,N,K); else none."""
    return arrays[0] if len(arrays) == 1 and arrays[0].ndim == 2 else plane_of(arrays)


def decoded_like(rows: Array, size: tuple[int, int]) -> bool:
    """Say whether centres lie where their cells are, in pixels or fractions: decoded boxes, not offsets."""
    if not within(rows[:, 2:4], 0, np.inf):
        return False
    strides = grid(size, len(rows))
    if np.nanmax(np.abs(rows[:, :2]), initial=0) > min(size) / 2:
        return True
    if strides is None or not rows[:, 0].std() > 0:
        return False
    origins, steps = cells(size, strides)
    return bool(np.corrcoef(rows[:, 0], (origins * steps)[:, 0])[0, 1] > 0.9)
