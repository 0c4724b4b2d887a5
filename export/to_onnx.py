"""Write a trained network as one .onnx file that needs no code round it.

The graph is written node by node from the folded modules, so it holds nothing but what runs: convolutions,
ReLUs, sums, pools, and at the end decoding and suppression. What always holds: the written file has been
compared with PyTorch on a picture that nothing in it was made from, and names its classes, data licence and
recipe.

    picture uint8 (1,h,w,3) BGR ┐
    confidence float (1,)       ┴─▶ boxes (N,4) input pixels, scores (N,), classes (N,); best first
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from agent.boxes import nms
from agent.infer import FORMAT
from export.errors import TrainError
from export.model import (
    STRIDES,
    BiFPN,
    Convolution,
    GBYolo,
    Ghost,
    GhostBottleneck,
    Head,
    Pyramid,
    Separable,
    cells,
    fold,
)

OPSET, IR_VERSION = 17, 8
IOU, LIMIT = 0.6, 300


class Graph:
    """Collect nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        """Keep an array."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Add one operator."""
        result = result or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name=result, **attributes))
        return result

    def convolve(self, x: str, layer: nn.Conv2d) -> str:
        """Add one convolution with its weights."""
        inputs = [x, self.constant(layer.weight.detach().numpy())]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias.detach().numpy()))
        pad = int(layer.padding[0])
        shape: dict[str, Any] = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": [pad] * 4,
        }
        return self.node("Conv", *inputs, group=layer.groups, **shape)

    def pool(self, x: str, size: int, stride: int) -> str:
        """Add one max pooling that keeps the middle."""
        return self.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4)

    def grow(self, x: str) -> str:
        """Double height and width by repeating."""
        scales = self.constant(np.asarray((1, 1, 2, 2), np.float32))
        return self.node(
            "Resize",
            x,
            "",
            scales,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )

    def write(self, module: nn.Module, x: str) -> str:
        """Add a whole folded module with one input and one output."""
        if isinstance(module, nn.Conv2d):
            return self.convolve(x, module)
        if isinstance(module, nn.ReLU):
            return self.node("Relu", x)
        if isinstance(module, nn.Identity):
            return x
        if isinstance(module, Ghost):
            primary = self.write(module.primary, x)
            return self.node("Concat", primary, self.write(module.cheap, primary), axis=1)
        if isinstance(module, GhostBottleneck):
            return self.node("Add", x, self.write(module.project, self.write(module.expand, x)))
        if isinstance(module, Pyramid):
            pooled = [self.write(module.reduce, x)]
            for _ in range(3):
                pooled.append(self.pool(pooled[-1], 5, 1))
            return self.write(module.mix, self.node("Concat", *pooled, axis=1))
        if isinstance(module, nn.Sequential | Convolution | Separable):
            for part in module:
                x = self.write(part, x)
            return x
        raise TypeError(f"no way to write {type(module).__name__}")

    def add(self, *maps: str) -> str:
        """Add feature maps one after the other."""
        total = maps[0]
        for x in maps[1:]:
            total = self.node("Add", total, x)
        return total

    def write_neck(self, neck: BiFPN, maps: Sequence[str]) -> list[str]:
        """Add the folded BiFPN: its fusions have become plain sums."""
        p3, p4, p5 = (self.write(lateral, x) for lateral, x in zip(neck.lateral, maps, strict=True))
        mid4 = self.write(neck.mid4, self.add(p4, self.grow(p5)))
        out3 = self.write(neck.out3, self.add(p3, self.grow(mid4)))
        out4 = self.write(neck.out4, self.add(p4, mid4, self.pool(out3, 3, 2)))
        return [out3, out4, self.write(neck.out5, self.add(p5, self.pool(out4, 3, 2)))]

    def flatten(self, x: str, channels: int) -> str:
        """Turn (1,channels,h,w) into (1,channels,h*w)."""
        return self.node("Reshape", x, self.constant(np.asarray((1, channels, -1), np.int64)))

    def write_heads(self, heads: Sequence[Head], maps: Sequence[str], classes: int) -> tuple[str, str]:
        """Add all heads; return logits (1,C,A) and raw sides (1,4,A)."""
        logits, sides = [], []
        for head, x in zip(heads, maps, strict=True):
            logits.append(self.flatten(self.write(head.class_out, self.write(head.class_tower, x)), classes))
            sides.append(self.flatten(self.write(head.box_out, self.write(head.box_tower, x)), 4))
        return self.node("Concat", *logits, axis=2), self.node("Concat", *sides, axis=2)

    def write_decode(self, logits: str, sides: str, size: tuple[int, int]) -> tuple[str, str, str]:
        """Add decoding; return boxes (1,A,4), best scores (1,1,A) and best classes (A,)."""
        centres, strides = (t.numpy().astype(np.float32) for t in cells(*size))
        reach = self.node("Mul", self.node("Softplus", sides), self.constant(strides[None, None]))  # (1,4,A)
        half = self.constant(np.asarray((2, 2), np.int64))
        self.nodes.append(helper.make_node("Split", [reach, half], ["left_top", "right_bottom"], axis=1))
        centre = self.constant(np.ascontiguousarray(centres.T[None]))  # (1,2,A)
        low, high = self.node("Sub", centre, "left_top"), self.node("Add", centre, "right_bottom")
        both = self.node("Concat", low, high, axis=1)
        boxes = self.node("Transpose", both, perm=[0, 2, 1], result="all_boxes")
        scores = self.node(
            "Sigmoid", self.node("ReduceMax", logits, axes=[1], keepdims=1), result="all_scores"
        )
        best = self.node("ArgMax", logits, axis=1, keepdims=0)  # (1,A)
        first = self.constant(np.asarray([0], np.int64))
        return boxes, scores, self.node("Squeeze", best, first, result="all_classes")

    def write_suppression(self, boxes: str, scores: str, classes: str) -> None:
        """Add suppression over all classes together: one object is one box, whatever it is called."""
        limit, overlap = (
            self.constant(np.asarray([LIMIT], np.int64)),
            self.constant(np.asarray([IOU], np.float32)),
        )
        kept = self.node("NonMaxSuppression", boxes, scores, limit, overlap, "confidence")  # (N,3)
        rows = self.node("Gather", kept, self.constant(np.asarray(2, np.int64)), axis=1)  # (N,)
        first = self.constant(np.asarray([0], np.int64))
        flat = self.constant(np.asarray([-1], np.int64))
        self.node("Gather", self.node("Squeeze", boxes, first), rows, axis=0, result="boxes")
        self.node("Gather", self.node("Reshape", scores, flat), rows, axis=0, result="scores")
        self.node("Gather", classes, rows, axis=0, result="classes")


