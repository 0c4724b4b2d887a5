"""Detections -> tracks: who is who from frame to frame, by real time and not by frame number.

What always holds:

* Every length is relative to the object's size and every time is in seconds, so the defaults fit any
  resolution and any frame rate, even one that changes. The gate of a track grows with the time since it was
  seen.
* A track is told only when it is confirmed by time and evidence; numbers start at 1 and are never used again.
* The state is bounded: a track unseen for `keep` seconds ends, and nothing of it is left.
* There is no clock and no randomness here: the same input gives the same numbers.

Motion is a Kalman filter with constant velocity in four channels (centre x, centre y, log width, log height),
each with its own 2x2 covariance, all tracks at once. Association is in two stages, as in ByteTrack (Zhang et
al. 2022): confident detections first, then the weak ones for what was seen a moment ago. Within a stage it is
the assignment of the greatest likelihood, exact (Jonker and Volgenant 1987).

         predicted                       seconds unseen:  0.07     0.4        1.0
       +-----------+   .--.
       |     x     |--( .  ) gate                          ()     (  )      (      )
       +-----------+   `--'
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, iou

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_NONE = np.zeros(0, np.int64)
_NEVER = 1e9  # the cost of a pair that must not be
FLOW_NOTES = 1000
FLOW_DOUBT = 0.5  # how many notes "anything may come" is worth
FLOW_SURE = 4  # sightings before a track's speed is worth a note


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Hold the confirmed tracks that were matched now, and the numbers of those that have just ended.

    xyxy (N,4) pixels, track_id (N,), confidence (N,), class_id (N,) are of the matched detections. `origin`
    (N,4) and `since` (N,) are box and time of each track's first sight, before it was confirmed.
    """

    xyxy: Float32
    track_id: Int
    confidence: Float32
    class_id: Int
    origin: Float32 | None = None
    since: Float | None = None
    ended: Int = field(default_factory=lambda: _NONE)

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(slots=True)
class _State:
    """All live tracks as columns, T of them. Channels: centre x, centre y, log width, log height."""

    mean: Float  # (T,4)
    speed: Float  # (T,4) per second
    var: Float  # (T,4) of the mean
    cov: Float  # (T,4) of mean and speed
    speed_var: Float  # (T,4)
    number: Int  # (T,) 0: not confirmed yet
    born: Float  # (T,) seconds
    seen: Float  # (T,) seconds of the last match
    frames: Int  # (T,) updates since it began, itself included
    hits: Int  # (T,) in how many of them it was seen
    evidence: Float  # (T,) sum of the confidences
    kind: Int  # (T,) class of the last match
    origin: Float32  # (T,4) first box
    noted: Float  # (T,2) centre when the flow last took note of it

    def take(self, rows: Int | Bool) -> _State:
        """Return a copy of some rows."""
        return _State(*(getattr(self, name)[rows] for name in self.__slots__))

    def join(self, other: _State) -> _State:
        """Return this and the other state, one after the other."""
        return _State(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__))


@dataclass(slots=True)
class _Flow:
    """Where things went that passed here: what to expect of the speed of a new one.

    A ring of the last notes, each a centre, a speed in sizes/s and a log size. At a low frame rate a queue
    moves by its own spacing from frame to frame; only the flow tells that from standing still.
    """

    place: Float = field(default_factory=lambda: np.zeros((0, 2)))
    speed: Float = field(default_factory=lambda: np.zeros((0, 2)))
    size: Float = field(default_factory=lambda: np.zeros(0))

    def note(self, place: Float, speed: Float, size: Float) -> None:
        """Remember some (N,2), (N,2), (N,); forget the oldest."""
        self.place = np.concatenate([self.place, place])[-FLOW_NOTES:]
        self.speed = np.concatenate([self.speed, speed])[-FLOW_NOTES:]
        self.size = np.concatenate([self.size, size])[-FLOW_NOTES:]

    def expect(self, place: Float, size: Float, fastest: float) -> tuple[Float, Float]:
        """Return mean and variance (N,2) of the speed in sizes/s of what begins at a place (N,2)."""
        far = (place[:, None] - self.place) / np.exp(size)[:, None, None]  # (N,F,2)
        like = (far * far).sum(axis=2) + ((size[:, None] - self.size) / 0.5) ** 2
        weight = np.exp(-like / 2)[..., None]  # (N,F,1)
        total = weight.sum(axis=1) + FLOW_DOUBT  # (N,1)
        mean = (weight * self.speed).sum(axis=1) / total
        spread = (weight * (self.speed - mean[:, None]) ** 2).sum(axis=1)
        return mean, (spread + FLOW_DOUBT * (fastest**2 + mean**2)) / total


