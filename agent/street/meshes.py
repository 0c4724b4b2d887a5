"""What the figures of the built-in scene are made of: flat faces (`vehicles`) and rounded limbs (`people`).

A figure stands at the origin: x to its right, y ahead, z up; metres. Its parts are painted in order, so what
lies on top comes later. A face has its corners as seen from outside:

      top-left ---- top-right
          |   face   |            the normal points to who sees it so;
    bottom-left -- bottom-right   faces that look away are not painted

Limbs are lines with round ends. They swing with the phase of the walk: point + sway * sin(phase + shift).
"""

from __future__ import annotations

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

TYRE: Colour = (38, 36, 36)
LAMP: Colour = (214, 240, 250)
TAIL: Colour = (44, 40, 196)
DARK: Colour = (48, 46, 46)
RIM: Colour = (170, 168, 166)

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
