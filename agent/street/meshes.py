"""The figures of the built-in scene: vehicles from flat faces, people and riders from rounded limbs.

A figure stands at the origin: x to its right, y ahead, z up; metres. Its parts are painted in order, so what
lies on top comes later. A face has its corners as seen from outside:

      top-left ---- top-right
          |   face   |            the normal points to who sees it so;
    bottom-left -- bottom-right   faces that look away are not painted

Limbs are lines with round ends. They swing with the phase of the walk: point + sway * sin(phase + shift).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Colour = tuple[float, float, float]  # blue, green, red; 0..255
Box = tuple[float, float, float, float, float]  # x0, x1, y0, y1 and the height z

PERSON, BICYCLE, CAR, MOTORCYCLE, BUS, TRUCK = range(6)

FACE, LIMB, RING = range(3)

FIRST = 0.0  # groups of parts: below all others, above all others; between: where along the figure
LAST = 9.0

GLASS: Colour = (92, 78, 62)
TYRE: Colour = (38, 36, 36)
RIM: Colour = (170, 168, 166)
PLATE: Colour = (228, 236, 238)
LAMP: Colour = (214, 240, 250)
TAIL: Colour = (44, 40, 196)
DARK: Colour = (48, 46, 46)

PAINT: tuple[Colour, ...] = (
    (240, 240, 238),
    (196, 196, 194),
    (120, 118, 116),
    (58, 54, 52),
    (52, 48, 186),
    (66, 92, 214),
    (168, 104, 46),
    (196, 150, 70),
    (96, 62, 36),
    (92, 132, 62),
    (66, 190, 236),
    (176, 206, 222),
    (58, 74, 120),
    (150, 168, 92),
)
CLOTH: tuple[Colour, ...] = (
    (60, 54, 178),
    (168, 96, 44),
    (84, 130, 60),
    (60, 178, 228),
    (214, 212, 210),
    (70, 62, 58),
    (150, 92, 140),
    (178, 170, 96),
    (104, 132, 208),
    (120, 90, 64),
)
TROUSERS: tuple[Colour, ...] = ((110, 72, 46), (56, 52, 50), (92, 104, 122), (140, 118, 92), (78, 60, 44))
SKIN: tuple[Colour, ...] = ((168, 194, 232), (140, 172, 220), (92, 128, 184), (56, 84, 130))
HAIR: tuple[Colour, ...] = ((34, 38, 48), (36, 60, 92), (70, 120, 168), (60, 60, 62), (168, 170, 172))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Name the points of one painted part; `group` says whether it lies ahead of others or behind."""

    kind: int
    points: NDArray[np.int64]
    colour: Colour
    group: float
    normal: Float  # (3,), zero for what is seen from everywhere
    radius: float = 0.0  # metres, of limbs and rings


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Hold one figure: points (V,3), radii (V,), the swing of each point, and its parts."""

    class_id: int
    points: Float
    radii: Float
    sway: Float  # (V,3)
    shift: Float  # (V,3)
    parts: tuple[Part, ...]
    length: float
    width: float
    height: float

    def pose(self, phase: Float) -> Float:
        """Return the points (F,V,3) at the phases (F,)."""
        if not self.sway.any():
            return np.broadcast_to(self.points, (len(phase), *self.points.shape))
        return self.points + self.sway * np.sin(phase[:, None, None] + self.shift)


class Builder:
    """Collect points and parts in painting order."""

    def __init__(self) -> None:
        self.points: list[Float] = []
        self.radii: list[float] = []  # of the limb that begins at the point
        self.reach: list[float] = []  # of the thickest limb that touches it
        self.sway: list[tuple[float, float, float]] = []
        self.shift: list[tuple[float, float, float]] = []
        self.parts: list[Part] = []
        self.group = FIRST

    def point(
        self,
        at: tuple[float, float, float] | Float,
        radius: float = 0.0,
        sway: tuple[float, float, float] = (0.0, 0.0, 0.0),
        shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> int:
        """Add a point and return its number."""
        self.points.append(np.asarray(at, np.float64))
        self.radii.append(radius)
        self.reach.append(radius)
        self.sway.append(sway)
        self.shift.append(shift)
        return len(self.points) - 1

    def face(self, corners: Float, colour: Colour) -> None:
        """Add a flat face of corners (K,3), as seen from outside and against the clock."""
        index = np.array([self.point(corner) for corner in corners])
        normal = np.cross(corners[1] - corners[0], corners[-1] - corners[0])
        normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
        self.parts.append(Part(FACE, index, colour, self.group, normal))

    def block(self, low: Box, high: Box, colour: Colour) -> dict[str, Float]:
        """Add a block between two rectangles; return its five faces by name."""
        (ax0, ax1, ay0, ay1, az) = low
        (bx0, bx1, by0, by1, bz) = high
        faces = {
            "left": [(ax0, ay1, az), (ax0, ay0, az), (bx0, by0, bz), (bx0, by1, bz)],
            "right": [(ax1, ay0, az), (ax1, ay1, az), (bx1, by1, bz), (bx1, by0, bz)],
            "front": [(ax1, ay1, az), (ax0, ay1, az), (bx0, by1, bz), (bx1, by1, bz)],
            "rear": [(ax0, ay0, az), (ax1, ay0, az), (bx1, by0, bz), (bx0, by0, bz)],
            "top": [(bx0, by0, bz), (bx1, by0, bz), (bx1, by1, bz), (bx0, by1, bz)],
        }
        named = {name: np.array(corners, np.float64) for name, corners in faces.items()}
        for corners in named.values():
            self.face(corners, colour)
        return named

    def pane(self, quad: Float, across: tuple[float, float], up: tuple[float, float], colour: Colour) -> None:
        """Add a smaller face inside the face `quad`; `across` and `up` are shares of its sides."""
        corners = [
            (1 - v) * ((1 - u) * quad[0] + u * quad[1]) + v * ((1 - u) * quad[3] + u * quad[2])
            for u, v in ((across[0], up[0]), (across[1], up[0]), (across[1], up[1]), (across[0], up[1]))
        ]
        self.face(np.array(corners), colour)

    def panes(self, quad: Float, count: int, gap: float, up: tuple[float, float], colour: Colour) -> None:
        """Add a row of `count` panes with `gap` (a share of the whole) between them."""
        step = 1.0 / count
        for i in range(count):
            self.pane(quad, (i * step + gap, (i + 1) * step - gap), up, colour)

    def disc(
        self, centre: tuple[float, float, float], radius: float, colour: Colour, corners: int = 12
    ) -> None:
        """Add a round face at the left or right side of the figure, by the sign of x."""
        side = 1.0 if centre[0] > 0 else -1.0
        angle = np.arange(corners) * (2 * np.pi / corners) - np.pi / 2
        rim = np.stack([np.zeros(corners), side * np.cos(angle), np.sin(angle)], axis=1) * radius
        self.face(rim + np.asarray(centre), colour)

    def wheels(self, half: float, axles: tuple[float, ...], radius: float) -> None:
        """Add the tyres' treads under the body; the discs come later with `hubs`."""
        for y in axles:
            for side in (-1.0, 1.0):
                x0, x1 = sorted((side * half, side * (half - 0.24)))
                box = (x0, x1, y - radius * 0.8, y + radius * 0.8)
                self.block((*box, 0.0), (*box, radius), TYRE)

    def hubs(self, half: float, axles: tuple[float, ...], radius: float, rim: Colour = RIM) -> None:
        """Add the wheels' discs at both sides."""
        for y in axles:
            for side in (-1.0, 1.0):
                self.disc((side * (half + 0.01), y, radius), radius, TYRE)
                self.disc((side * (half + 0.02), y, radius), radius * 0.55, rim, 8)

    def limb(self, first: int, second: int, colour: Colour) -> None:
        """Add a line with round ends between two points, as thick as the first one's radius."""
        radius = self.radii[first]
        self.reach[second] = max(self.reach[second], radius)
        ends = np.array([first, second])
        self.parts.append(Part(LIMB, ends, colour, self.group, np.zeros(3), radius))

    def stick(
        self, a: tuple[float, float, float], b: tuple[float, float, float], radius: float, colour: Colour
    ) -> None:
        """Add a limb that never swings."""
        self.limb(self.point(a, radius), self.point(b, radius), colour)

    def ring(self, y: float, radius: float, thickness: float, colour: Colour) -> None:
        """Add the wheel of a bicycle or motorcycle."""
        angle = np.arange(16) * (2 * np.pi / 16)
        index = [
            self.point((0.0, y + radius * np.cos(a), radius + thickness + radius * np.sin(a)), thickness)
            for a in angle
        ]
        self.parts.append(Part(RING, np.array(index), colour, self.group, np.zeros(3), thickness))

    def done(self, class_id: int) -> Figure:
        """Return the finished figure."""
        points = np.array(self.points)
        radii = np.array(self.reach)
        low = (points - radii[:, None]).min(axis=0)
        high = (points + radii[:, None]).max(axis=0)
        size = high - low
        return Figure(
            class_id,
            points,
            radii,
            np.array(self.sway),
            np.array(self.shift),
            tuple(self.parts),
            float(size[1]),
            float(size[0]),
            float(high[2]),
        )


