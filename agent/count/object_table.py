"""What is known of each object in the picture: one row of every column, and its path.

Invariants: a row is taken when an object is met and given back when it ends; its columns are then as they
were before, so that what looks at all rows at once sees nothing there. Columns grow by doubling and are
bounded by how many objects were ever in the picture together. Each column is written by its owner alone:
identity and place here, the label by `vote`, the lines by `lines`, the zones by `zones`; these have as many
rows as there are here when they see a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.count.paths import START, Paths
from agent.track.tracks import Tracks

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Size = tuple[float, float]  # width and height of a frame, in the units of the boxes

_NONE = np.zeros(0, np.int64)

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
    """Where N objects that are seen now were before: anchors (N,2,2) and box (N,4) at `since` (N,).

    `settled` (N,2,2): the anchors now where a filter takes the objects to be; those do not flicker.
    """

    rows: Int
    before: Float
    since: Float
    box: Float
    settled: Float

    def some(self, which: Bool) -> Moves:
        """Return the moves of some of them (N,)."""
        return Moves(
            self.rows[which], self.before[which], self.since[which], self.box[which], self.settled[which]
        )


def anchors(xyxy: ArrayLike, size: tuple[float, float]) -> tuple[Float, Float, Float]:
    """Return bottom centres (N,2), centres (N,2) in fractions, and sizes (N,) in frame heights.

    The size of a box is the square root of its area; `size` is (width, height) of the frame.
    """
    box = np.asarray(xyxy, np.float64).reshape(-1, 4)
    scale = np.asarray(size, np.float64)
    low = box[:, :2] / scale
    high = box[:, 2:] / scale
    center = (low + high) / 2
    bottom = np.stack([center[:, 0], high[:, 1]], axis=1)
    extent = np.clip(box[:, 2:] - box[:, :2], 0, None) / scale[1]
    return bottom, center, np.sqrt(extent.prod(axis=1))


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
        self.row: dict[int, int] = {}  # by track id
        self._last = (_NONE, _NONE)  # track ids and rows of the frame before
        self._edited = -np.inf
        self.reach(START)

    def tick(self, now: float) -> None:
        """Go on to a frame's time, seconds."""
        self.now = now
        self.frame += 1

    def edit(self) -> None:
        """Lines and zones are others from now on: what is met later does not begin before them."""
        self._edited = self.now

    def find(self, tracks: Tracks, size: Size, wall_ms: int) -> Int:
        """Return the rows (N,) of a frame's tracks; those that are new get one.

        Args:
            tracks: the N tracks matched now.
            size: (width, height) of the frame in pixels.
            wall_ms: the frame's time, Unix ms.
        """
        numbers = tracks.track_id
        if np.array_equal(numbers, self._last[0]):
            return self._last[1]
        fresh = {number: i for i, number in enumerate(numbers.tolist()) if number not in self.row}
        if fresh:
            self._begin(tracks, np.array(list(fresh.values())), size, wall_ms)
        self._last = numbers, np.array([self.row[number] for number in numbers.tolist()], np.int64)
        return self._last[1]

    def _begin(self, tracks: Tracks, new: Int, size: Size, wall_ms: int) -> None:
        """Fill rows for new tracks (F,): from their first sight, unless that is older than the lines."""
        first = tracks.since[new]
        old = (first < self._edited)[:, None]
        xyxy = np.where(old, tracks.xyxy[new], tracks.origin[new])
        rows = self.meet(tracks.track_id[new], first, xyxy, size, wall_ms)
        earlier = first < self.now
        sure = tracks.confidence[new][earlier]  # nobody knows it better of then
        before = rows[earlier]
        self.paths.add(before, first[earlier], self.spot[before, 0], sure, self.frame - 1)

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
        self.row |= zip(numbers.tolist(), rows.tolist(), strict=True)
        return rows

    def forget(self, rows: Int) -> None:
        """Give rows back."""
        for number in self.number[rows].tolist():
            del self.row[number]
        self._last = (_NONE, _NONE)
        self.clear(rows)

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

    def see(
        self, rows: Int, xyxy: ArrayLike, steady: ArrayLike, size: Size, still: Float, sure: Float32, ms: int
    ) -> Moves:
        """Move objects (N,) to where they are seen now; return where they were.

        What was out of sight for longer than a gap begins where it is: nobody knows which way it came.

        Args:
            rows: the objects' rows (N,).
            xyxy: the boxes in which they are seen (N,4), pixels.
            steady: the boxes where a filter takes them to be (N,4), pixels.
            size: (width, height) of the frame in pixels.
            still: for how many seconds each has stood (N,).
            sure: the confidences (N,).
            ms: the frame's time, Unix ms.
        """
        lost = self.lost(rows)
        settled = np.stack(anchors(steady, size)[:2], axis=1)
        moves = Moves(rows, self.spot[rows], self.seen[rows], self.box[rows], settled)
        self._place(rows, xyxy, size)
        moves.before[lost] = self.spot[rows[lost]]
        self.seen[rows] = self.now
        self.wall[rows] = ms
        self.frames[rows] += 1
        self.still[rows] = still
        self.paths.add(rows, self.now, self.spot[rows, 0], sure, self.frame)
        return moves

    def _place(self, rows: Int, xyxy: ArrayLike, size: Size) -> None:
        bottom, center, extent = anchors(xyxy, size)
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


def carry(old: NDArray[Any], before: Sequence[Any], after: Sequence[Any], fill: float) -> NDArray[Any]:
    """Return the columns (N,K) of `after`: those of what was there `before`, unchanged, else `fill`."""
    new = np.full((len(old), len(after)), fill, old.dtype)
    for place, each in enumerate(after):
        if each in before:
            new[:, place] = old[:, before.index(each)]
    return new
