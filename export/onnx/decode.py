"""From a network's maps to boxes, inside the graph: decoding of the heads, and suppression.

levels ─ decode ─▶ cells: boxes (1,A,4), best scores (1,1,A), logits of all classes ─ suppress ─▶ the answer
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from export.model import network
from export.model.baseline import anchor_grid
from export.onnx.graph import Graph
from export.onnx.mirror import mean_boxes, mean_logits
from export.onnx.writer import INT8, Part

IOU = 0.6
LIMIT = 300
Kinds = tuple[tuple[int, ...], ...]  # the classes of each kind of object, by their numbers


class Cells(NamedTuple):
    """Name what is told of all cells: boxes (1,A,4), best scores by kind (1,G,A), how sure of each class.

    `axis` counts the classes there: 1 of (1,C,A), 2 of (1,A,C).
    """

    boxes: str
    scores: str
    classes: str
    axis: int


def decode(
    graph: Graph,
    levels: Any,
    size: tuple[int, int],
    form: str,
    kinds: Kinds,
    mark: str = "",
    *,
    mirrored: bool = False,
) -> Cells:
    """Add the decoding of our heads; classes are logits. `mark` is the end of names that a file has once.

    `mirrored` says that each picture has its mirror image beside it, and both tell the mean.

    int8 brings rows (h*w,C) and works on (1,A,C); float brings maps (1,C,h,w) and works on (1,C,A).
    """
    axis, along = (2, 1) if form == INT8 else (1, 2)  # of channels, of cells

    def flat(part: Part) -> str:
        cells = part.height * part.width
        return graph.reshape(
            part.name, -1, *((cells, part.channels) if form == INT8 else (part.channels, cells))
        )

    logits, sides = (
        graph.node("Concat", *(flat(level[which][0]) for level in levels), axis=along) for which in (0, 1)
    )
    centres, strides = (t.numpy()[None] for t in network.cells(*size))  # (1,A,2), (1,A)
    count = strides.shape[1]
    reach = graph.node("Mul", graph.softplus(sides), graph.constant(np.expand_dims(strides, axis)))
    halves = graph.split(reach, (2, 2), axis)
    centre = graph.constant(np.moveaxis(centres, 2, axis))
    corners = [graph.node(kind, centre, half) for kind, half in zip(("Sub", "Add"), halves, strict=True)]
    boxes = graph.node("Concat", *corners, axis=axis)
    named = f"all_boxes{mark}"
    boxes = graph.node("Transpose", boxes, perm=[0, along, axis], result="" if mirrored else named)
    if mirrored:
        boxes = mean_boxes(graph, boxes, size, named)
        logits = mean_logits(graph, logits, size, along)
    best = []
    for kind in kinds:
        mine = logits
        if len(kinds) > 1:
            mine = graph.node("Gather", logits, graph.constant(kind, np.int64), axis=axis)
        best.append(graph.reshape(graph.node("ReduceMax", mine, axes=[axis], keepdims=0), -1, 1, count))
    whole = graph.node("Concat", *best, axis=1) if len(best) > 1 else best[0]
    return Cells(boxes, graph.node("Sigmoid", whole, result=f"all_scores{mark}"), logits, axis)


def decode_anchors(graph: Graph, levels: Any, size: tuple[int, int], classes: int) -> Cells:
    """Add the decoding of the published head, three boxes a cell; classes are probabilities."""
    maps = [graph.reshape(level[0].name, 1, 3, 5 + classes, -1) for level in levels]
    said = graph.node("Sigmoid", graph.node("Concat", *maps, axis=3))  # (1,3,5+C,A)
    xy, wh, sure, kinds = graph.split(said, (2, 2, 1, classes), axis=2)
    corner, strides, anchors = (t.numpy() for t in anchor_grid(*size))
    centre = graph.node("Add", graph.node("Mul", xy, graph.constant(2 * strides)), graph.constant(corner))
    half = graph.node("Mul", graph.node("Mul", wh, wh), graph.constant(2 * anchors[None]))  # (1,3,2,A)
    both = [graph.node(kind, centre, half) for kind in ("Sub", "Add")]
    boxes = graph.node("Transpose", graph.node("Concat", *both, axis=2), perm=[0, 1, 3, 2])
    boxes = graph.reshape(boxes, 1, -1, 4, result="all_boxes")
    scores = graph.node("Mul", sure, graph.node("ReduceMax", kinds, axes=[2], keepdims=1))
    kinds = graph.node("Transpose", kinds, perm=[0, 2, 1, 3])  # (1,C,3,A)
    scores = graph.reshape(scores, 1, 1, -1, result="all_scores")
    return Cells(boxes, scores, graph.reshape(kinds, 1, classes, -1), 1)


def keep(graph: Graph, cells: Cells, least: str) -> tuple[str, str]:
    """Add suppression within each kind of what is surer than `least` (1,); return rows and kinds (N,)."""
    limit = graph.constant([LIMIT], np.int64)
    overlap = graph.constant([IOU])
    kept = graph.node("NonMaxSuppression", cells.boxes, cells.scores, limit, overlap, least)  # (N,3)
    kinds, rows = (graph.node("Gather", kept, graph.constant(at, np.int64), axis=1) for at in (1, 2))
    return rows, kinds


def classes_of(graph: Graph, cells: Cells, rows: str) -> str:
    """Add the choice of some rows' classes: (1,C,N) or (1,N,C), as all have them."""
    return graph.node("Gather", cells.classes, rows, axis=3 - cells.axis)


def suppress(graph: Graph, cells: Cells, moved: Sequence[float] = ()) -> None:
    """Add the last step: one object is one box, whatever it is called; only what is kept is asked for it.

    `moved` says by how much the boxes of each class were moved, which is taken back.
    """
    rows, _ = keep(graph, cells, "confidence")
    graph.node("Gather", graph.reshape(cells.scores, -1), rows, axis=0, result="scores")
    best = graph.node("ArgMax", classes_of(graph, cells, rows), axis=cells.axis, keepdims=0)
    classes = graph.reshape(best, -1, result="classes")
    flat = graph.reshape(cells.boxes, -1, 4)
    if not any(moved):
        graph.node("Gather", flat, rows, axis=0, result="boxes")
        return
    back = graph.node("Gather", graph.constant(np.reshape(moved, (-1, 1))), classes, axis=0)  # (N,1)
    graph.node("Sub", graph.node("Gather", flat, rows, axis=0), back, result="boxes")
