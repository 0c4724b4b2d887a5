"""An analyst with its totals and all events, fed by what is where."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from agent import wire
from agent.count.analyst import Analyst, Totals
from agent.track.tracker import Tracks

SIZE = (1280, 720)
WALL = 1_700_000_000_000
VEHICLES = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 4: "bus", 5: "truck"}
MASKS = {0: "with_mask", 1: "without_mask", 2: "mask_worn_incorrectly"}
LEVEL = wire.Line(points=[(0.0, 0.6), (1.0, 0.6)], version=1)
CAR = 2
TRUCK = 5

Place = tuple[float, float]  # bottom centre, fractions


def boxes(places: list[Place], side: float = 0.1, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return the pixels (N,4) of square boxes of `side` frame heights that stand on some places."""
    spot = np.array(places, np.float64).reshape(-1, 2) * size
    half = side * size[1] / 2
    low = spot - np.array([half, 2 * half])
    high = spot + np.array([half, 0])
    return np.concatenate([low, high], axis=1).astype(np.float32)


class Street:
    """`see` is one frame, `go` a motion; 15 frames a second if nothing else is said."""

    def __init__(self, names: dict[int, str] = VEHICLES, rate: float = 15.0, **drawn: wire.Line) -> None:
        self.totals = Totals()
        self.settings = wire.CameraSettings(lines=drawn)
        self.analyst = Analyst("cam0", self.settings, names, self.totals)
        self.events: list[wire.AnyEvent] = []
        self.size = SIZE
        self.rate = rate
        self.now = 0.0
        self.last: dict[str, Any] = {"places": {}}

    def see(
        self,
        places: dict[int, Place],
        kind: int = CAR,
        sure: float = 0.8,
        ended: tuple[int, ...] = (),
        side: float = 0.1,
        still: float = 0.0,
        sharp: float | None = None,
    ) -> None:
        """One frame: the tracks that are there, each a square box of `side` frame heights."""
        self.last = {"places": places, "kind": kind, "sure": sure, "side": side}
        count = len(places)
        xyxy = boxes(list(places.values()), side, self.size)
        tracks = Tracks.of_boxes(
            xyxy,
            np.array(list(places), np.int64),
            np.full(count, sure, np.float32),
            np.full(count, kind, np.int64),
            self.now,
        )
        tracks = replace(tracks, still=np.full(count, still))
        self.events += self.analyst.update(
            tracks,
            ended,
            self.size,
            self.now,
            WALL + round(self.now * 1000),
            None if sharp is None else np.full(count, sharp),
        )
        self.now += 1 / self.rate

    def go(self, track: int, *way: Place, seconds: float = 1.0, **how: float) -> None:
        """Move one track from place to place, `seconds` for each leg."""
        for (x0, y0), (x1, y1) in pairwise(way):
            steps = max(round(seconds * self.rate), 1)
            for step in range(steps):
                part = step / steps
                self.see({track: (x0 + part * (x1 - x0), y0 + part * (y1 - y0))}, **how)  # type: ignore[arg-type]
        self.see({track: way[-1]}, **how)  # type: ignore[arg-type]

    def rest(self, seconds: float = 1.2) -> None:
        """Let all that was seen last stand where it is, longer than a crossing may be undone."""
        for _ in range(round(seconds * self.rate) + 1):
            self.see(**self.last)

    def apply(self, **drawn: wire.Line) -> None:
        """Draw other lines."""
        self.settings = wire.CameraSettings(lines=drawn)
        self.analyst.apply(self.settings)

    def close(self) -> None:
        """End all that is there."""
        self.events += self.analyst.close(WALL + round(self.now * 1000))

    def told(self, kind: type) -> list:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def tally(self) -> wire.Tally:
        """Return a minute's tally with figures as the loop gives them."""
        return self.analyst.tally(
            WALL,
            watched=59_000,
            blind={"stalled": 1000},
            captured=900,
            inferred=890,
            dropped=10,
            p50=20,
            p95=40,
        )

    @property
    def crossings(self) -> list[tuple[str, str, int]]:
        """(direction, label, total) of each crossing told."""
        return [(event.direction, event.label, event.total) for event in self.told(wire.Crossing)]

    @property
    def ways(self) -> list[str]:
        """The direction of each crossing told."""
        return [event.direction for event in self.told(wire.Crossing)]
