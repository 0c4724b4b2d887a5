"""How a picture becomes the input of another exporter's network, and how its boxes come back.

What always holds: every network of the table in `agent.see.layouts` brings the values that its own tools use;
what an owner writes into the config goes before them.

    picture (H,W,3) BGR ─ fit ─▶ canvas (h,w,3) ─ order, (value - mean) / std ─▶ float32 (1,3,h,w)

    fit = "letterbox"      "corner"              "stretch"
    ┌──────────────┐       ┌────────────┬──┐     ┌──────────────┐
    │░░░░ 114 ░░░░░│       │  picture   │░░│     │   picture,   │
    │   picture    │       ├────────────┘░░│     │  each side   │
    │░░░░░░░░░░░░░░│       │░░░░ 114 ░░░░░░│     │  by its own  │
    └──────────────┘       └───────────────┘     └──────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from msgspec import Meta, Struct

from agent.boxes import GREY, Float32, Uint8, letterbox

Order = Literal["rgb", "bgr"]
Fit = Literal["letterbox", "corner", "stretch"]
Three = Annotated[list[float], Meta(min_length=3, max_length=3)]


class Preprocess(Struct, frozen=True, forbid_unknown_fields=True):
    """What an owner may say of a network's input; what is not said is the layout's own.

    `mean` and `std` are of pixel values 0..255, in the channels' order: std = [255, 255, 255] gives 0..1.
    """

    order: Order | None = None
    mean: Three | None = None
    std: Three | None = None
    fit: Fit | None = None
    boxes: Literal["pixels", "fractions"] | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """Hold what a network wants: the order of colours, mean and deviation (of 0..255), how pictures fit."""

    order: Order = "rgb"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    fit: Fit = "letterbox"

    def but(self, said: Preprocess) -> Input:
        """Return this with what an owner said instead."""
        return Input(
            said.order or self.order,
            tuple(said.mean or self.mean),
            tuple(said.std or self.std),
            said.fit or self.fit,
        )

    def coloured(self, canvas: Uint8) -> Uint8:
        """Return a canvas (h,w,3) BGR in the network's order of colours."""
        return canvas[:, :, ::-1] if self.order == "rgb" else canvas

    def blob(self, canvas: Uint8) -> Float32:
        """Return a canvas (h,w,3) BGR as the network's input (1,3,h,w)."""
        scaled = (self.coloured(canvas) - np.asarray(self.mean, np.float32)) / np.asarray(
            self.std, np.float32
        )
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Hold a picture on its canvas, and the way back: x_canvas = x * scale + pad, for both sides."""

    canvas: Uint8
    scale: tuple[float, float]  # x, y
    pad: tuple[int, int]  # left, top

    def back(self, xyxy: Float32) -> Float32:
        """Return boxes (N,4) of the canvas in the picture's pixels."""
        pad = np.asarray(self.pad * 2, np.float32)
        return np.asarray((xyxy - pad) / np.asarray(self.scale * 2, np.float32), np.float32)


def fit_picture(image: Uint8, size: tuple[int, int], fit: Fit = "letterbox") -> Fitted:
    """Bring a picture (H,W,3) to a canvas of `size` (height, width)."""
    if fit == "letterbox":
        canvas, scale, pad = letterbox(image, size)
        return Fitted(canvas, (scale, scale), pad)
    height, width = size
    if fit == "stretch":
        canvas = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        return Fitted(canvas, (width / image.shape[1], height / image.shape[0]), (0, 0))
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.full((height, width, 3), GREY, np.uint8)
    cv2.resize(image, inner, dst=canvas[: inner[1], : inner[0]], interpolation=cv2.INTER_LINEAR)
    return Fitted(canvas, (scale, scale), (0, 0))
