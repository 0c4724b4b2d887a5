"""Test-time augmentation in the graph: a picture and its mirror image are asked at once, cells are averaged.

    picture (d,h,w,3) ─ beside ─▶ (2d,h,w,3) ─ network ─▶ logits (2d,C,A) ─ mean ─▶ (d,C,A)
                                                   └─▶ boxes (k,4) of both ─ mean ─▶ (k,4)

Both go through the network as one batch, so its weights and nodes are in the file once. What always holds: a
cell of the mirror image is averaged with the cell that looks at the same place, since a picture's width is a
multiple of every stride; a picture that is its own mirror image tells what it told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.model.network import STRIDES
from export.onnx.graph import Graph

FIRST = np.iinfo(np.int64).min  # where a slice ends that goes to the very beginning,
LAST = np.iinfo(np.int64).max  # or to the very end
Size = tuple[int, int]


def beside(graph: Graph, picture: str) -> str:
    """Add pictures (d,h,w,3) and their mirror images as one batch (2d,h,w,3)."""
    mirrored = graph.node("Slice", picture, *(graph.constant([at], np.int64) for at in (-1, FIRST, 2, -1)))
    return graph.node("Concat", picture, mirrored, axis=0)


def opposite(size: Size) -> NDArray[np.int64]:
    """Return for each cell (A,) the one at the same place of the mirror image."""
    rows = []
    begin = 0
    for stride in STRIDES:
        height, width = (side // stride for side in size)
        level = begin + np.arange(height * width).reshape(height, width)
        rows.append(level[:, ::-1].ravel())
        begin += height * width
    return np.concatenate(rows)


def halves(graph: Graph, x: str, size: Size, axis: int) -> tuple[str, str]:
    """Add what a batch (2d,...) tells of the pictures, and of their mirror images with the cells put back.

    `axis` counts the cells; d is 1 or 0.
    """
    ours, theirs = (
        graph.node("Slice", x, *(graph.constant([at], np.int64) for at in (first, LAST, 0, 2)))
        for first in (0, 1)
    )
    return ours, graph.node("Gather", theirs, graph.constant(opposite(size), np.int64), axis=axis)


def mean(graph: Graph, ours: str, theirs: str) -> str:
    """Add the mean of two arrays."""
    return graph.node("Mul", graph.node("Add", ours, theirs), graph.constant(0.5))


def mean_logits(graph: Graph, logits: str, size: Size, axis: int) -> str:
    """Add the mean logits of pictures and mirror images, whose cells are counted by `axis`."""
    return mean(graph, *halves(graph, logits, size, axis))


def mean_boxes(graph: Graph, ours: str, theirs: str, size: Size) -> str:
    """Add the mean of boxes (k,4) of a picture and those of its mirror image, turned back."""
    swapped = graph.node("Gather", theirs, graph.constant((2, 1, 0, 3), np.int64), axis=1)
    turned = graph.node("Mul", swapped, graph.constant((-1, 1, -1, 1)))
    return mean(graph, ours, graph.node("Add", turned, graph.constant((size[1], 0, size[1], 0))))
