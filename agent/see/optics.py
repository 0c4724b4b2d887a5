"""What a picture lacks though it shows something: light, sharpness, a clean lens, a steady brightness.

What always holds: a minute is judged at a time, and only what holds for `MINUTES` in a row is told, or taken
back. Sharpness is a tile's steepest edge over its contrast, so light and what is parked change it little; it
is compared with this camera's own first minute, so a camera that was never sharp is not called out of focus.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Uint8
from agent.percentile import medians, percentile

Float = NDArray[np.float32]
Kind = Literal["dark", "unfocused", "dirty", "flickering"]

EVERY_SECONDS = 5.0
WINDOW_SECONDS = 60.0
FEWEST = 6  # pictures of a window
MINUTES = 2
WIDTH = 480
TILES = (6, 4)
CELL = 8  # pixels; contrast is that of such cells, which a little blur does not change
DARK = 35.0  # of 255: 95 % of the picture is darker
LIGHT_AGAIN = 45.0
FLAT = 12.0  # grey levels of contrast: a tile with less has nothing to be sharp with
BLURRED = 0.5  # of the sharpness at first
SAME = (0.4, 1.3)  # of the contrast at first: blur takes some and adds none; else something else stands there
MOST = 0.7  # of the tiles: all is out of focus
SOME = 0.2  # of the tiles: something is on the lens
FEWEST_TILES = 5
JUMP = 0.15  # of the brightness from one look to the next, of three quarters of the picture
BREAK_SECONDS = 15.0  # looks that lie farther apart are not compared
STEPS = 10  # of a window, before anything is called flickering
FLICKERS = 0.4  # of the steps are jumps
EACH_WAY = 0.15


@dataclass(frozen=True, slots=True)
class Flaw:
    """What a picture lacks, since when (Unix ms), and the share of the tiles, from 0 to 1."""

    kind: Kind
    since: int
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture: sharpness and contrast of its tiles (T,), and how dark it is."""

    sharpness: Float
    contrast: Float
    light: float


