"""What is told of one object: the events of its row, and what they add to the totals.

What always holds: an event and the total that it implies are made together; what no list of labels lets
through is neither told nor counted; a zone's comer is counted once it is known what it is, or when it goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agent import geometry, wire
from agent.objects import NOT_COUNTED, NOT_TOLD, Objects, Paths
from agent.road import Road
from agent.totals import Totals
from agent.vote import UNKNOWN, Vote
from agent.zones import IN

PATH_SHARE, PATH_LEAST, PATH_POINTS = 0.05, 0.004, 64  # tolerance: of the size, frame heights; points at most
SPEED_SECONDS = 1.2  # of the path around a crossing
SPEED_POINTS, SPEED_MOST = 4, 2.0  # where that has fewer points: so many, within so many seconds


@dataclass(slots=True)
class Teller:
    """Tells of the rows of `things`. Lines and zones by their place."""

    camera: str
    things: Objects
    vote: Vote
    paths: Paths
    totals: Totals
    settings: wire.CameraSettings = field(default_factory=wire.CameraSettings)
    lines: list[tuple[str, wire.Line]] = field(default_factory=list)
    zones: list[tuple[str, wire.Zone]] = field(default_factory=list)
    road: Road | None = None
    gates: dict[int, list[wire.Gate]] = field(default_factory=dict)  # by row

    def take(
        self,
        settings: wire.CameraSettings,
        lines: list[tuple[str, wire.Line]],
        zones: list[tuple[str, wire.Zone]],
    ) -> None:
        """Go on with other settings."""
        self.settings, self.lines, self.zones = settings, lines, zones
        self.road = Road(settings.plane.points, settings.plane.metres) if settings.plane else None

    def end(self, row: int) -> list[wire.AnyEvent]:
        """Tell the last of an object."""
        events: list[wire.AnyEvent] = []
        if self.things.told[row] == NOT_TOLD:
            events += self.detection(row)
        self.count(row)
        for place in np.flatnonzero(self.things.phase[row] >= IN).tolist():
            events += self.stay(row, place)
        events += self.track(row, ended=True)
        self.gates.pop(row, None)
        return events

    def _wanted(self, label: str) -> bool:
        return not self.settings.labels or label == UNKNOWN or label in self.settings.labels

    def _at(self, row: int, seconds: float) -> int:
        """Return the Unix ms of a moment of an object's life."""
        things = self.things
        return max(round(float(things.wall[row] + (seconds - things.seen[row]) * 1000)), 0)

    def count(self, row: int) -> None:
        """Count an object among the objects, once."""
        label = self.vote.label(self.things, row)
        if not self.things.counted[row] and self._wanted(label):
            self.things.counted[row] = True
            self.totals.seen(label)

    def detection(self, row: int) -> list[wire.AnyEvent]:
        """Tell what an object is, and count it into the zones where it is."""
        things, label = self.things, self.vote.label(self.things, row)
        things.told[row] = things.held[row]
        for place in np.flatnonzero(things.phase[row] >= IN).tolist():
            self.enter(row, place)
        if not self._wanted(label):
            return []
        box = wire.pack_box(*things.box[row].tolist())
        at, track = round(float(things.wall[row])), int(things.number[row])
        return [wire.Detection(at, self.camera, track, label, self.vote.score(things, row), box)]

    def crossing(self, row: int, number: int, direction: wire.Direction) -> list[wire.AnyEvent]:
        """Tell that an object crossed a line."""
        name, line = self.lines[number]
        things, label = self.things, self.vote.label(self.things, row)
        if not self._wanted(label) or (line.labels and label not in line.labels):
            return []
        passed = float(things.passed[row, number])
        self._gate(row, name, direction, passed)
        total = self.totals.crossed(name, line.version, direction, label)
        return [
            wire.Crossing(
                at=self._at(row, passed),
                camera=self.camera,
                line=name,
                version=line.version,
                direction=direction,
                label=label,
                track=int(things.number[row]),
                total=total,
                score=self.vote.score(things, row),
                speed=self._speed(row, passed),
            )
        ]

    def _speed(self, row: int, passed: float) -> int | None:
        """Return how fast an object passed, tenths of km/h."""
        if self.road is None:
            return None
        last = min(float(self.things.seen[row]), passed + SPEED_SECONDS / 2)
        path = self.paths.recent(row, last - SPEED_MOST)
        path = path[path[:, 0] <= last]
        short = path[path[:, 0] >= last - SPEED_SECONDS]
        speed = self.road.speed(short if len(short) >= SPEED_POINTS else path[-SPEED_POINTS:])
        return None if speed is None else round(10 * speed)

    def enter(self, row: int, place: int, leaves: bool = False) -> None:
        """Count an object into a zone, once it is known what it is, or it goes already."""
        things, (name, zone) = self.things, self.zones[place]
        label = self.vote.label(things, row)
        if things.came[row, place] != NOT_COUNTED or (things.told[row] == NOT_TOLD and not leaves):
            return
        if self._wanted(label) and (not zone.labels or label in zone.labels):
            things.came[row, place] = things.held[row]
            self._gate(row, name, "in", float(things.entered[row, place]))
            self.totals.entered(name, zone.version, label)

    def leave(self, row: int, place: int) -> str:
        """Count an object out of a zone; return the label under which it came."""
        name, zone = self.zones[place]
        held = int(self.things.came[row, place])
        label = self.vote.names[held] if held >= 0 else UNKNOWN
        self.totals.left(name, zone.version, label)
        self.things.came[row, place] = NOT_COUNTED
        return label

    def stay(self, row: int, place: int) -> list[wire.AnyEvent]:
        """Tell that an object has left a zone, or ended in it."""
        things, (name, zone) = self.things, self.zones[place]
        self.enter(row, place, leaves=True)
        if things.came[row, place] == NOT_COUNTED:
            return []
        entered, last = float(things.entered[row, place]), float(things.edge[row, place])
        last = float(things.seen[row]) if things.phase[row, place] == IN else last
        at, track = self._at(row, last), int(things.number[row])
        dwell = max(round((last - entered) * 1000), 0)
        return [wire.Stay(at, self.camera, name, zone.version, self.leave(row, place), track, dwell)]

    def _gate(self, row: int, name: str, kind: Literal["AB", "BA", "in"], at: float) -> None:
        """Note what an object passed; of too many the first ones and the last."""
        gates = self.gates.setdefault(row, [])
        del gates[wire.MAX_GATES - 1 :]
        gates.append(wire.Gate(name, kind, max(round((at - float(self.things.first[row])) * 1000), 0)))

    def track(self, row: int, ended: bool) -> list[wire.AnyEvent]:
        """Tell an object's life, or the part of it since this was told last."""
        things, label = self.things, self.vote.label(self.things, row)
        if not self._wanted(label):
            return []
        gates = sorted(self.gates.get(row, []), key=lambda gate: gate.after) if ended else []
        if len(gates) >= 2:
            self.totals.travelled(_named(gates[0]), _named(gates[-1]), label)
        return [
            wire.Track(
                at=round(float(things.wall[row])),
                camera=self.camera,
                track=int(things.number[row]),
                label=label,
                score=self.vote.score(things, row),
                age=max(round(float(things.seen[row] - things.first[row]) * 1000), 0),
                frames=int(things.frames[row]),
                path=self._path(row),
                ended=ended,
                votes=self.vote.shares(things, row),
                gates=gates if len(gates) >= 2 else [],
            )
        ]

    def _path(self, row: int) -> bytes:
        """Return the path since the last part, as few points as tell it."""
        path = self.paths.part(row)
        tolerance = max(PATH_LEAST, PATH_SHARE * float(self.things.size[row]))
        path[:, 0] -= path[0, 0]
        told = geometry.simplify(path, tolerance, self.paths.aspect)
        while len(told) > PATH_POINTS:
            tolerance *= 1.5
            told = geometry.simplify(told, tolerance, self.paths.aspect)
        return wire.pack_path(told.tolist())


def _named(gate: wire.Gate) -> str:
    return gate.name if gate.kind == "in" else f"{gate.name}:{gate.kind}"
