"""The heads' box towers, computed only for cells that see something.

    maps of three levels (d,C,h,w) ─ rows of cells (d*A,C) ─┐
    cells that see something (k,) ─ 3x3 round each ─────────┴▶ (k,9,C) ─ tower ─▶ raw sides (k,4)

A street shows things in some ten of its five thousand cells, and nobody asks the others how far the sides of
their boxes are. What always holds: each cell gets what the convolutions of its level would have given it;
what lies outside the map is zero. All levels are computed at once: each cell takes its own level's kernel,
and of the three levels' channels its own are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from export.model.network import STRIDES
from export.onnx.graph import Graph
from export.onnx.writer import Part

AROUND = np.indices((3, 3)).reshape(2, 9) - 1  # down and right, of the cells round one


class Where(NamedTuple):
    """Name where some cells are: level (k,); begin, width, height and stride of it, and row and column (k,1).

    All are whole numbers.
    """

    level: str
    begin: str
    width: str
    height: str
    stride: str
    row: str
    column: str


def where(graph: Graph, cells: str, size: tuple[int, int]) -> Where:
    """Add where cells (k,) of a picture's size are, counted through all levels, the finest first."""
    shapes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    begins = np.cumsum([0, *(height * width for height, width in shapes)])[:3]
    table = [
        [begin, width, height, stride]
        for begin, (height, width), stride in zip(begins, shapes, STRIDES, strict=True)
    ]
    later = [graph.node("GreaterOrEqual", cells, graph.constant(begin, np.int64)) for begin in begins[1:]]
    level = graph.node("Add", *(graph.node("Cast", one, to=TensorProto.INT64) for one in later))
    own = graph.node("Gather", graph.constant(table, np.int64), level, axis=0)
    begin, width, height, stride = graph.split(own, (1, 1, 1, 1), axis=1)
    local = graph.node("Sub", graph.reshape(cells, -1, 1), begin)
    row = graph.node("Div", local, width)
    column = graph.node("Sub", local, graph.node("Mul", row, width))
    return Where(level, begin, width, height, stride, row, column)


def centres(graph: Graph, at: Where) -> tuple[str, str]:
    """Add the centres of cells (k,2), right and down, and their strides (k,1), in pixels."""
    stride = graph.node("Cast", at.stride, to=TensorProto.FLOAT)
    corner = graph.node("Cast", graph.node("Concat", at.column, at.row, axis=1), to=TensorProto.FLOAT)
    return graph.node("Mul", graph.node("Add", corner, graph.constant(0.5)), stride), stride


def rows_of(graph: Graph, maps: list[Part]) -> str:
    """Add the cells of all levels, one a row, from maps (d,C,h,w): (d*A,C); narrow levels end in zeros."""
    most = max(one.channels for one in maps)
    levels = []
    for one in maps:
        last = graph.node("Transpose", one.name, perm=[0, 2, 3, 1])
        rows = graph.reshape(last, -1, one.height * one.width, one.channels)
        levels.append(_widened(graph, rows, (0, 0, most - one.channels)))
    return graph.reshape(graph.node("Concat", *levels, axis=1), -1, most)


def _widened(graph: Graph, x: str, by: tuple[int, ...]) -> str:
    """Add zeros at the end of each axis, `by` so many; none where none are wanted."""
    return graph.node("Pad", x, graph.constant((0,) * len(by) + by, np.int64)) if any(by) else x


def _within(graph: Graph, place: str, steps: Any, count: str) -> tuple[str, str]:
    """Add places (k,1) by some steps (9,) within 0 and count (k,1) - 1, and whether they were: both (k,9)."""
    wanted = graph.node("Add", place, graph.constant(steps, np.int64))
    last = graph.node("Sub", count, graph.constant(1, np.int64))
    there = graph.node("Max", graph.node("Min", wanted, last), graph.constant(0, np.int64))
    return there, graph.node("Equal", there, wanted)


def around(graph: Graph, at: Where) -> tuple[str, str]:
    """Add the cells round each (k,9), and whether each is within its map, 1 or 0 (k,9,1)."""
    row, above = _within(graph, at.row, AROUND[0], at.height)
    column, beside = _within(graph, at.column, AROUND[1], at.width)
    inside = graph.node("Cast", graph.node("And", above, beside), to=TensorProto.FLOAT)
    place = graph.node("Add", graph.node("Mul", row, at.width), column)
    return graph.node("Add", place, at.begin), graph.reshape(inside, -1, 9, 1)


def sides(graph: Graph, heads: Any, cells: str, at: Where, first: int = 0) -> str:
    """Add the raw sides (k,4) of the cells that are `at` some places.

    Args:
        graph: where to add.
        heads: of the network, one a level.
        cells: the rows of all cells (d*A,C).
        at: which are asked.
        first: of `cells`, the row of a picture's first.
    """
    place, inside = around(graph, at)
    if first:
        place = graph.node("Add", place, graph.constant(first, np.int64))
    near = graph.node("Gather", cells, place, axis=0)  # (k,9,C)
    kernel = graph.node("Mul", graph.node("Gather", _kernels(graph, heads), at.level, axis=0), inside)
    deep = graph.node("ReduceSum", graph.node("Mul", near, kernel), graph.constant([1], np.int64), keepdims=0)
    most = max(head.box_tower[0].in_channels for head in heads)
    widths = [head.box_out.in_channels for head in heads]
    wide = _joined(graph, heads, "box_tower.1.0.weight", 0, most)  # (all widths, C)
    bias = _joined(graph, heads, "box_tower.1.0.bias", 0)
    told = graph.node("Relu", graph.node("Gemm", deep, wide, bias, transB=1))
    mine = graph.node("Gather", graph.constant(np.eye(3).repeat(widths, 1)), at.level, axis=0)
    last = _joined(graph, heads, "box_out.weight", 1)  # (4, all widths)
    out = graph.node("Gemm", graph.node("Mul", told, mine), last, transB=1)
    bias = graph.reshape(_joined(graph, heads, "box_out.bias", 0), 3, 4)
    return graph.node("Add", out, graph.node("Gather", bias, at.level, axis=0))


def _joined(graph: Graph, heads: Any, name: str, axis: int, columns: int = 0) -> str:
    """Keep a parameter of all levels, matrices or vectors, and add them as one; matrices get `columns`."""
    parts = []
    for at, head in enumerate(heads):
        array = head.get_parameter(name)
        array = array.flatten(1) if array.dim() == 4 else array  # of 1x1
        part = graph.weight(array, f"heads.{at}.{name}")
        missing = max(columns - array.shape[-1], 0) if columns else 0
        parts.append(_widened(graph, part, (0, missing) if array.dim() == 2 else (missing,)))
    return graph.node("Concat", *parts, axis=axis)


def _kernels(graph: Graph, heads: Any) -> str:
    """Keep the kernels of all levels' depthwise convolutions, and add them as one array (3,9,C)."""
    arrays = [head.box_tower[0].weight for head in heads]  # (C,1,3,3)
    most = max(map(len, arrays))
    parts = [
        _widened(graph, graph.weight(array, f"heads.{at}.box_tower.0.weight"), (most - len(array), 0, 0, 0))
        for at, array in enumerate(arrays)
    ]
    flat = graph.reshape(graph.node("Concat", *parts, axis=1), -1, 3, 9)  # (C,3,9)
    return graph.node("Transpose", flat, perm=[1, 2, 0])
