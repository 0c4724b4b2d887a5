"""Readers of what detection networks write down, and what tells each kind of answer.

What always holds: a reader returns boxes (N,4) left, top, right, bottom of every row whose score is above the
confidence, and rows that are not a number, to be refused later. `is_...` asks for shapes alone, `likely_...`
whether the numbers may be of this kind too. C classes, N rows, Q queries.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.boxes import Float32, Int64
from agent.see.outputs import (
    BINS,
    STRIDES,
    Array,
    Asked,
    best_classes,
    cells,
    corners,
    decoded_like,
    each_soft,
    grid,
    head_like,
    plane_of,
    rows_of,
    sigmoid,
    soft,
    spread,
    within,
)

FINISHED = 6  # columns of a list of finished boxes

Found = tuple[Float32, Float32, Int64]
Test = Callable[[list[Array], Asked], bool]
Reader = Callable[[list[Array], Asked, float], Found]


# ── one output ────────────────────────────────────────────────────────────────────────────────────


def is_yolov8(arrays: list[Array], asked: Asked) -> bool:
    plane = plane_of(arrays)
    return len(plane) == 4 + asked.classes and plane.shape[1] > 0


def read_yolov8(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    rows = arrays[0][0].T
    good, scores, classes = best_classes(rows[:, 4:], confidence)
    return corners(rows[good, :4]), scores, classes


def is_centred(arrays: list[Array], asked: Asked) -> bool:
    return bool(plane_of(arrays).shape[1] == 4 + asked.classes)


def read_centred(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    rows = arrays[0][0]
    good, scores, classes = best_classes(rows[:, 4:], confidence)
    return corners(rows[good, :4]), scores, classes


def likely_centred(of_cells: bool) -> Test:
    def likely(arrays: list[Array], asked: Asked) -> bool:
        rows = plane_of(arrays)
        fits = of_cells or within(rows[:, :4], -1, 2)
        if rows.shape[1] == FINISHED:  # a box, its score and its class have as many columns
            fits = fits and each_soft(rows[:, 4:])
        return (grid(asked.size, len(rows)) is not None) == of_cells and fits and soft(rows[:, 4:])

    return likely


def is_objects(arrays: list[Array], asked: Asked) -> bool:
    return bool(plane_of(arrays).shape[1] == 5 + asked.classes)


def read_objects(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read rows of centre, size, objectness, classes: a score is the objectness times the class."""
    rows = arrays[0][0]
    rows = rows[~(rows[:, 4] <= confidence)]  # no score is above its objectness
    good, scores, classes = best_classes(rows[:, 4:5] * rows[:, 5:], confidence)
    return corners(rows[good, :4]), scores, classes


def likely_objects(arrays: list[Array], asked: Asked) -> bool:
    rows = plane_of(arrays)
    return grid(asked.size, len(rows)) is None and head_like(rows[:, 4], rows[:, 5:])


def likely_cell_objects(decoded: bool, sure: bool = False) -> Test:
    """Return whether rows may be of one object a cell: boxes `decoded`, objectness always 1 where `sure`."""

    def likely(arrays: list[Array], asked: Asked) -> bool:
        rows = plane_of(arrays)
        fits = grid(asked.size, len(rows)) is not None and head_like(rows[:, 4], rows[:, 5:])
        return fits and decoded_like(rows, asked.size) == decoded and bool((rows[:, 4] == 1).all()) == sure

    return likely


def is_yolox(arrays: list[Array], asked: Asked) -> bool:
    return is_objects(arrays, asked) and grid(asked.size, len(plane_of(arrays))) is not None


