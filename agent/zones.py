"""Who is in which zone: when it came and left, how many are there, how many of them stand.

What always holds: what was counted in is counted out under the same label, when it leaves or ends. So
`entered` less `left` is how many are there. A moment outside ends no stay, and what trembles on the border
neither comes nor goes: both need that it is clear of the border, as with lines.

    OUT ──▶ COMING ──▶ IN ──▶ GOING ──▶ OUT          COMING: inside, but not clear of the border, nor for long
     ▲         │        ▲       │                    GOING:  outside, but not clear of it, or not for long
     └─────────┘        └───────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from agent import geometry, wire
from agent.objects import Bool, Float, Int, Objects, carry

OUT, COMING, IN, GOING = range(4)
STAY_SECONDS = 0.5  # so long inside or outside is no passing by
QUEUE_SECONDS = 3.0  # who stands so long is in a queue
GAP_SECONDS = 3.0  # a longer step between two frames was not watched


@dataclass(frozen=True, slots=True)
class Moved:
    """What a frame changed: (row, zone) of those that came in, (M,2), and of those that left, (K,2)."""

    came: Int
    left: Int


_NOTHING = Moved(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))


class Zones:
    """A camera's zones by name, ready for one aspect."""

    def __init__(self, drawn: Sequence[tuple[str, wire.Zone]], aspect: float = 1.0) -> None:
        self.drawn = list(drawn)
        self._areas = geometry.Areas([zone.points for _, zone in drawn], aspect)
        self._anchor = np.array([zone.anchor != "bottom" for _, zone in drawn], np.int64)

    def __len__(self) -> int:
        return len(self.drawn)

    def see(self, things: Objects, rows: Int, before: Float, since: Float, now: float) -> Moved:
        """Take where objects are now. `before` (N,2,2): where their anchors were at `since` (N,)."""
        after = things.spot[rows]
        spots = after[:, self._anchor]  # (N,Z,2)
        inside = self._areas.inside(spots)
        open_ = (things.phase[rows] != inside * IN).any(axis=1)
        open_ |= (np.abs(after - before) > self._areas.least / 2).any(axis=(1, 2))  # perhaps in and out again
        if not open_.any():
            return _NOTHING
        rows, inside, since, spots = rows[open_], inside[open_], since[open_, None], spots[open_]
        before = before[open_][:, self._anchor]
        first, last = self._areas.met(before, spots)
        passed = self._passed(things, rows, before, spots, first, last)
        blind = now - since > GAP_SECONDS  # then it came late, and left early, for all that is known
        at = since + np.where(np.isnan(last), inside == blind, last) * (now - since)
        moved = self._step(things, rows, inside, self._areas.away(spots), at, now)
        if not passed.any():
            return moved
        things.entered[rows] = np.where(passed, since + first * (now - since), things.entered[rows])
        things.edge[rows] = np.where(passed, at, things.edge[rows])
        both = _pairs(rows, passed)
        return Moved(np.concatenate([moved.came, both]), np.concatenate([moved.left, both]))

    def _passed(
        self, things: Objects, rows: Int, before: Float, spots: Float, first: Float, last: Float
    ) -> Bool:
        """Say who was in a zone (N,Z) between two frames only, and clear of its border on the way."""
        middle = before + np.nan_to_num(first + last)[..., None] / 2 * (spots - before)
        clear = self._areas.away(middle) >= geometry.margins(things.size[rows])[:, None]
        through = (first < last) & clear & self._areas.inside(middle)
        return np.asarray(through & (things.phase[rows] == OUT) & ~self._areas.inside(spots), np.bool_)

    def _step(self, things: Objects, rows: Int, inside: Bool, away: Float, at: Float, now: float) -> Moved:
        """Go on with those for which something is open. `at` (N,Z): when they met the border, if now."""
        phase, edge, entered = things.phase[rows], things.edge[rows], things.entered[rows]
        clear = away >= geometry.margins(things.size[rows])[:, None]
        entered = np.where(inside & (phase == OUT), at, entered)
        edge = np.where(~inside & (phase == IN), at, edge)
        came = inside & (phase <= COMING) & (clear | (now - entered >= STAY_SECONDS))
        left = ~inside & (phase >= IN) & clear & (now - edge >= STAY_SECONDS)
        stays = (phase >= IN) | came
        phase = np.where(
            stays, np.where(inside, IN, np.where(left, OUT, GOING)), np.where(inside, COMING, OUT)
        )
        things.phase[rows], things.edge[rows], things.entered[rows] = phase, edge, entered
        return Moved(_pairs(rows, came), _pairs(rows, left))


def _pairs(rows: Int, which: Bool) -> Int:
    """Return (row, zone) where `which` (N,Z) is set."""
    found = np.argwhere(which)
    return np.stack([rows[found[:, 0]], found[:, 1]], axis=1)


@dataclass(slots=True)
class Meter:
    """How full Z zones were in the minute that runs, weighted by the time that was watched.

    Columns of two rows: who is in a zone, and who stands in it.
    """

    seconds: float = 0.0
    frames: int = 0
    now: Float = field(default_factory=lambda: np.zeros((2, 0)))
    sum: Float = field(default_factory=lambda: np.zeros((2, 0)))  # object seconds
    peak: Float = field(default_factory=lambda: np.zeros((2, 0)))

    def carry(self, before: Sequence[tuple[str, wire.Zone]], after: Sequence[tuple[str, wire.Zone]]) -> None:
        """Go on with the zones that are still the same."""
        self.now, self.sum, self.peak = (
            carry(each, before, after, 0.0) for each in (self.now, self.sum, self.peak)
        )

    def see(self, there: Bool, still: Float, step: float) -> None:
        """Take who is there (R,Z) and for how long each has stood (R,); `step`: since the last frame."""
        if 0 < step <= GAP_SECONDS:
            self.sum += step * self.now
            self.seconds += step
        self.now = (
            np.stack([there.sum(axis=0), (there & (still >= QUEUE_SECONDS)[:, None]).sum(axis=0)]) * 1.0
        )
        self.peak = np.maximum(self.peak, self.now)
        self.frames += 1

    def take(self, drawn: Sequence[tuple[str, wire.Zone]]) -> list[wire.ZoneMinute]:
        """Return the minute's rows, none if nothing was watched, and begin anew."""
        seen, mean = self.frames, self.sum / self.seconds if self.seconds else self.now
        rows = np.rint(np.stack([100 * mean, self.peak, self.now])).astype(np.int64)  # (3,2,Z)
        self.seconds, self.frames = 0.0, 0
        self.sum, self.peak = np.zeros_like(self.sum), self.now
        return [
            wire.ZoneMinute(name, zone.version, *rows[:, 0, place].tolist(), *rows[:, 1, place].tolist())
            for place, (name, zone) in enumerate(drawn if seen else [])
        ]