def pick(rng: np.random.Generator, choices: tuple[Colour, ...], spread: float = 14.0) -> Colour:
    """Return one of the colours, a little changed."""
    chosen = np.array(choices[int(rng.integers(len(choices)))])
    blue, green, red = np.clip(chosen + rng.normal(0, spread / 2, 3) + rng.normal(0, spread), 18, 250)
    return (float(blue), float(green), float(red))


def tone(colour: Colour, factor: float) -> Colour:
    """Return the colour lighter (factor > 1) or darker."""
    blue, green, red = (min(255.0, c * factor) for c in colour)
    return (blue, green, red)


def car(rng: np.random.Generator) -> Figure:
    """Build a saloon, an estate, a small car or an off-roader."""
    kind = int(rng.integers(4))
    length = (4.6, 4.5, 3.8, 4.7)[kind] * rng.uniform(0.95, 1.06)
    half = (0.9, 0.9, 0.84, 0.96)[kind] * rng.uniform(0.97, 1.04)
    roof = (1.45, 1.48, 1.5, 1.75)[kind] * rng.uniform(0.97, 1.04)
    belt = 0.62 * roof
    paint = pick(rng, PAINT)
    front = length / 2
    rear = -length / 2
    axles = (length * 0.31, -length * 0.3)
    wheel = 0.31 if kind != 3 else 0.36
    b = Builder()
    b.wheels(half - 0.02, axles, wheel)
    low = (-half * 0.96, half * 0.96, rear + 0.08, front - 0.08, 0.24)
    waist = (-half, half, rear, front, 0.55)
    skirt = b.block(low, waist, tone(paint, 0.82))
    bonnet = front - 0.24 * length
    boot = rear + (0.16, 0.02, 0.03, 0.02)[kind] * length
    shoulder = (-half * 0.95, half * 0.95, rear + 0.05, front - 0.16, belt)
    upper = b.block(waist, shoulder, paint)
    cabin = (-half * 0.93, half * 0.93, boot, bonnet, belt)
    inner = half * 0.74
    top = (-inner, inner, boot + (0.5, 0.28, 0.3, 0.2)[kind], bonnet - 0.72, roof)
    glass = b.block(cabin, top, paint)
    _car_details(b, skirt, upper, glass, bool(rng.random() < 0.12), paint)
    b.hubs(half - 0.02, axles, wheel, tone(RIM, float(rng.uniform(0.5, 1.1))))
    return b.done(CAR)


