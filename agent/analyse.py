"""Tracks -> events: what an object is, where it passed, and what that adds up to.

What always holds:

* No clock, no files: times come in, events go out. The same tracks give the same events.
* A running total never falls and is never zeroed: a line that is edited counts on under its new version.
* An object's label is a vote of all its sightings, weighted by confidence and size; older votes fade. Who
  wears a mask is "unknown" until the vote is clear.
* An object is told once (Detection), counted once and, when it ends, forgotten: the state is bounded by what
  is in the picture.

         Tracks           votes ──> Detection (settled, or another label)
    ──────────────▶ one   passes ─▶ Crossing (clear of the line on the other side)
                    row   zones ──> Stay (left, or ended)
                    each  path ───▶ Track (ended, or a minute more)      minute ─▶ Tally
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent import geometry, wire
from agent.track import Tracks

Float = NDArray[np.float64]
Int = NDArray[np.int64]

UNKNOWN = "unknown"
SETTLE_SECONDS = 1.0  # an object is told at most so long after its first sight
SETTLE_FRAMES, SETTLE_SHARE = 3, 0.75  # or sooner, when so many sightings agree so well
CHANGE_SHARE = 0.6  # of the votes for another label to take over
MASK_SHARE, MASK_DOUBT = 0.65, 0.55  # to say whether a mask is worn; below: to say no more that one knows
FADE_SECONDS = 20.0  # after which a vote weighs half
COUNT_SECONDS = 5.0  # after which a living object is counted among the objects
PART_SECONDS = 60.0  # a long life is told in parts
FORGET_SECONDS = 10.0  # for a tracker that does not say what ended
LEAVE_SECONDS = 0.5  # outside a zone, before the stay is over
MARGIN_SHARE, MARGIN_LEAST = 0.1, 0.005  # of a line: share of the object's size; frame heights
PATH_SHARE, PATH_LEAST, PATH_POINTS = 0.05, 0.004, 64  # tolerance of paths, likewise; points at most
PATH_BUFFER = 1024

_SEEN = ("xyxy", "track_id", "confidence", "class_id")
_Drawn = Sequence[tuple[str, wire.Line]] | Sequence[tuple[str, wire.Zone]]


class _Row(msgspec.Struct, array_like=True):
    line: str
    version: int
    direction: wire.Direction
    label: str
    total: int


class _Snapshot(msgspec.Struct):
    rows: list[_Row] = []
    objects: dict[str, int] = {}


@dataclass(slots=True)
class Totals:
    """The running totals of one camera: per (line, version, direction, label), and objects per label."""

    rows: dict[tuple[str, int, wire.Direction, str], int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    _changed: set[tuple[str, int]] = field(default_factory=set)

    def crossed(self, line: str, version: int, direction: wire.Direction, label: str) -> int:
        """Count one crossing; return the new total of its row."""
        key = (line, version, direction, label)
        self.rows[key] = self.rows.get(key, 0) + 1
        self._changed.add((line, version))
        return self.rows[key]

    def seen(self, label: str) -> None:
        """Count one object."""
        self.objects[label] = self.objects.get(label, 0) + 1

    def told(self, current: Iterable[tuple[str, int]]) -> list[wire.LineTotal]:
        """Return the rows of the current lines and of those that changed since this was asked last."""
        wanted = self._changed | set(current)
        self._changed = set()
        return [wire.LineTotal(*key, total) for key, total in self.rows.items() if key[:2] in wanted]

    def snapshot(self) -> bytes:
        """Return all totals, to be remembered."""
        rows = [_Row(*key, total) for key, total in self.rows.items()]
        return msgspec.json.encode(_Snapshot(rows, self.objects))

    @classmethod
    def restore(cls, snapshot: bytes | None) -> Totals:
        """Return the totals that `snapshot` gave, or none at all; raise msgspec.DecodeError if garbled."""
        kept = msgspec.json.decode(snapshot, type=_Snapshot) if snapshot else _Snapshot()
        rows = {(row.line, row.version, row.direction, row.label): row.total for row in kept.rows}
        return cls(rows, dict(kept.objects))


@dataclass(slots=True)
class _Objects:
    """What is in the picture as columns: N objects, C classes, L lines, Z zones. Times in seconds."""

    number: Int  # (N,)
    first: Float  # (N,)
    seen: Float  # (N,)
    wall: Float  # (N,) ms, at `seen`
    frames: Int  # (N,)
    votes: Float  # (N,C)
    weight: Float  # (N,) what the votes would be if the detector were sure
    held: Int  # (N,) the label by vote, -1: unknown
    told: Int  # (N,) the label of the last Detection, -2: none yet
    counted: NDArray[np.bool_]  # (N,) among the objects
    box: Float  # (N,4) fractions
    size: Float  # (N,) frame heights
    spot: Float  # (N,2,2) bottom centre and centre, fractions
    part: Float  # (N,) since when the path runs
    pending: Int  # (N,L) passes not yet told
    passed: Float  # (N,L) time of the last pass
    entered: Float  # (N,Z) nan: outside
    within: Float  # (N,Z) last time inside

    @classmethod
    def new(cls, count: int, classes: int, lines: int, zones: int) -> _Objects:
        """Return `count` rows about which nothing is known."""
        zero, none = np.zeros(count), np.zeros(count, np.int64)
        return cls(
            number=none, first=zero, seen=zero.copy(), wall=zero.copy(), frames=none.copy(),
            votes=np.zeros((count, classes)), weight=zero.copy(),
            held=none - 1, told=none - 2, counted=np.zeros(count, np.bool_),
            box=np.zeros((count, 4)), size=zero.copy(), spot=np.zeros((count, 2, 2)), part=zero.copy(),
            pending=np.zeros((count, lines), np.int64), passed=np.zeros((count, lines)),
            entered=np.full((count, zones), np.nan), within=np.zeros((count, zones)),
        )  # fmt: skip

    def take(self, rows: Int) -> _Objects:
        """Return a copy of some rows."""
        return _Objects(*(getattr(self, name)[rows] for name in self.__slots__))

    def join(self, other: _Objects) -> _Objects:
        """Return these rows and the others."""
        return _Objects(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__))


class Analyst:
    """One camera's judgement. `update` with each frame's tracks; `close` when the picture breaks off."""

    def __init__(
        self, camera: str, settings: wire.CameraSettings, names: dict[int, str], totals: Totals
    ) -> None:
        self.camera, self.totals = camera, totals
        self._names = [names.get(kind, f"class {kind}") for kind in range(max(names, default=-1) + 1)]
        self._need = np.array([MASK_SHARE if "mask" in name else 0.0 for name in self._names])
        self._objects = _Objects.new(0, len(self._names), 0, 0)
        self._row: dict[int, int] = {}
        self._paths: dict[int, list[tuple[float, float, float]]] = {}
        self._now, self._step, self._edited = -np.inf, 0.0, -np.inf
        self._aspect = 1.0
        self._bottom = self._center = geometry.Gates([])
        self._settings = wire.CameraSettings()
        self._lines: list[tuple[str, wire.Line]] = []
        self._zones: list[tuple[str, wire.Zone]] = []
        self.apply(settings)

    def __len__(self) -> int:
        """Return how many objects are remembered."""
        return len(self._row)

    def apply(self, settings: wire.CameraSettings) -> None:
        """Take new lines, zones and labels. What did not change goes on; what is new starts from now."""
        lines = sorted(settings.lines.items(), key=lambda item: (item[1].anchor != "bottom", item[0]))
        zones = sorted(settings.zones.items())
        things = self._objects
        things.pending = _carry(things.pending, self._lines, lines, 0)
        things.passed = _carry(things.passed, self._lines, lines, 0.0)
        things.entered = _carry(things.entered, self._zones, zones, np.nan)
        things.within = _carry(things.within, self._zones, zones, 0.0)
        self._settings, self._lines, self._zones = settings, lines, zones
        self._edited = self._now
        self._prepare()

    def update(
        self, tracks: Tracks, ended: Iterable[int], frame_size: tuple[int, int], seconds: float, wall_ms: int
    ) -> list[wire.AnyEvent]:
        """Take one frame's confirmed tracks and the numbers that ended; return what happened.

        `frame_size` is (width, height) in pixels, `seconds` the frame's time, `wall_ms` the same as Unix ms.
        """
        self._step, self._now = (seconds - self._now if np.isfinite(self._now) else 0.0), seconds
        if frame_size[0] / frame_size[1] != self._aspect:
            self._aspect = frame_size[0] / frame_size[1]
            self._prepare()
        events = self._end([self._row[number] for number in map(int, ended) if number in self._row])
        events += self._end(np.flatnonzero(seconds - self._objects.seen > FORGET_SECONDS).tolist())
        mine = np.flatnonzero((tracks.track_id > 0) & (tracks.class_id < len(self._names)))
        self._meet(tracks, mine, frame_size, wall_ms)
        seen = Tracks(*(getattr(tracks, name)[mine] for name in _SEEN))
        rows = np.array([self._row[number] for number in seen.track_id.tolist()], np.int64)
        events += self._see(rows, seen, frame_size, wall_ms)
        return events + self._tell() + self._parts()

    def close(self, wall_ms: int) -> list[wire.AnyEvent]:
        """End all objects: at the seam of a loop, when the camera is lost, when the node stops."""
        self._objects.wall = np.minimum(self._objects.wall, wall_ms)
        return self._end(list(range(len(self))))

    def tally(
        self,
        minute_start_ms: int,
        *,
        watched: int,
        blind: dict[str, int],
        captured: int,
        inferred: int,
        dropped: int,
        p50: int,
        p95: int,
    ) -> wire.Tally:
        """Return a minute's tally: the caller's figures beside the running totals."""
        current = [(name, line.version) for name, line in self._lines]
        return wire.Tally(
            at=minute_start_ms,
            camera=self.camera,
            watched=watched,
            blind=blind,
            totals=self.totals.told(current),
            objects=dict(self.totals.objects),
            captured=captured,
            inferred=inferred,
            dropped=dropped,
            p50=p50,
            p95=p95,
        )

    # ── rows come and go ──────────────────────────────────────────────────────────────────────────

    def _prepare(self) -> None:
        """Make the lines ready for the frame's aspect; those on the bottom centre come first."""
        bottom = [line.points for _, line in self._lines if line.anchor == "bottom"]
        center = [line.points for _, line in self._lines if line.anchor == "center"]
        self._bottom = geometry.Gates(bottom, self._aspect)
        self._center = geometry.Gates(center, self._aspect)

    def _meet(self, tracks: Tracks, mine: Int, frame_size: tuple[int, int], wall_ms: int) -> None:
        """Make rows for what is new, from its first sight if that is known and younger than the lines."""
        mine = mine[[number not in self._row for number in tracks.track_id[mine].tolist()]]
        if not len(mine):
            return
        new = _Objects.new(len(mine), len(self._names), len(self._lines), len(self._zones))
        new.number = tracks.track_id[mine]
        first = np.full(len(mine), self._now) if tracks.since is None else tracks.since[mine]
        origin = tracks.xyxy if tracks.origin is None else tracks.origin
        old = (first < self._edited)[:, None]
        bottom, center, new.size = geometry.anchors(
            np.where(old, tracks.xyxy[mine], origin[mine]), frame_size
        )
        new.spot = np.stack([bottom, center], axis=1)
        new.first, new.part = first.copy(), first.copy()
        new.seen = first.copy()
        new.wall = np.full(len(mine), float(wall_ms))
        self._objects = self._objects.join(new)
        for number, since, place in zip(new.number.tolist(), first.tolist(), bottom.tolist(), strict=True):
            self._row[number] = len(self._row)
            self._paths[number] = [(since, *place)] if since < self._now else []

    def _end(self, rows: Sequence[int]) -> list[wire.AnyEvent]:
        """Tell the last of some objects and forget them."""
        if not rows:
            return []
        events: list[wire.AnyEvent] = []
        things = self._objects
        for row in rows:
            if things.told[row] == -2:
                events += self._detection(row)
            self._count(row)
            events += self._stays(row, np.flatnonzero(~np.isnan(things.entered[row])))
            events += self._track(row, ended=True)
            del self._paths[int(things.number[row])]
        self._objects = things.take(np.setdiff1d(np.arange(len(things.number)), np.array(rows)))
        self._row = {number: row for row, number in enumerate(self._objects.number.tolist())}
        return events

    # ── one frame ─────────────────────────────────────────────────────────────────────────────────

    def _see(self, rows: Int, seen: Tracks, size: tuple[int, int], wall_ms: int) -> list[wire.AnyEvent]:
        """Move each object to where it is now, let it vote, and see what it passed on the way."""
        things = self._objects
        before, since = things.spot[rows], things.seen[rows]
        bottom, center, things.size[rows] = geometry.anchors(seen.xyxy, size)
        things.spot[rows] = np.stack([bottom, center], axis=1)
        things.box[rows] = seen.xyxy / np.tile(size, 2)
        things.seen[rows], things.wall[rows] = self._now, wall_ms
        things.frames[rows] += 1
        self._vote(rows, seen.class_id, seen.confidence.astype(np.float64), self._now - since)
        for number, place in zip(seen.track_id.tolist(), bottom.tolist(), strict=True):
            path = self._paths[number]
            path.append((self._now, *place))
            if len(path) >= PATH_BUFFER:
                path[:] = geometry.simplify(path, PATH_LEAST, self._aspect).tolist()
        return self._pass(rows, before, since) + self._stay(rows)

    def _vote(self, rows: Int, kinds: Int, confidence: Float, elapsed: Float) -> None:
        """Add this frame's votes and see which label holds."""
        things = self._objects
        size = np.maximum(things.size[rows], 0.01)
        fade = 0.5 ** (elapsed / FADE_SECONDS)
        things.votes[rows] *= fade[:, None]
        things.weight[rows] = things.weight[rows] * fade + size
        things.votes[rows, kinds] += confidence * size
        best, share = self._best(rows)
        held = np.where((self._need[best] > 0) & (share < MASK_DOUBT), -1, things.held[rows])
        need = np.where(held >= 0, CHANGE_SHARE, self._need[best])
        things.held[rows] = np.where(share >= need, best, held)

    def _best(self, rows: Int) -> tuple[Int, Float]:
        """Return the leading class (N,) and its share of the votes (N,)."""
        votes = self._objects.votes[rows]
        if not len(rows):
            return np.zeros(0, np.int64), np.zeros(0)
        return votes.argmax(axis=1), votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-12)

    def _pass(self, rows: Int, before: Float, since: Float) -> list[wire.AnyEvent]:
        """Tell the lines that were crossed. `before` (N,2,2): where the anchors were at `since` (N,)."""
        things = self._objects
        after = things.spot[rows]
        bottom = self._bottom.passes(before[:, 0], after[:, 0])
        center = self._center.passes(before[:, 1], after[:, 1])
        net, share, away = (
            np.concatenate(pair, axis=1) for pair in zip(bottom, center, strict=True)
        )  # (N,L)
        at = since[:, None] + share * (self._now - since)[:, None]
        things.passed[rows] = np.where(net != 0, at, things.passed[rows])
        margin = np.maximum(MARGIN_LEAST, MARGIN_SHARE * things.size[rows])[:, None]
        things.pending[rows], told = geometry.settle(things.pending[rows], net.astype(np.int64), away, margin)
        events: list[wire.AnyEvent] = []
        for index, line in np.argwhere(told):
            events += self._crossing(int(rows[index]), int(line), "AB" if told[index, line] > 0 else "BA")
        return events

    def _crossing(self, row: int, number: int, direction: wire.Direction) -> list[wire.AnyEvent]:
        name, line = self._lines[number]
        label = self._label(row)
        if not self._wanted(label) or (line.labels and label not in line.labels):
            return []
        things = self._objects
        total = self.totals.crossed(name, line.version, direction, label)
        at, track = self._at(row, things.passed[row, number]), int(things.number[row])
        return [
            wire.Crossing(
                at, self.camera, name, line.version, direction, label, track, total, self._score(row)
            )
        ]

    def _stay(self, rows: Int) -> list[wire.AnyEvent]:
        """See who is in which zone, and tell who has left one."""
        things = self._objects
        for index, (_, zone) in enumerate(self._zones):
            spot = things.spot[rows, 0 if zone.anchor == "bottom" else 1]
            here = rows[geometry.inside(spot, zone.points)]
            entered = things.entered[here, index]
            things.entered[here, index] = np.where(np.isnan(entered), self._now, entered)
            things.within[here, index] = self._now
        left = ~np.isnan(things.entered[rows]) & (self._now - things.within[rows] >= LEAVE_SECONDS)
        return [
            event
            for index in np.flatnonzero(left.any(axis=1))
            for event in self._stays(int(rows[index]), np.flatnonzero(left[index]))
        ]

    def _stays(self, row: int, zones: Int) -> list[wire.AnyEvent]:
        """Tell the stays of one object that are over."""
        things, label, events = self._objects, self._label(row), []
        for index in zones.tolist():
            name, zone = self._zones[index]
            entered, within = things.entered[row, index], things.within[row, index]
            things.entered[row, index] = np.nan
            if self._wanted(label) and (not zone.labels or label in zone.labels):
                at, track = self._at(row, within), int(things.number[row])
                dwell = round((within - entered) * 1000)
                events.append(wire.Stay(at, self.camera, name, zone.version, label, track, dwell))
        return list[wire.AnyEvent](events)

    def _tell(self) -> list[wire.AnyEvent]:
        """Tell whose label has settled or changed; count who has been here long enough."""
        things = self._objects
        age = self._now - things.first
        _, share = self._best(np.arange(len(things.number)))
        settled = (things.frames >= SETTLE_FRAMES) & (share >= SETTLE_SHARE) & (things.held >= 0)
        settled |= age + self._step > SETTLE_SECONDS
        due = np.where(things.told == -2, settled, things.held != things.told)
        for row in np.flatnonzero(~things.counted & (age >= COUNT_SECONDS)).tolist():
            self._count(row)
        return [event for row in np.flatnonzero(due).tolist() for event in self._detection(row)]

    def _parts(self) -> list[wire.AnyEvent]:
        """Tell a part of each life that is a minute longer."""
        events: list[wire.AnyEvent] = []
        for row in np.flatnonzero(self._now - self._objects.part >= PART_SECONDS).tolist():
            events += self._track(row, ended=False)
            number = int(self._objects.number[row])
            self._objects.part[row], self._paths[number] = self._now, self._paths[number][-1:]
        return events

    # ── one object ────────────────────────────────────────────────────────────────────────────────

    def _label(self, row: int) -> str:
        held = int(self._objects.held[row])
        return self._names[held] if held >= 0 else UNKNOWN

    def _wanted(self, label: str) -> bool:
        return not self._settings.labels or label == UNKNOWN or label in self._settings.labels

    def _score(self, row: int) -> int:
        """Return the mean confidence given to the label over all sightings, percent."""
        things = self._objects
        votes = things.votes[row, things.held[row]] if things.held[row] >= 0 else things.votes[row].max()
        return min(max(round(100 * float(votes / things.weight[row])), 0), 100)

    def _at(self, row: int, seconds: float) -> int:
        """Return the Unix ms of a moment of an object's life."""
        things = self._objects
        return max(round(float(things.wall[row] + (seconds - things.seen[row]) * 1000)), 0)

    def _count(self, row: int) -> None:
        if not self._objects.counted[row] and self._wanted(self._label(row)):
            self._objects.counted[row] = True
            self.totals.seen(self._label(row))

    def _detection(self, row: int) -> list[wire.AnyEvent]:
        things, label = self._objects, self._label(row)
        things.told[row] = things.held[row]
        if not self._wanted(label):
            return []
        box = wire.pack_box(*things.box[row].tolist())
        at, track = round(float(things.wall[row])), int(things.number[row])
        return [wire.Detection(at, self.camera, track, label, self._score(row), box)]

    def _track(self, row: int, ended: bool) -> list[wire.AnyEvent]:
        things, label = self._objects, self._label(row)
        if not self._wanted(label):
            return []
        share = 100 * things.votes[row] / max(things.votes[row].sum(), 1e-12)
        votes = {
            name: round(part) for name, part in zip(self._names, share.tolist(), strict=True) if part >= 0.5
        }
        return [
            wire.Track(
                at=round(float(things.wall[row])),
                camera=self.camera,
                track=int(things.number[row]),
                label=label,
                score=self._score(row),
                age=max(round(float(things.seen[row] - things.first[row]) * 1000), 0),
                frames=int(things.frames[row]),
                path=self._path(row),
                ended=ended,
                votes=votes if len(votes) > 1 else {},
            )
        ]

    def _path(self, row: int) -> bytes:
        """Return the path since the last part, as few points as tell it."""
        path = np.array(self._paths[int(self._objects.number[row])])
        tolerance = max(PATH_LEAST, PATH_SHARE * float(self._objects.size[row]))
        path[:, 0] -= path[0, 0]
        told = geometry.simplify(path, tolerance, self._aspect)
        while len(told) > PATH_POINTS:
            tolerance *= 1.5
            told = geometry.simplify(told, tolerance, self._aspect)
        return wire.pack_path(told.tolist())


def _carry(old: NDArray[Any], before: _Drawn, after: _Drawn, fill: float) -> NDArray[Any]:
    """Return the columns (N,K) of `after`: those whose name and shape were there `before`, else `fill`."""
    known = dict(before)
    place = {name: index for index, (name, _) in enumerate(before)}
    new = np.full((len(old), len(after)), fill, old.dtype)
    for index, (name, shape) in enumerate(after):
        if known.get(name) == shape:
            new[:, index] = old[:, place[name]]
    return new