def fold_input(model: GBYolo) -> GBYolo:
    """Let the stem take BGR bytes 0..255 instead of RGB 0..1: exact, for zero stays zero at the border."""
    stem = model.stage2[0][0]
    stem.weight.data = stem.weight.data[:, [2, 1, 0]] / 255
    return model


def build(model: GBYolo, size: tuple[int, int], metadata: dict[str, str]) -> onnx.ModelProto:
    """Write the graph of a network for one input size (height, width)."""
    folded = fold_input(fold(copy.deepcopy(model).float().cpu()))
    graph = Graph()
    x = graph.node("Cast", "picture", to=TensorProto.FLOAT)
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    maps = [graph.write(folded.stage3, graph.write(folded.stage2, x))]
    maps.append(graph.write(folded.stage4, maps[0]))
    maps.append(graph.write(folded.stage5, maps[1]))
    heads = [head for head in folded.heads if isinstance(head, Head)]
    raw = graph.write_heads(heads, graph.write_neck(folded.neck, maps), folded.classes)
    graph.write_suppression(*graph.write_decode(*raw, size))
    ports = [
        helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, *size, 3]),
        helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]),
    ]
    results = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("classes", TensorProto.INT64, ["n"]),
    ]
    body = helper.make_graph(graph.nodes, "gb-yolo", ports, results, graph.constants)
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="gb-fleet")
    proto.ir_version = IR_VERSION
    helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    return proto


