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

from agent import wire
from agent.count import geometry
from agent.count.object_table import GAP_SECONDS, Bool, Columns, Float, Int, Moves, ObjectTable, carry
from agent.count.paths import START

OUT, COMING, IN, GOING = range(4)
NOT_COUNTED = -2
STAY_SECONDS = 0.5  # so long inside or outside is no passing by
QUEUE_SECONDS = 3.0  # who stands so long is in a queue


@dataclass(frozen=True, slots=True)
class Moved:
    """What a frame changed: (row, zone) of those that came in, (M,2), and of those that left, (K,2)."""

    came: Int
    left: Int


_NOTHING = Moved(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))


class _Places(Columns):
    phase: Int  # (R,Z) where each object is: OUT, COMING, IN or GOING
    entered: Float  # (R,Z) time when it came in
    edge: Float  # (R,Z) time when it went out
    came: Int  # (R,Z) the class under which it was counted in, NOT_COUNTED: not yet

    @classmethod
    def of(cls, zones: int, count: int) -> _Places:
        """Return blank rows for so many zones."""
        rows = cls(
            phase=np.zeros(zones, np.int64),
            entered=np.full(zones, np.nan),
            edge=np.full(zones, np.nan),
            came=np.full(zones, NOT_COUNTED),
        )
        rows.reach(count)
        return rows


class Zones:
    """A camera's zones by name, and who is in them."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, wire.Zone]] = []
        self._rows = _Places.of(0, START)
        self.prepare(1.0)

    def __len__(self) -> int:
        return len(self.drawn)

    def draw(self, drawn: Sequence[tuple[str, wire.Zone]], aspect: float) -> None:
        """Take other zones; what did not change goes on."""
        old = self._rows
        before = self.drawn
        self.drawn = list(drawn)
        self._rows = _Places.of(len(drawn), len(old))
        self._rows.phase = carry(old.phase, before, drawn, OUT)
        self._rows.entered = carry(old.entered, before, drawn, np.nan)
        self._rows.edge = carry(old.edge, before, drawn, np.nan)
        self._rows.came = carry(old.came, before, drawn, NOT_COUNTED)
        self.prepare(aspect)

    def prepare(self, aspect: float) -> None:
        """Make the zones ready for a frame's aspect."""
        self._areas = geometry.Areas([zone.points for _, zone in self.drawn], aspect)
        self._anchor = np.array([zone.anchor != "bottom" for _, zone in self.drawn], np.int64)

    def forget(self, rows: Int) -> None:
        """Make rows free."""
        self._rows.clear(rows)

    @property
    def counted(self) -> Bool:
        """Return who is counted into which zone (R,Z)."""
        return np.asarray(self._rows.came != NOT_COUNTED, np.bool_)

    def inside(self, row: int) -> list[int]:
        """Return the zones in which an object is."""
        return [int(place) for place in np.flatnonzero(self._rows.phase[row] >= IN)]

    def come(self, row: int, place: int, kind: int) -> float:
        """Count an object into a zone as of a class; return when it came in."""
        self._rows.came[row, place] = kind
        return float(self._rows.entered[row, place])

    def leave(self, row: int, place: int, seen: float) -> tuple[int, float, float]:
        """Count an object out that was seen last at `seen`.

        Returns the class under which it came, and when it came in and went out.
        """
        rows = self._rows
        kind = int(rows.came[row, place])
        rows.came[row, place] = NOT_COUNTED
        last = seen if rows.phase[row, place] == IN else float(rows.edge[row, place])
        return kind, float(rows.entered[row, place]), last

    def see(self, objects: ObjectTable, moves: Moves) -> Moved:
        """Take a frame's moves; return who came into a zone and who has left one."""
        self._rows.reach(len(objects))
        rows = moves.rows
        now = objects.now
        if not self.drawn or not len(rows):
            return _NOTHING
        after = objects.spot[rows]
        spots = after[:, self._anchor]  # (N,Z,2)
        inside = self._areas.inside(spots)
        open_ = (self._rows.phase[rows] != inside * IN).any(axis=1)
        open_ |= (np.abs(after - moves.before) > self._areas.least / 2).any(
            axis=(1, 2)
        )  # perhaps in and out again
        if not open_.any():
            return _NOTHING
        rows = rows[open_]
        inside = inside[open_]
        since = moves.since[open_, None]
        spots = spots[open_]
        before = moves.before[open_][:, self._anchor]
        margin = geometry.margins(objects.size[rows])[:, None]
        first, last = self._areas.met(before, spots)
        passed = self._passed(rows, before, spots, (first, last), margin)
        blind = now - since > GAP_SECONDS  # then it came late, and left early, for all that is known
        at = since + np.where(np.isnan(last), inside == blind, last) * (now - since)
        moved = self._step(rows, inside, self._areas.away(spots) >= margin, at, now)
        if not passed.any():
            return moved
        self._rows.entered[rows] = np.where(passed, since + first * (now - since), self._rows.entered[rows])
        self._rows.edge[rows] = np.where(passed, at, self._rows.edge[rows])
        both = _pairs(rows, passed)
        return Moved(np.concatenate([moved.came, both]), np.concatenate([moved.left, both]))

    def _passed(
        self, rows: Int, before: Float, spots: Float, met: tuple[Float, Float], margin: Float
    ) -> Bool:
        """Say who was in a zone (N,Z) between two frames only, and clear of its border on the way.

        `met`: where on the way the border was met first and last, (N,Z) each.
        """
        first, last = met
        middle = before + np.nan_to_num(first + last)[..., None] / 2 * (spots - before)
        clear = self._areas.away(middle) >= margin
        through = (first < last) & clear & self._areas.inside(middle)
        outside = (self._rows.phase[rows] == OUT) & ~self._areas.inside(spots)
        return np.asarray(through & outside, np.bool_)

    def _step(self, rows: Int, inside: Bool, clear: Bool, at: Float, now: float) -> Moved:
        """Go on with those for which something is open, (N,Z) each; if now, they met the border `at` then."""
        phase = self._rows.phase[rows]
        entered = np.where(inside & (phase == OUT), at, self._rows.entered[rows])
        edge = np.where(~inside & (phase == IN), at, self._rows.edge[rows])
        came = inside & (phase <= COMING) & (clear | (now - entered >= STAY_SECONDS))
        left = ~inside & (phase >= IN) & clear & (now - edge >= STAY_SECONDS)
        stays = (phase >= IN) | came
        going = np.where(left, OUT, GOING)
        coming = np.where(inside, COMING, OUT)
        self._rows.phase[rows] = np.where(stays, np.where(inside, IN, going), coming)
        self._rows.edge[rows] = edge
        self._rows.entered[rows] = entered
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
        seen = self.frames
        mean = self.sum / self.seconds if self.seconds else self.now
        rows = np.rint(np.stack([100 * mean, self.peak, self.now])).astype(np.int64)  # (3,2,Z)
        self.seconds = 0.0
        self.frames = 0
        self.sum = np.zeros_like(self.sum)
        self.peak = self.now
        return [
            wire.ZoneMinute(name, zone.version, *rows[:, 0, place].tolist(), *rows[:, 1, place].tolist())
            for place, (name, zone) in enumerate(drawn if seen else [])
        ]
