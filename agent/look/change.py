"""Where a picture has changed: what was seen stands as long as its pixels do, and what moves is looked at.

What always holds: a picture is compared by the mean grey of cells of CELL pixels, of which every ROWS-th row
is looked at: a camera's noise hardly shows in it, and it costs a fiftieth of a look; what was seen in a place
is compared with the cells of when it was seen, so that a slow change adds up; the same pixels give the same
answer, so nothing is believed that a new look would not say again.

        cells when it was seen        cells now
        ┌─┬─┬─┬─┐                     ┌─┬─┬─┬─┐
        │ │▒│▒│ │                     │ │▒│▒│█│   the find in ▒ stands, what lay in █ is forgotten
        └─┴─┴─┴─┘                     └─┴─┴─┴─┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Uint8
from agent.look.merge import Finds
from agent.look.region import Region

Cells = NDArray[np.uint8]
Bool = NDArray[np.bool_]

CELL = 8  # pixels
ROWS = 4  # of a cell's rows one in so many is looked at
NOISE = 6  # grey levels of a cell's mean: more is a change
STILL = 0.15  # share of a find's cells that may have changed
MOST_MOVES = 8  # moving places that are told of a frame
LEAST_CELLS = 2  # of a moving place
LARGEST_MOVE = 0.1  # of all cells: more is the light or the camera


def cells_of(image: Uint8) -> Cells:
    """Return the mean grey (H/CELL, W/CELL) of a picture's (H,W,3) cells."""
    height, width = image.shape[:2]
    size = max(width // CELL, 1), max(height // CELL, 1)
    some = image[min(ROWS // 2, height - 1) :: ROWS]
    grey = cv2.cvtColor(some, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def differs(a: Cells, b: Cells) -> Uint8:
    """Return where two sets of cells (h,w) differ by more than noise: 1, else 0."""
    return np.asarray(cv2.threshold(cv2.absdiff(a, b), NOISE, 1, cv2.THRESH_BINARY)[1], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a region showed: its finds, and the cells (h,w) then, the first at (row, column)."""

    finds: Finds
    cells: Cells
    corner: tuple[int, int]

    def changed(self, now: Cells) -> Uint8:
        """Return which of its cells (h,w) are not as they were: 1, else 0."""
        row, column = self.corner
        height, width = self.cells.shape
        return differs(now[row : row + height, column : column + width], self.cells)

    def standing(self, changed: Uint8) -> Finds:
        """Return the finds whose pixels are as they were, where some cells (h,w) have changed."""
        row, column = self.corner
        height, width = self.cells.shape
        total = cv2.integral(changed)
        edges = self.finds.found.xyxy / CELL - np.asarray([column, row] * 2)
        left, top = np.floor(edges[:, :2]).astype(int).clip(0, (width - 1, height - 1)).T
        right, bottom = np.ceil(edges[:, 2:]).astype(int).clip(1, (width, height)).T
        inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        kept = inside <= STILL * np.maximum((right - left) * (bottom - top), 1)
        return self.finds if kept.all() else self.finds.some(kept)


class Memory:
    """What the last look at each place showed, for as long as it stands.

    `same`: the numbers of the places that another look would show as the last one did, for no pixel has
    changed there. `looks`: all places, also those that show nothing (any more); `silent`: which of them have
    changed, so that what they do not show may be there.
    """

    def __init__(self) -> None:
        self.same: set[int] = set()
        self.looks: list[tuple[Region, Finds]] = []
        self.silent: Bool = np.zeros(0, np.bool_)
        self._seen: dict[int, tuple[Region, Seen]] = {}
        self._told: list[tuple[Region, Finds]] = []

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
        self.same.clear()
        self.looks = []
        self.silent = np.zeros(0, np.bool_)
        self._told = []

    def keep(self, places: Mapping[int, tuple[Region, Finds]], now: Cells) -> None:
        """Take what places, by their number, showed just now, instead of what they showed before."""
        for number, (region, found) in places.items():
            row = region.top // CELL
            column = region.left // CELL
            end = -(-region.bottom // CELL), -(-region.right // CELL)
            cells = now[row : end[0], column : end[1]]
            self._seen[number] = (region, Seen(found, cells, (row, column)))

    def standing(self, now: Cells) -> list[tuple[Region, Finds]]:
        """Return each place with its finds whose pixels are as they were, and forget the others.

        It is the very same list as long as nothing has changed.
        """
        looks = []
        self.same.clear()
        for number, (region, seen) in list(self._seen.items()):
            left = seen.finds
            changed = seen.changed(now)
            if cv2.countNonZero(changed) < LEAST_CELLS:
                self.same.add(number)
            else:
                left = seen.standing(changed)
                self._seen[number] = (region, Seen(left, seen.cells, seen.corner))
            looks.append((region, left))
        self.looks = looks
        self.silent = np.asarray([number not in self.same for number in self._seen], np.bool_)
        told = [(region, left) for region, left in looks if len(left)]
        if [id(left) for _, left in told] != [id(left) for _, left in self._told]:
            self._told = told
        return self._told


def moving(before: Cells | None, now: Cells, known: Float32) -> Float32:
    """Return boxes (N,4), pixels, of what has moved beside what is known (M,4), the largest first."""
    if before is None or before.shape != now.shape:
        return np.zeros((0, 4), np.float32)
    moved = differs(now, before)
    for left, top, right, bottom in np.rint(known / CELL).astype(int).tolist():
        moved[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = 0
    if moved.mean() > LARGEST_MOVE:
        return np.zeros((0, 4), np.float32)
    _, _, stats, _ = cv2.connectedComponentsWithStats(moved, connectivity=8)
    parts = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= LEAST_CELLS]
    parts = parts[np.argsort(-parts[:, cv2.CC_STAT_AREA], kind="stable")][:MOST_MOVES]
    corner = parts[:, :2]
    return np.asarray(np.concatenate((corner, corner + parts[:, 2:4]), axis=1) * CELL, np.float32)
