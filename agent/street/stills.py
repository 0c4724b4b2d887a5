"""What stands still in the built-in scene: houses, trees, lamps, the bridge, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.street.meshes import Builder, Colour, Figure, pick, tone
from agent.street.traffic import FAR, Layout
from agent.street.view import Float

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


@dataclass(frozen=True, slots=True)
class Still:
    """Name one still thing and where it stands."""

    figure: Figure
    x: float
    y: float
    occludes: bool
    beyond: float = 0.0


def stills(layout: Layout, rng: np.random.Generator) -> list[Still]:
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
