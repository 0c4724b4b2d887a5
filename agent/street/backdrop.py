"""The still part of the built-in scene: sky, ground, houses, trees, lamps, painted once at twice the size.

Still things that can hide a mover are kept as occluders: their mask, and where they stand. Putting one back
over what was painted behind it is a copy from the backdrop under its mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.street import raster
from agent.street.meshes import Builder, Colour, Figure, pick, tone
from agent.street.traffic import FAR, Layout
from agent.street.view import Fast, View

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

ZOOM = 2
AHEAD: Float = np.array([0.0, 1.0])
WALLS: tuple[Colour, ...] = (
    (150, 196, 226),
    (176, 208, 232),
    (140, 160, 214),
    (190, 200, 206),
    (160, 190, 176),
    (120, 146, 196),
    (206, 214, 222),
    (186, 176, 150),
)
ROOFS: tuple[Colour, ...] = ((70, 80, 150), (62, 66, 110), (92, 88, 86), (80, 100, 172))
LEAVES: tuple[Colour, ...] = ((58, 128, 82), (52, 112, 62), (66, 142, 108), (60, 150, 138))
AWNINGS: tuple[Colour, ...] = ((60, 60, 190), (120, 90, 40), (70, 130, 60), (60, 160, 220))


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


@dataclass(frozen=True, slots=True)
class Still:
    """Name one still thing and where it stands."""

    figure: Figure
    x: float
    y: float
    occludes: bool
    beyond: float = 0.0


def _order(still: Still) -> tuple[bool, bool, float]:
    """Order for painting: the bridge, then houses, then the rest; the far ones first in each."""
    return (still.y < FAR, still.beyond == 0, -still.y)


def build(view: View, layout: Layout, rng: np.random.Generator) -> Backdrop:
    """Paint the street that the seed's generator draws."""
    haze = np.array([222.0, 214.0, 204.0]) * rng.uniform(0.92, 1.04) + rng.normal(0, 4, 3)
    angle = rng.uniform(-2.6, -0.5)
    rise = rng.uniform(0.75, 1.1)
    sun = np.array([np.cos(angle) * np.cos(rise), np.sin(angle) * np.cos(rise), np.sin(rise)])
    canvas = _sky(view, rng, haze)
    _ground(canvas, view, layout, rng, haze)
    stills = sorted(_stills(layout, rng), key=_order)
    _still_shadows(canvas, view, stills, sun)
    occluders = []
    for still in stills:
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


def _sky(view: View, rng: np.random.Generator, haze: Float) -> Image:
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


def _ground(canvas: Image, view: View, layout: Layout, rng: np.random.Generator, haze: Float) -> None:
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


def _stills(layout: Layout, rng: np.random.Generator) -> list[Still]:
    """Return houses, trees, lamps, the bridge at the end of the street."""
    facade = layout.pavement + 2.2
    stills = [Still(_bridge(rng), 0.0, FAR, False)]
    for side in (-1, 1):
        y = -6.0
        while y < FAR - 4:
            depth = float(rng.uniform(7.5, 14.0))
            if y < layout.crossing + 2.6 and y + depth > layout.crossing - 2.6:
                if y < layout.crossing - 6:
                    depth = layout.crossing - 2.6 - y
                else:
                    y = layout.crossing + 2.6
            house = _house(rng, depth, side)
            stills.append(Still(house, side * facade, y, True, facade - 0.3))
            y += depth + (0.0 if rng.random() < 0.7 else 1.6)
    stills += _greenery(layout, rng)
    return stills


def _greenery(layout: Layout, rng: np.random.Generator) -> list[Still]:
    """Return trees along the pavements, and lamps and small trees in the middle."""
    stills = []
    for side in (-1, 1):
        y = rng.uniform(21.0, 25.0)
        while y < FAR - 8:
            if abs(y - layout.crossing) > 4:
                stills.append(Still(_tree(rng, rng.uniform(4.2, 6.0)), side * (layout.half + 0.75), y, True))
            y += rng.uniform(9.0, 15.0)
        for y in (layout.crossing - 2.2 * side, layout.crossing + 2.2 * side):
            stills.append(Still(_signal(), side * (layout.half + 0.55), y, True))
    if min(abs(lane.x) for lane in layout.lanes) > 2.1:
        for y in np.arange(31.0, FAR - 6, 17.0) + rng.uniform(-2, 2):
            if abs(y - layout.crossing) > 5:
                figure = _lamp() if rng.random() < 0.55 else _tree(rng, rng.uniform(2.6, 3.4))
                stills.append(Still(figure, 0.0, float(y), True))
    return stills


