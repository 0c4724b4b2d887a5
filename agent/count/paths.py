"""The way of each object in the picture: points, and how surely it was seen there.

Invariants: a path is bounded; what does not fit is simplified, but for the last seconds. The confidences are
kept as running sums, so that a mean over any time costs two looks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.count.path import simplify

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]

START = 16  # rows
PATH_LEAST = 0.004  # frame heights: the tolerance of a path at its finest
PATH_BUFFER = 1024  # points
PATH_RECENT = 6.0  # seconds of a path that stay as they were seen


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
