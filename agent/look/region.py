r"""A part of a picture to look at again, upright or turned, and the way of its boxes back into the picture.

What always holds: a region lies within its picture and is cut from the picture's own pixels; a box that
comes back from a turned region is the one round the turned ellipse, as a face is round; `borders` says which
boxes an inner border of the region may have cut, for what ends there may go on outside.

      picture                                 turned by `roll`
    ┌───────────────────────────┐            ┌───────/\───────────┐
    │      ┌──────────┐         │            │     /    \         │
    │      │ region   │         │            │   /        \       │  what leans by `roll`
    │      │     ┌────┼─ a cut  │            │   \        /       │  stands upright in there
    │      │     │    │  box    │            │     \    /         │
    │      └─────┴────┘         │            └───────\/───────────┘
    └───────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import GREY, Detections, Float32, Uint8

Bool = NDArray[np.bool_]
Size = tuple[int, int]  # width and height, pixels

BORDER = 0.01  # of the region's longer side: a box that ends so near to an inner border may be cut


@dataclass(frozen=True, slots=True)
class Region:
    """Left, top, right, bottom in whole pixels; `roll`: degrees by which its objects lean, anticlockwise."""

    left: int
    top: int
    right: int
    bottom: int
    roll: float = 0.0

    @property
    def size(self) -> Size:
        """Width and height, pixels."""
        return self.right - self.left, self.bottom - self.top

    @property
    def box(self) -> Float32:
        """The region as a box (1,4)."""
        return np.asarray([[self.left, self.top, self.right, self.bottom]], np.float32)

    def pixels(self, image: Uint8) -> Uint8:
        """Return the region of a picture (H,W,3), turned upright."""
        part = image[self.top : self.bottom, self.left : self.right]
        if not self.roll:
            return part
        canvas = cv2.warpAffine(
            part, self._matrix, self._canvas, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
        )
        return np.asarray(canvas, np.uint8)

    def back(self, found: Detections) -> Detections:
        """Return what was found in `pixels` in the picture's own coordinates."""
        xyxy = found.xyxy
        if self.roll:
            xyxy = _moved(xyxy, cv2.invertAffineTransform(self._matrix))
        shift = np.asarray([self.left, self.top] * 2, np.float32)
        return Detections(xyxy + shift, found.confidence, found.class_id)

    def borders(self, xyxy: Float32, picture: Size) -> Bool:
        """Say at which inner borders (N,4: left, top, right, bottom) boxes (N,4) end."""
        near = BORDER * max(self.size)
        width, height = picture
        inner = np.asarray([self.left > 0, self.top > 0, self.right < width, self.bottom < height])
        ends = np.concatenate(
            (xyxy[:, :2] <= self.box[:, :2] + near, xyxy[:, 2:] >= self.box[:, 2:] - near), axis=1
        )
        return np.asarray(ends & inner, np.bool_)

    def zoom(self, canvas: Size) -> float:
        """Return how many pixels of a network's input (width, height) one pixel of the region becomes."""
        width, height = self._canvas if self.roll else self.size
        return min(canvas[0] / width, canvas[1] / height)

    @property
    def _canvas(self) -> Size:
        """Width and height of the turned region: what holds all of it."""
        width, height = self.size
        turn = np.deg2rad(self.roll)
        across = abs(width * np.cos(turn)) + abs(height * np.sin(turn))
        down = abs(width * np.sin(turn)) + abs(height * np.cos(turn))
        return int(np.ceil(across)), int(np.ceil(down))

    @property
    def _matrix(self) -> NDArray[np.float64]:
        """The way (2,3) from the region's pixels to the turned canvas."""
        width, height = self.size
        canvas = self._canvas
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -self.roll, 1.0)
        matrix[:, 2] += (canvas[0] - width) / 2, (canvas[1] - height) / 2
        return np.asarray(matrix, np.float64)


def _moved(xyxy: Float32, matrix: NDArray[np.float64]) -> Float32:
    """Return the boxes (N,4) round the ellipses in some boxes, moved by an affine matrix (2,3)."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = (xyxy[:, 2:] - xyxy[:, :2]) / 2
    reach = np.sqrt(half**2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate((centre - reach, centre + reach), axis=1).astype(np.float32)


def around(x: float, y: float, size: tuple[float, float], picture: Size) -> Region:
    """Return the region of a size (width, height) round a point, moved into the picture (width, height)."""
    edges = []
    for middle, length, whole in ((x, size[0], picture[0]), (y, size[1], picture[1])):
        span = min(max(round(length), 1), whole)
        start = int(np.clip(round(middle - span / 2), 0, whole - span))
        edges.append((start, start + span))
    return Region(edges[0][0], edges[1][0], edges[0][1], edges[1][1])


def tiles(picture: Size, size: tuple[float, float], overlap: float) -> list[Region]:
    """Return the fewest regions of a size that cover a picture and share `overlap` pixels, row by row."""
    columns = _starts(picture[0], size[0], overlap)
    rows = _starts(picture[1], size[1], overlap)
    return [
        Region(x, y, min(x + round(size[0]), picture[0]), min(y + round(size[1]), picture[1]))
        for y in rows
        for x in columns
    ]


def _starts(whole: int, length: float, overlap: float) -> list[int]:
    if length >= whole:
        return [0]
    if overlap >= length:
        raise ValueError(f"regions of {length:g} pixels cannot share {overlap:g}")
    count = int(np.ceil((whole - overlap) / (length - overlap)))
    return [round(start) for start in np.linspace(0, whole - round(length), count)]
