"""Who is where in the built-in scene, and when: lanes, a pedestrian light, and people on the pavements.

Time runs in cycles of the light. All that arrives in a cycle is made from (seed, cycle) alone, so any moment
can be computed without the ones before it. Vehicles follow Newell's simplified car-following model
(Transportation Research B 36, 2002): who follows is where its leader was TAU seconds ago, less the length and
the gap, or where it would be on a free road, whichever is further back:

    s ^        leader /        / free follower
      |         ___--/    ___-/          never closer than the gap, never past a red light;
      | red  --/     ..../               the queue of one cycle is gone before the next begins
      +-----------------------> t

Every path is then smoothed with one kernel; a mean of paths that keep their distance keeps it too.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.street.builders import BUILDERS
from agent.street.meshes import BICYCLE, BUS, CAR, MOTORCYCLE, PERSON, TRUCK, Figure

Float = NDArray[np.float64]

CYCLE = 40.0  # seconds of the light
RED = 15.0  # the cycle begins with red for vehicles
AMBER = 2.5  # before red
TAU = 1.4  # seconds behind the leader
GAP = 1.9  # metres between bumpers in a queue
STEP = 0.1  # seconds between the knots of a path
NEAR = -4.0  # metres: where the street begins and ends
FAR = 114.0
REMEMBERED = 12  # cycles kept, the oldest goes first
LONGEST = 3  # cycles that the slowest walker needs


@dataclass(frozen=True, slots=True)
class Lane:
    """Describe a stream of vehicles: place, direction (+1 away from the camera) and what drives there."""

    x: float
    direction: int
    speed: float
    slots: int
    chance: float
    kinds: tuple[int, ...]
    weights: tuple[float, ...]
    tall: bool = False  # the lane next to the cyclists, where buses and lorries drive


@dataclass(frozen=True, slots=True)
class Layout:
    """Describe the street: lanes, the half width of the carriageway, the crossing's place, the pavements."""

    lanes: tuple[Lane, ...]
    half: float
    crossing: float
    pavement: float
    walkers: float  # people per cycle and stream
    crossers: float  # people per cycle over the crossing


@dataclass(frozen=True, slots=True, eq=False)
class Mover:
    """Hold one moving figure and its path: where it is along a straight way at the times `knots`."""

    track_id: int
    figure: Figure
    origin: Float  # (2,)
    forward: Float  # (2,), unit length
    knots: Float  # (K,) seconds
    along: Float  # (K,) metres
    stride: float  # radians of the walk for each metre
    phase: float

    def alive(self, at: float) -> bool:
        """Tell whether it is on the street at the time `at`."""
        return bool(self.knots[0] <= at <= self.knots[-1])

    def reach(self, times: Float) -> Float:
        """Return the metres along its way at the times (F,)."""
        return np.interp(times, self.knots, self.along)

    def points(self, times: Float) -> Float:
        """Return the figure's points in the street (F,V,3) at the times (F,)."""
        along = self.reach(times)
        local = self.figure.pose(self.phase + along * self.stride)
        fx, fy = self.forward
        world = np.empty(local.shape)
        world[..., 0] = (self.origin[0] + along * fx)[:, None] + local[..., 0] * fy + local[..., 1] * fx
        world[..., 1] = (self.origin[1] + along * fy)[:, None] - local[..., 0] * fx + local[..., 1] * fy
        world[..., 2] = local[..., 2]
        return world


