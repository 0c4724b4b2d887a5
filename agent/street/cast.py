"""Who stands where in one frame of the built-in scene, and what hides them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.street.backdrop import Occluder
from agent.street.traffic import Mover
from agent.street.view import Float, Image


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Hold one mover as it stands in one frame."""

    mover: Mover
    world: Float  # (V,3)
    pixels: Float  # (V,2)
    depth: Float  # (V,)
    box: Float  # (4,)
    x: float
    near: float  # where it begins along the street
    far: float
    order: int  # its number in the frame, from 1


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Hold the part of an occluder that goes over movers behind it."""

    occluder: Occluder
    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: Image) -> tuple[Image, Image]:
        """Return that part of the image, and the mask there."""
        x, y = self.occluder.box[:2]
        mask = self.occluder.mask[self.top - y : self.bottom - y, self.left - x : self.right - x]
        return image[self.top : self.bottom, self.left : self.right], mask


def footprint(mover: Mover, world: Float) -> Float:
    """Return the corners (4,3) of the ground below a mover."""
    low = world.min(axis=0)
    high = world.max(axis=0)
    if mover.figure.length < 3:
        low, high = (
            (low + high) / 2 - (high - low) * (0.25, 0.35, 0),
            (low + high) / 2 + (high - low) * (0.25, 0.35, 0),
        )
    x0 = low[0]
    y0 = low[1]
    x1 = high[0]
    y1 = high[1]
    return np.array([(x0, y0, 0.0), (x1, y0, 0.0), (x1, y1, 0.0), (x0, y1, 0.0)])