def read_yolox(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read offsets from cells and logarithms of sizes, both in strides (Ge et al. 2021)."""
    rows = arrays[0][0].astype(np.float32)
    origins, strides = cells(asked.size, grid(asked.size, len(rows)) or STRIDES[0])
    centre = (rows[:, :2] + origins) * strides
    size = np.exp(np.minimum(rows[:, 2:4], 20)) * strides
    plain = np.concatenate([centre, size, rows[:, 4:]], 1)
    return read_objects([plain[None]], asked, confidence)


def is_finished(columns: int) -> Test:
    return lambda arrays, asked: rows_of(arrays).ndim == 2 and rows_of(arrays).shape[1] == columns


def read_end2end(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    return columns(rows_of(arrays), confidence, box=0, score=4, kind=5)


def columns(rows: Array, confidence: float, box: int, score: int, kind: int) -> Found:
    """Read finished rows (N,K): where the box, its score and its class begin."""
    rows = rows[~(rows[:, score] <= confidence)]
    xyxy = rows[:, box : box + 4].astype(np.float32)
    return xyxy, rows[:, score].astype(np.float32), np.nan_to_num(rows[:, kind]).astype(np.int64)


def likely_finished(box: int, score: int, kind: int) -> Test:
    def likely(arrays: list[Array], asked: Asked) -> bool:
        rows = rows_of(arrays)
        one_score_each = len(rows) == 1 and arrays[0].ndim == 2 and asked.classes == rows.shape[1]
        whole = not bool((rows[:, kind] != np.round(rows[:, kind])).any()) or bool(np.isnan(rows).any())
        ordered = not bool((rows[:, box + 2 : box + 4] < rows[:, box : box + 2]).any())
        return not one_score_each and whole and ordered and within(rows[:, score], 0, 1.001)

    return likely


def read_topk(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read the best queries (1,N,6): centre, size, score, class (Ultralytics' RT-DETR of 2026)."""
    xyxy, scores, classes = read_end2end(arrays, asked, confidence)
    return corners(xyxy), scores, classes


def likely_topk(arrays: list[Array], asked: Asked) -> bool:
    """Say whether boxes are fractions and cannot be corners; an answer of nothing is not of this kind."""
    rows = rows_of(arrays)
    whole = not bool((rows[:, 5] != np.round(rows[:, 5])).any())
    ordered = not bool((rows[:, 2:4] < rows[:, :2]).any())
    return whole and not ordered and within(rows[:, :4], -1, 2) and within(rows[:, 4], 0, 1.001)


def read_yolov7(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    return columns(arrays[0], confidence, box=1, score=6, kind=5)


def is_nanodet(arrays: list[Array], asked: Asked) -> bool:
    rows = plane_of(arrays)
    return rows.shape[1] == asked.classes + 4 * BINS and grid(asked.size, len(rows)) is not None


def read_nanodet(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read scores and distributions of distances from a cell's corner (NanoDet-Plus; Li et al. 2020)."""
    rows = arrays[0][0]
    origins, strides = cells(asked.size, grid(asked.size, len(rows)) or STRIDES[1])
    good, scores, classes = best_classes(rows[:, : asked.classes], confidence)
    return spread(rows[good, asked.classes :], origins[good], strides[good], 0.0), scores, classes


def is_fastestdet(arrays: list[Array], asked: Asked) -> bool:
    side = tuple(-(-length // 16) for length in asked.size)
    return [a.shape for a in arrays] == [(1, 5 + asked.classes, *side)]


def read_fastestdet(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read a map (1,5+C,h/16,w/16) of objectness, offset, size and classes (FastestDet)."""
    rows = arrays[0][0].reshape(5 + asked.classes, -1).T
    origins, _ = cells(asked.size, (16,))
    joined = np.clip(rows[:, :1], 0, None) ** 0.6 * rows[:, 5:] ** 0.4
    good, scores, classes = best_classes(joined, confidence)
    centre = (origins[good] + np.tanh(rows[good, 1:3])) * 16
    size = sigmoid(rows[good, 3:5]) * np.asarray(asked.size[::-1], np.float32)
    return corners(np.concatenate([centre, size], 1)), scores, classes


# ── several outputs ───────────────────────────────────────────────────────────────────────────────


def three(arrays: list[Array]) -> tuple[Array, Array, Array] | None:
    """Return boxes (Q,4), scores (Q,) and classes (Q,) of three outputs (1,Q,4), (1,Q) and whole (1,Q)."""
    boxes = [a[0] for a in arrays if a.ndim == 3 and a.shape[::2] == (1, 4)]
    plain = [a[0] for a in arrays if a.ndim == 2 and len(a) == 1]
    whole = [a for a in plain if np.issubdtype(a.dtype, np.integer)]
    scores = [a for a in plain if not np.issubdtype(a.dtype, np.integer)]
    if len(arrays) != 3 or not (len(boxes) == len(whole) == len(scores) == 1):
        return None
    return boxes[0], scores[0], whole[0]


def read_dfine(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    found = three(arrays)
    assert found is not None
    boxes, scores, classes = found
    good = ~(scores <= confidence)
    return boxes[good].astype(np.float32), scores[good].astype(np.float32), classes[good].astype(np.int64)


def is_paddle(arrays: list[Array], asked: Asked) -> bool:
    first = arrays[0].ndim == 2 and arrays[0].shape[1] == 6
    return first and ("scale_factor" in asked.inputs or (len(arrays) == 2 and arrays[1].dtype.kind == "i"))


def read_paddle(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    rows = arrays[0][arrays[0][:, 0] >= 0]  # a list of nothing has one row of class -1
    return columns(rows, confidence, box=2, score=1, kind=0)


def is_picodet(arrays: list[Array], asked: Asked) -> bool:
    half = len(arrays) // 2
    counts = [-(-asked.size[0] // s) * -(-asked.size[1] // s) for s in STRIDES[1]]
    wanted = [(1, n, asked.classes) for n in counts] + [(1, n, 4 * BINS) for n in counts]
    return half == len(counts) and [a.shape for a in arrays] == wanted


def read_picodet(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read a map of scores and one of distributions for each stride, from a cell's middle (PicoDet)."""
    origins, strides = cells(asked.size, STRIDES[1])
    rows = np.concatenate([a[0] for a in arrays[:4]])
    sides = np.concatenate([a[0] for a in arrays[4:]])
    good, scores, classes = best_classes(rows, confidence)
    return spread(sides[good], origins[good], strides[good], 0.5), scores, classes


def is_boxes_scores(arrays: list[Array], asked: Asked) -> bool:
    if len(arrays) != 2 or any(a.ndim != 3 or a.shape[0] != 1 for a in arrays):
        return False
    return arrays[0].shape[2] == 4 and arrays[1].shape[1:] == (asked.classes, arrays[0].shape[1])


def read_boxes_scores(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    good, scores, classes = best_classes(arrays[1][0].T, confidence)
    return arrays[0][0, good].astype(np.float32), scores, classes


def always(arrays: list[Array], asked: Asked) -> bool:
    return True


def likely_yolov8(arrays: list[Array], asked: Asked) -> bool:
    return soft(plane_of(arrays)[4:])
