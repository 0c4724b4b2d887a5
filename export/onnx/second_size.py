"""The picture in a second, smaller size: whether it is looked at, and how it is made within the graph.

    finds of the large picture ─ in doubt? ─┐
    picture (1,h,w,3) ──────────────────────┴▶ batch of one or none ─▶ smaller (d,h',w',3)

What the large picture shows surely needs no second opinion, and neither does an empty street. What always
holds: `TWICE` says whether there was a second picture; where there was none the network gets an empty batch,
which costs nothing; its weights are in the file and in memory once.

A find is in doubt from a score of `DOUBTED` on, unless one class is told by `SURE` more than all others
together. The picture is made smaller by bilinear interpolation at pixel centres, without smoothing, as
PyTorch's `interpolate` does it.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from export.onnx.graph import Graph
from export.onnx.writer import PICTURE

DOUBTED = 0.05
SURE = 0.5
FROM = "doubted_from"  # the constant of a file that holds `DOUBTED`; to try it out it may be
ALWAYS = -1.0  # for both sizes of every picture,
NEVER = 2.0  # or for the first alone
TWICE = "looked_twice"  # whether a file has looked at the second size (1,)


def doubt(graph: Graph, classes: str, scores: str) -> str:
    """Add whether one of some finds is in doubt (1,), from probabilities (n,C) and the best of each (n,)."""
    both = graph.node("ReduceSum", classes, graph.constant([1], np.int64), keepdims=0)
    ahead = graph.node("Sub", graph.node("Add", scores, scores), both)
    unsure = graph.node("Less", ahead, graph.constant(SURE))
    seen = graph.node("GreaterOrEqual", scores, graph.constant(DOUBTED, name=FROM))
    some = graph.node("Cast", graph.node("And", seen, unsure), to=TensorProto.FLOAT)
    most = graph.node("ReduceMax", some, axes=[0], keepdims=1)
    return graph.node("Cast", most, to=TensorProto.BOOL, result=TWICE)


def in_doubt(classes: NDArray[np.float32]) -> bool:
    """Return whether one of some finds is in doubt, from probabilities (n,C)."""
    best = classes.max(1)
    return bool(((best >= DOUBTED) & (2 * best - classes.sum(1) < SURE)).any())


def doubt_from(proto: onnx.ModelProto, score: float) -> None:
    """Let a file be in doubt from a score on: `DOUBTED`, `ALWAYS` or `NEVER`."""
    for constant in proto.graph.initializer:
        if constant.name == FROM:
            constant.CopyFrom(numpy_helper.from_array(np.asarray(score, np.float32), FROM))


def linear(before: int, after: int) -> NDArray[np.float32]:
    """Return the matrix (a,b) that makes each b values in a row of `before` into a of `after`.

    It has one block of what repeats: a pixel's neighbours lie in its own block, since b > a.
    """
    repeats = gcd(before, after)
    wide, narrow = before // repeats, after // repeats
    centres = (np.arange(narrow) + 0.5) * wide / narrow - 0.5
    return np.asarray(np.maximum(1 - np.abs(centres[:, None] - np.arange(wide)), 0), np.float32)


def shrink(graph: Graph, size: tuple[int, int], second: tuple[int, int], asked: str) -> str:
    """Add the picture in the `second` size (d,h,w,3); d is 1 where it is `asked` for (1,), else 0."""
    down, across = (linear(*sides) for sides in zip(size, second, strict=True))
    chosen = graph.node("Cast", graph.node("Compress", PICTURE, asked, axis=0), to=TensorProto.FLOAT)
    rows = graph.reshape(chosen, -1, down.shape[1], size[1] * 3)
    blocks = graph.node(
        "Slice", graph.node("Shape", rows), *(graph.constant([at], np.int64) for at in (0, 1))
    )
    each = graph.node("Concat", blocks, graph.constant(down.shape, np.int64), axis=0)
    fewer = graph.node("MatMul", graph.node("Expand", graph.constant(down), each), rows)
    pixels = graph.reshape(fewer, -1, across.shape[1] * 3)
    smaller = graph.node("MatMul", pixels, graph.constant(np.kron(across.T, np.eye(3))))
    return graph.reshape(smaller, -1, *second, 3)