@dataclass(slots=True)
class Tracker:
    """Follow objects over time. `confident` and `weak` are confidences; the rest is in sizes and seconds."""

    confident: float = 0.25  # at least this to begin a track
    weak: float = 0.1  # at least this to go on with one
    keep: float = 2.0  # seconds that an unseen confirmed track is remembered
    doubt: float = 0.6  # the same for one that is not confirmed, but for two frames at least
    evidence: float = 0.7  # sum of confidences that confirms
    jitter: float = 0.07  # how far a detection is off: share of the size
    agility: float = 1.0  # how fast speed wanders: sizes/s per square root of a second
    fastest: float = 4.0  # what a new object's speed may be, one sigma: sizes/s
    gate: float = 5.0  # sigmas
    _state: _State = field(init=False, repr=False)
    _flow: _Flow = field(default_factory=_Flow, init=False, repr=False)
    _now: float = field(default=-np.inf, init=False)
    _step: float = field(default=0.0, init=False)
    _next: int = field(default=1, init=False)
    _size: tuple[int, int] | None = field(default=None, init=False)
    _ended: Int = field(default_factory=lambda: _NONE, init=False, repr=False)

    def __post_init__(self) -> None:
        self._state = self._born(Detections.empty(), 0.0)

    def __len__(self) -> int:
        """Return how many tracks are remembered, confirmed or not."""
        return len(self._state.number)

    def update(
        self, detections: Detections, at_seconds: float, frame_size: tuple[int, int] | None = None
    ) -> Tracks:
        """Take one frame's detections; return what is confirmed and matched now.

        `frame_size` (width, height), where known, ends tracks that left the picture, and rescales all when it
        changes. Raises ValueError if the time does not grow.
        """
        if not at_seconds > self._now:
            raise ValueError(f"time must grow: {at_seconds} after {self._now}")
        step, self._now = at_seconds - self._now, at_seconds
        self._step += 0.2 * (min(step, 0.5) - self._step) if np.isfinite(step) else 0.0
        self._resize(frame_size)
        found = self._usable(detections)
        ended = self._expire()
        if len(self):
            self._predict(step)
        rows, columns = self._associate(found)
        self._correct(rows, found[columns])
        self._note(rows)
        fresh = np.setdiff1d(np.flatnonzero(found.confidence >= self.confident), columns)
        self._confirm()
        tracks = self._tracks(rows, found[columns])
        self._ended = np.sort(np.concatenate([ended, self._leave()]))
        self._state = self._state.join(self._born(found[fresh], at_seconds))
        return replace(tracks, ended=self._ended)

    def ended(self) -> list[int]:
        """Return the numbers of the confirmed tracks that the last update ended."""
        return [int(number) for number in self._ended]

    def clear(self) -> Int:
        """Forget all tracks (at the seam of a loop); return the numbers of the confirmed ones."""
        ended = self._state.number[self._state.number > 0]
        self._state = self._born(Detections.empty(), 0.0)
        return ended

    # ── one step each, in the order of `update` ───────────────────────────────────────────────────

    def _resize(self, size: tuple[int, int] | None) -> None:
        if size is not None and self._size is not None and size != self._size:
            scale = np.array(size, np.float64) / self._size
            state = self._state
            state.mean[:, :2] *= scale
            state.mean[:, 2:] += np.log(scale)
            state.speed[:, :2] *= scale
            for each in (state.var, state.cov, state.speed_var):
                each[:, :2] *= scale**2
            state.origin *= np.tile(scale, 2).astype(np.float32)
            state.noted *= scale
            self._flow = _Flow()
        self._size = size or self._size

    def _usable(self, detections: Detections) -> Detections:
        """Drop broken and weak boxes, and the worse of two that are one object under two classes."""
        extent = detections.xyxy[:, 2:] - detections.xyxy[:, :2]
        fine = np.isfinite(detections.xyxy).all(axis=1) & (extent > 0).all(axis=1)
        fine &= detections.confidence >= self.weak
        best = detections[np.flatnonzero(fine)]
        best = best[np.argsort(-best.confidence, kind="stable")]
        twin = np.triu(iou(best.xyxy, best.xyxy) > 0.75, 1).any(axis=0)
        return best[np.flatnonzero(~twin)]

    def _expire(self) -> Int:
        """End what was not seen for too long; return the confirmed numbers among it."""
        state = self._state
        limit = np.where(state.number > 0, self.keep, self._patience())
        return self._end(self._now - state.seen > limit)

    def _patience(self) -> float:
        return max(self.doubt, 2.2 * self._step)

    def _leave(self) -> Int:
        """End what has left the picture by its own motion."""
        if self._size is None:
            return _NONE
        center, unseen = self._state.mean[:, :2], self._now - self._state.seen
        out = ((center < 0) | (center > np.array(self._size))).any(axis=1)
        return self._end(out & (unseen > 0.1))

    def _end(self, gone: Bool) -> Int:
        if not gone.any():
            return _NONE
        numbers = self._state.number[gone]
        self._state = self._state.take(~gone)
        return numbers[numbers > 0]

    def _predict(self, step: float) -> None:
        state = self._state
        wander = (self.agility * self._scale(state.mean)) ** 2  # (T,4)
        state.frames += 1
        state.mean = state.mean + step * state.speed
        state.var = state.var + 2 * step * state.cov + step**2 * state.speed_var + wander * step**3 / 3
        state.cov = state.cov + step * state.speed_var + wander * step**2 / 2
        state.speed_var = state.speed_var + wander * step

    def _associate(self, found: Detections) -> tuple[Int, Int]:
        """Return rows of tracks and columns of detections that belong together."""
        if not len(self) or not len(found):
            return _NONE, _NONE
        cost = self._cost(found)
        strong = found.confidence >= self.confident
        rows, columns = _assign(cost, np.arange(len(self)), np.flatnonzero(strong))
        recent = (self._state.number > 0) & (self._now - self._state.seen < self._patience())
        recent[rows] = False
        more_rows, more_columns = _assign(cost, np.flatnonzero(recent), np.flatnonzero(~strong))
        return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])

    def _cost(self, found: Detections) -> Float:
        """Return how unlikely each pair (T,D) is: twice its negative log likelihood, heavy tailed."""
        state, seen = self._state, _channels(found.xyxy)
        scale = self._scale(seen)  # (D,4)
        noise = (self.jitter * scale * _NOISE) ** 2
        squared, room = np.zeros((len(self), len(found))), np.ones((len(self), len(found)))
        for channel in range(4):  # one (T,D) plane after the other is several times faster than (T,D,4)
            off = seen[:, channel] - state.mean[:, channel, None]
            spread = state.var[:, channel, None] + noise[:, channel]
            squared += off * off / spread
            if channel < 2:
                room *= spread / scale[:, channel] ** 2
        cost = 8 * np.log1p(squared / 4) + np.log(room)
        cost += np.where(state.kind[:, None] == found.class_id, 0.0, 2.0)
        overlap = iou(_boxes(state.mean), found.xyxy)
        return np.where((squared < self.gate**2) | (overlap > 0.3), cost, _NEVER)

    def _correct(self, rows: Int, found: Detections) -> None:
        """Blend the matched detections into their tracks."""
        state, seen = self._state, _channels(found.xyxy)
        noise = (self.jitter * self._scale(seen) * _NOISE) ** 2
        total = state.var[rows] + noise
        gain, speed_gain = state.var[rows] / total, state.cov[rows] / total
        off = seen - state.mean[rows]
        state.mean[rows] += gain * off
        state.speed[rows] += speed_gain * off
        state.speed_var[rows] -= speed_gain * state.cov[rows]
        state.cov[rows] *= 1 - gain
        state.var[rows] *= 1 - gain
        state.seen[rows] = self._now
        state.hits[rows] += 1
        state.evidence[rows] += found.confidence
        state.kind[rows] = found.class_id

    def _note(self, rows: Int) -> None:
        """Let the flow know of the sure tracks that have gone on by their own size."""
        state = self._state
        rows = rows[state.hits[rows] >= FLOW_SURE]
        unit = self._scale(state.mean[rows])[:, :2]  # (N,2)
        gone = np.linalg.norm((state.mean[rows, :2] - state.noted[rows]) / unit, axis=1)
        rows, unit = rows[gone >= 1], unit[gone >= 1]
        place = state.mean[rows, :2]
        self._flow.note(place, state.speed[rows, :2] / unit, np.log(unit[:, 0]))
        state.noted[rows] = place

    def _confirm(self) -> None:
        """Give numbers to what was seen often, long and surely enough."""
        state = self._state
        often = (state.hits >= 3) | ((state.hits >= 2) & (state.seen - state.born >= 0.2 - 1e-6))
        often &= 2 * state.hits >= state.frames
        new = np.flatnonzero((state.number == 0) & often & (state.evidence >= self.evidence))
        state.number[new] = self._next + np.arange(len(new))
        self._next += len(new)

    def _tracks(self, rows: Int, found: Detections) -> Tracks:
        told = np.flatnonzero(self._state.number[rows] > 0)
        told = told[np.argsort(self._state.number[rows[told]])]
        state, found = self._state.take(rows[told]), found[told]
        return Tracks(
            xyxy=found.xyxy,
            track_id=state.number,
            confidence=found.confidence,
            class_id=found.class_id,
            origin=state.origin,
            since=state.born,
        )

    def _born(self, found: Detections, now: float) -> _State:
        seen, count = _channels(found.xyxy), len(found)
        scale = self._scale(seen)
        speed = np.zeros((count, 4))
        speed_var = (self.fastest * scale * 0.15) ** 2
        mean, var = self._flow.expect(seen[:, :2], np.log(scale[:, 0]), self.fastest)
        speed[:, :2], speed_var[:, :2] = mean * scale[:, :2], var * scale[:, :2] ** 2
        return _State(
            mean=seen,
            speed=speed,
            var=(self.jitter * scale * _NOISE) ** 2,
            cov=np.zeros((count, 4)),
            speed_var=speed_var,
            number=np.zeros(count, np.int64),
            born=np.full(count, now),
            seen=np.full(count, now),
            frames=np.ones(count, np.int64),
            hits=np.ones(count, np.int64),
            evidence=found.confidence.astype(np.float64),
            kind=found.class_id.copy(),
            origin=found.xyxy.copy(),
            noted=seen[:, :2].copy(),
        )

    @staticmethod
    def _scale(channels: Float) -> Float:
        """Return the unit (N,4) of each channel: the object's size in pixels, and 0.3 for the logs."""
        size = np.exp(channels[:, 2:].sum(axis=1) / 2)
        return np.stack([size, size, np.full(len(size), 0.3), np.full(len(size), 0.3)], axis=1)