def _car_details(
    b: Builder,
    skirt: dict[str, Float],
    upper: dict[str, Float],
    cabin: dict[str, Float],
    taxi: bool,
    paint: Colour,
) -> None:
    """Add windows, lamps, grille and plates."""
    b.pane(upper["front"], (0.02, 0.24), (0.3, 0.85), LAMP)
    b.pane(upper["front"], (0.76, 0.98), (0.3, 0.85), LAMP)
    b.pane(upper["front"], (0.3, 0.7), (0.1, 0.6), DARK)
    b.pane(skirt["front"], (0.36, 0.64), (0.4, 0.8), PLATE)
    b.pane(upper["rear"], (0.02, 0.22), (0.35, 0.9), TAIL)
    b.pane(upper["rear"], (0.78, 0.98), (0.35, 0.9), TAIL)
    b.pane(skirt["rear"], (0.36, 0.64), (0.5, 0.95), PLATE)
    b.pane(upper["top"], (0.1, 0.9), (0.82, 0.96), tone(paint, 1.08))
    b.pane(cabin["front"], (0.05, 0.95), (0.06, 0.94), GLASS)
    b.pane(cabin["front"], (0.12, 0.4), (0.5, 0.9), tone(GLASS, 1.7))
    b.pane(cabin["rear"], (0.08, 0.92), (0.12, 0.92), GLASS)
    for side in ("left", "right"):
        b.pane(cabin[side], (0.06, 0.48), (0.1, 0.88), GLASS)
        b.pane(cabin[side], (0.53, 0.94), (0.1, 0.88), GLASS)
        b.pane(upper[side], (0.3, 0.7), (0.45, 0.55), tone(paint, 0.7))
    if taxi:
        b.block((-0.3, 0.3, -0.15, 0.15, 1.4), (-0.25, 0.25, -0.1, 0.1, 1.68), (70, 220, 250))


