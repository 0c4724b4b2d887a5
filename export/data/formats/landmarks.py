"""What a YOLO label line of more than five numbers is: a polygon, or a box with landmarks.

    polygon     class x y x y x y ...                     odd, from 7 on; any length, line by line
    landmarks   class cx cy w h  x y x y ...              5 + 2K numbers, K the same everywhere
                class cx cy w h  x y v x y v ...          5 + 3K numbers, v is 0, 1 or 2

What always holds: data.yaml's `kpt_shape` (or `labels: polygons`) decides. Without it a kind is taken only if
the lines cannot be of the other; where they can be both, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.data.formats.dataset import Dataset
from export.errors import DataError

Float64 = NDArray[np.float64]
LEAN = 0.25  # of a box's size: so far outside of it a landmark may lie
SHARE = 0.5  # of the lines that may be landmarks: with fewer, they are polygons


class Line(NamedTuple):
    """Hold one line of a label file: its numbers without the class, and where it stands."""

    values: Float64
    where: str


class Shape(NamedTuple):
    """Say what lines of more than a box are: landmarks of so many numbers each, or polygons."""

    landmarks: int = 0  # numbers behind the box

    def wrong(self, count: int) -> bool:
        """Say whether a line of so many numbers behind the class is none of this kind."""
        if self.landmarks:
            return count not in (4, 4 + self.landmarks)
        return not (count == 4 or (count >= 6 and count % 2 == 0))


def find_shape(lines: Sequence[Line], dataset: Dataset, advice: str) -> Shape:
    """Return what the lines of a whole folder are; raises `DataError` where they may be both."""
    if dataset.landmarks:
        return Shape(dataset.landmarks[0] * dataset.landmarks[1])
    longer = [line for line in lines if len(line.values) > 4]
    if dataset.polygons or not longer:
        return Shape()
    counts = {len(line.values) for line in longer}
    if len(counts) > 1:
        return Shape()  # landmarks are as many everywhere
    behind = counts.pop() - 4
    share = float(np.mean([_may_be_landmarks(line.values) for line in longer]))
    polygons = behind % 2 == 0 and all(_may_be_polygon(line.values) for line in longer)
    if not polygons or share < SHARE:
        return Shape(0 if share < SHARE else behind)
    choice = _choices(behind)
    raise DataError(
        f"{longer[0].where}: {behind + 5} numbers may be a box with landmarks or a polygon; write {choice} "
        f"(landmarks) or labels: polygons into {advice}"
    )


def _choices(behind: int) -> str:
    shapes = [f"kpt_shape: [{behind // each}, {each}]" for each in (2, 3) if behind % each == 0]
    return " or ".join(shapes) or "kpt_shape"


def _may_be_landmarks(values: Float64) -> bool:
    """Say whether the first four numbers may be a box round the points behind them."""
    centre = values[:2]
    size = values[2:4]
    if (size <= 0).any() or (centre - size / 2 < -0.01).any() or (centre + size / 2 > 1.01).any():
        return False
    return any(_points_fit(values[4:], each, centre, size) for each in (2, 3) if len(values[4:]) % each == 0)


def _points_fit(behind: Float64, each: int, centre: Float64, size: Float64) -> bool:
    points = behind.reshape(-1, each)
    unseen = (points[:, :2] <= 0).all(1)  # 0 or -1: not visible
    near = (np.abs(points[:, :2] - centre) <= size * (0.5 + LEAN)).all(1)
    marked = each == 2 or bool(np.isin(points[:, 2], (0, 1, 2)).all())
    return marked and bool((near | unseen).all()) and not bool(unseen.all())


def _may_be_polygon(values: Float64) -> bool:
    return bool((values >= -0.01).all() and (values <= 1.01).all())
