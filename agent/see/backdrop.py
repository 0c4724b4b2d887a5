"""What stays where it is in a camera's pictures: the edges of a minute, and where they have gone.

What always holds: edges count by their direction, not by their strength, so light that goes up or down
changes little; what moves, and noise, points elsewhere in each picture and averages away. Tiles that show
nothing, or something new (a parked lorry), find no place and have no say.

Displacements are found by normalised cross-correlation (`cv2.matchTemplate`) of the two components of the
gradient at once, a tile (T) at a time:

    ┌──────────────────┐        ┌──────────────────┐
    │  T  T  T  T  T   │        │                  │
    │  T  T  T  T  T   │  ───▶  │    T' T' T' T' ? │   the edges of a later minute
    └──────────────────┘        └──────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Uint8

Float = NDArray[np.float32]

WIDTH = 256  # columns of the pictures compared
SOFT = 3.0  # grey levels a pixel: weaker edges count less
BORDER = 0.1  # of the picture: no tile begins there, so that each may move
TILES = (6, 4)
LEAST_STRENGTH = 0.06  # mean length of a tile's gradients, of 1: else it shows nothing that stays
SURE = 0.4  # correlation of a tile that has been found again
BETTER = 0.12  # by so much it fits better elsewhere than where it was
LEAST_PIXELS = 1.5
FARTHEST = 0.25  # of the width


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the tiles of a picture have gone.

    Attributes:
        centres: of the tiles that were found again, (N,2) fractions of the picture.
        shifts: by how much each is displaced, (N,2) in widths of the picture; zero: it stayed.
        tiles: how many tiles had something to be found by.
    """

    centres: Float
    shifts: Float
    tiles: int


def directions(image: Uint8) -> Float:
    """Return the directions of a picture's edges, (h,w,2) of length < 1, from (H,W,3)."""
    height = max(round(image.shape[0] * WIDTH / image.shape[1]), 16)
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    vectors = np.dstack([across, down])
    directed: Float = vectors / (cv2.magnitude(across, down) + np.float32(SOFT))[..., None]
    return directed


def compare(before: Float, now: Float) -> Places:
    """Find the tiles of `before` (h,w,2) in `now` (h,w,2)."""
    height, width = before.shape[:2]
    centres: list[tuple[float, float]] = []
    shifts: list[tuple[float, float]] = []
    tiles = 0
    for top, bottom in _spans(height, TILES[1]):
        for left, right in _spans(width, TILES[0]):
            tile = before[top:bottom, left:right]
            if float(np.linalg.norm(tile, axis=2).mean()) < LEAST_STRENGTH:
                continue
            tiles += 1
            shift = _find(tile, now, left, top)
            if shift is not None:
                centres.append(((left + right) / 2 / width, (top + bottom) / 2 / height))
                shifts.append((shift[0] / width, shift[1] / width))
    return Places(_table(centres), _table(shifts), tiles)


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    """Return where the tiles of one row or column begin and end."""
    edges = np.linspace(BORDER * length, (1 - BORDER) * length, count + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def _find(tile: Float, now: Float, left: int, top: int) -> tuple[float, float] | None:
    """Return by how many pixels a tile is displaced, (0, 0) if it stayed, None if it is not found."""
    reach = round(FARTHEST * now.shape[1])
    x = max(left - reach, 0)
    y = max(top - reach, 0)
    around = now[y : top + tile.shape[0] + reach, x : left + tile.shape[1] + reach]
    if not around.any():
        return None
    fit = cv2.matchTemplate(around, tile, cv2.TM_CCORR_NORMED)
    _, best, _, (column, row) = cv2.minMaxLoc(fit)
    if not SURE <= best <= 1.001:
        return None
    across = float(column + x - left)
    down = float(row + y - top)
    stayed = float(fit[max(top - y - 1, 0) : top - y + 2, max(left - x - 1, 0) : left - x + 2].max())
    if np.hypot(across, down) < LEAST_PIXELS:
        return 0.0, 0.0
    return (across, down) if best - stayed >= BETTER else None


def _table(pairs: list[tuple[float, float]]) -> Float:
    return np.array(pairs, np.float32).reshape(-1, 2)
