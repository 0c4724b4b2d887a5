"""Who crossed which line: passes of an anchor, and the doubts about each.

Invariants: a crossing is told once, with the moment at which the line was passed, however much later it is
decided; what is undone within QUIET seconds is no crossing; what was not watched is not guessed. The same
rules count live and over a path that was stored.

      a pass          clear of the line,          QUIET seconds without       surely seen
    ─────────▶ pending ──────────────────▶ held ─────────────────────▶ due ────────────────▶ Passed
                        also steadily        │  a way back: neither was         (else it is dropped)
                                             └────────────────────────▶ nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from agent import wire
from agent.count import geometry
from agent.count.object_table import Bool, Columns, Float, Int, Moves, ObjectTable, carry
from agent.count.path import AROUND_SECONDS, GOING, GOING_SECONDS, going, steady_moment
from agent.count.paths import START

QUIET = 1.0  # seconds: what is undone so soon was swaying on the line, or an edge that flickers
SURE_SECONDS = 1.0  # to each side of a crossing: over all frames there, the mean confidence must be
SURE = 0.34  # so much, where the object got no further than the line,
FAR = 0.9  # and less by this power of e for each size that it got away from it, on both sides
LATER = 3.0  # seconds after a crossing: until then a doubtful one may still become sure
STEP = 0.5  # seconds: a stored path is read at least so often


ANCHORS = ("bottom", "center")


@dataclass(frozen=True, slots=True)
class Passed:
    """A crossing: whose row, which line under which name, in which direction, and when (seconds)."""

    row: int
    name: str
    line: wire.Line
    way: wire.Direction
    at: float


class _Crossings(Columns):
    pending: Int  # (R,L) net passes of which the anchor is not clear yet
    passed: Float  # (R,L) time of the last pass
    held: Int  # (R,L) 1 AB, -1 BA: a crossing that is clear, and may yet be undone
    at: Float  # (R,L) its time
    look: Float  # (R,L) time when it is decided

    @classmethod
    def of(cls, lines: int, count: int) -> _Crossings:
        """Return blank rows for so many lines."""
        rows = cls(
            pending=np.zeros(lines, np.int64),
            passed=np.zeros(lines),
            held=np.zeros(lines, np.int64),
            at=np.zeros(lines),
            look=np.zeros(lines),
        )
        rows.reach(count)
        return rows


class Lines:
    """A camera's lines by name, and what each object does at them.

    `about_state`: the labels are states, as of masks; then a doubtful sight counts too.
    """

    def __init__(self, about_state: bool = False) -> None:
        self.drawn: list[tuple[str, wire.Line]] = []
        self._about_state = about_state
        self._rows = _Crossings.of(0, START)
        self.prepare(1.0)

    def __len__(self) -> int:
        return len(self.drawn)

    def draw(self, drawn: Sequence[tuple[str, wire.Line]], aspect: float) -> None:
        """Take other lines; what did not change goes on, what is new starts from where objects are now."""
        before = self.drawn
        old = self._rows
        self.drawn = sorted(drawn, key=lambda item: (ANCHORS.index(item[1].anchor), item[0]))
        self._rows = _Crossings.of(len(self.drawn), len(old))
        self._rows.pending = carry(old.pending, before, self.drawn, 0)
        self._rows.passed = carry(old.passed, before, self.drawn, 0.0)
        self._rows.held = carry(old.held, before, self.drawn, 0)
        self._rows.at = carry(old.at, before, self.drawn, 0.0)
        self._rows.look = carry(old.look, before, self.drawn, 0.0)
        self.prepare(aspect)

    def prepare(self, aspect: float) -> None:
        """Make the lines ready for a frame's aspect; those on the bottom centre come first."""
        self._aspect = aspect
        self._alone = [geometry.Gates([line.points], aspect) for _, line in self.drawn]
        self._on: list[tuple[int, geometry.Gates]] = []
        for anchor, kind in enumerate(ANCHORS):
            points = [line.points for _, line in self.drawn if line.anchor == kind]
            if points:
                self._on.append((anchor, geometry.Gates(points, aspect)))

    def forget(self, rows: Int) -> None:
        """Make rows free."""
        self._rows.clear(rows)

    # ── one frame ─────────────────────────────────────────────────────────────────────────────────

    def see(self, objects: ObjectTable, moves: Moves) -> list[Passed]:
        """Take a frame's moves; return what is decided now."""
        self._rows.reach(len(objects))
        if not self._on:
            return []
        after = objects.spot[moves.rows]
        open_ = (self._sides(moves.before) != self._sides(after)).any(axis=1)
        open_ |= (self._rows.pending[moves.rows] != 0).any(axis=1)
        passed = self._pass(objects, moves.some(open_)) if open_.any() else []
        return passed + self._due(objects)

    def _sides(self, spots: Float) -> Bool:
        """Return on which side (N,S) of all pieces of lines anchors (N,2,2) are."""
        return np.concatenate([gates.sides(spots[:, anchor]) for anchor, gates in self._on], axis=1)

    def _pass(self, objects: ObjectTable, moves: Moves) -> list[Passed]:
        """Add up the passes, and hold the crossings of which both anchors are clear on one side."""
        rows = moves.rows
        after = objects.spot[rows]
        net, share, away = self._passes(moves.before, after)
        apart, _, far = self._passes(after, moves.settled)
        share = geometry.moment(share, moves.box, objects.box[rows])
        at = moves.since[:, None] + share * (objects.now - moves.since)[:, None]
        passed = np.where(net != 0, at, self._rows.passed[rows])
        margin = geometry.margins(objects.size[rows])[:, None]
        away = np.where((apart == 0) & (far >= margin), away, 0.0)
        pending, told = geometry.settle(self._rows.pending[rows], net, away, margin)
        self._rows.passed[rows] = passed
        self._rows.pending[rows] = pending
        return self._hold(objects, rows, np.sign(told), passed)

    def _passes(self, before: Float, after: Float) -> tuple[Int, Float, Float]:
        """Return net passes, share of the move and distance, (N,L) each, of moves (N,2,2) of both anchors."""
        parts = [gates.passes(before[:, anchor], after[:, anchor]) for anchor, gates in self._on]
        net, share, away = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
        return net.astype(np.int64), share, away

    def _hold(self, objects: ObjectTable, rows: Int, told: Int, at: Float) -> list[Passed]:
        """Hold new crossings (N,L); one that follows its opposite within the time of quiet undoes both.

        Returns those of the older ones that are told: they have no more time.
        """
        held = self._rows.held[rows]
        undone = (told == -held) & (held != 0) & (at - self._rows.at[rows] < QUIET)
        older = np.argwhere((told != 0) & (held != 0) & ~undone).tolist()
        found = [self._decide(objects, int(rows[index]), line) for index, line in older]
        at = np.where(told != 0, at, self._rows.at[rows])
        self._rows.at[rows] = at
        self._rows.look[rows] = np.where(told != 0, at + QUIET, self._rows.look[rows])
        self._rows.held[rows] = np.where(undone, 0, np.where(told != 0, told, held))
        return [each for each in found if each]

    def _due(self, objects: ObjectTable) -> list[Passed]:
        """Decide what nothing can undo any more; what is doubtful is looked at once more, later."""
        state = self._rows
        undoing = (state.pending != 0) & (state.passed - state.at < QUIET)
        seen_on = objects.seen[:, None] - state.at >= QUIET  # else it is decided when the object ends
        due = (state.held != 0) & seen_on & (objects.now >= state.look) & ~undoing
        found: list[Passed] = []
        for row, line in np.argwhere(due).tolist():
            passed = self._decide(objects, row, line)
            last = state.at[row, line] + LATER
            if passed is None and state.look[row, line] < last:
                state.look[row, line] = last
                continue
            state.held[row, line] = 0
            found += [passed] if passed else []
        return found

    # ── the last of an object ─────────────────────────────────────────────────────────────────────

    def finish(self, objects: ObjectTable, row: int, blind: bool) -> list[Passed]:
        """Decide what an object has crossed, and what it was about to cross, when it was seen last.

        Who was not seen for the time of quiet after a crossing must have been on the way. If nobody watched
        when it was lost (`blind`), it has crossed only what it was clear of. What is left is forgotten.
        """
        pending = self._rows.pending[row : row + 1]
        moving = self._moving(objects, row)
        going = moving & (pending != 0)
        if blind and going.any():
            spot = objects.spot[row : row + 1]
            going &= self._passes(spot, spot)[2] >= geometry.margins(objects.size[row])
        told = np.where(going, np.sign(pending), 0)
        passed = self._hold(objects, np.array([row]), told, self._rows.passed[row : row + 1])
        stayed = objects.seen[row] - self._rows.at[row] >= QUIET
        held = np.flatnonzero((self._rows.held[row] != 0) & (stayed | moving)).tolist()
        found = [self._decide(objects, row, line, ended=bool(going[0, line])) for line in held]
        self._rows.clear(np.array([row]))
        return passed + [each for each in found if each]

    def _moving(self, objects: ObjectTable, row: int) -> bool:
        """Say whether an object was on its way when it was seen last."""
        path = objects.paths.recent(row, float(objects.seen[row]) - 2 * GOING_SECONDS)
        far = GOING * float(geometry.margins(objects.size[row]))
        return going(path, far, self._aspect)

    def _decide(self, objects: ObjectTable, row: int, line: int, ended: bool = False) -> Passed | None:
        """Return a held crossing at its moment, or None where it is doubtful that there was any.

        Who was on the way when it `ended` got only a little over the line, and both sides do not say when.
        """
        name, drawn = self.drawn[line]
        at = float(self._rows.at[row, line])
        way: wire.Direction = "AB" if self._rows.held[row, line] > 0 else "BA"
        anchor = ANCHORS.index(drawn.anchor)
        path = objects.paths.recent(row, at - AROUND_SECONDS)
        path[:, 1:] += objects.spot[row, anchor] - objects.spot[row, 0]
        moment, reach = steady_moment(path, self._alone[line], way, at)
        sure = objects.paths.seen(row, at, SURE_SECONDS, objects.now, objects.frame)
        sizes = reach / max(float(objects.size[row]), 1e-9)
        if sure < SURE * np.exp(-FAR * sizes) and not self._about_state:
            return None
        return Passed(row, name, drawn, way, at if ended or anchor else moment)


