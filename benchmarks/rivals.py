"""Small detectors of others, run as their authors say; what comes out is `Detections` of our classes.

    yolox_nano_416.onnx              YOLOX-nano; at any multiple of 32 too    Apache-2.0
    picodet_s_416.onnx               PicoDet-S                                Apache-2.0
    fastestdet.onnx                  FastestDet                               BSD-3-Clause

Those of faces are in `benchmarks.face_rivals`.
They are measured beside ours, never shipped: GB_PEERS names the folder where they lie. What always holds: a
class that ours does not have is left out; each is suppressed as its authors do it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from agent.boxes import GREY, Detections, Float32, Uint8

COCO = {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 7: 5}  # person, bicycle, car, motorcycle, bus, truck -> ours
MEAN = (123.675, 116.28, 103.53)  # of ImageNet, red green blue
SPREAD = (58.395, 57.12, 57.375)
LEAST = 0.02  # score
SAME = 0.6  # overlap of two boxes of one class that are one object
Array = NDArray[Any]


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open a file, or its bytes, for one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def fitted(image: Uint8, size: tuple[int, int], pad: int) -> tuple[Uint8, float]:
    """Return the picture at the upper left of a canvas (h,w,3), and by what it was scaled."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (round(side * scale) for side in image.shape[:2])
    canvas = np.full((*size, 3), pad, np.uint8)
    canvas[:height, :width] = cv2.resize(image, (width, height))
    return canvas, scale


def suppressed(
    boxes: Array, scores: Array, classes: Array, meaning: dict[int, int], same: float = SAME
) -> Detections:
    """Return the boxes of classes that have a meaning, best first; those that overlap by `same` are one."""
    kept = np.isin(classes, list(meaning)) & (scores > LEAST)
    boxes = boxes[kept]
    scores = scores[kept]
    classes = classes[kept]
    if not len(boxes):
        return Detections.empty()
    flat = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    rows = np.asarray(
        cv2.dnn.NMSBoxesBatched(flat.tolist(), scores.tolist(), classes.tolist(), LEAST, same), int
    )
    ours = np.asarray([meaning[int(number)] for number in classes[rows]], np.int64)
    return Detections(boxes[rows].astype(np.float32), scores[rows].astype(np.float32), ours)


class Rival:
    """A detector of somebody else; `blob` makes its input of a picture, `read` boxes of its outputs."""

    def __init__(self, model: Path | bytes) -> None:
        self.session = open_session(model)
        self.port = self.session.get_inputs()[0]
        self.size = (int(self.port.shape[2]), int(self.port.shape[3]))

    def detect(self, image: Uint8) -> Detections:
        """Return what it sees in a picture (H,W,3) BGR."""
        blob, scale = self.blob(image)
        return self.read(self.run(blob), image.shape[:2], scale)

    def run(self, blob: Float32) -> list[Array]:
        """Run the bare file on its input (1,3,h,w)."""
        return list(self.session.run(None, {self.port.name: blob}))

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """Return the input (1,3,h,w) and by what the picture was scaled."""
        raise NotImplementedError

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """Return what the outputs say, in the pixels of the picture of this shape."""
        raise NotImplementedError


class YoloX(Rival):
    """YOLOX without its decoding: blue green red 0..255, centre offsets and log sizes per cell."""

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        super().__init__(resized(path, size) if size else path)

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        canvas, scale = fitted(image, self.size, GREY)
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32)), scale

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        raw = outputs[0][0]  # (N,85)
        corner, stride = cells(self.size, (8, 16, 32))
        centre = (raw[:, :2] + corner) * stride
        half = np.exp(raw[:, 2:4]) * stride / 2
        scores = raw[:, 4:5] * raw[:, 5:]
        boxes = np.concatenate((centre - half, centre + half), 1) / scale
        return suppressed(boxes, scores.max(1), scores.argmax(1), COCO)


def resized(path: Path, size: tuple[int, int]) -> bytes:
    """Return a YOLOX file for another input: any multiple of 32, for the network is convolutions alone."""
    model = onnx.load(path)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    shape[2].dim_value, shape[3].dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "cells"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def cells(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Array, Array]:
    """Return column and row (N,2) of all cells of all levels, and their strides (N,1)."""
    corners = []
    steps = []
    for stride in strides:
        rows, columns = np.mgrid[: -(-size[0] // stride), : -(-size[1] // stride)]
        corners.append(np.stack((columns, rows), -1).reshape(-1, 2))
        steps.append(np.full((len(corners[-1]), 1), stride))
    return np.concatenate(corners), np.concatenate(steps)


class PicoDet(Rival):
    """PicoDet: four levels of scores, four of distances as distributions over 0..7 strides."""

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        canvas, scale = fitted(image, self.size, 0)
        values = (canvas[:, :, ::-1] - np.asarray(MEAN)) / np.asarray(SPREAD)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32), scale

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        scores = np.concatenate([level[0] for level in outputs[:4]])  # (N,80)
        sides = np.concatenate([level[0] for level in outputs[4:]]).reshape(len(scores), 4, -1)
        corner, stride = cells(self.size, (8, 16, 32, 64))
        share = np.exp(sides - sides.max(2, keepdims=True))
        away = (share / share.sum(2, keepdims=True)) @ np.arange(sides.shape[2]) * stride
        centre = (corner + 0.5) * stride
        boxes = np.concatenate((centre - away[:, :2], centre + away[:, 2:]), 1) / scale
        return suppressed(boxes, scores.max(1), scores.argmax(1), COCO)


class FastestDet(Rival):
    """FastestDet: one level of 22x22 cells on a picture that is stretched to 352x352."""

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        return np.asarray(cv2.dnn.blobFromImage(image, 1 / 255, self.size), np.float32), 1.0

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        raw = outputs[0][0]  # (85,22,22)
        rows, columns = np.mgrid[: raw.shape[1], : raw.shape[2]]
        raw = raw.reshape(85, -1).T
        cell = np.stack((columns, rows), -1).reshape(-1, 2)
        picture = np.asarray((shape[1], shape[0]))
        centre = (cell + np.tanh(raw[:, 1:3])) / (columns.shape[1], rows.shape[0]) * picture
        half = picture / (1 + np.exp(-raw[:, 3:5])) / 2
        scores = raw[:, 0].clip(0) ** 0.6 * raw[:, 5:].max(1) ** 0.4
        boxes = np.concatenate((centre - half, centre + half), 1)
        return suppressed(boxes, scores, raw[:, 5:].argmax(1), COCO, 0.45)
