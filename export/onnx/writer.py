"""Write a folded network as ONNX nodes, one for each thing that it computes, and read it back.

The network is run symbolically (torch.fx) and every operator that comes by is written. What always holds: an
operator that is not known here is an error, so nothing is left out in silence; constants carry the names of
PyTorch's parameters, so that a file can be read back.

Float runs fastest where channels are never put together: a concatenation stays a list of parts, and whoever
reads it next adds up its convolutions of the parts (a convolution of [a b] is one of a plus one of b). int8
has no such sum, so there concatenations are written out; it begins at the third stage of a network with Ghost
modules, whose thin depthwise layers at stride 4 are twice as fast in float, and after the stem of others.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, fx, nn

from export.model.network import Ghost, Network
from export.onnx.graph import Graph

PICTURE = "picture"  # the port of a file: bytes (1,h,w,3) BGR
PARTS = "parts"  # how a graph is written
INT8 = "int8"
PLAIN = "plain"


class Part(NamedTuple):
    """Name an array (1,channels,height,width): a feature map, or some of its channels.

    Of a second size that is not looked at it is (0,channels,height,width).
    """

    name: str
    channels: int
    height: int
    width: int


Maps = list[Part]


class Writer:
    """Write one network into a graph, for pictures of one size (height, width).

    `picture` is the array (1,h,w,3) that it looks at, BGR from 0 to 255, or (d,h,w,3), d being 1 or 0.
    """

    def __init__(
        self, graph: Graph, size: tuple[int, int], form: str = PARTS, picture: str = PICTURE
    ) -> None:
        self.graph = graph
        self.size = size
        self.form = form
        self.picture = picture
        self.batch: int | str = 1 if picture == PICTURE else "d"
        self.whole = form == PLAIN  # are concatenations written out?
        self.begun = len(graph.nodes)
        self.start = ""  # the module before which int8 stays in float,
        self.in_float: set[str] = set()  # and the nodes

    def network(self, model: Network) -> Any:
        """Add a whole folded network; return the parts of what `Network.levels` returns."""
        modules = dict(model.named_modules())
        ghostly = any(isinstance(module, Ghost) for module in model.stage2)
        self.start = "stage3" if ghostly else "stage2.1"
        known: dict[fx.Node, Any] = {}
        for step in _Tracer().trace(model).nodes:
            arguments = fx.map_arg(step.args, known.__getitem__)
            if step.op == "placeholder":
                known[step] = [Part(self.picture, 3, *self.size)]
            elif step.op == "call_module":
                known[step] = self.layer(modules[step.target], str(step.target), *arguments)
            elif step.op == "call_function":
                known[step] = self.operation(step.target, arguments)
            elif step.op == "output":
                return fx.map_arg(step.args, known.__getitem__)[0]
            else:
                raise TypeError(f"no way to write {step.op} {step.target}")
        raise TypeError("a network without an output")

    def layer(self, layer: nn.Module, name: str, maps: Maps) -> Maps:
        """Add one layer of PyTorch's own; those of box towers are left to who asks for some cells' boxes."""
        if ".box_tower." in name or name.endswith(".box_out"):
            return maps
        if self.form == INT8 and not self.whole and name.startswith(self.start):
            self.in_float = {node.name for node in self.graph.nodes[self.begun :]}
            self.whole = True
        if self.whole and len(maps) > 1:
            maps = [self.join(maps)]
        match layer:
            case nn.Conv2d() if maps[0].name == self.picture:
                return self.stem(layer, name)
            case nn.Conv2d() if self.form == INT8 and name.endswith("_out"):
                return [self.rows(maps[0], layer, name)]
            case nn.Conv2d() if layer.groups > 1:
                return self.deepwise(maps, layer, name)
            case nn.Conv2d():
                return [self.convolve(maps, layer, name)]
            case nn.Identity():
                return maps
        return [self.plain(layer, part) for part in maps]

    def plain(self, layer: nn.Module, x: Part) -> Part:
        """Add a layer that treats every channel alike."""
        match layer:
            case nn.ReLU():
                return x._replace(name=self.graph.node("Relu", x.name))
            case nn.SiLU():
                return x._replace(name=self.graph.node("Mul", x.name, self.graph.node("Sigmoid", x.name)))
            case nn.MaxPool2d():
                shape, *size = self.window(x, layer)
                return Part(self.graph.node("MaxPool", x.name, **shape), x.channels, *size)
            case nn.Upsample():
                return Part(self.grow(x), x.channels, 2 * x.height, 2 * x.width)
        raise TypeError(f"no way to write {type(layer).__name__}")

    def operation(self, function: Any, arguments: tuple[Any, ...]) -> Maps:
        """Add what is done between feature maps: a sum, a product with a number, a concatenation."""
        first, second = arguments
        if function is torch.cat:
            return [part for maps in first for part in maps]
        if function is operator.mul:
            share = self.graph.constant(second)
            return [part._replace(name=self.graph.node("Mul", part.name, share)) for part in first]
        if function is operator.add:
            if len(first) != len(second):
                first = [self.join(first)]
                second = [self.join(second)]
            pairs = zip(first, second, strict=True)
            return [a._replace(name=self.graph.node("Add", a.name, b.name)) for a, b in pairs]
        raise TypeError(f"no way to write {function}")

    def join(self, maps: Maps) -> Part:
        """Put the channels of all parts into one array."""
        if len(maps) == 1:
            return maps[0]
        name = "joined_" + "_".join(part.name for part in maps)
        if all(node.name != name for node in self.graph.nodes):
            self.graph.node("Concat", *(part.name for part in maps), axis=1, result=name)
        return maps[0]._replace(name=name, channels=sum(part.channels for part in maps))

    def window(self, x: Part, layer: nn.Module) -> tuple[dict[str, Any], int, int]:
        """Return the attributes of a layer that slides over a map, and the height and width it leaves."""
        kernel, stride, pad = (_first(value) for value in (layer.kernel_size, layer.stride, layer.padding))
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        height, width = ((side + 2 * pad - kernel) // stride + 1 for side in (x.height, x.width))
        return shape, height, width

    def stem(self, layer: nn.Conv2d, name: str) -> Maps:
        """Add the first convolution on the picture (1,h,w,3).

        Read as one channel of h x 3w numbers, a kernel of k x 3k and strides s x 3s need no transposition.
        """
        graph = self.graph
        (shape, height, width) = self.window(Part("", 3, *self.size), layer)
        x = graph.node("Cast", self.picture, to=TensorProto.FLOAT)
        weight = layer.weight
        if self.form == PLAIN:
            x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
        else:
            x = graph.reshape(x, -1, 1, self.size[0], 3 * self.size[1])
            weight = weight.permute(0, 2, 3, 1).flatten(2)[:, None]  # (c,1,k,3k)
            shape = {key: [value[0], 3 * value[1], *value[2:]] for key, value in shape.items()}
            shape["pads"][3] *= 3
            graph.declare(x, self.batch, 1, self.size[0], 3 * self.size[1])
        inputs = (x, graph.weight(weight, f"{name}.weight"), graph.weight(layer.bias, f"{name}.bias"))
        return [Part(graph.node("Conv", *inputs, **shape), layer.out_channels, height, width)]

    def deepwise(self, maps: Maps, layer: nn.Conv2d, name: str) -> Maps:
        """Add a convolution with one kernel a channel, part by part."""
        sizes = [part.channels for part in maps]
        results = []
        weights = layer.weight.split(sizes)
        biases = [None] * len(maps) if layer.bias is None else layer.bias.split(sizes)
        for at, (part, weight, bias) in enumerate(zip(maps, weights, biases, strict=True)):
            shape, *size = self.window(part, layer)
            inputs = [part.name, self.graph.weight(weight, f"{name}.weight:{at}")]
            if bias is not None:
                inputs.append(self.graph.weight(bias, f"{name}.bias:{at}"))
            y = self.graph.node("Conv", *inputs, group=part.channels, **shape)
            results.append(Part(y, part.channels, *size))
        return results

    def convolve(self, maps: Maps, layer: nn.Conv2d, name: str) -> Part:
        """Add a convolution over all channels: one for each part, and their sum."""
        shape, *size = self.window(maps[0], layer)
        total = ""
        for at, (part, weight) in enumerate(
            zip(maps, layer.weight.split([part.channels for part in maps], 1), strict=True)
        ):
            inputs = [part.name, self.graph.weight(weight, f"{name}.weight:{at}")]
            if at == 0:
                inputs.append(self.graph.weight(layer.bias, f"{name}.bias"))
            y = self.graph.node("Conv", *inputs, **shape)
            total = self.graph.node("Add", total, y) if total else y
        return Part(total, layer.out_channels, *size)

    def rows(self, x: Part, layer: nn.Conv2d, name: str) -> Part:
        """Add a 1x1 convolution as a product of rows (h*w,channels), which stays in float."""
        graph = self.graph
        rows = graph.reshape(graph.node("Transpose", x.name, perm=[0, 2, 3, 1]), -1, x.channels)
        weight = graph.weight(layer.weight.flatten(1), f"{name}.weight")
        product = graph.node("Gemm", rows, weight, graph.weight(layer.bias, f"{name}.bias"), transB=1)
        y = graph.reshape(product, -1, x.height * x.width, layer.out_channels, result=f"out_{product}")
        return Part(y, layer.out_channels, x.height, x.width)

    def grow(self, x: Part) -> str:
        """Double height and width by repeating; for int8 by copying whole pixels, five times as fast."""
        graph = self.graph
        if self.form != INT8:
            how = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
            y = graph.node("Resize", x.name, "", graph.constant((1, 1, 2, 2)), mode="nearest", **how)
            return graph.declare(y, self.batch, x.channels, 2 * x.height, 2 * x.width)
        y = graph.node("Transpose", x.name, perm=[0, 2, 3, 1])
        y = graph.reshape(y, -1, x.channels)
        y = graph.reshape(graph.node("Concat", y, y, axis=1), -1, 2 * x.width * x.channels)
        y = graph.reshape(graph.node("Concat", y, y, axis=1), -1, 2 * x.height, 2 * x.width, x.channels)
        return graph.node("Transpose", y, perm=[0, 3, 1, 2])


class _Tracer(fx.Tracer):  # type: ignore[misc]
    """Trace `Network.levels`, all but the decoding."""

    traced_func_name = "levels"


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def read_back(proto: onnx.ModelProto, model: Network) -> Network:
    """Fill a folded network of the same recipe with the weights of a file; raises `KeyError` for another."""
    parts: dict[str, list[Tensor]] = {}
    for constant in proto.graph.initializer:
        name = constant.name.partition(":")[0]
        parts.setdefault(name, []).append(torch.from_numpy(numpy_helper.to_array(constant).copy()))
    state = model.state_dict()
    for name, wanted in state.items():
        deep = len(wanted.shape) == 4 and wanted.shape[1] == 1
        found = torch.cat(parts[name], 0 if deep or len(wanted.shape) == 1 else 1)
        if name == "stage2.0.0.weight":
            found = found.unflatten(3, (-1, 3))[:, 0].permute(0, 3, 1, 2)  # (c,1,k,3k) -> (c,3,k,k)
        state[name] = found.reshape(wanted.shape)
    model.load_state_dict(state)
    return model
