"""Readers of networks that answer with queries: a box and a logit a class of each (DETR; Carion et al. 2020).

What always holds: boxes are centre and size in fractions of the picture, class numbers are logits; what is
neither is not read as if it were. Q queries, K columns of classes.
"""

from __future__ import annotations

import numpy as np

from agent.see.outputs import Array, Asked, best_classes, corners, sigmoid, within
from agent.see.readers import Found, Test

QUERY_NAMES = {"logits", "pred_logits", "dets", "labels"}
BOX_NAMES = {"dets", "pred_boxes", "boxes"}
COCO_IDS = 91  # numbers of COCO's categories, of which 80 are used
COCO_UNUSED = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def queries(arrays: list[Array], asked: Asked) -> tuple[Array, Array] | None:
    """Return boxes (Q,4) and class numbers (Q,K) of two outputs (1,Q,4) and (1,Q,K), in either order.

    Where both are four wide, their names tell which is which, else that logits are no fractions.
    """
    if len(arrays) != 2 or any(a.ndim != 3 or a.shape[0] != 1 for a in arrays):
        return None
    first = arrays[0][0]
    second = arrays[1][0]
    if len(first) != len(second):
        return None
    if first.shape[1] == second.shape[1] == 4:
        named = [bool(BOX_NAMES & {name}) for name in asked.outputs]
        swapped = named == [False, True] or (not any(named) and not within(first, -1, 2))
        return (second, first) if swapped else (first, second)
    if second.shape[1] == 4:
        return second, first
    return (first, second) if first.shape[1] == 4 else None


def is_detr(arrays: list[Array], asked: Asked) -> bool:
    found = queries(arrays, asked)
    return found is not None and found[1].shape[1] == asked.classes


def is_rfdetr(arrays: list[Array], asked: Asked) -> bool:
    found = queries(arrays, asked)
    columns = found[1].shape[1] if found else 0
    return columns in (asked.classes, asked.classes + 1) or (asked.classes, columns) == (80, COCO_IDS)


def likely_queries(*names: str) -> Test:
    """Return whether an output has one of these names, or none has a telling one; and boxes are fractions and
    scores logits, as the readers take them: corners in pixels beside finished scores (YOLO-NAS, SSD) are not.
    """

    def likely(arrays: list[Array], asked: Asked) -> bool:
        found = queries(arrays, asked)
        assert found is not None
        boxes, logits = found
        told = bool(set(names) & set(asked.outputs)) or not QUERY_NAMES & set(asked.outputs)
        return told and within(boxes, -1, 2) and not (logits.any() and within(logits, 0, 1))

    return likely


def read_detr(arrays: list[Array], asked: Asked, confidence: float) -> Found:
    """Read a box and a logit a class of each query; a column behind the named classes is the background."""
    found = queries(arrays, asked)
    assert found is not None
    boxes, logits = found
    if (asked.classes, logits.shape[1]) == (80, COCO_IDS):
        logits = np.delete(logits, COCO_UNUSED, axis=1)
    good, scores, classes = best_classes(sigmoid(logits[:, : asked.classes]), confidence)
    return corners(boxes[good]), scores, classes
