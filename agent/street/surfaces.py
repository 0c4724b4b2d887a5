"""The sky and the ground of the built-in scene, from each pixel's place in the street."""

from __future__ import annotations

import cv2
import numpy as np

from agent.street.meshes import pick
from agent.street.traffic import Layout
from agent.street.view import Fast, Float, Image, View

ZOOM = 2


def sky(view: View, rng: np.random.Generator, haze: Float) -> Image:
    """Return the canvas with a sky and some clouds."""
    height = view.height * ZOOM
    width = view.width * ZOOM
    top = np.array([226.0, 168.0, 112.0]) * rng.uniform(0.9, 1.08)
    fade = np.clip(np.linspace(0, 3.2, height), 0, 1)[:, None, None]
    canvas = np.broadcast_to(top * (1 - fade) + haze * fade, (height, width, 3)).astype(np.float32)
    clouds = np.zeros((height // 8, width // 8), np.float32)
    for _ in range(int(rng.integers(4, 12))):
        x = int(rng.uniform(0, width // 8))
        y = int(rng.uniform(0, height // 28))
        for _ in range(7):
            at = (int(x + rng.normal(0, 9)), int(y + rng.normal(0, 1.6)))
            cv2.ellipse(clouds, at, (int(rng.uniform(4, 12)), int(rng.uniform(2, 4))), 0, 0, 360, 0.8, -1)
    soft = cv2.resize(cv2.GaussianBlur(clouds, (0, 0), 2.2), (width, height))[..., None]
    return np.ascontiguousarray(canvas * (1 - soft) + 246.0 * soft, np.uint8)


def _grain(rng: np.random.Generator) -> Fast:
    """Return a tile (512,512) of asphalt: fine grain and larger patches."""
    fine = rng.standard_normal((512, 512), np.float32)
    coarse = np.pad(rng.standard_normal((16, 16), np.float32), 2, mode="wrap")
    patches = cv2.resize(coarse, (640, 640), interpolation=cv2.INTER_CUBIC)[64:576, 64:576]
    return np.asarray(fine * 0.5 + patches / patches.std() * 1.1, np.float32)


def ground(canvas: Image, view: View, layout: Layout, rng: np.random.Generator, haze: Float) -> None:
    """Paint road, markings, pavements and grass below the horizon, from each pixel's place in the street."""
    x, y, depth = view.ground(ZOOM)
    rows = np.isfinite(depth[:, 0]) & (depth[:, 0] < 4000)
    top = int(np.argmax(rows))
    x = x[top:]
    y = y[top:]
    depth = depth[top:]
    colour = _surfaces(x, y, layout, rng)
    tile = _grain(rng)
    with np.errstate(invalid="ignore"):
        ix = (np.clip(x, -4000, 4000) * 14).astype(np.int64)
        iy = (np.clip(y, -4000, 4000) * 14).astype(np.int64)
    colour += (tile[iy % 512, ix % 512] * np.clip(26 / depth, 0, 1) * 4.5)[..., None]
    far = np.clip((depth - 30) / 190, 0, 0.8)[..., None]
    canvas[top:] = np.clip(colour + (haze.astype(np.float32) - colour) * far, 0, 255).astype(np.uint8)


def _surfaces(x: Fast, y: Fast, layout: Layout, rng: np.random.Generator) -> Fast:
    """Return the colour (H,W,3) of the ground at (x, y)."""
    wide = np.abs(x)
    half = layout.half
    asphalt = np.array([96.0, 92.0, 90.0]) * rng.uniform(0.85, 1.2)
    grass = np.array(pick(rng, ((74, 138, 106), (80, 150, 122))), np.float32)
    colour = np.broadcast_to(grass, (*x.shape, 3)).copy()
    slabs = np.array([176.0, 184.0, 190.0]) * rng.uniform(0.88, 1.05)
    paved = (wide >= half) & (wide < layout.pavement + 2.2)
    colour[paved] = slabs
    joint = ((y % 1.2) < 0.05) | ((wide - half) % 1.2 < 0.05)
    colour[paved & joint & (y < 45)] = slabs * 0.9
    colour[(wide >= half) & (wide < half + 0.22)] = (204, 208, 210)
    road = wide < half
    colour[road] = asphalt
    cycling = pick(rng, ((84, 84, 142), (92, 118, 96)))
    for lane in layout.lanes:
        if len(lane.kinds) == 1:
            colour[road & (np.abs(x - lane.x) < 0.95)] = cycling
        else:
            worn = np.minimum(np.abs(x - lane.x - 0.8), np.abs(x - lane.x + 0.8)) < 0.3
            colour[road & worn] = asphalt * 0.94
    _markings(colour, x, y, layout)
    island = min(abs(lane.x) for lane in layout.lanes) - 1.75
    if island > 0.3:
        open_way = np.abs(y - layout.crossing) > 2.4
        colour[(wide < island) & open_way] = (200, 204, 206)
        colour[(wide < island - 0.16) & open_way] = (78, 146, 112)
    return colour


def _markings(colour: Fast, x: Fast, y: Fast, layout: Layout) -> None:
    """Paint lines, the crossing and the stop lines on the road."""
    white = (226, 230, 232)
    clear = np.abs(y - layout.crossing) > 3.0
    driving = [lane for lane in layout.lanes if len(lane.kinds) > 1]
    for lane in driving:
        for other in driving:
            if lane.direction == other.direction and 0 < abs(other.x) - abs(lane.x) < 4:
                between = (lane.x + other.x) / 2
                colour[(np.abs(x - between) < 0.07) & (y % 7.5 < 3.2) & clear] = white
        if lane.tall:
            edge = lane.x + np.sign(lane.x) * 1.72
            colour[(np.abs(x - edge) < 0.07) & clear] = white
        stop = layout.crossing - lane.direction * 2.3
        colour[(np.abs(x - lane.x) < 1.5) & (np.abs(y - stop) < 0.2)] = white
    zebra = (np.abs(y - layout.crossing) < 1.5) & (np.abs(x) < layout.half - 0.15) & (x % 1.1 < 0.55)
    colour[zebra] = (232, 236, 238)