class Optics:
    """Judge the pictures of one camera, minute by minute."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._looks: list[Look] = []
        self._steps: list[float] = []
        self._before: tuple[Float, float] | None = None
        self.first: Look | None = None
        self._last = -np.inf
        self._begun = 0.0
        self._begun_ms = 0
        self._row: dict[Kind, tuple[int, int]] = {}  # found in so many minutes in a row, since when
        self._clear: dict[Kind, int] = {}  # not found in so many minutes in a row

    def look(self, image: Uint8, seconds: float, wall_ms: int) -> bool:
        """Take a picture (H,W,3); return True where a minute has been judged."""
        self._compare_light(image, seconds)
        if seconds - self._last < EVERY_SECONDS:
            return False
        if not self._looks or seconds - self._begun > 3 * WINDOW_SECONDS:
            self._begin(seconds, wall_ms)
        self._last = seconds
        self._looks.append(measure(image))
        if seconds - self._begun < WINDOW_SECONDS or len(self._looks) < FEWEST:
            return False
        self._judge()
        self._begin(seconds, wall_ms)
        return True

    def _begin(self, seconds: float, wall_ms: int) -> None:
        self._looks = []
        self._steps = []
        self._begun = seconds
        self._begun_ms = wall_ms

    def renew(self) -> None:
        """The camera looks elsewhere: what it showed at first says nothing of now."""
        self.first = None

    def _compare_light(self, image: Uint8, seconds: float) -> None:
        """Note by how much three quarters of the picture are brighter, or darker, than at the look before."""
        step = max(image.shape[1] // 64, 1)
        cells = image[::step, ::step, 1].astype(np.float32) + np.float32(8)
        before = self._before
        if before is not None and before[0].shape == cells.shape and seconds - before[1] <= BREAK_SECONDS:
            steps = np.log(cells / before[0])
            self._steps.append(max(percentile(steps, 25), 0.0) + min(percentile(steps, 75), 0.0))
        self._before = (cells, seconds)

    def _judge(self) -> None:
        middle = Look(
            medians([look.sharpness for look in self._looks]).astype(np.float32),
            medians([look.contrast for look in self._looks]).astype(np.float32),
            percentile([look.light for look in self._looks], 50),
        )
        found: dict[Kind, float] = {}
        if middle.light < (LIGHT_AGAIN if self._is_told("dark") else DARK):
            found["dark"] = 1.0
        elif self.first is None or self.first.sharpness.shape != middle.sharpness.shape:
            self.first = middle
        else:
            found |= _blur(self.first, middle)
        if _flickers(np.array(self._steps)):
            found["flickering"] = 1.0
        self._take(found)

    def _is_told(self, kind: Kind) -> bool:
        return any(flaw.kind == kind for flaw in self.flaws)

    def _take(self, found: dict[Kind, float]) -> None:
        """Tell what was found in enough minutes in a row, and take back what was not."""
        for kind in found:
            count, since = self._row.get(kind, (0, self._begun_ms))
            self._row[kind] = (count + 1, since)
            self._clear[kind] = 0
        for kind in [kind for kind in self._row if kind not in found]:
            self._clear[kind] += 1
            if not self._is_told(kind) or self._clear[kind] >= MINUTES:
                del self._row[kind]
        told = {flaw.kind: flaw.share for flaw in self.flaws}
        self.flaws = [
            Flaw(kind, since, found.get(kind, told.get(kind, 1.0)))
            for kind, (count, since) in self._row.items()
            if count >= MINUTES
        ]


def measure(image: Uint8) -> Look:
    """Return the sharpness and contrast of a picture's tiles."""
    width = min(WIDTH, image.shape[1])
    height = max(round(image.shape[0] * width / image.shape[1]), TILES[1] * CELL)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(grey, (width // CELL, height // CELL), interpolation=cv2.INTER_AREA)
    contrast = np.array([percentile(tile, 95) - percentile(tile, 5) for tile in _tiles(cells)], np.float32)
    return Look(_steepest(grey) / (contrast + np.float32(4)), contrast, percentile(grey[::2, ::2], 95))


def _steepest(grey: Uint8) -> Float:
    """Return how steep the edges of each tile of (h,w) are, grey levels a pixel, (T,)."""
    across, down = cv2.spatialGradient(grey)  # Sobel's: over eight pixels
    squares = [
        np.square(x, dtype=np.int32) + np.square(y, dtype=np.int32)
        for x, y in zip(_tiles(across), _tiles(down), strict=True)
    ]
    steepest = np.sqrt([percentile(each, 98) for each in squares]) / 8
    return np.asarray(steepest, np.float32)


def _tiles(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the tiles of (h,w) values, row by row; where they are not alike, the first are the larger."""
    rows, columns = (_edges(length, count) for length, count in zip(values.shape, TILES[::-1], strict=True))
    return [
        values[top:bottom, left:right] for top, bottom in pairwise(rows) for left, right in pairwise(columns)
    ]


def _edges(length: int, count: int) -> list[int]:
    """Return where `count` parts of a length begin and end, as `numpy.array_split` does."""
    each, more = divmod(length, count)
    return [number * each + min(number, more) for number in range(count + 1)]


def _blur(first: Look, now: Look) -> dict[Kind, float]:
    """Return whether all of the picture, or a part, has lost its sharpness, and the share that has."""
    usable = (first.contrast >= FLAT) & (now.contrast >= FLAT / 2)
    if np.count_nonzero(usable) < FEWEST_TILES:
        return {}
    ratios = (now.contrast + np.float32(1)) / (first.contrast + np.float32(1))
    contrast = ratios[usable] / np.float32(percentile(ratios, 50))  # beside the light of all
    same = (contrast > SAME[0]) & (contrast < SAME[1])
    share = float(np.mean(same & (now.sharpness[usable] < BLURRED * first.sharpness[usable])))
    if share >= MOST:
        return {"unfocused": share}
    return {"dirty": share} if share >= SOME else {}


def _flickers(steps: NDArray[np.float64]) -> bool:
    """Tell whether the brightness of most of the picture jumps up and down."""
    if len(steps) < STEPS:
        return False
    up = float(np.mean(steps > JUMP))
    down = float(np.mean(steps < -JUMP))
    return up + down >= FLICKERS and min(up, down) >= EACH_WAY
