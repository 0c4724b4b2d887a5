"""Whether a live camera's pictures show anything: frozen, torn, or blind, though they keep coming.

Invariants:

* A scene in which nothing moves is not frozen: a sensor's noise changes it everywhere, a little. What stands
  still to the last digit is.
* A clock that is written into the picture does not make a frozen picture live: it changes a small place at
  the upper or lower edge, each second, and nothing else.
* A dark scene is not blind: it has edges that stay where they are. Noise alone has none, and a clock that is
  written over it says nothing of the lens.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.percentile import percentile
from agent.see.feed.picture import Image
from agent.see.overlay import without_text

Float = NDArray[np.float32]

STRIP = 0.2  # of the height, above and below: there clocks are written
CLOCK_WIDTH = 0.4  # of the picture: the part of a clock that changes
CLOCK_HEIGHT = 0.15
RUNNING = 0.5  # of the seconds must a clock change

TORN_SECONDS = 3.0
TORN_ROWS = 1 / 8  # of the height
GREYS = ((128, 128, 128), (0, 135, 0), (0, 154, 0))  # what decoders fill in: JPEG's middle, and YUV's zeros

WINDOW_SECONDS = 4.0
LOOK_SECONDS = 0.2  # so often a picture is looked at, at most
SEEN_SECONDS = 2.0  # with two windows of noise: a lens that is covered is told within ten seconds
FEWEST = 3  # pictures of a window
FINE = 320  # columns of the picture that is looked at
CELLS = (32, 18)
LEAST_TEXTURE = 0.6  # grey levels, of what two windows have in common
MEDIAN_STEP = 0.954  # of normal noise: the median difference of two neighbours over the standard deviation
BEYOND_CHANCE = 7.0  # standard deviations; 98 % of the cells of noise lie within 2.3
LEAST_SHAPE = 1.2  # grey levels between neighbouring cells: many of them, or one
LEAST_SPOT = 4.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a picture is worth looking at, and if not, what the camera is (None: as before) and why."""

    good: bool
    state: Literal["frozen", "degraded"] | None = None
    reason: str = ""


GOOD = Verdict(True)


class Health:
    """Judge the pictures of one connection to a live camera."""

    def __init__(self, frozen_seconds: float) -> None:
        self._frozen_seconds = frozen_seconds
        self._stillness = Stillness()
        self._texture = Texture()
        self._torn_since: float | None = None

    def look(self, image: Image, now: float, period: float = 0.0) -> Verdict:
        """Judge a picture (H,W,3) at `now`, seconds; `period`: how rarely the camera has a new one."""
        patience = max(self._frozen_seconds, 3 * period)
        if self._stillness.seconds(image, now) >= patience:
            text = f"the picture has not changed for {patience:.0f} s{self._stillness.beside}"
            return Verdict(False, "frozen", f"{text}; is the camera stuck?")
        if is_torn(image):
            self._torn_since = now if self._torn_since is None else self._torn_since
            if now - self._torn_since < TORN_SECONDS:
                return Verdict(False)
            return Verdict(False, "degraded", "the lower part of the pictures is missing; check the network")
        self._torn_since = None
        if self._texture.is_blind(image, now):
            text = "the picture shows nothing, or noise alone; is the lens covered, or all dark?"
            return Verdict(False, "degraded", text)
        return GOOD


