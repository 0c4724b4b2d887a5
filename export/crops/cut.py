"""Enlarged faces out of labelled pictures, and what is no face: what the judge learns and is judged by.

What always holds: a crop is cut as `agent.look.judge` cuts it, only larger, so that it may be turned and
shifted while learning; a face whose state nobody labelled is left out; `owner` keeps crops of one picture
together, for folds and intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Int64, Uint8, iou
from agent.look.judge import MARGIN, NOT_JUDGED, cut_crops
from export.data.sample import Bool, Picture
from export.judge.metrics import side

STATES = ("with_mask", "without_mask", NOT_JUDGED)
NO_FACE = STATES.index(NOT_JUDGED)
STORED = 96  # pixels a side, of twice the margin that the judge sees: room to turn
ROOM = 1.5
LEAST = 8.0  # pixels: a smaller face shows no state
AWAY = 2  # crops without a face a picture


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Hold N crops: pixels (N,STORED,STORED,3) BGR, state (N,) of STATES, size (N,) px, owner (N,)."""

    pixels: Uint8
    state: Int64
    size: Float32
    owner: Int64

    def __len__(self) -> int:
        return len(self.state)

    def some(self, rows: Bool | Int64) -> Crops:
        """Return some of them."""
        return Crops(self.pixels[rows], self.state[rows], self.size[rows], self.owner[rows])


def cut(pictures: Sequence[Picture], names: Sequence[str], *, seed: int = 7) -> Crops:
    """Cut all faces whose state is known out of pictures, and some places without any face."""
    rng = np.random.default_rng(seed)
    pixels: list[Uint8] = []
    states: list[int] = []
    sizes: list[float] = []
    owners: list[int] = []
    for owner, picture in _different(pictures):
        boxes, state = _faces(picture, names)
        empty = _elsewhere(picture, rng)
        boxes = np.concatenate((boxes, empty))
        pixels.append(cut_crops(picture.image, boxes, STORED, MARGIN * ROOM))
        states += [*state.tolist(), *[NO_FACE] * len(empty)]
        sizes += side(boxes).tolist()
        owners += [owner] * len(boxes)
    return Crops(
        np.concatenate(pixels),
        np.asarray(states, np.int64),
        np.asarray(sizes, np.float32),
        np.asarray(owners, np.int64),
    )


def _different(pictures: Sequence[Picture]) -> Iterator[tuple[int, Picture]]:
    """Yield each picture once, however often a recipe repeats it, with its number."""
    seen: set[int] = set()
    for number, picture in enumerate(pictures):
        if id(picture.image) not in seen:
            seen.add(id(picture.image))
            yield number, picture


def _faces(picture: Picture, names: Sequence[str]) -> tuple[Float32, Int64]:
    """Return boxes (n,4) and states (n,) of the faces that are large enough and whose state is known."""
    known = (picture.allowed.sum(1) == 1) & (side(picture.boxes) >= LEAST)
    state = picture.allowed[known].argmax(1) if known.any() else np.zeros(0, np.int64)
    return picture.boxes[known], np.asarray([STATES.index(names[k]) for k in state], np.int64)


def _elsewhere(picture: Picture, rng: np.random.Generator) -> Float32:
    """Return boxes (n,4) of places of a face's size that hardly touch any labelled one."""
    height, width = picture.image.shape[:2]
    sizes = side(picture.boxes)
    usual = sizes if len(sizes) else np.asarray([16.0, 32.0, 64.0], np.float32)
    boxes = []
    for _ in range(AWAY):
        length = float(np.clip(rng.choice(usual) * rng.uniform(0.6, 1.6), LEAST, min(height, width) - 1))
        x = rng.uniform(0, width - length)
        y = rng.uniform(0, height - length)
        boxes.append((x, y, x + length, y + length))
    made = np.asarray(boxes, np.float32)
    clear = iou(made, picture.boxes).max(1, initial=0.0) < 0.05
    return np.asarray(made[clear & ~_holds(made, picture.boxes)], np.float32)


def _holds(outer: Float32, inner: Float32) -> NDArray[np.bool_]:
    """Say which boxes (n,4) have the middle of any of some others (m,4) inside."""
    middle = (inner[:, :2] + inner[:, 2:]) / 2
    inside = (middle >= outer[:, None, :2]).all(2) & (middle <= outer[:, None, 2:]).all(2)  # (n,m)
    return np.asarray(np.any(inside, axis=1), np.bool_)
