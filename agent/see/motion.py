"""Where a camera's picture has changed since it was last looked at, on a coarse grid, for next to nothing.

Invariants:

* A change is told against the picture of the last look, however long ago that was: what creeps away slowly
  adds up.
* Light that changes everywhere alike (a cloud, the camera's own exposure) is no change; light that changes
  somewhere is.
* A camera that sways by less than two cells moves nothing: a cell may look like any that near to it. Cells
  without a changed neighbour are no change: what is so small is too small for the model too.
* A place that keeps changing although nobody finds anything there (a tree, water, rain, a flag) becomes
  harder to wake, never deaf: what its usual changes hide is bounded.

    picture (H,W,3) ─ every STEPth pixel, green ─ means of 2 x 2, again ─ of cells ─▶ (h,w), CELLS across
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.see.feed.picture import Image

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]

AROUND = np.ones((5, 5), np.uint8)
CELLS = 120  # across the picture: a person of a fiftieth of its width covers two
LEAST_CHANGE = 4.0  # grey levels
FEWEST = 2  # cells side by side
BEYOND_USUAL = 3.0  # times the usual change of a place
MOST_USUAL = 8.0  # grey levels: more than that is never taken for usual
LEARN = 0.25  # of a change in vain
UNLEARN = 0.02  # of what is usual, with each quiet look
LIGHT = (0.5, 2.0)  # a light that changes by more than these factors is a new picture


def cells_of(image: Image) -> Float:
    """Return the mean green (h,w) of the cells of a picture (H,W,3)."""
    height, width = image.shape[:2]
    step = max(width // (4 * CELLS), 1)
    green = cv2.extractChannel(image, 1) if step == 1 else np.ascontiguousarray(image[::step, ::step, 1])
    size = (min(CELLS, green.shape[1]), min(max(round(CELLS * height / width), 1), green.shape[0]))
    # Means of 2 x 2 cost a third of others.
    while min(green.shape[1] // size[0], green.shape[0] // size[1]) >= 2:
        half = (green.shape[1] // 2, green.shape[0] // 2)
        green = cv2.resize(green, half, interpolation=cv2.INTER_AREA)
    cells = cv2.resize(green, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32)


def _median(cells: Float) -> int:
    """Return the median of cells (h,w), which are whole grey levels."""
    counts = np.bincount(cells.astype(np.uint8).ravel(), minlength=256)
    return int(counts.cumsum().searchsorted(cells.size / 2))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """By how many grey levels (h,w) the cells differ from the last look, and `where` that is a change."""

    levels: Float
    where: Bool


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a look saw: the least and the most (h,w) of each cell and those around it, and the light."""

    low: Float
    high: Float
    light: int

    @classmethod
    def of(cls, cells: Float) -> Seen:
        """Return what is to be remembered of cells (h,w)."""
        low = cv2.erode(cells, AROUND)
        high = cv2.dilate(cells, AROUND)
        return cls(np.asarray(low, np.float32), np.asarray(high, np.float32), _median(cells))

    def beyond(self, cells: Float, light: np.float32) -> Float:
        """Return by how much cells (h,w) lie outside of what was seen, `light` times as bright."""
        outside = np.maximum(cells - self.high * light, self.low * light - cells)
        return np.asarray(np.maximum(outside, 0), np.float32)


def together(where: Bool) -> Bool:
    """Return which of the cells (h,w) have others beside them."""
    if not where.any():
        return where
    near = cv2.boxFilter(where.view(np.uint8), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(where & (near >= FEWEST), np.bool_)


class Motion:
    """Compare pictures with the one that was looked at last."""

    def __init__(self) -> None:
        self._seen: Seen | None = None  # by the last look
        self._now: Float | None = None
        self._usual: Float | None = None

    def compare(self, image: Image) -> Change | None:
        """Return how a picture (H,W,3) differs from the last look; None where it cannot be compared."""
        cells = cells_of(image)
        self._now = cells
        if self._seen is None or self._usual is None or self._seen.low.shape != cells.shape:
            return None
        light = (_median(cells) + 1) / (self._seen.light + 1)
        if not LIGHT[0] < light < LIGHT[1]:
            return None
        levels = self._seen.beyond(cells, np.float32(light))
        where = levels > np.maximum(BEYOND_USUAL * self._usual, LEAST_CHANGE)
        return Change(levels, together(where))

    def looked(self) -> None:
        """The picture that was compared last is looked at: the next are compared with it."""
        if self._now is not None and (self._usual is None or self._usual.shape != self._now.shape):
            self._usual = np.zeros_like(self._now)
        self._seen = None if self._now is None else Seen.of(self._now)

    def forget(self) -> None:
        """Compare with nothing that was seen before."""
        self._seen = None

    def learn(self, change: Change, found: Bool) -> None:
        """Learn from a look: where (h,w) there was a `change`, and where anything was `found`."""
        if self._usual is None or self._usual.shape != found.shape:
            return
        vain = cv2.dilate(np.where(change.where & ~found, change.levels, np.float32(0)), AROUND)
        more = self._usual + LEARN * np.maximum(vain - self._usual, 0)
        less = self._usual * (1 - UNLEARN)
        self._usual = np.where((vain > 0) & ~found, np.minimum(more, MOST_USUAL), less)