class Stillness:
    """Notice a picture that does not change, on a coarse grid of its pixels; a written clock may run in
    it.
    """

    def __init__(self) -> None:
        self._grid: Image | None = None
        self._since = 0.0
        self._written: list[float] = []  # seconds in which a clock has changed
        self._boxes: dict[tuple[bool, bool], _Box] = {}  # what changed above or below, on the left or right

    @property
    def beside(self) -> str:
        """Return what still runs in a frozen picture, in words."""
        return " but for a clock" if self._written else ""

    def seconds(self, image: Image, now: float) -> float:
        """Return for how long the picture has been the same."""
        grid = image[::8, ::8]
        if self._grid is None or grid.shape != self._grid.shape:
            return self._begin(grid, now)
        changed = _changed(grid, self._grid)
        if not changed.any():
            return self._still(now)
        if not self._may_be_clock(changed):
            return self._begin(grid, now)
        self._grid = grid.copy()
        if int(now) not in self._written:
            self._written.append(int(now))
        return self._still(now)

    def _begin(self, grid: Image, now: float) -> float:
        self._grid = grid.copy()
        self._since = now
        self._written = []
        self._boxes = {}
        return 0.0

    def _still(self, now: float) -> float:
        """Return for how long nothing but a clock has changed."""
        passed = now - self._since
        if self._written and len(self._written) < RUNNING * passed - 1:  # no clock: something moved, once
            self._since = float(self._written[-1] + 1) if self._written[-1] + 1 <= now else now
            self._written = []
            self._boxes = {}
            return max(now - self._since, 0.0)
        return passed

    def _may_be_clock(self, changed: NDArray[np.bool_]) -> bool:
        """Tell whether all that changed since the beginning may be text at the upper and the lower edge."""
        height, width = changed.shape
        strip = max(int(np.ceil(STRIP * height)), 1)
        if changed[strip : height - strip].any():
            return False
        for lower, right in itertools.product((False, True), repeat=2):
            side = slice(width // 2, width) if right else slice(0, width // 2)
            rows, columns = np.nonzero((changed[height - strip :] if lower else changed[:strip])[:, side])
            if not len(rows):
                continue
            box = self._boxes.get((lower, right), _NOWHERE).with_points(rows, columns)
            if box.width > max(CLOCK_WIDTH * width, 2) or box.height > max(CLOCK_HEIGHT * height, 2):
                return False
            self._boxes[lower, right] = box
        return True


@dataclass(frozen=True, slots=True)
class _Box:
    """The smallest box round some places of a grid."""

    top: int
    left: int
    bottom: int
    right: int

    def with_points(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> _Box:
        return _Box(
            min(self.top, int(rows.min())),
            min(self.left, int(columns.min())),
            max(self.bottom, int(rows.max())),
            max(self.right, int(columns.max())),
        )

    @property
    def width(self) -> int:
        return self.right - self.left + 1

    @property
    def height(self) -> int:
        return self.bottom - self.top + 1


_NOWHERE = _Box(1 << 30, 1 << 30, -1, -1)


def _changed(a: Image, b: Image) -> NDArray[np.bool_]:
    """Return where two grids (h,w,3) differ by more than the rounding of a decoder. (h,w)"""
    gap = cv2.absdiff(np.ascontiguousarray(a), b) > 1
    return np.asarray(gap[..., 0] | gap[..., 1] | gap[..., 2])


def is_torn(image: Image) -> bool:
    """Tell whether the lower part of a picture is what a decoder fills in where bytes are missing."""
    rows = max(int(image.shape[0] * TORN_ROWS), 1)
    last = image[-1, 0].astype(int)
    if not any(np.abs(last - grey).max() <= 4 for grey in GREYS):
        return False
    return bool(np.ptp(image[-rows:], axis=(0, 1)).max() <= 2)


class Texture:
    """Notice a camera that shows nothing: noise has no shape larger than chance makes it, and none that
    stays.

    One picture with a shape is enough to see, for a while. Dim shapes hide in noise; so the pictures of a
    window of time are averaged, and what two windows have in common is a shape too.
    """

    def __init__(self) -> None:
        self._sum: Float | None = None
        self._count = 0
        self._begun = 0.0
        self._next = -np.inf  # when a picture is looked at again
        self._before: Float | None = None  # the average of the window before
        self._blind = False

    def is_blind(self, image: Image, now: float) -> bool:
        """Take a picture (H,W,3) at `now` seconds; tell whether the camera shows nothing."""
        if now < self._next and not self._blind:
            return False
        self._next = now + LOOK_SECONDS
        step = max(image.shape[1] // FINE, 1)
        grey = without_text(image[::step, ::step, 1].astype(np.float32))
        if self._sum is None or self._sum.shape != grey.shape:
            self._before = None
            self._begin(grey, now)
        if _has_shape(grey):
            self._blind = False
            self._before = None
            self._next = now + SEEN_SECONDS
            self._begin(grey, self._next)
            return False
        self._sum = grey if self._sum is None else self._sum + grey
        self._count += 1
        if now - self._begun >= WINDOW_SECONDS and self._count >= FEWEST:
            self._judge(self._sum / np.float32(self._count))
            self._begin(grey, now)
        return self._blind

    def _begin(self, grey: Float, now: float) -> None:
        self._sum = np.zeros_like(grey)
        self._count = 0
        self._begun = now

    def _judge(self, average: Float) -> None:
        """Compare a full window with the one before."""
        if self._before is not None:
            self._blind = _nothing_in_common(average, self._before)
        self._before = average


def _has_shape(grey: Float) -> bool:
    """Tell whether one picture (h,w) has more between its cells than its own noise explains."""
    noise = percentile(np.abs(np.diff(grey[::2], axis=1)), 50) / MEDIAN_STEP
    cell = grey.size / (CELLS[0] * CELLS[1])  # pixels
    return bool(_spread(_relief(grey)) > max(LEAST_SPOT, BEYOND_CHANCE * noise / cell**0.5))


def _relief(grey: Float) -> Float:
    """Return by how much each of the coarse cells differs from its neighbours."""
    cells: Float = cv2.resize(grey, CELLS, interpolation=cv2.INTER_AREA)
    relief: Float = cells - cv2.blur(cells, (3, 3))
    return relief


def _spread(relief: Float) -> float:
    return percentile(np.abs(relief), 98)


def _nothing_in_common(a: Float, b: Float) -> bool:
    """Tell whether two averages (h,w) share neither fine texture nor coarse shape."""
    fine = float(np.mean(np.diff(a, axis=1) * np.diff(b, axis=1)))
    fine = max(fine, float(np.mean(np.diff(a, axis=0) * np.diff(b, axis=0))))
    if fine > LEAST_TEXTURE**2:
        return False
    first = _relief(a)
    second = _relief(b)
    common = np.where(first * second > 0, np.minimum(np.abs(first), np.abs(second)), 0)
    return percentile(common, 98) < LEAST_SHAPE and float(common.max()) < LEAST_SPOT
