"""The input through which a picture goes into another exporter's network: its type, its order, its size.

What always holds: what a network wants of a picture's values is the layout's or the owner's word (`Input`);
how they lie in memory is the file's own. A port of whole numbers takes them as they are, 0..255: such a
network brings them to its scale itself.

    float32, float16, float64 or uint8    (1,3,h,w) channels first, or (1,h,w,3) channels last
    where h and w are open                the metadata's `imgsz`, else 640
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Uint8
from agent.see.preprocess import Input

USUAL_SIZE = 640
LARGEST = 8192
KINDS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class PortError(Exception):
    """Say in one line why no picture can go in."""


@dataclass(frozen=True, slots=True)
class PicturePort:
    """Hold the input's name, the type of its values, whether channels come last, and (height, width)."""

    name: str
    kind: type[np.generic]
    channels_last: bool
    size: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """True if it takes a picture's values as they are, 0..255."""
        return self.kind is np.uint8

    def blob(self, wanted: Input, canvas: Uint8) -> NDArray[Any]:
        """Return a canvas (h,w,3) BGR as what goes in."""
        if self.is_whole:
            picture: NDArray[Any] = wanted.coloured(canvas).transpose(2, 0, 1)[None]
        else:
            picture = wanted.blob(canvas)
        placed = picture.transpose(0, 2, 3, 1) if self.channels_last else picture
        return np.ascontiguousarray(placed, self.kind)


def find_port(inputs: Sequence[Any], told_size: Any) -> PicturePort:
    """Return the one input of a network that takes a picture.

    Args:
        inputs: onnxruntime's ports, each with `name`, `type` and `shape`.
        told_size: what the metadata's `imgsz` spells: a side, or height and width; else nothing.

    Raises:
        PortError: there is none, or more than one, or its size makes no sense.
    """
    pictures = [(port, last) for port in inputs for last in _channels_last(port)]
    if len(pictures) != 1:
        raise PortError(
            "a foreign model whose input is not one picture, float or uint8 (1, 3, height, width) or "
            "(1, height, width, 3); export it for one picture at a time (batch 1)"
        )
    port, last = pictures[0]
    sides = port.shape[1:3] if last else port.shape[2:]
    return PicturePort(port.name, KINDS[port.type], last, _size(sides, told_size))


def _channels_last(port: Any) -> list[bool]:
    """Return whether an input's channels come last, if it takes a picture, else nothing."""
    shape = port.shape
    if port.type not in KINDS or len(shape) != 4 or (isinstance(shape[0], int) and shape[0] != 1):
        return []
    if shape[1] == 3:
        return [False]
    if shape[3] == 3:
        return [True]
    return [] if isinstance(shape[1], int) else [False]


def _size(sides: Sequence[Any], told: Any) -> tuple[int, int]:
    """Return the input's height and width; raise PortError."""
    if isinstance(told, int):
        told = [told, told]
    usual = told if isinstance(told, list | tuple) and len(told) == 2 else [USUAL_SIZE, USUAL_SIZE]
    size = [side if isinstance(side, int) else open_ for side, open_ in zip(sides, usual, strict=True)]
    if not all(isinstance(side, int) and 0 < side <= LARGEST for side in size):
        raise PortError(f"its input size {size} makes no sense")
    return size[0], size[1]
