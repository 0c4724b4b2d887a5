"""Write a trained network as one .onnx file that needs no code round it.

The network's own nodes come from `export.onnx.writer`; here they get decoding, suppression and metadata. What
always holds: the written file has been compared with PyTorch on a picture that nothing in it was made from,
and names its classes, data licence and recipe.

    picture uint8 (1,h,w,3) BGR ┐
    confidence float (1,)       ┴─▶ boxes (N,4) input pixels, scores (N,), classes (N,); best first
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from agent.atomic_file import replacing
from agent.boxes import nms
from agent.see.infer import FORMAT
from export.errors import TrainError
from export.model.baseline import AnchorNetwork, anchor_grid
from export.model.network import STRIDES, Network, cells
from export.onnx.fold import fold
from export.onnx.self_test import store_answer
from export.onnx.writer import INT8, PARTS, Graph, Part, Writer

OPSET = 17
IR_VERSION = 8
IOU = 0.6
LIMIT = 300


def decode(graph: Graph, levels: Any, size: tuple[int, int], form: str) -> tuple[str, str, str]:
    """Add the decoding of our heads; return boxes (1,A,4), best scores (1,1,A) and all logits.

    int8 brings rows (h*w,C) and works on (1,A,C); float brings maps (1,C,h,w) and works on (1,C,A).
    """
    axis, along = (2, 1) if form == INT8 else (1, 2)  # of channels, of cells

    def flat(part: Part) -> str:
        return graph.reshape(part.name, *((1, -1, part.channels) if form == INT8 else (1, part.channels, -1)))

    logits, sides = (
        graph.node("Concat", *(flat(level[which][0]) for level in levels), axis=along) for which in (0, 1)
    )
    centres, strides = (t.numpy()[None] for t in cells(*size))  # (1,A,2), (1,A)
    reach = graph.node("Mul", graph.softplus(sides), graph.constant(np.expand_dims(strides, axis)))
    halves = graph.split("Split", reach, graph.constant((2, 2), np.int64), results=["low", "high"], axis=axis)
    centre = graph.constant(np.moveaxis(centres, 2, axis))
    corners = [graph.node(kind, centre, half) for kind, half in zip(("Sub", "Add"), halves, strict=True)]
    boxes = graph.node("Concat", *corners, axis=axis)
    boxes = graph.node("Transpose", boxes, perm=[0, along, axis], result="all_boxes")
    best = graph.node("Sigmoid", graph.node("ReduceMax", logits, axes=[axis], keepdims=0))
    return boxes, graph.reshape(best, 1, 1, -1, result="all_scores"), logits


def decode_anchors(graph: Graph, levels: Any, size: tuple[int, int], classes: int) -> tuple[str, str, str]:
    """Add the decoding of the published head, three boxes a cell; return as `decode` does."""
    maps = [graph.reshape(level[0].name, 1, 3, 5 + classes, -1) for level in levels]
    said = graph.node("Sigmoid", graph.node("Concat", *maps, axis=3))  # (1,3,5+C,A)
    parts = graph.constant((2, 2, 1, classes), np.int64)
    xy, wh, sure, kinds = graph.split("Split", said, parts, results=["xy", "wh", "sure", "kinds"], axis=2)
    corner, strides, anchors = (t.numpy() for t in anchor_grid(*size))
    centre = graph.node("Add", graph.node("Mul", xy, graph.constant(2 * strides)), graph.constant(corner))
    half = graph.node("Mul", graph.node("Mul", wh, wh), graph.constant(2 * anchors[None]))  # (1,3,2,A)
    both = [graph.node(kind, centre, half) for kind in ("Sub", "Add")]
    boxes = graph.node("Transpose", graph.node("Concat", *both, axis=2), perm=[0, 1, 3, 2])
    boxes = graph.reshape(boxes, 1, -1, 4, result="all_boxes")
    scores = graph.node("Mul", sure, graph.node("ReduceMax", kinds, axes=[2], keepdims=1))
    kinds = graph.node("Transpose", kinds, perm=[0, 2, 1, 3])  # (1,C,3,A)
    scores = graph.reshape(scores, 1, 1, -1, result="all_scores")
    return boxes, scores, graph.reshape(kinds, 1, classes, -1)


def suppress(graph: Graph, boxes: str, scores: str, logits: str, axis: int) -> None:
    """Add suppression over all classes together: one object is one box, whatever it is called.

    `axis` of the logits counts the classes; only boxes that are kept are asked for theirs.
    """
    limit = graph.constant([LIMIT], np.int64)
    overlap = graph.constant([IOU])
    kept = graph.node("NonMaxSuppression", boxes, scores, limit, overlap, "confidence")  # (N,3)
    rows = graph.node("Gather", kept, graph.constant(2, np.int64), axis=1)  # (N,)
    graph.node("Gather", graph.reshape(boxes, -1, 4), rows, axis=0, result="boxes")
    graph.node("Gather", graph.reshape(scores, -1), rows, axis=0, result="scores")
    kept_logits = graph.node("Gather", logits, rows, axis=3 - axis)  # (1,C,N) or (1,N,C)
    classes = graph.node("ArgMax", kept_logits, axis=axis, keepdims=0)
    graph.reshape(classes, -1, result="classes")


def fold_input(model: Network) -> Network:
    """Let the stem take BGR bytes 0..255 instead of RGB 0..1: exact, for zero stays zero at the border."""
    stem = model.stage2[0][0]
    stem.weight.data = stem.weight.data[:, [2, 1, 0]] / 255
    return model


def folded_copy(model: Network, *, fusions: bool = True) -> Network:
    """Return a folded copy of a network whose stem takes bytes; `fusions` as `fold` takes it."""
    return fold_input(fold(copy.deepcopy(model).float().cpu(), fusions=fusions))


def write(
    folded: Network, size: tuple[int, int], metadata: dict[str, str], form: str = PARTS
) -> tuple[onnx.ModelProto, int]:
    """Write the graph of a folded network for one input size; return it and its first node for int8."""
    graph = Graph()
    writer = Writer(graph, size, form)
    levels = writer.network(folded)
    if isinstance(folded, AnchorNetwork):
        found = decode_anchors(graph, levels, size, folded.classes)
    else:
        found = decode(graph, levels, size, form)
    suppress(graph, *found, axis=2 if form == INT8 and not isinstance(folded, AnchorNetwork) else 1)
    if form == PARTS:
        graph.regroup()
    return pack(graph, size, metadata), writer.first_int8


def build(model: Network, size: tuple[int, int], metadata: dict[str, str]) -> onnx.ModelProto:
    """Write the graph of a network for one input size (height, width)."""
    return write(folded_copy(model), size, metadata)[0]


def pack(graph: Graph, size: tuple[int, int], metadata: dict[str, str]) -> onnx.ModelProto:
    """Give a graph its ports, version and metadata."""
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


def describe(
    recipe: dict[str, Any], size: tuple[int, int], pictures: int, version: str, made: float | None = None
) -> dict[str, str]:
    """Return the metadata that goes into the file; `made` is when, in seconds since 1970, else now."""
    date = datetime.now(UTC) if made is None else datetime.fromtimestamp(made, UTC)
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
        "made": date.strftime("%Y-%m-%d %H:%M UTC"),
    }


def reference(model: Network, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
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
    for name, kind, shape in (
        ("all_boxes", TensorProto.FLOAT, [1, "cells", 4]),
        ("all_scores", TensorProto.FLOAT, [1, 1, "cells"]),
    ):
        proto.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    least = np.asarray([confidence], np.float32)
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(None, {"picture": picture[None], "confidence": least}), strict=True))


def check_parity(model: Network, path: Path, size: tuple[int, int], seed: int = 1) -> tuple[float, float]:
    """Compare file and network on a picture; return the largest differences (pixels, score).

    All cells are compared with PyTorch, and the suppression with ours on the file's own cells.
    """
    picture = noise(size, seed)
    true_boxes, true_scores, true_classes = reference(model, picture)
    said = run_whole(path, picture, 0.001)
    boxes = said["all_boxes"][0]
    scores = said["all_scores"][0, 0]
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
    if not np.array_equal(np.sort(true_classes[rows]), np.sort(said["classes"])):
        raise TrainError(f"{path}: calls some boxes by other names than PyTorch; do not use it")
    return by_pixels, by_score


def export(
    model: Network, path: Path, size: tuple[int, int], metadata: dict[str, str]
) -> tuple[float, float]:
    """Write a network, return its differences from PyTorch; an old file stays until the new one is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        onnx.save(build(model, size, metadata), fresh)
        difference = check_parity(model, fresh, size)
        store_answer(fresh)
    return difference
