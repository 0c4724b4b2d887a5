"""Multi-scale inference in one file: what a network finds of a picture in two sizes becomes one answer.

    picture (1,h,w,3) ──────▶ network ─ cells ─ suppression ─ finds (n,4), (n,C) ──┐
       └─ smaller (d,h',w',3) ▶ the same ─ cells ─ suppression ─ finds (m,4), (m,C) ─┴▶ (n+m,4), (n+m,C)

A large object is better seen in the small picture, a small one in the large. Each find of the large picture
is paired with the surest of the small one, of its kind, that overlaps it. A pair tells the weighted mean of
both, by the object's size: how much the large picture counts for the classes is `SEEN`, for the place
`PLACED`. What only one of them finds has `ALONE` of its score. Where none of the large picture's finds is
in doubt (`export.onnx.second_size`), there is no small picture, and they are the answer as they are.

Objects of different kinds are no pair and suppress nobody: a rider and his bicycle are two objects. For that
each kind's boxes are moved to a place of their own (`apart`), and back at the end.

What always holds: the rule is written twice, here for the graph and with numpy in `export.onnx.parity`, and
a file is compared with it; from a confidence of `LOW` / `LOW_SHARE` on, whoever asks for a higher one gets a
part of the same boxes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.onnx.decode import Cells, Kinds, classes_of, keep
from export.onnx.graph import Graph

PAIR_IOU = 0.55
ALONE = 0.6
LOW = 0.02  # least score of one size's find; less where less is asked for,
LOW_SHARE = 0.4  # this share of it
SIDES = (32, 256)  # pixels of the large picture, the side of a square: small objects and large ones,
SEEN = (0.6, 0.4)  # and the share of the large picture for each, between them by the logarithm
PLACED = (0.9, 0.3)
SMALL = "_small"  # the end of the names of what the small picture gives


class Finds(NamedTuple):
    """Name what one size finds: boxes (n,4) in the large picture's pixels, probabilities (n,C), best (n,).

    Boxes of each kind are moved apart; probabilities of other kinds are 0.

    The last row is empty and sure of nothing, so that there is always one to compare with.
    """

    boxes: str
    classes: str
    scores: str


def least_score(graph: Graph) -> str:
    """Add the least score (1,) of one size's find."""
    asked = graph.node("Mul", "confidence", graph.constant([LOW_SHARE]))
    return graph.node("Min", asked, graph.constant([LOW]))


def apart(size: tuple[int, int], kinds: Kinds) -> NDArray[np.float64]:
    """Return by how much each kind's boxes (G,) are moved, right and down, so that none touches another's."""
    return np.arange(len(kinds), dtype=np.float64) * (4 * max(size))


def strongest(
    graph: Graph,
    cells: Cells,
    size: tuple[int, int],
    own: tuple[int, int],
    kinds: Kinds,
    least: str,
    mark: str = "",
) -> Finds:
    """Add what a picture of the size `own` shows, suppressed and apart, in pixels of the large `size`.

    `least` is the least score (1,) of a find.
    """
    classes = sum(map(len, kinds))
    rows, kind = keep(graph, cells, least)
    boxes = graph.node("Gather", graph.reshape(cells.boxes, -1, 4), rows, axis=0)
    boxes = graph.node("Mul", boxes, graph.constant((size[1] / own[1], size[0] / own[0]) * 2))
    moved = graph.node("Gather", graph.constant(apart(size, kinds)[:, None]), kind, axis=0)
    boxes = graph.node("Add", boxes, moved)
    logits = classes_of(graph, cells, rows)
    if cells.axis == 1:
        logits = graph.node("Transpose", logits, perm=[0, 2, 1])
    sure = graph.node("Sigmoid", graph.reshape(logits, -1, classes))
    mine = [[float(name in one) for name in range(classes)] for one in kinds]  # (G,C)
    sure = graph.node("Mul", sure, graph.node("Gather", graph.constant(mine), kind, axis=0))
    boxes, sure = (
        graph.node("Concat", x, graph.constant(np.zeros((1, width))), axis=0, result=f"{name}{mark}")
        for x, width, name in ((boxes, 4, "found_boxes"), (sure, classes, "found_classes"))
    )
    return Finds(boxes, sure, graph.node("ReduceMax", sure, axes=[1], keepdims=0))


def area(graph: Graph, sides: list[str]) -> str:
    """Add the area of boxes, given as left, top, right, bottom."""
    left, top, right, bottom = sides
    return graph.node("Mul", graph.node("Sub", right, left), graph.node("Sub", bottom, top))