def _house(rng: np.random.Generator, depth: float, side: int) -> Figure:
    """Build a house of `depth` metres along the street; its front is at x = 0 and it lies on that side."""
    wall = pick(rng, WALLS)
    roof = pick(rng, ROOFS)
    floors = int(rng.integers(2, 5))
    height = 3.4 + 2.9 * (floors - 1)
    back = side * 9.0
    x0, x1 = sorted((0.0, back))
    b = Builder()
    faces = b.block((x0, x1, 0.0, depth, 0.0), (x0, x1, 0.0, depth, height), wall)
    street = faces["left" if side > 0 else "right"]
    _facade(b, street, rng, floors, depth, height, wall)
    b.panes(faces["rear"], 3, 0.08, (0.45, 0.6), (132, 112, 92))
    ridge = (back / 2 - 0.05, back / 2 + 0.05, 0.0, depth, height + 2.6)
    b.block((x0 - 0.35, x1 + 0.35, -0.2, depth + 0.2, height), ridge, roof)
    return b.done(-1)


def _facade(
    b: Builder,
    wall_face: Float,
    rng: np.random.Generator,
    floors: int,
    depth: float,
    height: float,
    wall: Colour,
) -> None:
    """Add a shop or a door on the ground floor and rows of windows above."""
    count = max(2, int(depth / 2.4))
    glass = pick(rng, ((138, 118, 98), (112, 98, 86), (164, 146, 122)))
    frame = tone(wall, 1.16)
    b.pane(wall_face, (0.0, 1.0), (0.0, 0.5 / height), tone(wall, 0.72))
    b.pane(wall_face, (0.0, 1.0), (3.15 / height, 3.35 / height), tone(wall, 0.86))
    if rng.random() < 0.6:
        b.panes(wall_face, max(2, count // 2), 0.02, (0.35 / height, 2.35 / height), (106, 92, 80))
        b.pane(wall_face, (0.02, 0.98), (2.4 / height, 3.05 / height), pick(rng, AWNINGS))
    else:
        b.panes(wall_face, count, 0.04, (0.9 / height, 2.4 / height), glass)
        b.pane(wall_face, (0.42, 0.42 + 1.3 / depth), (0.0, 2.3 / height), pick(rng, ROOFS))
    for floor in range(1, floors):
        low = (3.4 + 2.9 * (floor - 1) + 0.75) / height
        high = low + 1.65 / height
        b.panes(wall_face, count, 0.28 / count, (low - 0.12 / height, high + 0.12 / height), frame)
        b.panes(wall_face, count, 0.32 / count, (low, high), glass)


def _tree(rng: np.random.Generator, height: float) -> Figure:
    """Build a tree with a crown of many leaves."""
    leaf = pick(rng, LEAVES)
    b = Builder()
    b.stick((0, 0, 0), (0, 0, height * 0.6), 0.035 * height, (62, 84, 104))
    for i in range(26):
        rise = i / 25
        spread = height * 0.2 * np.sqrt(max(0.05, 1 - (1.7 * rise - 0.75) ** 2))
        turn = rng.uniform(0, 6.28)
        reach = rng.uniform(0.3, 1.0) * spread
        at = (reach * np.cos(turn), reach * np.sin(turn), height * (0.46 + 0.44 * rise))
        b.stick(
            at,
            at,
            height * float(rng.uniform(0.06, 0.1)),
            tone(leaf, 0.72 + 0.55 * rise + float(rng.normal(0, 0.05))),
        )
    return b.done(-1)


def _lamp() -> Figure:
    """Build a street lamp with two arms."""
    b = Builder()
    grey: Colour = (120, 122, 120)
    b.stick((0, 0, 0), (0, 0, 5.2), 0.06, grey)
    for side in (-1, 1):
        b.stick((0, 0, 5.2), (side * 1.1, 0, 5.5), 0.045, grey)
        b.stick((side * 1.0, 0, 5.48), (side * 1.4, 0, 5.48), 0.09, (206, 226, 232))
    return b.done(-1)


def _signal() -> Figure:
    """Build the post of a traffic light; its lamps are lit by the scene."""
    b = Builder()
    b.stick((0, 0, 0), (0, 0, 3.4), 0.06, (110, 112, 112))
    b.block((-0.2, 0.2, -0.12, 0.12, 2.6), (-0.2, 0.2, -0.12, 0.12, 3.6), (46, 46, 46))
    return b.done(-1)


def _bridge(rng: np.random.Generator) -> Figure:
    """Build the dark bridge from under which the traffic comes."""
    stone = pick(rng, ((150, 164, 176), (128, 140, 166), (160, 160, 158)))
    b = Builder()
    b.block((-60, 60, 0, 8, 0.0), (-60, 60, 0, 8, 4.6), (58, 56, 56))
    b.block((-60, 60, -0.6, 9, 4.4), (-60, 60, -0.6, 9, 6.0), stone)
    for x in (-15.0, 0.0, 15.0):
        b.block((x - 0.9, x + 0.9, -0.4, 1, 0), (x - 0.9, x + 0.9, -0.4, 1, 4.4), tone(stone, 0.9))
    return b.done(-1)


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
