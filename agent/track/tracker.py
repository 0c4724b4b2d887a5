"""Detections -> tracks: who is who from frame to frame, by real time and not by frame number.

What always holds:

* Every length is relative to the object's size and every time is in seconds, so the defaults fit any
  resolution and any frame rate, even one that changes. The gate of a track grows with the time since it was
  seen.
* A track is told only when it is confirmed by time and evidence, and while it is seen as objects of its class
  are here; numbers start at 1 and are never used again.
* The state is bounded: a track unseen for `keep` seconds (`keep_carried` where the camera moves all the time)
  ends, and nothing of it is left. What was parked is
  remembered for as long as it had been parked, at most `keep_parked` seconds, and only where it was.
* There is no clock and no randomness here: the same input gives the same numbers.

Motion is a Kalman filter (agent.track.kalman); what is new moves as objects there usually do
(agent.track.motion_prior), and what all share is the camera's own motion (agent.track.camera_motion). What
counts as confident is learned for each camera and class (agent.track.confidence_rank). What belongs
together is said by agent.track.association, which tracks are objects by agent.track.confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from agent.boxes import Detections
from agent.track.assignment import assign
from agent.track.association import associate, pairs_within_gates
from agent.track.camera_motion import ENOUGH, LEAST, CameraMotion
from agent.track.candidates import candidates
from agent.track.class_prior import ANY, WALK, ClassPrior, Habits, walkers
from agent.track.confidence_rank import ClassRanks
from agent.track.confirmation import RECENT, WEAK, confirmed, told
from agent.track.kalman import Bool, Float, Int, Sight, TrackTable, spread, units
from agent.track.motion_prior import Flow
from agent.track.tracks import Motions, Tracks

__all__ = ["Motions", "Tracker", "Tracks", "assign", "make_tracker"]

_NONE = np.zeros(0, np.int64)
TURN = 0.5  # the share of a common shift that goes on
FLOW_SURE = 4  # sightings before a track's speed is worth a note
MOVED = 0.25  # sizes: a noticeable move
CARRIED = 3.0  # times as much a second out of sight costs where the camera moves all the time
FREEZE = 10.0  # seconds of standing, after which nobody who is hidden is thought to move


@dataclass(slots=True)
class Tracker:
    """Follow objects over time. `confident` and `weak` are confidences; the rest is in sizes and seconds.

    `habit` is what to expect of objects, `special` of those of some class numbers.
    """

    confident: float = 0.25  # at least this to begin a track
    weak: float = 0.1  # at least this to go on with one
    keep: float = 4.0  # seconds that an unseen confirmed track is remembered
    keep_carried: float = 0.9  # the same where the camera is carried
    keep_parked: float = 60.0  # the most for one that had been standing so long
    doubt: float = 0.6  # the same for one that is not confirmed, but for two frames at least
    evidence: float = 0.7  # sum of confidences that confirms
    doubtful: bool = False  # confirm also what is less sure than most here
    habit: ClassPrior[float] = ANY
    special: Mapping[int, ClassPrior[float]] = field(default_factory=dict)
    _habits: Habits = field(init=False, repr=False)
    _book: TrackTable = field(default_factory=TrackTable.empty, init=False, repr=False)
    _flow: Flow = field(default_factory=Flow, init=False, repr=False)
    _levels: ClassRanks = field(default_factory=ClassRanks, init=False, repr=False)
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
        found, sight = candidates(detections, self.weak)
        if len(self):
            self._predict(step)
        self._ended = self._expire(before)
        sight.rank = self._levels.note(sight.confidence, sight.kind)
        noise = self._noise(sight)
        rows, columns = self._associate(sight, noise)
        if self._moved(rows, columns, sight, noise, step):
            rows, columns = self._associate(sight, noise)
        self._correct(rows, sight.take(columns), noise[:, columns])
        self._confirm()
        tracks = Tracks.of(self._book, *self._told(rows, found, columns), at_seconds, self._ended)
        self._begin(found, sight, columns)
        return tracks

    def motions(self) -> Motions:
        """Return how all that is remembered moves, confirmed or not."""
        return Motions.of(self._book, self._now)

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

    def _predict(self, step: float) -> None:
        book = self._book
        book.frames += 1
        fade = math.exp(-step / RECENT)
        book.recent *= fade
        book.looks = book.looks * fade + 1
        book.predict(np.where(self._held(), 0.0, step), self._habits.of(book.kind).agility)

    def _held(self) -> Bool:
        """Return which tracks (T,) stood for long and are hidden now: they stay where they were."""
        book = self._book
        return (book.seen - book.rest >= FREEZE) & (self._now - book.seen > self._patience())

    def _expire(self, before: float) -> Int:
        """End what was not seen for too long, or has left the picture; return the confirmed numbers."""
        book = self._book
        keep = self.keep_carried if self._sway.carried else self.keep
        limit = np.maximum(keep, np.minimum(book.seen - book.rest, self.keep_parked))
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
        if not len(self) or not len(sight.size):
            return _NONE, _NONE
        book = self._book
        unseen = self._now - book.seen
        late = np.maximum(unseen - self._step, 0.0) * (CARRIED if self._sway.carried else 1.0)
        pairs = pairs_within_gates(book, sight, noise, self._habits.of(book.kind), late)
        recent = (book.number > 0) & (unseen < self._patience())
        return associate(pairs, sight.confidence >= self.confident, recent)

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

    def _noise(self, sight: Sight) -> Float:
        return sight.noise(self._habits.of(sight.kind).jitter)

    def _correct(self, rows: Int, sight: Sight, noise: Float) -> None:
        """Blend the matched detections into their tracks."""
        book = self._book
        book.correct(rows, sight.channels, noise)
        book.seen[rows] = self._now
        book.hits[rows] += 1
        book.evidence[rows] += sight.confidence
        book.recent[rows] += sight.confidence
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
        new = confirmed(self._book, self.evidence, self.doubtful)
        self._book.number[new] = self._next + np.arange(len(new))
        self._next += len(new)

    def _told(self, rows: Int, found: Detections, columns: Int) -> tuple[Int, Detections]:
        """Return the matched tracks that are told now, and what they were matched with."""
        if not self.doubtful:
            good = told(self._book, rows, self._levels.usual(self._book.kind[rows]))
            rows = rows[good]
            columns = columns[good]
        return rows, found[columns]

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
        book.evidence = book.recent = sight.confidence
        book.looks = np.ones(len(fresh))
        book.kind = sight.kind
        book.rank = sight.rank - WEAK
        self._book = TrackTable(np.concatenate([self._book.all, book.all], axis=1))


def make_tracker(confidence: float, names: Mapping[int, str], *, about_state: bool = False) -> Tracker:
    """Return a tracker for a model's classes. Where states are told, a doubtful face counts too.

    Else a bar on how sure the detections are keeps second tracks of one object from being counted.
    """
    return Tracker(confidence, doubtful=about_state, special=dict.fromkeys(walkers(names), WALK))
