"""Collect the nodes and constants of an ONNX graph, each told by the name of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor


class Graph:
    """Collect nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: list[onnx.ValueInfoProto] = []
        self.weights: set[str] = set()

    def constant(self, value: Any, kind: type[np.generic] = np.float32, name: str = "") -> str:
        """Keep an array."""
        name = name or f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind, order="C"), name))
        return name

    def weight(self, value: Tensor, name: str) -> str:
        """Keep a learned array, once: what is written for another size too has the same."""
        if name in self.weights:
            return name
        self.weights.add(name)
        return self.constant(value.detach().numpy(), name=name)

    def node(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Add one operator with one result."""
        name = result or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def declare(self, x: str, *shape: int | str) -> str:
        """Say the shape of an array of floats that cannot be concluded; a word is a number not known yet."""
        self.shapes.append(helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, shape))
        return x

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Cut an array along an axis into parts of so many."""
        names = [f"part{len(self.nodes)}_{at}" for at in range(len(sizes))]
        inputs = [x, self.constant(sizes, np.int64)]
        self.nodes.append(helper.make_node("Split", inputs, names, name=names[0], axis=axis))
        return names

    def softplus(self, x: str) -> str:
        """Add log(1 + exp(x)) for x up to 80, where exp is still finite: four times as fast as Softplus."""
        grown = self.node("Exp", self.node("Min", x, self.constant(80)))
        return self.node("Log", self.node("Add", grown, self.constant(1)))

    def reshape(self, x: str, *shape: int, result: str = "") -> str:
        """Give an array another shape."""
        return self.node("Reshape", x, self.constant(shape, np.int64), result=result)

    def regroup(self) -> None:
        """Turn (convolution + convolution) + map into convolution + (convolution + map).

        The runtime takes a sum into the convolution before it, one each.
        """
        makers = {node.output[0]: node for node in self.nodes}
        uses = Counter(name for node in self.nodes for name in node.input)
        for outer in [node for node in self.nodes if node.op_type == "Add"]:
            inner = makers.get(outer.input[0])
            if inner is None or inner.op_type != "Add" or uses[inner.output[0]] > 1:
                continue
            if all(name in makers and makers[name].op_type == "Conv" for name in inner.input):
                first = inner.input[0]
                other = outer.input[1]
                self.nodes.remove(inner)
                self.nodes.insert(self.nodes.index(outer), inner)
                inner.input[:] = [inner.input[1], other]
                outer.input[:] = [first, inner.output[0]]
