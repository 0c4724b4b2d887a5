"""The pinhole camera of the built-in scene: from metres in the street to pixels in the picture.

World: x to the right across the road, y along the road away from the camera, z up; metres.
Picture: u to the right, v down; pixels. Nothing here has a state: a frame stays a function of its number.

            z ^   y (away)
              |  /                 the camera stands at (x, 0, height),
              | /                  turned by `yaw` to the right and by `pitch` down
              +------> x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Fast = NDArray[np.float32]
Image = NDArray[np.uint8]

NEAREST = 0.8  # metres; what is nearer than this, or behind, is drawn as if it were here


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Project points of the street into a picture of `width` x `height` pixels."""

    position: Float  # (3,)
    axes: Float  # (3,3): rows are right, down, forward
    focal: float  # pixels
    width: int
    height: int

    @classmethod
    def looking(
        cls,
        position: tuple[float, float, float],
        yaw: float,
        pitch: float,
        focal: float,
        width: int,
        height: int,
    ) -> View:
        """Return the view from `position`, turned `yaw` to the right and `pitch` down (radians)."""
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
        right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
        axes = np.stack([right, np.cross(forward, right), forward])
        return cls(np.asarray(position, np.float64), axes, focal, width, height)

    def project(self, points: Float) -> tuple[Float, Float]:
        """Return pixels (...,2) and depths (...) of world points (...,3)."""
        local = (points - self.position) @ self.axes.T
        depth = np.maximum(local[..., 2], NEAREST)
        pixels = local[..., :2] * (self.focal / depth)[..., None]
        pixels += (self.width / 2, self.height / 2)
        return pixels, depth

    def ground(self, factor: int) -> tuple[Fast, Fast, Fast]:
        """Return the street's x, y and depth under each pixel (H*factor, W*factor); inf above the horizon."""
        u = (np.arange(self.width * factor, dtype=np.float32)[None, :] + 0.5) / factor - self.width / 2
        v = (np.arange(self.height * factor, dtype=np.float32)[:, None] + 0.5) / factor - self.height / 2
        right, down, forward = self.axes.astype(np.float32)
        fall = -(u * right[2] + v * down[2] + np.float32(self.focal) * forward[2])
        reach = np.where(
            fall > 1e-6, np.float32(self.position[2]) / np.maximum(fall, 1e-6), np.float32(np.inf)
        )
        x, y = (u * right[i] + v * down[i] + np.float32(self.focal) * forward[i] for i in (0, 1))
        with np.errstate(invalid="ignore"):
            return (
                np.float32(self.position[0]) + x * reach,
                np.float32(self.position[1]) + y * reach,
                np.float32(self.focal) * reach,
            )
