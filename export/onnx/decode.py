"""From a network's maps to boxes, inside the graph: decoding of the heads, and suppression.

levels ─ decode ─▶ cells: boxes (1,k,4), best scores (1,G,k), logits of all classes ─ suppress ─▶ the answer

What always holds: a cell that is sure enough of something is decoded, and hardly another; what is between is
left to suppression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from export.model.baseline import anchor_grid
from export.onnx import box_towers
from export.onnx.graph import Graph
from export.onnx.mirror import mean_boxes, mean_logits, opposite
from export.onnx.writer import INT8, Part

IOU = 0.6
LIMIT = 300
Kinds = tuple[tuple[int, ...], ...]  # the classes of each kind of object, by their numbers


MARGIN = 0.01  # a cell's logit may be so much less than what is asked for: suppression draws the line
ROWS = "seen_cells"  # which cells are decoded (k,),
BOXES = "seen_boxes"  # their boxes (1,k,4)
SCORES = "seen_scores"  # and best scores by kind (1,G,k): what a file has once for each size


class Cells(NamedTuple):
    """Name what is told of cells: boxes (1,A,4), best scores by kind (1,G,A), how sure of each class.

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
    least: str,
    heads: Any,
    mark: str = "",
    *,
    mirrored: bool = False,
) -> Cells:
    """Add the decoding of our heads for the cells that are as sure of something as `least` (1,).

    Args:
        graph: where to add.
        levels: of each head the logits, and the map that its box tower looks at.
        size: of the picture.
        form: int8 brings rows (h*w,C) and works on (1,A,C); float brings maps (1,C,h,w), works on (1,C,A).
        kinds: of objects; each has its best score.
        least: score of a cell that is decoded.
        heads: of the network.
        mark: the end of names that a file has once for each size.
        mirrored: each picture has its mirror image beside it, and both tell the mean.
    """
    axis, along = (2, 1) if form == INT8 else (1, 2)  # of channels, of cells

    def flat(part: Part) -> str:
        cells = part.height * part.width
        shape = (cells, part.channels) if form == INT8 else (part.channels, cells)
        return graph.reshape(part.name, -1, *shape)

    logits = graph.node("Concat", *(flat(level[0][0]) for level in levels), axis=along)
    if mirrored:
        logits = mean_logits(graph, logits, size, along)
    rows = seen(graph, logits, axis, least, f"{ROWS}{mark}")
    logits = graph.node("Gather", logits, rows, axis=along)
    features = box_towers.rows_of(graph, [level[1][0] for level in levels])
    boxes = boxes_of(graph, heads, features, rows, size)
    if mirrored:
        turned = graph.node("Gather", graph.constant(opposite(size), np.int64), rows, axis=0)
        theirs = boxes_of(graph, heads, features, turned, size, len(opposite(size)))
        boxes = mean_boxes(graph, boxes, theirs, size)
    boxes = graph.reshape(boxes, 1, -1, 4, result=f"{BOXES}{mark}")
    best = []
    for kind in kinds:
        mine = logits
        if len(kinds) > 1:
            mine = graph.node("Gather", logits, graph.constant(kind, np.int64), axis=axis)
        best.append(graph.reshape(graph.node("ReduceMax", mine, axes=[axis], keepdims=0), 1, 1, -1))
    whole = graph.node("Concat", *best, axis=1) if len(best) > 1 else best[0]
    return Cells(boxes, graph.node("Sigmoid", whole, result=f"{SCORES}{mark}"), logits, axis)


def seen(graph: Graph, logits: str, axis: int, least: str, result: str) -> str:
    """Add which cells (k,) are about as sure of a class as `least` (1,), of all logits (d,·,·)."""
    odds = graph.node("Log", graph.node("Div", least, graph.node("Sub", graph.constant(1), least)))
    line = graph.node("Sub", odds, graph.constant(MARGIN))
    best = graph.node("ReduceMax", logits, axes=[axis], keepdims=0)  # (d,A)
    found = graph.node("NonZero", graph.node("GreaterOrEqual", best, line))  # (2,k)
    return graph.node("Gather", found, graph.constant(1, np.int64), axis=0, result=result)


def boxes_of(
    graph: Graph, heads: Any, features: str, rows: str, size: tuple[int, int], first: int = 0
) -> str:
    """Add the boxes (k,4) of some cells (k,), of the features of all cells; `first` as `box_towers.sides`."""
    at = box_towers.where(graph, rows, size)
    centre, stride = box_towers.centres(graph, at)
    reach = graph.softplus(box_towers.sides(graph, heads, features, at, first))
    halves = graph.split(graph.node("Mul", reach, stride), (2, 2), axis=1)
    corners = [graph.node(kind, centre, half) for kind, half in zip(("Sub", "Add"), halves, strict=True)]
    return graph.node("Concat", *corners, axis=1)


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
    boxes = graph.reshape(boxes, 1, -1, 4, result=BOXES)
    scores = graph.node("Mul", sure, graph.node("ReduceMax", kinds, axes=[2], keepdims=1))
    kinds = graph.node("Transpose", kinds, perm=[0, 2, 1, 3])  # (1,C,3,A)
    scores = graph.reshape(scores, 1, 1, -1, result=SCORES)
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