def bus(rng: np.random.Generator) -> Figure:
    """Build a city bus."""
    length = rng.uniform(9.5, 12.2)
    half = rng.uniform(1.22, 1.3)
    roof = rng.uniform(2.9, 3.15)
    paint = pick(rng, ((52, 52, 200), (60, 170, 230), (180, 110, 40), (96, 150, 70), (226, 224, 220)))
    band = pick(rng, ((235, 235, 235), (60, 60, 60), (80, 200, 240)))
    b = Builder()
    axles = (length * 0.3, -length * 0.28)
    front = length / 2
    b.wheels(half - 0.02, axles, 0.48)
    low = (-half, half, -front, front, 0.3)
    mid = (-half, half, -front, front, roof - 0.18)
    body = b.block(low, mid, paint)
    roof_faces = b.block(mid, (-half * 0.9, half * 0.9, -front + 0.12, front - 0.12, roof), tone(paint, 1.05))
    for side in ("left", "right"):
        b.pane(body[side], (0.0, 1.0), (0.2, 0.3), band)
        b.panes(body[side], 7, 0.008, (0.46, 0.92), GLASS)
    b.pane(body["right"], (0.8, 0.9), (0.05, 0.9), tone(GLASS, 1.35))
    b.pane(body["front"], (0.04, 0.96), (0.38, 0.84), GLASS)
    b.pane(body["front"], (0.1, 0.42), (0.58, 0.8), tone(GLASS, 1.6))
    b.pane(body["front"], (0.2, 0.8), (0.87, 0.98), (70, 190, 250))
    b.pane(body["front"], (0.36, 0.64), (0.04, 0.12), PLATE)
    for u in ((0.04, 0.18), (0.82, 0.96)):
        b.pane(body["front"], u, (0.14, 0.24), LAMP)
        b.pane(body["rear"], u, (0.12, 0.3), TAIL)
    b.pane(body["rear"], (0.12, 0.88), (0.52, 0.88), GLASS)
    b.pane(roof_faces["top"], (0.2, 0.8), (0.2, 0.4), tone(paint, 0.85))
    b.hubs(half, axles, 0.48)
    return b.done(BUS)


def truck(rng: np.random.Generator) -> Figure:
    """Build a lorry with a box, a tipper or a flat bed with a load."""
    length = rng.uniform(6.2, 9.0)
    half = rng.uniform(1.1, 1.25)
    cab_paint = pick(rng, PAINT)
    box_paint = pick(rng, ((236, 236, 234), *PAINT))
    roof = rng.uniform(2.5, 3.1)
    cab = rng.uniform(1.7, 2.1)
    front = length / 2
    kind = int(rng.integers(3))
    b = Builder()
    axles = (front - 1.0, -front + 1.2, -front + 2.3) if length > 7.5 else (front - 1.0, -front + 1.3)
    b.group = FIRST
    b.wheels(half - 0.02, axles, 0.46)
    b.block(
        (-half * 0.8, half * 0.8, -front, front - 0.2, 0.5),
        (-half * 0.8, half * 0.8, -front, front - 0.2, 0.85),
        DARK,
    )
    b.group = -1.0
    bed = (-half, half, -front, front - cab - 0.2)
    load = b.block((*bed, 0.85), (*bed, roof if kind == 0 else 1.6), box_paint)
    if kind == 0:
        for side in ("left", "right"):
            b.pane(load[side], (0.1, 0.9), (0.4, 0.62), pick(rng, PAINT, 30))
        b.pane(load["rear"], (0.06, 0.485), (0.06, 0.94), tone(box_paint, 0.9))
        b.pane(load["rear"], (0.515, 0.94), (0.06, 0.94), tone(box_paint, 0.9))
    else:
        heap = (bed[0] * 0.6, bed[1] * 0.6, bed[2] * 0.55, bed[3] * 0.6)
        b.block(
            (bed[0] * 0.95, bed[1] * 0.95, bed[2] * 0.95, bed[3] * 0.95, 1.6),
            (*heap, roof - 0.4),
            pick(rng, ((70, 110, 150), (90, 120, 96))),
        )
        for side in ("left", "right"):
            b.panes(load[side], 4, 0.02, (0.1, 0.9), tone(box_paint, 0.88))
    for u in ((0.02, 0.14), (0.86, 0.98)):
        b.pane(load["rear"], u, (0.01, 0.07 if kind == 0 else 0.18), TAIL)
    b.group = 1.0
    _cab(b, half, front, cab, 2.35 if kind else min(roof, 2.6), cab_paint)
    b.group = LAST
    b.hubs(half, axles, 0.46)
    return b.done(TRUCK)