class Traffic:
    """Make the movers of every moment from the seed; remembers a few cycles only to be fast."""

    def __init__(self, seed: int, layout: Layout) -> None:
        self.seed = seed
        self.layout = layout
        self._cycles: OrderedDict[int, tuple[Mover, ...]] = OrderedDict()

    def at(self, time: float) -> list[Mover]:
        """Return who is on the street at `time`."""
        now = int(time // CYCLE)
        return [m for n in range(now - LONGEST, now + 2) for m in self.cycle(n) if m.alive(time)]

    def between(self, first: float, last: float) -> list[Mover]:
        """Return everybody who is on the street at some moment from `first` to `last`."""
        cycles = range(int(first // CYCLE) - LONGEST, int(last // CYCLE) + 2)
        return [m for n in cycles for m in self.cycle(n) if m.knots[0] <= last and m.knots[-1] >= first]

    def cycle(self, number: int) -> tuple[Mover, ...]:
        """Return all movers that belong to the cycle `number`, always the same ones."""
        known = self._cycles.get(number)
        if known is None:
            known = self._make(number)
            self._cycles[number] = known
            while len(self._cycles) > REMEMBERED:
                self._cycles.popitem(last=False)
        return known

    def light(self, time: float) -> str:
        """Return the colour of the vehicles' light."""
        within = time % CYCLE
        if within < RED:
            return "red"
        return "amber" if within > CYCLE - AMBER else "green"

    def _make(self, number: int) -> tuple[Mover, ...]:
        movers: list[Mover] = []
        start = number * CYCLE
        for index, lane in enumerate(self.layout.lanes):
            rng = np.random.default_rng([self.seed, 11, index, number])
            movers += self._drive(lane, start, rng, self._tall(lane, number))
        rng = np.random.default_rng([self.seed, 13, number])
        movers += self._stroll(start, rng)
        movers += self._cross(start, rng)
        return tuple(
            Mover(number * 1000 + i, m.figure, m.origin, m.forward, m.knots, m.along, m.stride, m.phase)
            for i, m in enumerate(movers)
        )

    def _tall(self, lane: Lane, number: int) -> bool:
        """Tell whether buses and lorries drive there in this cycle; else cyclists do, hidden by nobody."""
        side = 0 if lane.direction > 0 else 1
        return bool(np.random.default_rng([self.seed, 12, side, number]).random() < 0.5)

    def _drive(self, lane: Lane, start: float, rng: np.random.Generator, tall: bool) -> list[Mover]:
        """Return one lane's vehicles of one cycle."""
        cycling = lane.kinds == (BICYCLE,)
        if cycling and tall:
            return []
        movers: list[Mover] = []
        first, last = (5.0, 24.0) if cycling else (0.6, CYCLE - 3.4)
        spacing = (last - first) / lane.slots
        leader: Float | None = None
        length = 0.0
        for slot in range(lane.slots):
            arrives = first + spacing * slot + rng.uniform(0, 0.36) * spacing
            present = rng.random() < lane.chance
            kind = int(rng.choice(lane.kinds, p=lane.weights))
            if kind in (BUS, TRUCK) and not tall:
                kind = CAR
            figure = BUILDERS[kind](rng)
            speed = lane.speed * rng.uniform(0.95, 1.05)
            phase = rng.uniform(0, 6.28)
            wobble = rng.uniform(-0.22, 0.22)
            if not present:
                continue
            leader = _follow(arrives, speed, leader, length)
            length = figure.length
            movers.append(self._vehicle(lane, start, figure, leader, phase, wobble))
        return movers

    def _vehicle(
        self, lane: Lane, start: float, figure: Figure, path: Float, phase: float, wobble: float
    ) -> Mover:
        """Return a mover from the path of its front bumper."""
        smooth = np.convolve(path, KERNEL, mode="valid")
        knots = start + GRID[len(KERNEL) // 2 : len(GRID) - len(KERNEL) // 2]
        along = smooth - figure.length / 2
        stop = self.layout.crossing - lane.direction * 2.6
        y = stop + lane.direction * along
        inside = (y > NEAR - figure.length) & (y < FAR)
        chosen = slice(int(np.argmax(inside)), len(inside) - int(np.argmax(inside[::-1])))
        return Mover(
            0,
            figure,
            np.array([lane.x + wobble, stop]),
            np.array([0.0, float(lane.direction)]),
            knots[chosen],
            along[chosen],
            1.3 if figure.class_id == BICYCLE else 0.0,
            phase,
        )

    def _stroll(self, start: float, rng: np.random.Generator) -> list[Mover]:
        """Return the people who walk along the pavements."""
        movers = []
        for side in (-1.0, 1.0):
            for direction in (-1.0, 1.0):
                for _ in range(int(rng.poisson(self.layout.walkers))):
                    speed = rng.uniform(1.15, 1.6)
                    arrives = start + rng.uniform(0, CYCLE)
                    x = side * (self.layout.pavement + rng.uniform(-0.9, 0.9))
                    length = FAR - NEAR
                    y = NEAR if direction > 0 else FAR
                    knots = np.array([arrives, arrives + length / speed])
                    movers.append(_walker(rng, (x, y), (0.0, direction), knots, np.array([0.0, length])))
        return movers

    def _cross(self, start: float, rng: np.random.Generator) -> list[Mover]:
        """Return the people who wait at the kerb and cross while the vehicles have red."""
        movers = []
        kerb = self.layout.half + 0.7
        house = self.layout.pavement + 5.0
        for _ in range(int(rng.poisson(self.layout.crossers))):
            side = float(rng.choice([-1.0, 1.0]))
            speed = max(rng.uniform(1.6, 2.0), 2 * kerb / (RED - 2.8))
            leaves = start + rng.uniform(1.2, RED - 1.5 - 2 * kerb / speed)
            waits = rng.uniform(0, 14.0)
            y = self.layout.crossing + rng.uniform(-1.3, 1.3)
            way = house - kerb
            knots = leaves + np.array(
                [-waits - way / 1.4, -waits, 0.0, 2 * kerb / speed, 2 * kerb / speed + way / 1.4]
            )
            along = np.array([0.0, way, way, way + 2 * kerb, 2 * way + 2 * kerb])
            movers.append(_walker(rng, (-side * house, y), (side, 0.0), knots, along))
        return movers


GRID: Float = np.arange(-40.0, CYCLE + 46.0, STEP)
_BELL = np.hanning(27)
KERNEL: Float = _BELL / _BELL.sum()


def _follow(arrives: float, speed: float, leader: Float | None, length: float) -> Float:
    """Return the front bumper's way (K,) on the grid, 0 at the stop line; `length` is the leader's."""
    free = speed * (GRID - arrives)
    held = np.maximum(0.0, speed * (GRID - RED - 0.8))
    path = np.minimum(free, held)
    if leader is not None:
        lag = round(TAU / STEP)
        before = leader[0] - (leader[1] - leader[0]) * np.arange(lag, 0, -1)
        path = np.minimum(path, np.concatenate([before, leader[:-lag]]) - length - GAP)
    return path


def _walker(
    rng: np.random.Generator,
    origin: tuple[float, float],
    forward: tuple[float, float],
    knots: Float,
    along: Float,
) -> Mover:
    """Return somebody on foot."""
    figure = BUILDERS[PERSON](rng)
    return Mover(
        0,
        figure,
        np.array(origin),
        np.array(forward),
        knots,
        along,
        4.3 / figure.height * 1.7,
        rng.uniform(0, 6.28),
    )


def layout_for(rng: np.random.Generator, calm: bool) -> Layout:
    """Draw a street: calm ones have two lanes each way and cycle lanes, others vary."""
    lanes_each = 2 if calm else int(rng.choice([1, 2, 2, 3]))
    cycle_lane = calm or rng.random() < 0.6
    median = rng.uniform(0.8, 1.1)
    wide = rng.uniform(3.2, 3.5)
    lanes: list[Lane] = []
    speed = rng.uniform(9.0, 11.0)
    mirror = 1 if calm or rng.random() < 0.75 else -1
    for direction in (1, -1):
        side = direction * mirror
        for i in range(lanes_each):
            outer = i == lanes_each - 1
            weights = (0.52, 0.14, 0.17, 0.17) if outer else (0.84, 0.16)
            kinds = (CAR, MOTORCYCLE, BUS, TRUCK) if outer else (CAR, MOTORCYCLE)
            x = side * (median + wide * (i + 0.5))
            lanes.append(Lane(x, direction, speed + 0.6 * (not outer), 6, 0.74, kinds, weights, outer))
        if cycle_lane:
            x = side * (median + wide * lanes_each + 0.95)
            lanes.append(Lane(x, direction, rng.uniform(4.6, 5.6), 3, 0.75, (BICYCLE,), (1.0,)))
    half = median + wide * lanes_each + (1.9 if cycle_lane else 0.3)
    crossing = rng.uniform(43.0, 48.0) if calm else rng.uniform(30.0, 60.0)
    walkers = rng.uniform(0.8, 1.3) if calm else rng.uniform(0.3, 2.6)
    return Layout(tuple(lanes), half, crossing, half + 2.4, walkers, rng.uniform(1.5, 3.0))
