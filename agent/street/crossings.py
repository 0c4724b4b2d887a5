"""The true crossings of the built-in scene: where a path meets a line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from agent.street.view import Float


@dataclass(frozen=True, slots=True)
class TrueCrossing:
    """Name one true crossing: the first frame on the new side, the exact moment, who, and which way."""

    frame: int
    at_seconds: float
    track_id: int
    class_id: int
    direction: str


def meetings(path: Float, line: Float) -> list[tuple[int, float, str]]:
    """Return (step, share of the step, direction) wherever the path (F,2) meets the line (P,2).

    A point on the line belongs to the left hand. In a picture y grows downwards, so the right hand of who
    walks along the line is where the cross product along x (point - start) is above zero.
    """
    found = []
    for a, b in pairwise(line):
        along = b - a
        steps = np.diff(path, axis=0)
        side = along[0] * (path[:, 1] - a[1]) - along[1] * (path[:, 0] - a[0])
        for step in np.flatnonzero((side[:-1] > 0) != (side[1:] > 0)).tolist():
            share = float(side[step] / (side[step] - side[step + 1]))
            place = path[step] + share * steps[step]
            where = float((place - a) @ along / (along @ along))
            if 0 <= where < 1:
                found.append((step, share, "AB" if side[step + 1] > 0 else "BA"))
    return found
