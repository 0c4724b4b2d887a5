"""From the picture to the road: where on the road something stands, in metres, and how fast it goes.

Four points of the picture whose places on the road are known give the map of the whole plane (a homography;
Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 2.3). What always holds: no place is
told where the map tells little, beyond the four points by more than their own extent, or behind the
horizon; no speed is told of what was seen there too shortly.

                 horizon ───────────────
                        .' reach  '.
                      .'   o────o   '.       the four points, and how far around them places are told
                    .'    /      \\    '.
                   '.    o────────o    .'
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.count.geometry import Float, Points

REACH = 1.0  # beyond the four points: of their own extent
CUT = 0.995  # fraction of the frame's height: a box that ends lower is cut off, its bottom is not on the road
LEAST_POINTS = 3  # to tell a speed
LEAST_SECONDS = 0.5


class Road:
    """The plane of the road. `points` (4,2) in fractions of the picture lie at `metres` (4,2)."""

    def __init__(self, points: Points, metres: Points) -> None:
        self.matrix = homography(points, metres)  # (3,3), positive denominators before the horizon
        corners = np.asarray(metres, np.float64)
        extent = corners.max(axis=0) - corners.min(axis=0)
        self._low = corners.min(axis=0) - REACH * extent
        self._high = corners.max(axis=0) + REACH * extent

    def places(self, points: Float) -> Float:
        """Return where points (N,2) of the picture lie on the road (N,2), metres; nan out of reach."""
        raised = points @ self.matrix[:, :2].T + self.matrix[:, 2]  # (N,3)
        ahead = raised[:, 2] > 1e-9
        places = raised[:, :2] / np.where(ahead, raised[:, 2], 1.0)[:, None]
        fine = ahead & ((places >= self._low) & (places <= self._high)).all(axis=1)
        return np.asarray(np.where(fine[:, None], places, np.nan), np.float64)

    def speed(self, path: Float) -> float | None:
        """Return the speed in km/h over a path (M,3) of [seconds, x, y]; None if it cannot be told."""
        path = path[path[:, 2] < CUT]
        places = self.places(path[:, 1:])
        seen = np.isfinite(places[:, 0])
        times = path[seen, 0]
        places = places[seen]
        if len(times) < LEAST_POINTS or times[-1] - times[0] < LEAST_SECONDS - 1e-6:
            return None
        return 3.6 * float(np.linalg.norm(slope(times, places)))


def slope(times: Float, places: Float) -> Float:
    """Return the velocity (2,) of places (M,2) at times (M,): the median over all pairs of points.

    Theil 1950, Sen 1968: up to 29 % of the points may be anywhere. Pairs count by the time between them, or
    the many near ones would drown the few that tell something.
    """
    one, two = np.triu_indices(len(times), 1)
    apart = times[two] - times[one]
    slopes = (places[two] - places[one]) / apart[:, None]
    return np.array([_median(slopes[:, axis], apart) for axis in (0, 1)])


def _median(values: Float, weights: Float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])


def homography(points: Points, places: Points) -> NDArray[np.float64]:
    """Return the matrix (3,3) that takes four points to four places, exactly.

    Positive third coordinates are before the horizon. Raises numpy.linalg.LinAlgError if three are on a line.
    """
    matrix = _frame(places) @ np.linalg.inv(_frame(points))
    center = np.append(np.asarray(points, np.float64).mean(axis=0), 1.0)
    return np.asarray(matrix / (matrix @ center)[2], np.float64)


def _frame(corners: Points) -> NDArray[np.float64]:
    """Return the matrix that takes the unit vectors and their sum to four corners."""
    raised = np.column_stack([np.asarray(corners, np.float64), np.ones(4)]).T  # (3,4)
    return np.asarray(raised[:, :3] * np.linalg.solve(raised[:, :3], raised[:, 3]), np.float64)