def _cab(b: Builder, half: float, front: float, cab: float, roof: float, paint: Colour) -> None:
    """Add a lorry's cab."""
    low = (-half * 0.98, half * 0.98, front - cab, front, 0.45)
    mid = (-half * 0.98, half * 0.98, front - cab, front, 1.35)
    high = (-half * 0.92, half * 0.92, front - cab + 0.05, front - 0.35, roof)
    base = b.block(low, mid, paint)
    upper = b.block(mid, high, paint)
    b.pane(upper["front"], (0.05, 0.95), (0.1, 0.82), GLASS)
    b.pane(upper["front"], (0.12, 0.4), (0.45, 0.78), tone(GLASS, 1.6))
    b.pane(base["front"], (0.22, 0.78), (0.25, 0.8), DARK)
    b.pane(base["front"], (0.36, 0.64), (0.05, 0.18), PLATE)
    for u in ((0.02, 0.18), (0.82, 0.98)):
        b.pane(base["front"], u, (0.15, 0.42), LAMP)
    for side in ("left", "right"):
        b.pane(upper[side], (0.25, 0.85), (0.1, 0.75), GLASS)


def _rider(b: Builder, rng: np.random.Generator, seat: float, lean: float, pedals: bool) -> None:
    """Add somebody who sits at height `seat` and leans forward."""
    coat = pick(rng, CLOTH)
    legs = pick(rng, TROUSERS)
    skin = pick(rng, SKIN, 6)
    for side, turn in ((-1.0, 0.0), (1.0, np.pi)):
        hip = b.point((side * 0.1, -0.2, seat), 0.09)
        knee = b.point((side * 0.13, 0.18, seat - 0.18), 0.08, (0, 0.08, 0.1), (0, turn, turn + np.pi / 2))
        swing = (0.0, 0.15, 0.15) if pedals else (0.0, 0.0, 0.0)
        foot = b.point((side * 0.12, 0.02, 0.34), 0.06, swing, (0, turn, turn + np.pi / 2))
        b.limb(hip, knee, legs)
        b.limb(knee, foot, tone(legs, 0.85))
    shoulder = (0.0, -0.2 + lean, seat + 0.5)
    b.stick((0.0, -0.2, seat + 0.08), shoulder, 0.19, coat)
    for side in (-1.0, 1.0):
        b.stick(
            (side * 0.2, shoulder[1], shoulder[2] - 0.02),
            (side * 0.24, 0.42, seat + 0.12),
            0.06,
            tone(coat, 0.9),
        )
    head = (0.0, shoulder[1] + 0.06, shoulder[2] + 0.3)
    b.stick(head, head, 0.13, skin)
    cap = pick(rng, CLOTH if pedals and rng.random() < 0.5 else HAIR) if pedals else pick(rng, PAINT)
    b.stick((head[0], head[1] - 0.02, head[2] + 0.05), (head[0], head[1] - 0.02, head[2] + 0.06), 0.14, cap)


def bicycle(rng: np.random.Generator) -> Figure:
    """Build a bicycle and its rider, one figure of the class bicycle."""
    paint = pick(rng, PAINT)
    b = Builder()
    for y in (-0.55, 0.55):
        b.ring(y, 0.31, 0.025, TYRE)
    for first, second in (
        ((0, -0.55, 0.33), (0, -0.1, 0.32)),
        ((0, -0.1, 0.32), (0, -0.2, 0.9)),
        ((0, -0.55, 0.33), (0, -0.17, 0.75)),
        ((0, -0.17, 0.75), (0, 0.4, 0.8)),
        ((0, -0.1, 0.32), (0, 0.4, 0.8)),
        ((0, 0.4, 0.95), (0, 0.55, 0.33)),
        ((-0.27, 0.38, 1.0), (0.27, 0.38, 1.0)),
    ):
        b.stick(first, second, 0.03, paint)
    _rider(b, rng, 0.95, float(rng.uniform(0.15, 0.35)), pedals=True)
    return b.done(BICYCLE)


