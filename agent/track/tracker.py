"""Detections -> tracks: who is who from frame to frame, by real time and not by frame number.

What always holds:

* Every length is relative to the object's size and every time is in seconds, so the defaults fit any
  resolution and any frame rate, even one that changes. The gate of a track grows with the time since it was
  seen.
* A track is told only when it is confirmed by time and evidence; numbers start at 1 and are never used again.
* The state is bounded: a track unseen for `keep` seconds ends, and nothing of it is left. What was parked is
  remembered for as long as it had been parked, at most `keep_parked` seconds, and only where it was.
* There is no clock and no randomness here: the same input gives the same numbers.

Motion is a Kalman filter (agent.track.kalman); what is new moves as the place is used to
(agent.track.motion_prior), and what is
common to all is the camera's own (agent.track.camera_motion). How sure is sure here is learned
(agent.track.confidence_rank). Association
is in two stages, as in ByteTrack (Zhang et al. 2022): confident detections first, then the weak ones for what
was seen a moment ago. Within a stage it is the assignment of the greatest likelihood, exact
(agent.track.assignment).

         predicted                       seconds unseen:  0.07     0.4        1.0
       +-----------+   .--.
       |     x     |--( .  ) gate                          ()     (  )      (      )
       +-----------+   `--'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections
from agent.track.assignment import assign, match, near
from agent.track.camera_motion import ENOUGH, LEAST, CameraMotion
from agent.track.class_prior import ANY, WALK, ClassPrior, Habits, walkers
from agent.track.confidence_rank import ConfidenceRanks
from agent.track.kalman import Float, Int, Sight, TrackTable, boxes, overlap, spread, units
from agent.track.motion_prior import Flow

__all__ = ["Tracker", "Tracks", "assign", "make_tracker"]

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

_NONE = np.zeros(0, np.int64)
MISS = 14.0  # what it costs to leave a track without a detection: a worse pair is none
NEWCOMER = 4.0  # what it costs a track without a number to take what one with a number may have
OTHER_KIND = 2.0  # what it costs that a detection is of another class
MANY = 256  # pairs, from which on it pays to look first at how far they are apart in height
MEAN = 0.44  # the least mean confidence that confirms
SURE = 0.8  # the mean confidence that confirms whatever all others have
WEAK = 0.25  # of all detections this share, the least sure, speaks against a track
SURER = 0.5  # the sum of ranks above that which confirms: two detections as sure as half of all
TRAVELS = 1.0  # sizes from its first place: it need not be surer than the camera's weak detections
TWIN = 0.75  # overlap of two detections that are one object
TURN = 0.5  # the share of a common shift that goes on
FLOW_SURE = 4  # sightings before a track's speed is worth a note
MOVED = 0.25  # sizes: a noticeable move
RESTS = 1.0  # seconds without one, before it is said that something stands
FREEZE = 10.0  # seconds of standing, after which nobody who is hidden is thought to move


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Hold the confirmed tracks that were matched now, and the numbers of those that have just ended.

    xyxy (N,4) pixels, track_id (N,), confidence (N,), class_id (N,) are of the matched detections. `origin`
    (N,4) and `since` (N,) are box and time of each track's first sight, before it was confirmed. `still` (N,)
    is for how many seconds each has not moved by a quarter of its size, 0 while it moves. `steady` (N,4) are
    the boxes where the filter takes the objects to be: they do not flicker.
    """

    xyxy: Float32
    track_id: Int
    confidence: Float32
    class_id: Int
    origin: Float32
    since: Float
    ended: Int
    still: Float
    steady: Float32

    def __len__(self) -> int:
        return len(self.track_id)

    @classmethod
    def of_boxes(
        cls, xyxy: Float32, track_id: Int, confidence: Float32, class_id: Int, at_seconds: float
    ) -> Tracks:
        """Return the tracks of a tracker that tells boxes alone.

        Each begins where it is seen at `at_seconds`, nothing stands or has ended, and the boxes are steady.
        """
        count = len(track_id)
        return cls(
            xyxy=xyxy,
            track_id=track_id,
            confidence=confidence,
            class_id=class_id,
            origin=xyxy,
            since=np.full(count, at_seconds),
            ended=_NONE,
            still=np.zeros(count),
            steady=xyxy,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Motions:
    """Hold of T tracks: boxes (T,4) pixels, speed (T,2) pixels a second, which are `sure` (confirmed) (T,).

    `unseen` (T,): seconds since each was seen; `still` (T,): since it moved noticeably; `age` (T,): since its
    first sight.
    """

    boxes: Float
    speed: Float
    sure: Bool
    unseen: Float
    still: Float
    age: Float


@dataclass(slots=True)
class Tracker:
    """Follow objects over time. `confident` and `weak` are confidences; the rest is in sizes and seconds.

    `habit` is what to expect of objects, `special` of those of some class numbers.
    """

    confident: float = 0.25  # at least this to begin a track
    weak: float = 0.1  # at least this to go on with one
    keep: float = 4.0  # seconds that an unseen confirmed track is remembered
    keep_parked: float = 60.0  # the most for one that had been standing so long
    doubt: float = 0.6  # the same for one that is not confirmed, but for two frames at least
    evidence: float = 0.7  # sum of confidences that confirms
    doubtful: bool = False  # confirm also what is less sure than most here
    habit: ClassPrior[float] = ANY
    special: Mapping[int, ClassPrior[float]] = field(default_factory=dict)
    _habits: Habits = field(init=False, repr=False)
    _book: TrackTable = field(default_factory=TrackTable.empty, init=False, repr=False)
    _flow: Flow = field(default_factory=Flow, init=False, repr=False)
    _levels: ConfidenceRanks = field(default_factory=ConfidenceRanks, init=False, repr=False)
    _sway: CameraMotion = field(default_factory=CameraMotion, init=False, repr=False)
    _now: float = field(default=-np.inf, init=False)
    _step: float = field(default=0.0, init=False)
    _next: int = field(default=1, init=False)
    _size: tuple[int, int] | None = field(default=None, init=False)
    _ended: Int = field(default_factory=lambda: _NONE, init=False, repr=False)

    def __post_init__(self) -> None:
        self._habits = Habits(self.habit, self.special)

    def __len__(self) -> int:
        """Return how many tracks are remembered, confirmed or not."""
        return len(self._book)

    def update(
        self, detections: Detections, at_seconds: float, frame_size: tuple[int, int] | None = None
    ) -> Tracks:
        """Take one frame's detections; return what is confirmed and matched now.

        `frame_size` (width, height), where known, ends tracks that left the picture, and rescales all when it
        changes. Raises ValueError if the time does not grow.
        """
        if not at_seconds > self._now:
            raise ValueError(f"time must grow: {at_seconds} after {self._now}")
        step = at_seconds - self._now
        before = self._now
        self._now = at_seconds
        if np.isfinite(step):
            self._step += 0.2 * (min(step, 0.5) - self._step)
        self._resize(frame_size)
        found, sight = self._usable(detections)
        if len(self):
            self._predict(step)
        self._ended = self._expire(before)
        sight.rank = self._levels.note(sight.confidence)
        noise = self._noise(sight)
        rows, columns = self._associate(sight, noise)
        if self._moved(rows, columns, sight, noise, step):
            rows, columns = self._associate(sight, noise)
        self._correct(rows, sight.take(columns), noise[:, columns])
        self._confirm()
        tracks = self._tracks(rows, found, columns)
        self._begin(found, sight, columns)
        return tracks

    def motions(self) -> Motions:
        """Return how all that is remembered moves, confirmed or not."""
        book = self._book
        return Motions(
            boxes=boxes(book.mean).T,
            speed=book.speed[:2].T.copy(),
            sure=book.number > 0,
            unseen=self._now - book.seen,
            still=self._now - book.rest,
            age=self._now - book.born,
        )

    def ended(self) -> list[int]:
        """Return the numbers of the confirmed tracks that the last update ended."""
        return [int(number) for number in self._ended]

    def clear(self) -> Int:
        """Forget all tracks (at the seam of a loop); return the numbers of the confirmed ones."""
        ended = self._book.number[self._book.number > 0].astype(np.int64)
        self._book = TrackTable.empty()
        return ended

    # ── one step each, in the order of `update` ───────────────────────────────────────────────────

    def _resize(self, size: tuple[int, int] | None) -> None:
        if size is not None and self._size is not None and size != self._size:
            self._book.scale(size[0] / self._size[0], size[1] / self._size[1])
            self._flow = Flow()
        self._size = size or self._size

    def _usable(self, detections: Detections) -> tuple[Detections, Sight]:
        """Drop broken and weak boxes, and the worse of two that are one object under two classes."""
        box = detections.xyxy
        extent = box[:, 2:] - box[:, :2]
        fine = np.isfinite(extent).all(axis=1) & (extent > 0).all(axis=1)
        fine &= detections.confidence >= self.weak
        if not fine.all():
            detections = detections[fine]
        sight = Sight.of(detections)
        twin = self._twins(sight, detections.xyxy)
        if len(twin):
            left = np.ones(len(detections), np.bool_)
            left[twin] = False
            detections = detections[left]
            sight = sight.take(left.nonzero()[0])
        return detections, sight

    def _twins(self, sight: Sight, xyxy: Float32) -> Int:
        """Return the columns of detections that a better one covers; of equal ones the later."""
        x, y = sight.channels[:2]
        one, two = near(x, 0.15 * sight.size, x)
        better = sight.confidence
        worse = (better[one] > better[two]) | ((better[one] == better[two]) & (one < two))
        close = (worse & (np.abs(y[one] - y[two]) < 0.3 * sight.size[two])).nonzero()[0]
        if not len(close):
            return _NONE
        one = one[close]
        two = two[close]
        box = xyxy.T.astype(np.float64)
        covered: Int = two[overlap(box[:, one], box[:, two]) > TWIN]
        return covered

    def _predict(self, step: float) -> None:
        book = self._book
        book.frames += 1
        book.predict(np.where(self._held(), 0.0, step), self._habits.of(book.kind).agility)

    def _held(self) -> Bool:
        """Return which tracks (T,) stood for long and are hidden now: they stay where they were."""
        book = self._book
        return (book.seen - book.rest >= FREEZE) & (self._now - book.seen > self._patience())

    def _expire(self, before: float) -> Int:
        """End what was not seen for too long, or has left the picture; return the confirmed numbers."""
        book = self._book
        limit = np.maximum(self.keep, np.minimum(book.seen - book.rest, self.keep_parked))
        gone = self._now - book.seen > np.where(book.number > 0, limit, self._patience())
        if self._size is not None:
            x, y = book.mean[:2]
            out = (x < 0) | (y < 0) | (x > self._size[0]) | (y > self._size[1])
            gone |= out & (before - book.seen > 0.1)
        if not gone.any():
            return _NONE
        numbers = book.number[gone]
        self._book = TrackTable(book.all[:, ~gone])
        return np.sort(numbers[numbers > 0]).astype(np.int64)

    def _patience(self) -> float:
        return max(self.doubt, 2.2 * self._step)

    def _associate(self, sight: Sight, noise: Float) -> tuple[Int, Int]:
        """Return rows of tracks and columns of detections that belong together."""
        shape = len(self), len(sight.size)
        if not shape[0] or not shape[1]:
            return _NONE, _NONE
        rows, columns, cost = self._pairs(sight, noise)
        strong = sight.confidence >= self.confident
        if strong.all():
            return match(rows, columns, cost, shape, MISS)
        sure = strong[columns]
        one, two = match(rows[sure], columns[sure], cost[sure], shape, MISS)
        recent = (self._book.number > 0) & (self._now - self._book.seen < self._patience())
        recent[one] = False
        rest = ~sure & recent[rows]
        three, four = match(rows[rest], columns[rest], cost[rest], shape, MISS)
        return np.concatenate([one, three]), np.concatenate([two, four])

    def _moved(self, rows: Int, columns: Int, sight: Sight, noise: Float, step: float) -> bool:
        """Move all tracks by what is common to those that were matched: the camera moved."""
        book = self._book
        sure = (book.hits[rows] >= FLOW_SURE).nonzero()[0][:ENOUGH]
        if len(sure) < LEAST:
            return False
        rows = rows[sure]
        columns = columns[sure]
        off = sight.channels[:2, columns] - book.mean[:2, rows]
        shift = self._sway.shift(off, book.var[:2, rows] + noise[:2, columns])
        if shift is None:
            return False
        book.mean[:2] += shift[:, None]
        book.speed[:2] += shift[:, None] * (TURN / step)
        book.spot += shift[:, None]
        book.noted += shift[:, None]
        return True

    def _pairs(self, sight: Sight, noise: Float) -> tuple[Int, Int, Float]:
        """Return rows, columns and cost (P,) of the pairs within the gate.

        The cost is how unlikely a pair is: twice its negative log likelihood, heavy tailed.
        """
        book = self._book
        habit = self._habits.of(self._book.kind)
        reach = habit.gate * (np.sqrt(book.var[:2]) + np.sqrt(noise[0].max()))
        rows, columns = near(book.mean[0], reach[0], sight.channels[0])
        if len(rows) > MANY:
            beside = np.abs(sight.channels[1, columns] - book.mean[1, rows]) <= reach[1, rows]
            rows = rows[beside]
            columns = columns[beside]
        off = sight.channels[:, columns] - book.mean[:, rows]
        total = book.var[:, rows] + noise[:, columns]
        squared = (off * off / total).sum(axis=0)
        inside = (squared < habit.gate[rows] ** 2).nonzero()[0]
        rows = rows[inside]
        columns = columns[inside]
        total = total[:2, inside]
        cost = 8 * np.log1p(squared[inside] / 4) + np.log(total[0] * total[1] / sight.size[columns] ** 4)
        away = np.maximum(self._now - book.seen - self._step, 0.0)
        cost += (habit.strict + habit.hidden * away)[rows]
        cost -= habit.alike[rows] * overlap(boxes(book.mean[:, rows]), boxes(sight.channels[:, columns]))
        cost += OTHER_KIND * (book.kind[rows] != sight.kind[columns])
        known = book.number[rows] > 0
        claimed = np.zeros(len(sight.size), np.bool_)
        claimed[columns[known & (cost < MISS - NEWCOMER)]] = True
        cost += NEWCOMER * (claimed[columns] & ~known)
        return rows, columns, cost

    def _noise(self, sight: Sight) -> Float:
        return sight.noise(self._habits.of(sight.kind).jitter)

    def _correct(self, rows: Int, sight: Sight, noise: Float) -> None:
        """Blend the matched detections into their tracks."""
        book = self._book
        book.correct(rows, sight.channels, noise)
        book.seen[rows] = self._now
        book.hits[rows] += 1
        book.evidence[rows] += sight.confidence
        book.rank[rows] += sight.rank - WEAK
        book.kind[rows] = sight.kind
        size = spread(book.mean)[0]
        moved = np.abs(book.mean[:2] - book.spot).max(axis=0) > MOVED * size
        book.spot[:, moved] = book.mean[:2, moved]
        book.rest[moved] = self._now
        self._note(size)

    def _note(self, size: Float) -> None:
        """Let the flow know of the sure tracks that have gone on by their own size."""
        book = self._book
        gone = ((book.mean[:2] - book.noted) ** 2).sum(axis=0) >= size**2
        rows = (gone & (book.seen == self._now) & (book.hits >= FLOW_SURE)).nonzero()[0]
        if len(rows):
            place = book.mean[:2, rows]
            self._flow.note(place, book.speed[:2, rows] / size[rows], np.log(size[rows]))
            book.noted[:, rows] = place

    def _confirm(self) -> None:
        """Give numbers to what was seen often, long and surely enough."""
        book = self._book
        new = (book.number == 0).nonzero()[0]
        if not len(new):
            return
        hits = book.hits[new]
        age = book.seen[new] - book.born[new]
        good = (hits >= 3) | ((hits >= 2) & (age >= 0.2 - 1e-6))
        good &= 2 * hits >= book.frames[new]
        good &= book.evidence[new] >= self.evidence
        if not self.doubtful:
            good &= book.evidence[new] >= MEAN * hits
            good &= (book.rank[new] >= SURER) | (book.evidence[new] >= SURE * hits) | self._goes(new)
        new = new[good]
        book.number[new] = self._next + np.arange(len(new))
        self._next += len(new)

    def _goes(self, rows: Int) -> Bool:
        """Return which of some tracks (N,) are seen all along a way: what is imagined does not travel."""
        book = self._book
        origin = (book.origin[:2, rows] + book.origin[2:, rows]) / 2
        gone = np.abs(book.mean[:2, rows] - origin).max(axis=0)
        steady: Bool = book.hits[rows] >= 0.8 * book.frames[rows]
        steady &= gone >= TRAVELS * spread(book.mean[:, rows])[0]
        return steady

    def _tracks(self, rows: Int, found: Detections, columns: Int) -> Tracks:
        book = self._book
        number = book.number[rows]
        order = number.argsort(kind="stable")[np.count_nonzero(number == 0) :]
        rows = rows[order]
        found = found[columns[order]]
        rest = self._now - book.rest[rows]
        return Tracks(
            xyxy=found.xyxy,
            track_id=number[order].astype(np.int64),
            confidence=found.confidence,
            class_id=found.class_id,
            origin=book.origin[:, rows].T.astype(np.float32),
            since=book.born[rows],
            ended=self._ended,
            still=rest * (rest >= RESTS),
            steady=boxes(book.mean[:, rows]).T.astype(np.float32),
        )

    def _begin(self, found: Detections, sight: Sight, taken: Int) -> None:
        """Begin a track with each confident detection that belongs to none."""
        free = sight.confidence >= self.confident
        free[taken] = False
        fresh = free.nonzero()[0]
        if not len(fresh):
            return
        sight = sight.take(fresh)
        book = TrackTable.empty(len(fresh))
        book.mean = sight.channels
        book.var = self._noise(sight)
        fastest = self._habits.of(sight.kind).fastest
        mean, var = self._flow.expect(sight.channels[:2], np.log(sight.size), fastest)
        book.speed[:2] = mean * sight.size
        book.speed_var = (fastest * 0.15 * units(sight.size)) ** 2
        book.speed_var[:2] = var * sight.size**2
        book.origin = found.xyxy[fresh].T.astype(np.float64)
        book.noted = book.spot = sight.channels[:2]
        book.born = book.seen = book.rest = np.full(len(fresh), self._now)
        book.frames = book.hits = np.ones(len(fresh))
        book.evidence = sight.confidence
        book.kind = sight.kind
        book.rank = sight.rank - WEAK
        self._book = TrackTable(np.concatenate([self._book.all, book.all], axis=1))


def make_tracker(confidence: float, names: Mapping[int, str], *, about_state: bool = False) -> Tracker:
    """Return a tracker for a model's classes. Where states are told, a doubtful face counts too.

    Else a bar on how sure the detections are keeps second tracks of one object from being counted.
    """
    return Tracker(confidence, doubtful=about_state, special=dict.fromkeys(walkers(names), WALK))