def describe(recipe: dict[str, Any], size: tuple[int, int], pictures: int, version: str) -> dict[str, str]:
    """Return the metadata that goes into the file."""
    return {
        "format": FORMAT,
        "name": recipe["name"],
        "version": version,
        "task": recipe["task"],
        "names": json.dumps(recipe["names"]),
        "input": f"{size[0]}x{size[1]} uint8 BGR",
        "strides": json.dumps(STRIDES),
        "suppression_iou": str(IOU),
        "licence": recipe["licence"],
        "recipe": json.dumps(recipe),
        "pictures_seen": str(pictures),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def reference(model: GBYolo, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Ask PyTorch about all cells of a picture (h,w,3) BGR: boxes (A,4), best scores (A,), classes (A,)."""
    rgb = torch.from_numpy(np.ascontiguousarray(picture[None, :, :, ::-1].transpose(0, 3, 1, 2)))
    with torch.no_grad():
        raw = model.eval()(rgb.float() / 255)
    best = raw.logits[0].sigmoid().max(1)
    return raw.xyxy[0].numpy(), best.values.numpy(), best.indices.numpy()


def noise(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Return a picture (h,w,3) of coarse patches under fine noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 128, (size[0] // 16, size[1] // 16, 3), np.uint8)
    fine = rng.integers(0, 128, (*size, 3), np.uint8)
    return np.asarray(coarse.repeat(16, 0).repeat(16, 1) + fine, np.uint8)


def run_whole(path: Path, picture: NDArray[np.uint8], confidence: float) -> dict[str, NDArray[Any]]:
    """Run a file on a picture (h,w,3) and return what it says before and after suppression."""
    proto = onnx.load(path)
    size = picture.shape[0] // 8 * (picture.shape[1] // 8) * 21 // 16  # cells of all three levels
    for name, kind, shape in (
        ("all_boxes", TensorProto.FLOAT, [1, size, 4]),
        ("all_scores", TensorProto.FLOAT, [1, 1, size]),
        ("all_classes", TensorProto.INT64, [size]),
    ):
        proto.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    least = np.asarray([confidence], np.float32)
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(None, {"picture": picture[None], "confidence": least}), strict=True))


def check_parity(model: GBYolo, path: Path, size: tuple[int, int], seed: int = 1) -> tuple[float, float]:
    """Compare file and network on a picture; return the largest differences (pixels, score).

    All cells are compared with PyTorch, and the suppression with ours on the file's own cells.
    """
    picture = noise(size, seed)
    true_boxes, true_scores, _ = reference(model, picture)
    said = run_whole(path, picture, 0.001)
    boxes, scores = said["all_boxes"][0], said["all_scores"][0, 0]
    by_pixels = float(np.abs(boxes - true_boxes).max())
    by_score = float(np.abs(scores - true_scores).max())
    if by_pixels > 0.05 or by_score > 1e-3:
        raise TrainError(
            f"{path}: differs from PyTorch by {by_pixels:.3g} pixels, {by_score:.3g} score; do not use it"
        )
    above = np.flatnonzero(scores > 0.001)
    rows = above[nms(boxes[above], scores[above], np.zeros(len(above), np.int64), IOU, LIMIT)]
    if not np.array_equal(np.sort(scores[rows]), np.sort(said["scores"])):
        raise TrainError(f"{path}: its suppression keeps other boxes than `agent.boxes.nms`; do not use it")
    return by_pixels, by_score


def export(model: GBYolo, path: Path, size: tuple[int, int], metadata: dict[str, str]) -> tuple[float, float]:
    """Write a network, return its differences from PyTorch; an old file stays until the new one is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".new.onnx")
    onnx.save(build(model, size, metadata), half)
    try:
        difference = check_parity(model, half, size)
    except TrainError:
        half.unlink()
        raise
    half.replace(path)
    return difference
