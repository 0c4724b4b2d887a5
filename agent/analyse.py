"""Tracks -> events: what an object is, where it passed, and what that adds up to.

What always holds:

* No clock, no files: times come in, events go out. The same tracks give the same events.
* A running total never falls and is never zeroed: a line that is edited counts on under its new version.
* An object is told once (Detection), counted once and, when it ends, forgotten: the state is bounded by what
  is in the picture.
* What was not watched counts nothing: an object that was out of sight for longer than a gap goes on from
  where it is seen again.
* Python runs where something happens; what every object needs in every frame is arithmetic on columns.

         Tracks           votes ──> Detection (settled, or another label)
    ──────────────▶ one   passes ─▶ Crossing (clear of the line on the other side)
                    row   zones ──> Stay (left, or ended)
                    each  path ───▶ Track (ended, or a minute more)      minute ─▶ Tally
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from agent import geometry, wire
from agent.objects import NOT_COUNTED, NOT_TOLD, START, Bool, Float, Int, Objects, Paths, carry
from agent.tell import Teller
from agent.totals import Totals
from agent.track import Tracks
from agent.vote import UNKNOWN, Vote
from agent.zones import GAP_SECONDS, Meter, Zones

__all__ = ["FORGET_SECONDS", "GAP_SECONDS", "UNKNOWN", "Analyst", "Totals"]

COUNT_SECONDS = 5.0  # after which a living object is counted among the objects
PART_SECONDS = 60.0  # a long life is told in parts
FORGET_SECONDS = 10.0  # for a tracker that does not say what ended
LASTS = 1.0  # seconds without another pass, before a pass is told: what flickers comes back sooner
SURE, SURE_SECONDS = 0.2, 1.0  # mean confidence over all frames around a crossing; seconds to each side
SLOW_SECONDS = 0.5  # between two looks at those three

_NONE = np.zeros(0, np.int64)


class Analyst:
    """One camera's judgement. `update` with each frame's tracks; `close` when the picture breaks off."""

    def __init__(
        self, camera: str, settings: wire.CameraSettings, names: dict[int, str], totals: Totals
    ) -> None:
        self.camera, self.totals = camera, totals
        self._vote = Vote(names)
        self._objects = Objects.free(START, len(self._vote.names))
        self._paths = Paths()
        self._teller = Teller(camera, self._objects, self._vote, self._paths, totals)
        self._row: dict[int, int] = {}  # by number
        self._last = (_NONE, _NONE)  # numbers and rows of the frame before
        self._now, self._step, self._edited, self._slow = -np.inf, 0.0, -np.inf, -np.inf
        self._frame = 0  # how many there were
        self._judges = False  # what it is told is more than boxes, so it may doubt
        self._woke = -np.inf  # the first frame after a gap
        self._aspect = 1.0
        self._lines: list[tuple[str, wire.Line]] = []
        self._zones, self._meter = Zones([]), Meter()
        self.apply(settings)

    def __len__(self) -> int:
        """Return how many objects are remembered."""
        return len(self._row)

    @property
    def wants_sharpness(self) -> bool:
        """True where the vote is better for knowing how sharp each object was seen."""
        return self._vote.about_state

    def apply(self, settings: wire.CameraSettings) -> None:
        """Take new lines, zones, labels, plane. What did not change goes on; what is new starts from now."""
        lines = sorted(settings.lines.items(), key=lambda item: (item[1].anchor != "bottom", item[0]))
        zones, before = sorted(settings.zones.items()), self._zones.drawn
        things = self._objects
        for row, place in np.argwhere(things.came != NOT_COUNTED).tolist():
            if before[place] not in zones:
                self._teller.leave(row, place)
        things.pending = carry(things.pending, self._lines, lines, 0)
        things.passed = carry(things.passed, self._lines, lines, 0.0)
        things.phase = carry(things.phase, before, zones, 0)
        things.entered = carry(things.entered, before, zones, np.nan)
        things.edge = carry(things.edge, before, zones, np.nan)
        things.came = carry(things.came, before, zones, NOT_COUNTED)
        self._meter.carry(before, zones)
        self._lines, self._zones = lines, Zones(zones, self._aspect)
        self._teller.take(settings, lines, zones)
        self._edited = self._now
        self._prepare()

    def update(
        self,
        tracks: Tracks,
        ended: Iterable[int],
        frame_size: tuple[int, int],
        seconds: float,
        wall_ms: int,
        sharpness: Float | None = None,
    ) -> list[wire.AnyEvent]:
        """Take one frame's confirmed tracks and the numbers that ended; return what happened.

        `frame_size` is (width, height) in pixels, `seconds` the frame's time, `wall_ms` the same as Unix ms,
        `sharpness` (N,) 0..1 how sharp each of the tracks was seen.
        """
        self._step, self._now = (seconds - self._now if np.isfinite(self._now) else 0.0), seconds
        self._frame, self._judges = self._frame + 1, tracks.steady is not None
        if self._step > GAP_SECONDS:
            self._woke = seconds
        if frame_size[0] / frame_size[1] != self._aspect:
            self._aspect = frame_size[0] / frame_size[1]
            self._zones = Zones(self._zones.drawn, self._aspect)
            self._prepare()
        slow = not self._slow <= seconds < self._slow + SLOW_SECONDS
        gone = [self._row[number] for number in map(int, ended) if number in self._row]
        if slow:
            gone += np.flatnonzero(seconds - self._objects.seen > FORGET_SECONDS).tolist()
        events = self._end(list(dict.fromkeys(gone))) if gone else []
        events += self._see(tracks, frame_size, wall_ms, sharpness)
        for row in self._vote.due(self._objects, seconds, self._step).tolist():
            events += self._teller.detection(row)
        if slow:
            self._slow = seconds
            events += self._late()
        if len(self._zones):
            self._meter.see(self._objects.came != NOT_COUNTED, self._objects.still, self._step)
        return events

    def close(self, wall_ms: int) -> list[wire.AnyEvent]:
        """End all objects: at the seam of a loop, when the camera is lost, when the node stops."""
        self._objects.wall = np.minimum(self._objects.wall, wall_ms)
        return self._end(list(self._row.values()))

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
        return wire.Tally(
            at=minute_start_ms,
            camera=self.camera,
            watched=watched,
            blind=blind,
            totals=self.totals.told((name, line.version) for name, line in self._lines),
            objects=dict(self.totals.objects),
            captured=captured,
            inferred=inferred,
            dropped=dropped,
            p50=p50,
            p95=p95,
            zones=self.totals.told_zones((name, zone.version) for name, zone in self._zones.drawn),
            occupancy=self._meter.take(self._zones.drawn),
            trips=self.totals.told_trips(),
        )

    # ── rows come and go ──────────────────────────────────────────────────────────────────────────

    def _prepare(self) -> None:
        """Make the lines ready for the frame's aspect; those on the bottom centre come first."""
        bottom = [line.points for _, line in self._lines if line.anchor == "bottom"]
        center = [line.points for _, line in self._lines if line.anchor == "center"]
        self._on = [(0, geometry.Gates(bottom, self._aspect)), (1, geometry.Gates(center, self._aspect))]
        self._on = [(anchor, gates) for anchor, gates in self._on if gates.count]
        self._alone = [geometry.Gates([line.points], self._aspect) for _, line in self._lines]
        self._objects.side = self._sides(self._objects.spot)
        self._paths.aspect = self._aspect

    def _sides(self, spots: Float) -> Bool:
        """Return on which side (N,S) of all pieces of lines anchors (N,2,2) are."""
        sides = [gates.sides(spots[:, anchor]) for anchor, gates in self._on]
        return np.concatenate(sides, axis=1) if sides else np.zeros((len(spots), 0), np.bool_)

    def _rows(self, tracks: Tracks, mine: Int | slice, size: tuple[int, int], wall_ms: int) -> Int:
        """Return the rows (N,) of some tracks; those that are new get one."""
        numbers = tracks.track_id[mine]
        if len(numbers) == len(self._last[0]) and (numbers == self._last[0]).all():
            return self._last[1]
        fresh = {n: place for place, n in enumerate(numbers.tolist()) if n not in self._row}
        if fresh:
            self._meet(tracks, np.arange(len(tracks))[mine][list(fresh.values())], size, wall_ms)
        self._last = numbers, np.array([self._row[number] for number in numbers.tolist()], np.int64)
        return self._last[1]

    def _meet(self, tracks: Tracks, new: Int, frame_size: tuple[int, int], wall_ms: int) -> None:
        """Fill rows for what is new, from its first sight if that is known and younger than the lines."""
        things, rows = self._objects, self._objects.take(len(new))
        first = np.full(len(new), self._now) if tracks.since is None else tracks.since[new]
        origin = tracks.xyxy if tracks.origin is None else tracks.origin
        old = (first < self._edited)[:, None]
        xyxy = np.where(old, tracks.xyxy[new], origin[new])
        bottom, center, things.size[rows] = geometry.anchors(xyxy, frame_size)
        things.box[rows] = xyxy / np.array([*frame_size, *frame_size], np.float64)
        things.spot[rows, 0], things.spot[rows, 1] = bottom, center
        things.side[rows] = self._sides(things.spot[rows])
        things.number[rows], things.wall[rows] = tracks.track_id[new], wall_ms
        things.first[rows] = things.part[rows] = things.seen[rows] = first
        things.told[rows], things.counted[rows] = NOT_TOLD, False
        self._row |= zip(tracks.track_id[new].tolist(), rows.tolist(), strict=True)
        self._paths.start(rows)
        earlier = first < self._now
        sure = tracks.confidence[new][earlier]  # nobody knows it better of then
        self._paths.add(rows[earlier], first[earlier], bottom[earlier], sure, self._frame - 1)

    def _end(self, rows: Sequence[int]) -> list[wire.AnyEvent]:
        """Tell the last of some objects and forget them."""
        events: list[wire.AnyEvent] = []
        things, self._last = self._objects, (_NONE, _NONE)
        for row in rows:
            events += self._unfinished(row, blind=bool(things.seen[row] < self._woke)) + self._teller.end(row)
            del self._row[int(things.number[row])]
        things.give_back(np.array(rows, np.int64))
        return events

    def _unfinished(self, row: int, blind: bool) -> list[wire.AnyEvent]:
        """Tell what an object has passed that was on its way when it was seen last.

        If nobody watched then, only what it was clear of.
        """
        things, seen = self._objects, float(self._objects.seen[row])
        open_ = things.pending[row] != 0
        if blind and open_.any():
            spot = things.spot[row : row + 1]
            away = [gates.passes(spot[:, anchor], spot[:, anchor])[2][0] for anchor, gates in self._on]
            open_ &= np.concatenate(away) >= geometry.margins(things.size[row])
        passed = np.flatnonzero(open_).tolist()
        if not passed:
            return []
        far = geometry.GOING * float(geometry.margins(things.size[row]))
        if not geometry.going(self._paths.recent(row, seen - 2 * geometry.GOING_SECONDS), far, self._aspect):
            return []
        ways: list[wire.Direction] = ["AB" if things.pending[row, line] > 0 else "BA" for line in passed]
        return [
            event
            for line, way in zip(passed, ways, strict=True)
            for event in self._crossing(row, line, way, ended=True)
        ]

    def _crossing(self, row: int, line: int, way: wire.Direction, ended: bool = False) -> list[wire.AnyEvent]:
        """Tell a crossing, if the object was surely seen around it; when it was, both sides of it say."""
        passed, drawn = self._objects.passed[row], self._lines[line][1]
        if not self._judges:
            return self._teller.crossing(row, line, way)
        sure = self._paths.seen(row, float(passed[line]), SURE_SECONDS, self._now, self._frame)
        if sure < SURE and not self._vote.about_state:
            return []
        if not ended and drawn.anchor == "bottom":
            path = self._paths.recent(row, passed[line] - geometry.AROUND_SECONDS)
            passed[line] = geometry.steady_moment(path, self._alone[line], way, float(passed[line]))
        return self._teller.crossing(row, line, way)

    # ── one frame ─────────────────────────────────────────────────────────────────────────────────

    def _see(
        self, tracks: Tracks, size: tuple[int, int], wall_ms: int, sharpness: Float | None
    ) -> list[wire.AnyEvent]:
        """Move each object to where it is now, let it vote, and see what it passed on the way."""
        fine = (tracks.track_id > 0) & (tracks.class_id < len(self._vote.names))
        mine = slice(None) if fine.all() else np.flatnonzero(fine)
        rows, xyxy, things = self._rows(tracks, mine, size, wall_ms), tracks.xyxy[mine], self._objects
        if not len(rows):
            return []
        before, since, box = things.spot[rows], things.seen[rows], things.box[rows]
        blind = (self._now - since > GAP_SECONDS) & (things.frames[rows] > 0)  # what is new was followed
        events = [event for row in rows[blind].tolist() for event in self._unfinished(row, blind=True)]
        bottom, center, things.size[rows] = geometry.anchors(xyxy, size)
        things.spot[rows, 0], things.spot[rows, 1] = bottom, center
        things.box[rows] = xyxy / np.array([*size, *size], np.float64)
        things.seen[rows], things.wall[rows] = self._now, wall_ms
        things.frames[rows] += 1
        if tracks.still is not None:
            things.still[rows] = tracks.still[mine]
        sharp = None if sharpness is None else sharpness[mine]
        self._vote.cast(things, rows, tracks.class_id[mine], tracks.confidence[mine], sharp, self._now)
        self._paths.add(rows, self._now, bottom, tracks.confidence[mine], self._frame)
        if blind.any():  # nobody knows which way it came
            before[blind] = things.spot[rows[blind]]
            things.pending[rows[blind]] = 0
        steady = None if tracks.steady is None else tracks.steady[mine] / np.array([*size, *size])
        return events + self._pass(rows, before, since, box, steady) + self._zone(rows, before, since)

    def _pass(
        self, rows: Int, before: Float, since: Float, box: Float, steady: Float | None
    ) -> list[wire.AnyEvent]:
        """Tell the lines that were crossed. `before` (N,2,2), `box` (N,4): what was where at `since` (N,).

        `steady` (N,4) are the boxes of now that do not flicker: they have to agree, and for a while.
        """
        things, after = self._objects, self._objects.spot[rows]
        sides = self._sides(after)
        lasts = self._now - (0.0 if steady is None else LASTS)
        open_ = (things.pending[rows] != 0) & (things.passed[rows] <= lasts)
        open_ = (sides != things.side[rows]).any(axis=1) | open_.any(axis=1)
        things.side[rows] = sides
        if not open_.any():
            return []
        rows, before, after, since, box = (each[open_] for each in (rows, before, after, since, box))
        spots = after if steady is None else np.stack(geometry.anchors(steady[open_], (1, 1))[:2], axis=1)
        before, after = np.concatenate([before, after]), np.concatenate([after, spots])
        parts = [gates.passes(before[:, anchor], after[:, anchor]) for anchor, gates in self._on]
        (net, apart), (share, _), (away, far) = (
            np.concatenate(each, axis=1).reshape(2, len(rows), -1) for each in zip(*parts, strict=True)
        )  # (N,L) each: of the moves, and from what is seen to where it is steadily
        share = geometry.moment(share, box, things.box[rows])
        at = since[:, None] + share * (self._now - since)[:, None]
        things.passed[rows] = np.where(net != 0, at, things.passed[rows])
        margin = geometry.margins(things.size[rows])[:, None]
        agree = (apart == 0) & (far >= margin) & (things.passed[rows] <= lasts)
        away = np.where(agree, away, 0.0)
        things.pending[rows], told = geometry.settle(things.pending[rows], net.astype(np.int64), away, margin)
        events: list[wire.AnyEvent] = []
        for index, line in np.argwhere(told).tolist():
            events += self._crossing(int(rows[index]), line, "AB" if told[index, line] > 0 else "BA")
        return events

    def _zone(self, rows: Int, before: Float, since: Float) -> list[wire.AnyEvent]:
        """Count who came into a zone, and tell who has left one."""
        if not len(self._zones):
            return []
        moved = self._zones.see(self._objects, rows, before, since, self._now)
        for row, place in moved.came.tolist():
            self._teller.enter(row, place)
        return [event for row, place in moved.left.tolist() for event in self._teller.stay(row, place)]

    def _late(self) -> list[wire.AnyEvent]:
        """Count who has been here long enough; tell a part of each life that is a minute longer."""
        things = self._objects
        for row in np.flatnonzero(~things.counted & (self._now - things.first >= COUNT_SECONDS)).tolist():
            self._teller.count(row)
        events: list[wire.AnyEvent] = []
        for row in np.flatnonzero(self._now - things.part >= PART_SECONDS).tolist():
            events += self._teller.track(row, ended=False)
            things.part[row] = self._now
            self._paths.cut(row)
        return events
