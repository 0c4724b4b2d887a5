"""Write a folded network as ONNX nodes, one for each thing that it computes.

The network is run symbolically (torch.fx) and every operator that comes by is written. What always holds: an
operator that is not known here is an error, so nothing is left out in silence.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import fx, nn

from export.model import Network


class Graph:
    """Collect nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, kind: type[np.generic] = np.float32) -> str:
        """Keep an array."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind, order="C"), name))
        return name

    def node(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Add one operator with one result."""
        return self.split(
            kind, *inputs, results=[result or f"{kind.lower()}{len(self.nodes)}"], **attributes
        )[0]

    def split(self, kind: str, *inputs: str, results: list[str], **attributes: Any) -> list[str]:
        """Add one operator with several results."""
        self.nodes.append(helper.make_node(kind, list(inputs), results, name=results[0], **attributes))
        return results

    def convolve(self, x: str, layer: nn.Conv2d) -> str:
        """Add one convolution with its weights."""
        inputs = [x, self.constant(layer.weight.detach().numpy())]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias.detach().numpy()))
        shape: dict[str, Any] = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": [int(layer.padding[0])] * 4,
        }
        return self.node("Conv", *inputs, group=layer.groups, **shape)

    def pool(self, x: str, layer: nn.MaxPool2d) -> str:
        """Add one max pooling."""
        size, stride, pad = int(layer.kernel_size), int(layer.stride), int(layer.padding)
        return self.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def grow(self, x: str) -> str:
        """Double height and width by repeating."""
        scales = self.constant((1, 1, 2, 2))
        how = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self.node("Resize", x, "", scales, mode="nearest", **how)

    def layer(self, layer: nn.Module, x: str) -> str:
        """Add one layer of PyTorch's own."""
        match layer:
            case nn.Conv2d():
                return self.convolve(x, layer)
            case nn.ReLU():
                return self.node("Relu", x)
            case nn.SiLU():
                return self.node("Mul", x, self.node("Sigmoid", x))
            case nn.MaxPool2d():
                return self.pool(x, layer)
            case nn.Upsample():
                return self.grow(x)
            case nn.Identity():
                return x
        raise TypeError(f"no way to write {type(layer).__name__}")

    def operation(self, function: Any, arguments: tuple[Any, ...]) -> str:
        """Add one operator between feature maps: a sum, a product with a number, a concatenation."""
        if function is operator.add:
            return self.node("Add", *arguments)
        if function is operator.mul:
            return self.node("Mul", arguments[0], self.constant(arguments[1]))
        if function is torch.cat:
            return self.node("Concat", *arguments[0], axis=arguments[1])
        raise TypeError(f"no way to write {function}")

    def network(self, model: Network, picture: str) -> Any:
        """Add a whole folded network; return the names of what `Network.levels` returns."""
        traced = fx.Tracer().trace(_Levels(model))
        parts = dict(_Levels(model).named_modules())
        names: dict[fx.Node, str] = {}
        for step in traced.nodes:
            arguments = fx.map_arg(step.args, names.__getitem__)
            if step.op == "placeholder":
                names[step] = picture
            elif step.op == "call_module":
                names[step] = self.layer(parts[step.target], *arguments)
            elif step.op == "call_function":
                names[step] = self.operation(step.target, arguments)
            elif step.op == "output":
                return arguments[0]
            else:
                raise TypeError(f"no way to write {step.op} {step.target}")
        raise TypeError("a network without an output")


class _Levels(nn.Module):  # type: ignore[misc]
    """Stand for the part of a network that is traced: all but the decoding."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> Any:
        return self.model.levels(pictures)
