"""The still part of the built-in scene: sky, ground, houses, trees, lamps, painted once at twice the size.

Still things that can hide a mover are kept as occluders: their mask, and where they stand. Putting one back
over what was painted behind it is a copy from the backdrop under its mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.street import raster
from agent.street.stills import Still, stills
from agent.street.surfaces import ZOOM, ground, sky
from agent.street.traffic import FAR, Layout
from agent.street.view import Float, Image, View

AHEAD: Float = np.array([0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Occluder:
    """Hold a still thing that can hide movers: its box in pixels, its mask, where it stands."""

    box: tuple[int, int, int, int]
    mask: Image  # (bottom - top, right - left), 255 where it is
    x: float
    y: float
    beyond: float  # it hides only what is further from the middle of the road than this

    def hides(self, x: float, y: float) -> bool:
        """Tell whether something at (x, y) is behind it."""
        return y > self.y and abs(x) >= self.beyond


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """Hold the still picture, the same in shadow, the occluders and the look of the air."""

    image: Image
    shade: Image
    occluders: tuple[Occluder, ...]
    haze: Float  # (3,)
    sun: Float  # (3,)
    lamps: tuple[tuple[float, float, float], ...]  # where the pedestrian crossing's lights hang


def _order(still: Still) -> tuple[bool, bool, float]:
    """Order for painting: the bridge, then houses, then the rest; the far ones first in each."""
    return (still.y < FAR, still.beyond == 0, -still.y)


def build(view: View, layout: Layout, rng: np.random.Generator) -> Backdrop:
    """Paint the street that the seed's generator draws."""
    haze = np.array([222.0, 214.0, 204.0]) * rng.uniform(0.92, 1.04) + rng.normal(0, 4, 3)
    angle = rng.uniform(-2.6, -0.5)
    rise = rng.uniform(0.75, 1.1)
    sun = np.array([np.cos(angle) * np.cos(rise), np.sin(angle) * np.cos(rise), np.sin(rise)])
    canvas = sky(view, rng, haze)
    ground(canvas, view, layout, rng, haze)
    standing = sorted(stills(layout, rng), key=_order)
    _still_shadows(canvas, view, standing, sun)
    occluders = []
    for still in standing:
        occluder = _place(canvas, view, still, sun, haze)
        if occluder is not None and still.occludes:
            occluders.append(occluder)
    image = cv2.resize(canvas, (view.width, view.height), interpolation=cv2.INTER_AREA)
    shade = cv2.convertScaleAbs(image, alpha=0.62, beta=2)
    kerb = layout.half + 0.55
    lamps = ((-kerb, layout.crossing + 2.2, 3.1), (kerb, layout.crossing - 2.2, 3.1))
    occluders.sort(key=lambda occluder: -occluder.y)
    return Backdrop(image, shade, tuple(occluders), haze, sun, lamps)


def _place(canvas: Image, view: View, still: Still, sun: Float, haze: Float) -> Occluder | None:
    """Paint one still thing and return its mask, or None where it is outside the picture."""
    world = still.figure.points + np.array([still.x, still.y, 0.0])
    pixels, depth = view.project(world)
    if depth.max() < 1.0:
        return None
    inked = raster.ink(still.figure, AHEAD, sun)
    far = float(np.clip((depth.min() - 30) / 190, 0, 0.55))
    raster.paint(canvas, view, still.figure, world, pixels, depth, inked, (haze, far), zoom=ZOOM)
    left, top, right, bottom = raster.bounds(pixels, depth, still.figure.radii, view.focal)
    x0 = max(0, int(left) - 1)
    y0 = max(0, int(top) - 1)
    x1 = min(view.width, int(right) + 2)
    y1 = min(view.height, int(bottom) + 2)
    if x1 <= x0 or y1 <= y0:
        return None
    mask = np.zeros((view.height, view.width), np.uint8)
    raster.paint(mask, view, still.figure, world, pixels, depth, inked, flat=255)
    return Occluder((x0, y0, x1, y1), mask[y0:y1, x0:x1].copy(), still.x, still.y, still.beyond)


def _still_shadows(canvas: Image, view: View, stills: list[Still], sun: Float) -> None:
    """Darken the ground where trees keep the sun off."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    for still in stills:
        if still.figure.width > 4.5:
            continue
        crown = still.figure.points + np.array([still.x, still.y, 0.0])
        fallen = crown.copy()
        fallen[:, :2] -= sun[:2] / sun[2] * crown[:, 2:]
        fallen[:, 2] = 0
        pixels, depth = view.project(fallen)
        if depth.min() < 3:
            continue
        for at, radius, far in zip(pixels * ZOOM, still.figure.radii, depth, strict=True):
            size = ZOOM * view.focal * radius / far
            flat = max(1, int(size * 0.5))
            cv2.ellipse(mask, (int(at[0]), int(at[1])), (max(1, int(size)), flat), 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), 2.0).astype(np.float32)[..., None] / 255 * 0.34
    np.copyto(canvas, (canvas * (1 - soft)).astype(np.uint8))
