"""Make an int8 copy of a finished model: faster where the CPU has VNNI, at the same accuracy within a hair.

The file is read back, its channels' ranges are made alike (`export.onnx.equalize`), and it is written again
in the form that int8 wants, for both sizes where it has two, then quantized statically: QDQ, activations
unsigned, weights signed and per channel (U8S8, what the CPU's dot product takes). What always holds: the stem
and the first stage stay in float, which is faster there, and so do the heads' last products and all after
them: half of the error of scores came from these few weights, and one step of 1/255 there moves a box.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from agent.boxes import letterbox
from agent.see.infer import Detector, ModelError
from export.data.sample import Picture
from export.onnx.second_size import ALWAYS, DOUBTED, doubt_from
from export.onnx.self_test import store_answer

KINDS = ("Conv", "Relu", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Transpose", "Reshape")
RANGED = 5  # of so many pictures one is used to see how far the channels range
Feed = dict[str, NDArray[np.generic]]


def feeds(pictures: Sequence[Picture], size: tuple[int, int]) -> Iterator[Feed]:
    """Yield the graph's inputs for pictures, fitted as the agent fits them."""
    for picture in pictures:
        canvas, _, _ = letterbox(picture.image, size)
        yield {"picture": canvas[None], "confidence": np.asarray([0.5], np.float32)}


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hand the inputs to the calibration one by one."""

    def __init__(self, inputs: Iterator[Feed]) -> None:
        self._inputs = inputs

    def get_next(self) -> Feed | None:
        """Return the next inputs, or None at the end."""
        return next(self._inputs, None)


def int8_nodes(proto: onnx.ModelProto, in_float: set[str]) -> list[str]:
    """Name what is quantized: all that the last products come from, but what stays in float."""
    nodes = list(proto.graph.node)
    makers = {name: node for node in nodes for name in node.output}
    products = [makers[node.input[0]] for node in nodes if node.name.startswith("out_")]
    ahead = [makers[node.input[0]] for node in products]
    wanted: set[str] = set()
    while ahead:
        node = ahead.pop()
        if node.name not in wanted and node.name not in in_float:
            wanted.add(node.name)
            ahead.extend(makers[name] for name in node.input if name in makers)
    return [node.name for node in nodes if node.name in wanted and node.op_type in KINDS]


def quantize(source: Path, target: Path, pictures: Sequence[Picture], *, reduce_range: bool = False) -> None:
    """Write the int8 copy of a model, calibrated on pictures of its own task; raises `ModelError`.

    `reduce_range` takes 7 bits for the weights: for CPUs with AVX2 or AVX-512 but no VNNI, whose sums of two
    products saturate at 16 bits.
    """
    detector = Detector(source)
    size = detector.input_size
    proto, in_float = _rewrite(source, detector, pictures[::RANGED])
    names = int8_nodes(proto, in_float)
    logging.disable(logging.WARNING)  # it advises a step that these graphs do not need
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float.onnx"
        half = Path(folder) / "int8.onnx"
        doubt_from(proto, ALWAYS)  # so that each picture tells the ranges of both sizes
        onnx.save(proto, whole)
        quantize_static(
            str(whole),
            str(half),
            Calibration(feeds(pictures, size)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(KINDS),
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        small = onnx.load(half)
    logging.disable(logging.NOTSET)
    doubt_from(small, DOUBTED)
    words = "int8 (U8S8, 7-bit weights, float stem)" if reduce_range else "int8 (U8S8, float stem)"
    helper.set_model_props(small, detector.metadata | {"precision": words})
    onnx.save(small, target)
    store_answer(target)


def _rewrite(
    source: Path, detector: Detector, pictures: Sequence[Picture]
) -> tuple[onnx.ModelProto, set[str]]:
    """Write a file again in the form for int8; return it and the nodes that stay in float."""
    from export.model.zoo import make_model
    from export.onnx.equalize import equalize
    from export.onnx.to_onnx import folded_copy, write
    from export.onnx.writer import INT8, read_back

    network = folded_copy(make_model(json.loads(detector.metadata["recipe"])))
    try:
        folded = read_back(onnx.load(source), network)
    except (KeyError, IndexError, RuntimeError):
        raise ModelError(
            f"{source}: not written by this `gb-export onnx`; export the checkpoint again"
        ) from None
    size = detector.input_size
    equalize(folded, (letterbox(picture.image, size)[0] for picture in pictures))
    return write(folded, size, detector.metadata, INT8)