def overlap(graph: Graph, large: Finds, small: Finds) -> tuple[str, str]:
    """Add the intersection over union of each with each (n,m); return it and the areas of the large (n,1)."""
    ours = graph.split(large.boxes, (1, 1, 1, 1), axis=1)
    theirs = [graph.reshape(side, 1, -1) for side in graph.split(small.boxes, (1, 1, 1, 1), axis=1)]
    low = [graph.node("Max", ours[at], theirs[at]) for at in (0, 1)]
    high = [graph.node("Min", ours[at], theirs[at]) for at in (2, 3)]
    spans = (graph.node("Relu", graph.node("Sub", *ends)) for ends in zip(high, low, strict=True))
    common = graph.node("Mul", *spans)
    areas = area(graph, ours)
    either = graph.node("Sub", graph.node("Add", areas, area(graph, theirs)), common)
    return graph.node("Div", common, graph.node("Max", either, graph.constant(1e-6))), areas


def share(graph: Graph, areas: str, shares: tuple[float, float]) -> str:
    """Add the share of the large picture for objects of these areas (n,1)."""
    begin, end = 2 * np.log(SIDES)
    slope = (shares[1] - shares[0]) / (end - begin)
    grown = graph.node("Log", graph.node("Max", areas, graph.constant(1)))
    line = graph.node(
        "Add", graph.node("Mul", grown, graph.constant(slope)), graph.constant(shares[0] - slope * begin)
    )
    return graph.node("Clip", line, graph.constant(min(shares)), graph.constant(max(shares)))


def mixed(graph: Graph, ours: str, theirs: str, weight: str) -> str:
    """Add a weighted mean: `weight` of ours, the rest of theirs."""
    return graph.node("Add", theirs, graph.node("Mul", weight, graph.node("Sub", ours, theirs)))


def alone(graph: Graph, finds: Finds) -> Cells:
    """Return one size's finds as what is left to suppress; its classes are probabilities (1,n,C)."""
    boxes, classes = (graph.node("Unsqueeze", x, graph.constant([0], np.int64)) for x in finds[:2])
    return Cells(boxes, graph.reshape(finds.scores, 1, 1, -1), classes, 2)


def pair(graph: Graph, large: Finds, small: Finds, classes: int, asked: str) -> Cells:
    """Add the pairing of both sizes' finds; return all that is left, its classes as probabilities (1,N,C).

    `asked` says whether there was a small picture (1,).
    """
    shares, areas = overlap(graph, large, small)
    alike = graph.node("GreaterOrEqual", shares, graph.constant(PAIR_IOU))
    alike = graph.node("Cast", alike, to=TensorProto.FLOAT)
    sure = graph.node("Mul", alike, graph.reshape(small.scores, 1, -1))  # (n,m)
    partner = graph.node("ArgMax", sure, axis=1, keepdims=0)
    has = graph.node("Greater", graph.node("ReduceMax", sure, axes=[1], keepdims=1), graph.constant(0))
    theirs = Finds(*(graph.node("Gather", x, partner, axis=0) for x in small))
    seen = mixed(graph, large.classes, theirs.classes, share(graph, areas, SEEN))
    single = graph.node("Where", asked, graph.constant(ALONE), graph.constant(1))
    seen = graph.node("Where", has, seen, graph.node("Mul", large.classes, single))
    placed = mixed(graph, large.boxes, theirs.boxes, _weight(graph, large, theirs, areas))
    placed = graph.node("Where", has, placed, large.boxes)
    free = graph.node("Sub", graph.constant(1), graph.node("ReduceMax", alike, axes=[0], keepdims=0))
    rest = graph.node("Mul", small.classes, graph.reshape(graph.node("Mul", free, single), -1, 1))
    boxes = graph.reshape(graph.node("Concat", placed, small.boxes, axis=0), 1, -1, 4, result="paired_boxes")
    told = graph.reshape(graph.node("Concat", seen, rest, axis=0), 1, -1, classes, result="paired_classes")
    best = graph.node("ReduceMax", told, axes=[2], keepdims=0)
    return Cells(boxes, graph.reshape(best, 1, 1, -1), told, 2)


def _weight(graph: Graph, ours: Finds, theirs: Finds, areas: str) -> str:
    """Add the share of the large picture in a pair's place (n,1): by size, and by how sure each is."""
    part = share(graph, areas, PLACED)
    one = graph.node("Mul", part, graph.reshape(ours.scores, -1, 1))
    rest = graph.node("Sub", graph.constant(1), part)
    other = graph.node("Mul", rest, graph.reshape(theirs.scores, -1, 1))
    both = graph.node("Max", graph.node("Add", one, other), graph.constant(1e-9))
    return graph.node("Div", one, both)