def crossings_of_path(
    path: ArrayLike, points: geometry.Points, margin: float = geometry.MARGIN, aspect: float = 1.0
) -> list[tuple[float, wire.Direction]]:
    """Count a line afterwards, on a path (N,3) of [seconds, x, y] of bottom centres, with the live rules.

    `margin`: how far, in frame heights, is clear of the line. Two doubts of the live count need what a path
    does not keep: each point is taken to be surely seen, and its box not to flicker. Returns the time and
    direction of each crossing. Raises ValueError if the line has fewer than 2 or more than 8 points.
    """
    track = _filled(np.asarray(path, np.float64).reshape(-1, 3))
    if not geometry.Gates([points], aspect).passes(track[:-1, 1:], track[1:, 1:])[0].any():
        return []  # most paths do not meet the line
    objects = ObjectTable()
    lines = Lines()
    objects.paths.aspect = aspect
    lines.draw([("line", wire.Line(points=list(points)))], aspect)
    size = max(margin, geometry.MARGIN_LEAST) / geometry.MARGIN_SHARE
    half = np.array([size / 2, size / 2])
    passed: list[Passed] = []
    rows = np.zeros(0, np.int64)
    for now, x, y in track.tolist():
        center = np.array([x * aspect, y - size / 2])
        box = np.concatenate([center - half, center + half])[None]
        objects.tick(now)
        if not len(rows):
            rows = objects.meet(np.array([1]), np.array([now]), box, (aspect, 1.0), 0)
        moves = objects.see(rows, box, box, (aspect, 1.0), np.zeros(1), np.ones(1, np.float32), 0)
        passed += lines.see(objects, moves)
    for row in rows.tolist():
        passed += lines.finish(objects, row, blind=False)
    return [(each.at, each.way) for each in passed]


def _filled(path: Float) -> Float:
    """Return a path with points between, so that none is more than STEP seconds from the next."""
    if len(path) < 2:
        return path
    parts = [np.arange(one, two, STEP) if two - one > STEP else [one] for one, two in pairwise(path[:, 0])]
    times = np.concatenate([*parts, path[-1:, 0]])
    x, y = (np.interp(times, path[:, 0], path[:, axis]) for axis in (1, 2))
    return np.stack([times, x, y], axis=1)
