"""What is known of each object in the picture: one row of every column, and its path.

What always holds: a row is taken when an object is met and given back when it ends; its columns are then as
they were before, so that what looks at all rows at once sees nothing there. Columns grow by doubling and are
bounded by how many objects were ever in the picture together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent import geometry

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

START = 16  # rows
PATH_LEAST = 0.004  # frame heights: the tolerance of a path at its finest
PATH_BUFFER = 1024  # points
PATH_RECENT = 3.0  # seconds of a path that stay as they were seen
NOT_TOLD, NOT_COUNTED = -2, -2


@dataclass(slots=True)
class Objects:
    """Columns: R rows, C classes, S pieces of L lines, Z zones. Times in seconds; nan: not."""

    number: Int  # (R,) 0: the row is free
    first: Float  # (R,) the first sight
    seen: Float  # (R,) the last sight
    wall: Float  # (R,) ms, at `seen`
    frames: Int  # (R,)
    votes: Float  # (R,C)
    weight: Float  # (R,) what the votes would be if the detector were sure
    held: Int  # (R,) the label by vote, -1: unknown
    told: Int  # (R,) the label of the last Detection, NOT_TOLD: none yet
    counted: Bool  # (R,) among the objects
    box: Float  # (R,4) fractions
    size: Float  # (R,) frame heights
    spot: Float  # (R,2,2) bottom centre and centre, fractions
    still: Float  # (R,) for how long it has not moved
    part: Float  # (R,) since when the path runs
    side: Bool  # (R,S) right of each piece of a line
    pending: Int  # (R,L) passes not yet told
    passed: Float  # (R,L) time of the last pass
    phase: Int  # (R,Z) where it is, see `zones`
    entered: Float  # (R,Z) when it came in
    edge: Float  # (R,Z) when it went out
    came: Int  # (R,Z) the label under which it was counted in, NOT_COUNTED: not yet

    @classmethod
    def free(cls, count: int, classes: int, pieces: int = 0, lines: int = 0, zones: int = 0) -> Objects:
        """Return `count` free rows. Looked at, they are of no label, told, counted and never late."""

        def full(shape: int | tuple[int, ...], value: float, kind: Any = np.float64) -> NDArray[Any]:
            return np.full(shape, value, kind)

        return cls(
            number=full(count, 0, np.int64),
            first=full(count, np.inf),
            seen=full(count, np.inf),
            wall=full(count, 0),
            frames=full(count, 0, np.int64),
            votes=full((count, classes), 0),
            weight=full(count, 0),
            held=full(count, -1, np.int64),
            told=full(count, -1, np.int64),
            counted=full(count, True, np.bool_),
            box=full((count, 4), 0),
            size=full(count, 0),
            spot=full((count, 2, 2), 0),
            still=full(count, 0),
            part=full(count, np.inf),
            side=full((count, pieces), False, np.bool_),
            pending=full((count, lines), 0, np.int64),
            passed=full((count, lines), 0),
            phase=full((count, zones), 0, np.int64),
            entered=full((count, zones), np.nan),
            edge=full((count, zones), np.nan),
            came=full((count, zones), NOT_COUNTED, np.int64),
        )

    def __len__(self) -> int:
        """Return how many rows there are, free ones too."""
        return len(self.number)

    def take(self, count: int) -> Int:
        """Return so many free rows; there are more of them if need be."""
        rows = np.flatnonzero(self.number == 0)[:count]
        while len(rows) < count:
            more = self._like(len(self))
            for each in fields(self):
                old, new = getattr(self, each.name), getattr(more, each.name)
                setattr(self, each.name, np.concatenate([old, new]))
            rows = np.flatnonzero(self.number == 0)[:count]
        return rows

    def give_back(self, rows: Int) -> None:
        """Make rows free again."""
        blank = self._like(1)
        for each in fields(self):
            getattr(self, each.name)[rows] = getattr(blank, each.name)[0]

    def _like(self, count: int) -> Objects:
        return Objects.free(
            count, self.votes.shape[1], self.side.shape[1], self.pending.shape[1], self.phase.shape[1]
        )


class Paths:
    """Where the bottom centre of each row's object was: a buffer a row, its last seconds as they were seen.

    What is told of a path is told in parts; `cut` begins the next one. With each point it is kept how surely
    the object was seen up to then, and in how many frames it was looked for.
    """

    def __init__(self, aspect: float = 1.0) -> None:
        self.aspect = aspect
        # t, x, y, sum of the confidences, number of the frame
        self._points = np.zeros((START, PATH_BUFFER, 5))
        self._fill = np.zeros(START, np.int64)
        self._begin = np.zeros(START, np.int64)  # the first point of the part

    def start(self, rows: Int) -> None:
        """Begin with nothing in some rows."""
        while len(rows) and rows.max() >= len(self._fill):
            for name in ("_points", "_fill", "_begin"):
                old = getattr(self, name)
                new = np.zeros(
                    (2 * len(old), *old.shape[1:]), old.dtype
                )  # pages that nobody writes cost nothing
                new[: len(old)] = old
                setattr(self, name, new)
        self._fill[rows] = self._begin[rows] = 0

    def add(self, rows: Int, seconds: ArrayLike, spots: Float, sure: ArrayLike = 0.0, frame: int = 0) -> None:
        """Go on to spots (N,2) at a time, or times (N,): seen so surely, also (N,), in this frame."""
        place, points = self._fill[rows], np.empty((len(rows), 5))
        points[:, 0], points[:, 1:3], points[:, 4] = seconds, spots, frame
        points[:, 3] = (place > 0) * self._points[rows, place - 1, 3] + sure
        self._points[rows, place] = points
        self._fill[rows] = place + 1
        if len(rows) and place.max() >= PATH_BUFFER - 1:
            for row in rows[place >= PATH_BUFFER - 1].tolist():
                self._thin(row)

    def part(self, row: int) -> Float:
        """Return the path (M,3) of [t, x, y] since the last cut."""
        return self._points[row, self._begin[row] : self._fill[row], :3].copy()

    def recent(self, row: int, since: float) -> Float:
        """Return the points (M,3) from a time on, as far as they are kept."""
        path = self._points[row, : self._fill[row], :3]
        return path[np.searchsorted(path[:, 0], since) :].copy()

    def seen(self, row: int, at: float, around: float, now: float, frame: int) -> float:
        """Return how surely an object was seen for some seconds `around` a moment, or around its gap there.

        That is the mean confidence over all frames that looked for it, 0 where it was not found. The last of
        them is that of `now`, number `frame`.
        """
        points = self._points[row, : self._fill[row]]
        times, sums = points[:, 0], points[:, 3:]
        place, end = int(np.searchsorted(times, at)), len(times) - 1
        first = max(int(np.searchsorted(times, times[max(place - 1, 0)] - around, "right")) - 1, 0)
        until = float(times[min(place, end)]) + around
        last = min(int(np.searchsorted(times, until)), end)
        sure, frames = (sums[last] - (sums[first] if first else (0.0, sums[0, 1] - 1))).tolist()
        if times[last] < min(until, now):  # lost meanwhile
            frames += (frame - sums[last, 1]) * (min(until, now) - times[last]) / (now - times[last])
        return float(sure / frames)

    def cut(self, row: int) -> None:
        """Begin a new part with the last point."""
        times = self._points[row, : self._fill[row], 0]
        late = int(np.searchsorted(times, times[-1] - PATH_RECENT))
        self._keep(row, np.arange(late, len(times)))
        self._begin[row] = self._fill[row] - 1

    def _keep(self, row: int, places: Int) -> None:
        """Keep only some of the points; what was seen before the first of them is forgotten."""
        kept, before = self._points[row, places], int(places[0]) - 1
        if before >= 0:
            kept[:, 3] -= self._points[row, before, 3]
        self._points[row, : len(kept)] = kept
        self._fill[row] = len(kept)

    def _thin(self, row: int) -> None:
        """Make room: tell all but the last seconds with fewer points; in the end, with half of them."""
        begin, path = int(self._begin[row]), self.part(row)
        late = int(np.searchsorted(path[:, 0], path[-1, 0] - PATH_RECENT))
        late = max(late, len(path) - PATH_BUFFER // 2)
        old, tolerance = path[:late], PATH_LEAST
        while len(old) > PATH_BUFFER // 4:
            old = geometry.simplify(old, tolerance, self.aspect)
            tolerance *= 1.5
        kept = np.flatnonzero(np.isin(path[:late, 0], old[:, 0]))
        self._begin[row] = 0
        self._keep(row, begin + np.concatenate([kept, np.arange(late, len(path))]))


def carry(old: NDArray[Any], before: Sequence[Any], after: Sequence[Any], fill: float) -> NDArray[Any]:
    """Return the columns (N,K) of `after`: those of what was there `before`, unchanged, else `fill`."""
    new = np.full((len(old), len(after)), fill, old.dtype)
    for place, each in enumerate(after):
        if each in before:
            new[:, place] = old[:, before.index(each)]
    return new
