"""Paths of [seconds, x, y]: where they end, without their trembling, with fewer points. Pure numpy.

Invariants: x and y are fractions of the frame, lengths are frame heights, and nothing comes late: a path is
steadied by what was seen before and after alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.wire import Direction

if TYPE_CHECKING:  # it has these functions among its own
    from agent.count.geometry import Gates

Float = NDArray[np.float64]

GOING = 2.5  # margins in its last second: so much is on its way
GOING_SECONDS = 1.0
STEADY_SECONDS = 0.4  # the sigma of the bell over which a trembling path is averaged
AROUND_SECONDS = 2.5  # of a path to each side of a crossing
AROUND_NEAR = 1.0  # seconds to each side that must be seen well, or the path does not tell when it was:
AROUND_LEAST = 3  # sights in them


def going(path: Float, far: float, aspect: float = 1.0) -> bool:
    """Say whether a path (N,3) of [t, x, y] went as far (frame heights) in its last second."""
    if len(path) < 2:
        return False
    before = max(path[0, 0], path[-1, 0] - GOING_SECONDS)
    x, y = (path[-1, axis] - np.interp(before, path[:, 0], path[:, axis]) for axis in (1, 2))
    return bool(np.hypot(x * aspect, y) >= far)


def steadied(path: Float, seconds: float = STEADY_SECONDS) -> Float:
    """Return a path (M,3) of [t, x, y] without its trembling: each point on a straight run through its time.

    The run is fitted to the points around, with weights that fall off like a bell of so many seconds. What is
    seen later counts as much as what was seen before, so nothing comes late.
    """
    apart = (path[:, 0] - path[:, 0, None]) / seconds  # (M,M)
    weight = np.exp(-0.5 * apart * apart)
    lean = weight * apart
    zero = weight.sum(1)
    one = lean.sum(1)
    two = (lean * apart).sum(1)
    width = zero * two - one * one
    alone = width < 1e-6 * zero * zero  # no run goes through one point
    weight *= np.where(alone, 1.0, two)[:, None]
    weight -= np.where(alone, 0.0, one)[:, None] * lean
    steady = path.copy()
    steady[:, 1:] = weight @ path[:, 1:] / np.where(alone, zero, width)[:, None]
    return steady


def steady_moment(path: Float, line: Gates, direction: Direction, at: float) -> tuple[float, float]:
    """Return when a path (N,3) of [t, x, y] that passed a line about `at` did so without its trembling.

    Also how far from the line (frame heights) it got on that side of it where it got least far. Where too
    little was seen on either side, or it did not pass like that, the moment is `at`. Raises ValueError if
    `line` is not one line.
    """
    if line.count != 1:
        raise ValueError(f"{line.count} lines, not one")
    near = path[np.abs(path[:, 0] - at) <= AROUND_SECONDS]
    times = near[:, 0]
    steady = steadied(near)[:, 1:]
    away = line.passes(steady, steady)[2][:, 0]
    begun, passed, done = np.searchsorted(times, (at - AROUND_NEAR, at, at + AROUND_NEAR)).tolist()
    reach = min(away[:passed].max(initial=0.0), away[passed:].max(initial=0.0))
    if min(passed - begun, done - passed) < AROUND_LEAST:
        return at, reach
    net, share, _ = line.passes(steady[:-1], steady[1:])
    moves = (net[:, 0] > 0 if direction == "AB" else net[:, 0] < 0).nonzero()[0]
    if not len(moves):
        return at, reach
    last = int(moves[-1])
    return float(times[last] + share[last, 0] * (times[last + 1] - times[last])), reach


def simplify(path: ArrayLike, tolerance: float, aspect: float = 1.0) -> Float:
    """Drop the points (N,3) of [t, x, y] that the rest tells within `tolerance` frame heights.

    Douglas-Peucker with time: a point may go when the straight run between its kept neighbours, *at that
    point's own time*, is near enough. So where something stood still stays visible. First and last stay.
    """
    track = np.asarray(path, np.float64).reshape(-1, 3)
    keep = np.zeros(len(track), np.bool_)
    keep[[0, -1] if len(track) else []] = True
    runs = [(0, len(track) - 1)]
    while runs:
        low, high = runs.pop()
        if high - low < 2:
            continue
        off = _off_the_run(track[low : high + 1], aspect)
        worst = int(off.argmax())
        if off[worst] > tolerance:
            keep[low + 1 + worst] = True
            runs += [(low, low + 1 + worst), (low + 1 + worst, high)]
    return track[keep]


def _off_the_run(run: Float, aspect: float) -> Float:
    """Return how far (M-2,) the inner points of a run (M,3) are from where a straight run has them then."""
    elapsed = max(run[-1, 0] - run[0, 0], 1e-9)
    share = ((run[1:-1, 0] - run[0, 0]) / elapsed)[:, None]
    expected = run[0, 1:] + share * (run[-1, 1:] - run[0, 1:])
    return np.asarray(np.linalg.norm((run[1:-1, 1:] - expected) * [aspect, 1.0], axis=1), np.float64)
