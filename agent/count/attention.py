"""How soon the next look is needed, for the counts to be as if every picture had been looked at.

Invariants: what is undecided near a line or a zone's border is looked at again at once, and elsewhere soon;
what moves is looked at often enough to be recognised, and near a border at least each NEAREST seconds; what
stands needs no look of its own.

        border
          │◀── NEAR seconds at its speed ──▶│◀────────────── farther ──────────────▶
          │      every NEAREST seconds      │  every SHARE of the time to the border, FAR at most
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.count.geometry import distance, inside
from agent.count.object_table import Float
from agent.track.tracker import Motions

FASTEST = 0.08  # seconds: nothing is looked at more often
NEAREST = 0.12
UNDECIDED = 0.15  # what has just come, far from every border
REACH = 0.25  # frame heights: nearer than that a border is soon passed, at a speed not known yet
NEAR = 0.8
SHARE = 0.15
FAR = 0.2
STEP = 0.4  # sizes that an object may move between two looks, to be recognised
STANDS = 1.0  # seconds without a noticeable move
YOUNG = 1.0  # seconds: what was not confirmed until then, and stands, is imagined
HIDDEN = 1.0  # seconds for which what was lost is looked for
REGION = 0.35  # frame heights: what is farther from every border and zone can wait until it is nearer
SLOW = 0.02  # frame heights a second: what is slower arrives nowhere soon


class Borders:
    """The lines and zone borders of a camera as pieces (S,2) start -> end, fractions."""

    def __init__(self, settings: wire.CameraSettings) -> None:
        drawn: list[Sequence[tuple[float, float]]] = [line.points for line in settings.lines.values()]
        drawn += [[*zone.points, zone.points[0]] for zone in settings.zones.values()]
        pieces = [piece for points in drawn for piece in pairwise(points)]
        self._pieces = np.array(pieces, np.float64).reshape(-1, 2, 2)
        self._zones = [list(zone.points) for zone in settings.zones.values()]

    def away(self, spots: Float, aspect: float) -> Float:
        """Return how far (N,) spots (N,2), fractions, are from the nearest border, frame heights."""
        if not len(self._pieces):
            return np.full(len(spots), np.inf)
        stretch = np.array([aspect, 1.0])
        pieces = self._pieces * stretch
        return np.asarray(
            distance(spots[:, None] * stretch, pieces[:, 0], pieces[:, 1]).min(axis=1), np.float64
        )

    def region(self, shape: tuple[int, ...], aspect: float) -> NDArray[np.bool_] | None:
        """Return which cells (h,w) lie in a zone or near a border; None where nothing is drawn."""
        if not len(self._pieces):
            return None
        height, width = shape
        down, right = np.mgrid[:height, :width]
        middles = np.stack([(right.ravel() + 0.5) / width, (down.ravel() + 0.5) / height], axis=1)
        found = self.away(middles, aspect) < REGION
        for zone in self._zones:
            found |= inside(middles, zone)
        return np.asarray(found.reshape(height, width), np.bool_)

    def away_from_boxes(self, boxes: Float, size: tuple[int, int]) -> Float:
        """Return how far (N,) the anchors of boxes (N,4), pixels, are from the nearest border, heights."""
        width, height = size
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        bottom = np.stack([middle, boxes[:, 3]], axis=1)
        centre = np.stack([middle, (boxes[:, 1] + boxes[:, 3]) / 2], axis=1)
        away = [self.away(spots / [width, height], width / height) for spots in (bottom, centre)]
        return np.asarray(np.min(away, axis=0), np.float64)


def interval(motions: Motions, borders: Borders, size: tuple[int, int]) -> float:
    """Return the seconds until the next look that is needed; inf where nothing moves.

    `size` (width, height) of the picture in pixels.
    """
    recent = motions.unseen <= HIDDEN
    young = recent & ~motions.sure & (motions.age < YOUNG)
    moving = recent & motions.sure & (motions.still < STANDS)
    least = math.inf if not (young.any() or moving.any()) else FAR
    new = (young & (motions.unseen == 0)).nonzero()[0]
    if len(new):
        away = borders.away_from_boxes(motions.boxes[new], size)
        least = FASTEST if away.min() < REACH else UNDECIDED
    if moving.any():
        least = min(least, float(_needed(motions, moving.nonzero()[0], borders, size).min()))
    return max(least, FASTEST)


def _needed(motions: Motions, rows: np.ndarray, borders: Borders, size: tuple[int, int]) -> Float:
    """Return how soon (N,) each of some moving tracks is to be seen again."""
    height = size[1]
    box = motions.boxes[rows]
    speed = np.linalg.norm(motions.speed[rows], axis=1) / height  # frame heights a second
    extent = np.sqrt(np.prod(np.maximum(box[:, 2:] - box[:, :2], 1.0), axis=1)) / height
    arrives = borders.away_from_boxes(box, size) / np.maximum(speed, SLOW)
    known = STEP * extent / np.maximum(speed, 1e-6)
    soon = np.where(arrives < NEAR, NEAREST, np.minimum(SHARE * arrives, FAR))
    return np.asarray(np.minimum(soon, known), np.float64)