def motorcycle(rng: np.random.Generator) -> Figure:
    """Build a motorcycle or scooter and its rider, one figure of the class motorcycle."""
    paint = pick(rng, PAINT)
    b = Builder()
    b.block((-0.09, 0.09, -0.95, -0.4, 0.0), (-0.09, 0.09, -0.95, -0.4, 0.6), TYRE)
    b.block((-0.08, 0.08, 0.4, 0.98, 0.0), (-0.08, 0.08, 0.4, 0.98, 0.6), TYRE)
    for y in (-0.66, 0.68):
        b.hubs(0.09, (y,), 0.31)
    b.block((-0.2, 0.2, -0.5, 0.45, 0.28), (-0.16, 0.16, -0.6, 0.5, 0.75), DARK)
    tail = b.block((-0.16, 0.16, -0.95, -0.2, 0.68), (-0.13, 0.13, -0.95, -0.2, 0.85), paint)
    b.pane(tail["rear"], (0.2, 0.8), (0.2, 0.8), TAIL)
    tank = b.block((-0.19, 0.19, -0.2, 0.55, 0.72), (-0.15, 0.15, -0.1, 0.5, 0.98), paint)
    _rider(b, rng, 0.85, float(rng.uniform(0.05, 0.3)), pedals=False)
    nose = b.block((-0.19, 0.19, 0.5, 0.72, 0.6), (-0.17, 0.17, 0.45, 0.62, 1.1), tone(paint, 0.95))
    b.pane(nose["front"], (0.25, 0.75), (0.3, 0.8), LAMP)
    b.pane(tank["top"], (0.2, 0.8), (0.2, 0.8), tone(paint, 1.2))
    b.stick((-0.36, 0.46, 1.03), (0.36, 0.46, 1.03), 0.03, DARK)
    return b.done(MOTORCYCLE)


def person(rng: np.random.Generator) -> Figure:
    """Build somebody who walks."""
    size = rng.uniform(0.9, 1.08) if rng.random() > 0.12 else rng.uniform(0.65, 0.8)
    coat = pick(rng, CLOTH)
    legs = pick(rng, TROUSERS)
    skin = pick(rng, SKIN, 6)
    hair = pick(rng, HAIR, 6)
    skirt = rng.random() < 0.25
    stout = rng.uniform(0.9, 1.25)
    b = Builder()
    for side, turn in ((-1.0, 0.0), (1.0, np.pi)):
        hip = b.point((side * 0.09, 0, 0.88 * size), 0.085 * stout)
        knee = b.point((side * 0.09, 0.03, 0.48 * size), 0.075, (0, 0.15, 0), (0, turn, 0))
        foot = b.point((side * 0.1, 0.0, 0.06), 0.06, (0, 0.34, 0.05), (0, turn, turn + np.pi / 2))
        toe = b.point((side * 0.1, 0.12, 0.05), 0.05, (0, 0.34, 0.05), (0, turn, turn + np.pi / 2))
        b.limb(hip, knee, skin if skirt else legs)
        b.limb(knee, foot, skin if skirt else tone(legs, 0.9))
        b.limb(foot, toe, DARK)
    chest = (0.0, 0.02, 1.3 * size)
    b.stick((0, 0, (0.62 if skirt else 0.92) * size), chest, 0.165 * stout, coat)
    for side, turn in ((-1.0, np.pi), (1.0, 0.0)):
        shoulder = b.point((side * 0.21 * stout, 0, 1.36 * size), 0.06)
        hand = b.point((side * 0.27 * stout, 0.04, 0.85 * size), 0.05, (0, 0.24, 0), (0, turn, 0))
        b.limb(shoulder, hand, tone(coat, 0.88))
        b.limb(hand, hand, skin)
    if rng.random() < 0.3:
        b.stick((0, -0.2, 1.05 * size), (0, -0.2, 1.28 * size), 0.13, pick(rng, CLOTH))
    b.stick((0, 0.02, 1.6 * size), (0, 0.02, 1.62 * size), 0.115, skin)
    b.stick((0, -0.02, 1.66 * size), (0, -0.03, 1.67 * size), 0.11, hair)
    return b.done(PERSON)


BUILDERS: dict[int, Callable[[np.random.Generator], Figure]] = {
    PERSON: person,
    BICYCLE: bicycle,
    CAR: car,
    MOTORCYCLE: motorcycle,
    BUS: bus,
    TRUCK: truck,
}
