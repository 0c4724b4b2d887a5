"""How soon the next look is needed, for the counts to be as if every picture had been looked at.

Invariants: what is undecided is looked at again at once; what moves is looked at often enough to be
recognised, and near a line or a zone's border as often as anything is; what stands needs no look of its own.

        border
          │◀── NEAR seconds at its speed ──▶│◀────────────── farther ──────────────▶
          │      every NEAREST seconds      │  every SHARE of the time to the border, FAR at most
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from agent import wire
from agent.count.geometry import distance
from agent.count.object_table import Float
from agent.track.tracker import Motions

NEAREST = 0.08  # seconds
NEAR = 0.8
SHARE = 0.15
FAR = 0.2
STEP = 0.4  # sizes that an object may move between two looks, to be recognised
STANDS = 1.0  # seconds without a noticeable move
YOUNG = 1.0  # seconds: what was not confirmed until then, and stands, is imagined
HIDDEN = 1.0  # seconds for which what was lost is looked for
SLOW = 0.02  # frame heights a second: what is slower arrives nowhere soon


class Borders:
    """The lines and zone borders of a camera as pieces (S,2) start -> end, fractions."""

    def __init__(self, settings: wire.CameraSettings) -> None:
        drawn: list[Sequence[tuple[float, float]]] = [line.points for line in settings.lines.values()]
        drawn += [[*zone.points, zone.points[0]] for zone in settings.zones.values()]
        pieces = [piece for points in drawn for piece in pairwise(points)]
        self._pieces = np.array(pieces, np.float64).reshape(-1, 2, 2)

    def away(self, spots: Float, aspect: float) -> Float:
        """Return how far (N,) spots (N,2), fractions, are from the nearest border, frame heights."""
        if not len(self._pieces):
            return np.full(len(spots), np.inf)
        stretch = np.array([aspect, 1.0])
        pieces = self._pieces * stretch
        return np.asarray(
            distance(spots[:, None] * stretch, pieces[:, 0], pieces[:, 1]).min(axis=1), np.float64
        )


def interval(motions: Motions, borders: Borders, size: tuple[int, int]) -> float:
    """Return the seconds until the next look that is needed; inf where nothing moves.

    `size` (width, height) of the picture in pixels.
    """
    recent = motions.unseen <= HIDDEN
    young = recent & ~motions.sure & (motions.age < YOUNG)
    if (young & (motions.unseen == 0)).any():
        return NEAREST
    moving = recent & motions.sure & (motions.still < STANDS)
    if not moving.any():
        return FAR if young.any() else math.inf
    return max(float(_needed(motions, moving.nonzero()[0], borders, size).min()), NEAREST)


def _needed(motions: Motions, rows: np.ndarray, borders: Borders, size: tuple[int, int]) -> Float:
    """Return how soon (N,) each of some moving tracks is to be seen again."""
    width, height = size
    box = motions.boxes[rows]
    speed = np.linalg.norm(motions.speed[rows], axis=1) / height  # frame heights a second
    extent = np.sqrt(np.prod(np.maximum(box[:, 2:] - box[:, :2], 1.0), axis=1)) / height
    middle = (box[:, 0] + box[:, 2]) / 2
    spots = [np.stack([middle, box[:, 3]], 1), np.stack([middle, (box[:, 1] + box[:, 3]) / 2], 1)]
    away = np.min([borders.away(spot / [width, height], width / height) for spot in spots], axis=0)
    arrives = away / np.maximum(speed, SLOW)
    known = STEP * extent / np.maximum(speed, 1e-6)
    return np.where(arrives < NEAR, NEAREST, np.minimum(np.minimum(SHARE * arrives, FAR), known))
