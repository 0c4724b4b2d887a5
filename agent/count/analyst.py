"""Tracks -> events: what an object is, where it passed, and what that adds up to.

Invariants:

* No clock, no files: times come in, events go out. The same tracks give the same events.
* A running total never falls and is never zeroed: a line that is edited counts on under its new version.
* An object is told once (Detection), counted once and, when it ends, forgotten: the state is bounded by what
  is in the picture.
* What was not watched counts nothing: an object that was out of sight for longer than a gap goes on from
  where it is seen again.
* Python runs where something happens; what every object needs in every frame is arithmetic on columns.

A frame's tracks take one way, and stop once in each module:

    Tracks ─▶ analyst ─▶ object_table ─▶ vote ─▶ lines ─▶ zones ─▶ emit
                         one row each,   labels  passes   stays    Detection (settled, or another label)
                         where it was                              Crossing (clear of the line beyond it)
                                                                   Stay (left, or ended)
                                                                   Track (ended, or a minute more)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from agent import wire
from agent.count.emit import EventBuilder
from agent.count.lines import Lines
from agent.count.object_table import GAP_SECONDS, Bool, Float, Int, ObjectTable
from agent.count.totals import Totals
from agent.count.vote import Judged, Vote
from agent.count.zones import Meter, Zones
from agent.track.tracker import Tracks

__all__ = ["FORGET_SECONDS", "GAP_SECONDS", "Analyst", "Totals"]

COUNT_SECONDS = 5.0  # after which a living object is counted among the objects
PART_SECONDS = 60.0  # a long life is told in parts
FORGET_SECONDS = 10.0  # for a tracker that does not say what ended
SLOW_SECONDS = 0.5  # between two looks at those three


class Analyst:
    """One camera's judgement. `update` with each frame's tracks; `close` when the picture breaks off."""

    def __init__(
        self, camera: str, settings: wire.CameraSettings, names: dict[int, str], totals: Totals
    ) -> None:
        self.camera = camera
        self.totals = totals
        self._objects = ObjectTable()
        self._vote = Vote(names)
        self._lines = Lines(self._vote.about_state)
        self._zones = Zones()
        self._meter = Meter()
        self._teller = EventBuilder(camera, self._objects, self._vote, self._zones, totals)
        self._step = 0.0
        self._slow = -np.inf
        self._woke = -np.inf  # the first frame after a gap
        self._aspect = 1.0
        self.apply(settings)

    def __len__(self) -> int:
        """Return how many objects are remembered."""
        return len(self._objects.row)

    @property
    def wants_sharpness(self) -> bool:
        """True where the vote is better for knowing how sharp each object was seen."""
        return self._vote.about_state

    def apply(self, settings: wire.CameraSettings) -> None:
        """Take new lines, zones, labels, plane. What did not change goes on; what is new starts from now."""
        zones = sorted(settings.zones.items())
        for row, place in np.argwhere(self._zones.counted).tolist():
            if self._zones.drawn[place] not in zones:
                self._teller.leave(row, place)
        self._meter.carry(self._zones.drawn, zones)
        self._lines.draw(list(settings.lines.items()), self._aspect)
        self._zones.draw(zones, self._aspect)
        self._teller.take(settings)
        self._objects.edit()

    def update(
        self,
        tracks: Tracks,
        ended: Iterable[int],
        frame_size: tuple[int, int],
        seconds: float,
        wall_ms: int,
        sharpness: Float | None = None,
        judged: Judged | None = None,
    ) -> list[wire.AnyEvent]:
        """Take one frame's confirmed tracks and the numbers that ended; return what happened.

        Args:
            tracks: the tracks matched in this frame.
            ended: track ids that are no more.
            frame_size: (width, height) in pixels.
            seconds: the frame's time.
            wall_ms: the same as Unix ms.
            sharpness: (N,) 0..1, how sharp each of the tracks was seen.
            judged: what a closer look says some of the tracks are.
        """
        self._begin(frame_size, seconds)
        slow = not self._slow <= seconds < self._slow + SLOW_SECONDS
        events = self._end(self._gone(ended, slow))
        events += self._see(tracks, frame_size, wall_ms, sharpness)
        if judged is not None:
            self._vote.heed(self._objects, judged, tracks, sharpness)
        for row in self._vote.due(self._objects, seconds, self._step).tolist():
            events += self._teller.detection(row)
        if slow:
            self._slow = seconds
            events += self._late()
        if len(self._zones):
            self._meter.see(self._zones.counted, self._objects.still, self._step)
        return events

    def undecided(self, numbers: Int) -> Bool:
        """Say of which tracks (N,) the label is still open, those that are new too."""
        rows = [self._objects.row.get(number, -1) for number in numbers.tolist()]
        return np.asarray([row < 0 or self._vote.is_open(row) for row in rows], np.bool_)

    def close(self, wall_ms: int) -> list[wire.AnyEvent]:
        """End all objects: at the seam of a loop, when the camera is lost, when the node stops."""
        self._objects.not_after(wall_ms)
        return self._end(list(self._objects.row.values()))

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
        skipped: int = 0,
        level: int = 0,
        held: int = 0,
        looked: int = 0,
        oldest: int = 0,
    ) -> wire.Tally:
        """Return a minute's tally: the caller's figures beside the running totals."""
        return wire.Tally(
            at=minute_start_ms,
            camera=self.camera,
            watched=watched,
            blind=blind,
            totals=self.totals.told((name, line.version) for name, line in self._lines.drawn),
            objects=dict(self.totals.objects),
            captured=captured,
            inferred=inferred,
            dropped=dropped,
            p50=p50,
            p95=p95,
            zones=self.totals.told_zones((name, zone.version) for name, zone in self._zones.drawn),
            occupancy=self._meter.take(self._zones.drawn),
            trips=self.totals.told_trips(),
            skipped=skipped,
            level=level,
            held=held,
            looked=looked,
            oldest=oldest,
        )

    # ── rows come and go ──────────────────────────────────────────────────────────────────────────

    def _begin(self, frame_size: tuple[int, int], seconds: float) -> None:
        """Go on to a frame of some size at some time."""
        before = self._objects.now
        self._step = seconds - before if np.isfinite(before) else 0.0
        self._objects.tick(seconds)
        if self._step > GAP_SECONDS:
            self._woke = seconds
        aspect = frame_size[0] / frame_size[1]
        if aspect != self._aspect:
            self._aspect = aspect
            self._lines.prepare(aspect)
            self._zones.prepare(aspect)
            self._objects.paths.aspect = aspect

    def _gone(self, ended: Iterable[int], slow: bool) -> list[int]:
        """Return the rows of what has ended, in a `slow` look also of what was not seen for long."""
        row = self._objects.row
        gone = [row[number] for number in map(int, ended) if number in row]
        if slow:
            late = self._objects.now - self._objects.seen > FORGET_SECONDS
            gone += np.flatnonzero(late).tolist()
        return list(dict.fromkeys(gone))

    def _end(self, rows: Sequence[int]) -> list[wire.AnyEvent]:
        """Tell the last of some objects and forget them."""
        if not rows:
            return []
        events: list[wire.AnyEvent] = []
        for row in rows:
            events += self._finish(row, blind=bool(self._objects.seen[row] < self._woke))
            events += self._teller.end(row)
        free = np.array(rows, np.int64)
        for each in (self._vote, self._lines, self._zones, self._objects):
            each.forget(free)
        return events

    def _finish(self, row: int, blind: bool) -> list[wire.AnyEvent]:
        """Tell what an object crossed by when it was seen last."""
        passed = self._lines.finish(self._objects, row, blind)
        return [event for each in passed for event in self._teller.crossing(each)]

    def _break(self, row: int) -> list[wire.AnyEvent]:
        """Tell what an object crossed, and its way so far, where it was out of sight for longer than a gap.

        Its path goes on in a part of its own: who counts afterwards does not join what nobody saw.
        """
        return self._finish(row, blind=True) + self._teller.track(row, ended=False)

    # ── one frame ─────────────────────────────────────────────────────────────────────────────────

    def _see(
        self, tracks: Tracks, size: tuple[int, int], wall_ms: int, sharpness: Float | None
    ) -> list[wire.AnyEvent]:
        """Move each object to where it is now, let it vote, and see what it passed on the way."""
        known = (tracks.track_id > 0) & (tracks.class_id < len(self._vote.names))
        if not known.all():
            tracks = tracks.some(known)
            sharpness = None if sharpness is None else sharpness[known]
        objects = self._objects
        rows = objects.find(tracks, size, wall_ms)
        lost = rows[objects.lost(rows)].tolist()
        events = [event for row in lost for event in self._break(row)]
        moves = objects.see(rows, tracks.xyxy, tracks.steady, size, tracks.still, tracks.confidence, wall_ms)
        for row in lost:
            objects.cut(row, objects.now)
        self._vote.cast(objects, rows, tracks.class_id, tracks.confidence, sharpness, objects.now)
        crossings = self._lines.see(objects, moves)
        moved = self._zones.see(objects, moves)
        return events + self._teller.moved(crossings, moved)

    def _late(self) -> list[wire.AnyEvent]:
        """Count who has been here long enough; tell a part of each life that is a minute longer."""
        objects = self._objects
        for row in np.flatnonzero(~objects.counted & (objects.now - objects.first >= COUNT_SECONDS)).tolist():
            self._teller.count(row)
        events: list[wire.AnyEvent] = []
        for row in np.flatnonzero(objects.now - objects.part >= PART_SECONDS).tolist():
            events += self._teller.track(row, ended=False)
            objects.cut(row, objects.now)
        return events
