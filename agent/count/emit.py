"""What is told of one object: the events of its row, and what they add to the totals.

Invariants: an event and the total that it implies are made together; what no list of labels lets through is
neither told nor counted; an object that enters a zone is counted once its label has settled, at the latest
when it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent import wire
from agent.count.ground_plane import Road
from agent.count.lines import Passed
from agent.count.object_table import ObjectTable
from agent.count.path import simplify
from agent.count.totals import Totals
from agent.count.vote import Vote
from agent.count.zones import Moved, Zones

PATH_SHARE = 0.05  # tolerance of a path: share of the object's size,
PATH_LEAST = 0.004  # and at least so many frame heights
PATH_POINTS = 64  # at most
SPEED_SECONDS = 1.2  # of the path around a crossing
SPEED_POINTS = 4  # where that has fewer points: so many,
SPEED_MOST = 2.0  # within so many seconds


@dataclass(slots=True)
class EventBuilder:
    """Makes the events of rows. Lines and zones by their place among those drawn."""

    camera: str
    objects: ObjectTable
    vote: Vote
    zones: Zones
    totals: Totals
    settings: wire.CameraSettings = field(default_factory=wire.CameraSettings)
    road: Road | None = None
    gates: dict[int, list[wire.Gate]] = field(default_factory=dict)  # by row

    def take(self, settings: wire.CameraSettings) -> None:
        """Go on with other settings."""
        self.settings = settings
        self.road = Road(settings.plane.points, settings.plane.metres) if settings.plane else None

    def end(self, row: int) -> list[wire.AnyEvent]:
        """Tell the last of an object."""
        events: list[wire.AnyEvent] = []
        if not self.vote.told(row):
            events += self.detection(row)
        self.count(row)
        for place in self.zones.inside(row):
            events += self.stay(row, place)
        events += self.track(row, ended=True)
        self.gates.pop(row, None)
        return events

    def _wanted(self, label: str) -> bool:
        return not self.settings.labels or label == wire.UNKNOWN or label in self.settings.labels

    def _at(self, row: int, seconds: float) -> int:
        """Return the Unix ms of a moment of an object's life."""
        objects = self.objects
        return max(round(float(objects.wall[row] + (seconds - objects.seen[row]) * 1000)), 0)

    def count(self, row: int) -> None:
        """Count an object among the objects, once."""
        label = self.vote.label(row)
        if not self.objects.counted[row] and self._wanted(label):
            self.objects.count(row)
            self.totals.seen(label)

    def detection(self, row: int) -> list[wire.AnyEvent]:
        """Tell what an object is, and count it into the zones where it is."""
        label = self.vote.label(row)
        self.vote.tell(row)
        for place in self.zones.inside(row):
            self.enter(row, place)
        if not self._wanted(label):
            return []
        box = wire.pack_box(*self.objects.box[row].tolist())
        at = round(float(self.objects.wall[row]))
        track = int(self.objects.number[row])
        return [wire.Detection(at, self.camera, track, label, self.vote.score(row), box)]

    def crossing(self, passed: Passed) -> list[wire.AnyEvent]:
        """Tell that an object crossed a line."""
        row = passed.row
        name = passed.name
        line = passed.line
        label = self.vote.label(row)
        if not self._wanted(label) or (line.labels and label not in line.labels):
            return []
        self._gate(row, name, passed.way, passed.at)
        total = self.totals.crossed(name, line.version, passed.way, label)
        return [
            wire.Crossing(
                at=self._at(row, passed.at),
                camera=self.camera,
                line=name,
                version=line.version,
                direction=passed.way,
                label=label,
                track=int(self.objects.number[row]),
                total=total,
                score=self.vote.score(row),
                speed=self._speed(row, passed.at),
            )
        ]

    def _speed(self, row: int, passed: float) -> int | None:
        """Return how fast an object passed, tenths of km/h."""
        if self.road is None:
            return None
        last = min(float(self.objects.seen[row]), passed + SPEED_SECONDS / 2)
        path = self.objects.paths.recent(row, last - SPEED_MOST)
        path = path[path[:, 0] <= last]
        short = path[path[:, 0] >= last - SPEED_SECONDS]
        speed = self.road.speed(short if len(short) >= SPEED_POINTS else path[-SPEED_POINTS:])
        return None if speed is None else round(10 * speed)

    def enter(self, row: int, place: int, leaves: bool = False) -> None:
        """Count an object into a zone once its label has settled, or as it leaves."""
        name, zone = self.zones.drawn[place]
        if self.zones.counted[row, place] or not (leaves or self.vote.told(row)):
            return
        label = self.vote.label(row)
        if self._wanted(label) and (not zone.labels or label in zone.labels):
            entered = self.zones.come(row, place, self.vote.held(row))
            self._gate(row, name, "in", entered)
            self.totals.entered(name, zone.version, label)

    def leave(self, row: int, place: int) -> tuple[str, float, float]:
        """Count an object out of a zone; return the label under which it came, and when it came and left."""
        name, zone = self.zones.drawn[place]
        kind, entered, last = self.zones.leave(row, place, float(self.objects.seen[row]))
        label = self.vote.name(kind)
        self.totals.left(name, zone.version, label)
        return label, entered, last

    def moved(self, crossings: Sequence[Passed], moved: Moved) -> list[wire.AnyEvent]:
        """Tell what objects crossed in a frame, and count them into zones and out of them."""
        events = [event for passed in crossings for event in self.crossing(passed)]
        for row, place in moved.came.tolist():
            self.enter(row, place)
        return events + [event for row, place in moved.left.tolist() for event in self.stay(row, place)]

    def stay(self, row: int, place: int) -> list[wire.AnyEvent]:
        """Tell that an object has left a zone, or ended in it."""
        self.enter(row, place, leaves=True)
        if not self.zones.counted[row, place]:
            return []
        name, zone = self.zones.drawn[place]
        label, entered, last = self.leave(row, place)
        at = self._at(row, last)
        track = int(self.objects.number[row])
        dwell = max(round((last - entered) * 1000), 0)
        return [wire.Stay(at, self.camera, name, zone.version, label, track, dwell)]

    def _gate(self, row: int, name: str, kind: Literal["AB", "BA", "in"], at: float) -> None:
        """Note what an object passed; of too many the first ones and the last."""
        gates = self.gates.setdefault(row, [])
        del gates[wire.MAX_GATES - 1 :]
        gates.append(wire.Gate(name, kind, max(round((at - float(self.objects.first[row])) * 1000), 0)))

    def track(self, row: int, ended: bool) -> list[wire.AnyEvent]:
        """Tell an object's life, or the part of it since this was told last."""
        objects = self.objects
        label = self.vote.label(row)
        if not self._wanted(label):
            return []
        gates = sorted(self.gates.get(row, []), key=lambda gate: gate.after) if ended else []
        if len(gates) >= 2:
            self.totals.travelled(gates[0].text, gates[-1].text, label)
        return [
            wire.Track(
                at=round(float(objects.wall[row])),
                camera=self.camera,
                track=int(objects.number[row]),
                label=label,
                score=self.vote.score(row),
                age=max(round(float(objects.seen[row] - objects.first[row]) * 1000), 0),
                frames=int(objects.frames[row]),
                path=self._path(row),
                ended=ended,
                votes=self.vote.shares(row),
                gates=gates if len(gates) >= 2 else [],
            )
        ]

    def _path(self, row: int) -> bytes:
        """Return the path since the last part, as few points as tell it."""
        paths = self.objects.paths
        path = paths.part(row)
        tolerance = max(PATH_LEAST, PATH_SHARE * float(self.objects.size[row]))
        path[:, 0] -= path[0, 0]
        told = simplify(path, tolerance, paths.aspect)
        while len(told) > PATH_POINTS:
            tolerance *= 1.5
            told = simplify(told, tolerance, paths.aspect)
        return wire.pack_path(told.tolist())
