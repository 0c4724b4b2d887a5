"""What is known of each object in the picture: one row of every column, and its path.

Invariants: a row is taken when an object is met and given back when it ends; its columns are then as they
were before, so that what looks at all rows at once sees nothing there. Columns grow by doubling and are
bounded by how many objects were ever in the picture together. Each column is written by its owner alone:
identity and place here, the label by `vote`, the lines by `lines`, the zones by `zones`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.count import geometry
from agent.count.path import simplify

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Size = tuple[float, float]  # width and height of a frame, in the units of the boxes

START = 16  # rows
PATH_LEAST = 0.004  # frame heights: the tolerance of a path at its finest
PATH_BUFFER = 1024  # points
PATH_RECENT = 6.0  # seconds of a path that stay as they were seen
GAP_SECONDS = 3.0  # a longer time out of sight, or between two frames, was not watched


class Columns:
    """Arrays with one row per object, under the names of a subclass. A free row holds the blank values."""

    def __init__(self, **blank: ArrayLike) -> None:
        self._blank: dict[str, NDArray[Any]] = {name: np.asarray(value) for name, value in blank.items()}
        self._count = 0
        for name, value in self._blank.items():
            setattr(self, name, np.zeros((0, *value.shape), value.dtype))

    def __len__(self) -> int:
        """Return the number of rows, free ones too."""
        return self._count

    def reach(self, count: int) -> None:
        """Have at least `count` rows; the new ones are blank."""
        more = count - self._count
        if more <= 0:
            return
        for name, value in self._blank.items():
            blank = np.broadcast_to(value, (more, *value.shape))
            setattr(self, name, np.concatenate([getattr(self, name), blank]))
        self._count = count

    def clear(self, rows: Int) -> None:
        """Make rows blank again."""
        for name, value in self._blank.items():
            getattr(self, name)[rows] = value


@dataclass(frozen=True, slots=True)
class Moves:
    """Where N objects that are seen now were before: anchors (N,2,2) and box (N,4) at `since` (N,)."""

    rows: Int
    before: Float
    since: Float
    box: Float

    def some(self, which: Bool) -> Moves:
        """Return the moves of some of them (N,)."""
        return Moves(self.rows[which], self.before[which], self.since[which], self.box[which])


class ObjectTable(Columns):
    """Identity and place. Times in seconds; lengths in fractions or frame heights.

    Blank rows are counted, and neither late nor long: a look at all rows finds nothing in them.
    """

    number: Int  # (R,) track id; 0: the row is free
    first: Float  # (R,) time of the first sight
    seen: Float  # (R,) time of the last sight
    wall: Float  # (R,) Unix ms at `seen`
    frames: Int  # (R,)
    counted: Bool  # (R,) among the objects of the totals
    box: Float  # (R,4) fractions
    size: Float  # (R,) frame heights
    spot: Float  # (R,2,2) bottom centre and centre, fractions
    still: Float  # (R,) seconds for which it has not moved
    part: Float  # (R,) time since when the path runs

    def __init__(self) -> None:
        super().__init__(
            number=np.int64(0),
            first=np.inf,
            seen=np.inf,
            wall=0.0,
            frames=np.int64(0),
            counted=True,
            box=np.zeros(4),
            size=0.0,
            spot=np.zeros((2, 2)),
            still=0.0,
            part=np.inf,
        )
        self.paths = Paths()
        self.now = -np.inf  # time of the frame that is looked at
        self.frame = 0  # its number
        self.reach(START)

    def tick(self, now: float) -> None:
        """Go on to a frame's time, seconds."""
        self.now = now
        self.frame += 1

    def meet(self, numbers: Int, first: Float, xyxy: ArrayLike, size: Size, wall_ms: int) -> Int:
        """Take rows (N,) for new objects, seen first at `first` (N,) in boxes (N,4); return the rows."""
        rows = self._take(len(numbers))
        self.number[rows] = numbers
        self.first[rows] = first
        self.part[rows] = first
        self.seen[rows] = first
        self.wall[rows] = wall_ms
        self.counted[rows] = False
        self._place(rows, xyxy, size)
        self.paths.start(rows)
        return rows

    def _take(self, count: int) -> Int:
        """Return so many free rows; there are more of them if need be."""
        rows = np.flatnonzero(self.number == 0)[:count]
        while len(rows) < count:
            self.reach(2 * len(self))
            rows = np.flatnonzero(self.number == 0)[:count]
        return rows

    def lost(self, rows: Int) -> Bool:
        """Say which of some objects (N,) that are seen again were out of sight for longer than a gap."""
        return np.asarray((self.now - self.seen[rows] > GAP_SECONDS) & (self.frames[rows] > 0), np.bool_)

    def see(self, rows: Int, xyxy: ArrayLike, size: Size, still: Float, sure: Float32, ms: int) -> Moves:
        """Move objects (N,) to boxes (N,4), seen with confidences (N,); return where they were.

        What was out of sight for longer than a gap begins where it is: nobody knows which way it came.
        """
        lost = self.lost(rows)
        moves = Moves(rows, self.spot[rows], self.seen[rows], self.box[rows])
        self._place(rows, xyxy, size)
        moves.before[lost] = self.spot[rows[lost]]
        self.seen[rows] = self.now
        self.wall[rows] = ms
        self.frames[rows] += 1
        self.still[rows] = still
        self.paths.add(rows, self.now, self.spot[rows, 0], sure, self.frame)
        return moves

    def _place(self, rows: Int, xyxy: ArrayLike, size: Size) -> None:
        bottom, center, extent = geometry.anchors(xyxy, size)
        self.spot[rows, 0] = bottom
        self.spot[rows, 1] = center
        self.size[rows] = extent
        self.box[rows] = np.asarray(xyxy) / np.array([*size, *size], np.float64)

    def count(self, row: int) -> None:
        """Note that an object is among the objects of the totals."""
        self.counted[row] = True

    def cut(self, row: int, now: float) -> None:
        """Begin a new part of an object's path."""
        self.part[row] = now
        self.paths.cut(row)

    def not_after(self, wall_ms: int) -> None:
        """Let no object have been seen after a moment in Unix ms: a clock may have stepped back."""
        self.wall = np.minimum(self.wall, wall_ms)


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
        self._fill[rows] = 0
        self._begin[rows] = 0

    def add(self, rows: Int, seconds: ArrayLike, spots: Float, sure: ArrayLike = 0.0, frame: int = 0) -> None:
        """Go on to spots (N,2) at a time, or times (N,): seen so surely, also (N,), in this frame."""
        place = self._fill[rows]
        points = np.empty((len(rows), 5))
        points[:, 0] = seconds
        points[:, 1:3] = spots
        points[:, 4] = frame
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
        times = points[:, 0]
        sums = points[:, 3:]
        place = int(np.searchsorted(times, at))
        end = len(times) - 1
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
        kept = self._points[row, places]
        before = int(places[0]) - 1
        if before >= 0:
            kept[:, 3] -= self._points[row, before, 3]
        self._points[row, : len(kept)] = kept
        self._fill[row] = len(kept)

    def _thin(self, row: int) -> None:
        """Make room: tell all but the last seconds with fewer points; in the end, with half of them."""
        begin = int(self._begin[row])
        path = self.part(row)
        late = int(np.searchsorted(path[:, 0], path[-1, 0] - PATH_RECENT))
        late = max(late, len(path) - PATH_BUFFER // 2)
        old = path[:late]
        tolerance = PATH_LEAST
        while len(old) > PATH_BUFFER // 4:
            old = simplify(old, tolerance, self.aspect)
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