_NOISE = np.array([1.0, 1.0, 8.0, 8.0])  # sizes are hidden and cut off far more than places


def _channels(xyxy: Float32) -> Float:
    """Return (N,4) centre x, centre y, log width, log height."""
    box = xyxy.astype(np.float64)
    low, high = box[:, :2], box[:, 2:]
    return np.concatenate([(low + high) / 2, np.log(np.maximum(high - low, 1e-3))], axis=1)


def _boxes(channels: Float) -> Float32:
    """Return (N,4) left, top, right, bottom."""
    half = np.exp(channels[:, 2:]) / 2
    return np.concatenate([channels[:, :2] - half, channels[:, :2] + half], axis=1).astype(np.float32)


# ── assignment ────────────────────────────────────────────────────────────────────────────────────

MISS = 14.0  # what it costs to leave a track without a detection: a worse pair is none


def _assign(cost: Float, rows: Int, columns: Int) -> tuple[Int, Int]:
    """Return the pairs of the cheapest assignment among some rows and columns of `cost`."""
    if not len(rows) or not len(columns):
        return _NONE, _NONE
    part = cost[np.ix_(rows, columns)]
    one, two = assign(part, MISS)
    return rows[one], columns[two]


def assign(cost: Float, miss: float) -> tuple[Int, Int]:
    """Return the pairs (rows, columns) of the cheapest assignment of `cost` (N,M), where a row without a
    column costs `miss`. Exact.

    Each row starts with its cheapest column (feasible duals); only rows that were beaten to it search on, by
    the shortest augmenting path. Each row also has a column of its own that stands for "none".
    """
    count, width = cost.shape
    wide = np.full((count, width + count), _NEVER)
    wide[:, :width] = np.where(cost < miss, cost, _NEVER)
    wide[np.arange(count), width + np.arange(count)] = miss
    price = np.zeros(width + count)
    column = wide.argmin(axis=1)
    owner = np.full(width + count, -1, np.int64)
    owner[column[::-1]] = np.arange(count)[::-1]
    taken = owner[column] == np.arange(count)
    column[~taken] = -1
    base = wide.min(axis=1)
    for row in np.flatnonzero(~taken):
        _augment(wide, int(row), column, owner, base, price)
    rows = np.flatnonzero(column < width)
    return rows, column[rows]


def _augment(wide: Float, row: int, column: Int, owner: Int, base: Float, price: Float) -> None:
    """Find a column for `row` along the shortest path of swaps; all arrays are changed in place."""
    far = wide[row] - base[row] - price  # reduced costs, >= 0
    before = np.full(len(far), row)
    done = np.zeros(len(far), np.bool_)
    while True:
        nearest = int(np.where(done, np.inf, far).argmin())
        if owner[nearest] < 0:
            break
        done[nearest] = True
        via = owner[nearest]
        through = far[nearest] + wide[via] - base[via] - price
        better = ~done & (through < far)
        far[better], before[better] = through[better], via
    reached = far[nearest]
    price[done] += far[done] - reached
    base[row] += reached
    base[owner[done]] += reached - far[done]
    while True:
        via = int(before[nearest])
        owner[nearest] = via
        nearest, column[via] = int(column[via]), nearest
        if via == row:
            return
