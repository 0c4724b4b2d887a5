"""Boxes as a struct of arrays, and the plain arithmetic on them.

A box is (left, top, right, bottom) in pixels. What always holds: the arrays of one `Detections` have the same
length N and fixed types, so the stages after the detector never check them again.

        letterbox                      pad_x = 0, pad_y > 0
    +---------------+
    |  grey 114     |   x_canvas = x * scale + pad_x
    | +-----------+ |   y_canvas = y * scale + pad_y
    | |  picture  | |
    | +-----------+ |
    |  grey 114     |
    +---------------+
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Uint8 = NDArray[np.uint8]

GREY = 114


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Hold what a detector saw in one picture: xyxy (N,4) pixels, confidence (N,), class_id (N,)."""

    xyxy: Float32
    confidence: Float32
    class_id: Int64

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4):
            raise ValueError(f"xyxy must have the shape (N, 4), not {self.xyxy.shape}")
        for name, array in (("confidence", self.confidence), ("class_id", self.class_id)):
            if array.shape != (count,):
                raise ValueError(f"{name} must have the shape ({count},), not {array.shape}")
        object.__setattr__(self, "xyxy", np.asarray(self.xyxy, np.float32))
        object.__setattr__(self, "confidence", np.asarray(self.confidence, np.float32))
        object.__setattr__(self, "class_id", np.asarray(self.class_id, np.int64))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: NDArray[np.bool_] | Int64 | slice) -> Detections:
        """Return the chosen rows; `index` is a mask (N,), an array of row numbers or a slice."""
        return Detections(self.xyxy[index], self.confidence[index], self.class_id[index])

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections, with the right shapes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def area(xyxy: Float32) -> Float32:
    """Return the areas (N,) of boxes (N,4); a box turned inside out has none."""
    size = np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None)
    return np.asarray(size[:, 0] * size[:, 1], np.float32)


def iou(a: Float32, b: Float32) -> Float32:
    """Return intersection over union (N,M) of boxes a (N,4) and b (M,4); two empty boxes share nothing."""
    for name, boxes in (("a", a), ("b", b)):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"{name} must have the shape (N, 4), not {boxes.shape}")
    sides = [
        np.clip(np.minimum(a[:, None, high], b[:, high]) - np.maximum(a[:, None, low], b[:, low]), 0, None)
        for low, high in ((0, 2), (1, 3))
    ]  # two planes (N,M): many times faster than one (N,M,2)
    overlap = sides[0] * sides[1]
    union = area(a)[:, None] + area(b)[None, :] - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0), np.float32)


def letterbox(image: Uint8, size: tuple[int, int]) -> tuple[Uint8, float, tuple[int, int]]:
    """Fit a picture (H,W,3) into `size` (height, width) without changing its shape, centred on grey.

    Returns the canvas, the scale and the padding (left, top) in canvas pixels.
    """
    import cv2  # here, so that who only needs the arithmetic does not load OpenCV

    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or image.dtype != np.uint8:
        raise ValueError(f"a picture must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    height, width = size
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    inner_width = min(width, max(1, round(image.shape[1] * scale)))
    pad_x = (width - inner_width) // 2
    pad_y = (height - inner_height) // 2
    canvas = np.empty((height, width, 3), np.uint8)
    inner = canvas[pad_y : pad_y + inner_height, pad_x : pad_x + inner_width]
    if (inner_height, inner_width) == image.shape[:2]:
        inner[:] = image
    else:
        method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        cv2.resize(image, (inner_width, inner_height), dst=inner, interpolation=method)  # in place: no copy
    canvas[:pad_y] = canvas[pad_y + inner_height :] = GREY
    canvas[:, :pad_x] = canvas[:, pad_x + inner_width :] = GREY
    return canvas, scale, (pad_x, pad_y)


def nms(
    xyxy: Float32, confidence: Float32, class_id: Int64, iou_threshold: float = 0.6, limit: int = 300
) -> Int64:
    """Return the rows that greedy non-maximum suppression keeps, best first, at most `limit`.

    A box is dropped when a better one *of its class* overlaps it by more than `iou_threshold`.
    """
    order = np.argsort(-confidence, kind="stable")
    boxes = xyxy[order]
    classes = class_id[order]
    clash = (iou(boxes, boxes) > iou_threshold) & (classes[:, None] == classes[None, :])  # (N,N)
    alive = np.ones(len(order), np.bool_)
    kept: list[int] = []
    for row in range(len(order)):
        if alive[row]:
            kept.append(row)
            alive &= ~clash[row]
            if len(kept) == limit:
                break
    return np.asarray(order[np.asarray(kept, np.int64)], np.int64)
