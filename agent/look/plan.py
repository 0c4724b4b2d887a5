"""Where to look again: a pyramid of tiles, each wanted the more, the more there may be to see.

What always holds: a tile of level k shows its part of the picture 2^k times as large as the first look did;
levels go on until the picture's own pixels are shown, or what is worth showing larger; every place lies in a
tile of each level, neighbours share OVERLAP of a tile; the same finds give the same plan.

    first look           level 1, 2x           level 2, 4x
    ┌──────────┐         ┌─────┬┬─────┐        ┌──┬──┬──┬──┐    needed(tile) = small finds
    │   . .    │         │  . .││     │        ├──┼──┼──┼──┤                 + unsure finds
    │          │   ─▶    ├─────┼┼─────┤   ─▶   ├──┼──┼──┼──┤                 + hints (heads, motion)
    │     ▢    │         │     ││ ▢   │        ├──┼──┼──┼──┤
    └──────────┘         └─────┴┴─────┘        └──┴──┴──┴──┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, area
from agent.look.region import Region, Size, tiles

Float = NDArray[np.float64]

OVERLAP = 0.15  # of a tile, shared with its neighbour: what is smaller is whole in one of them
MOST_ZOOM = 2.0  # input pixels a picture's pixel: there is nothing more to see beyond
GAIN = 1.3  # a tile that shows its part hardly larger is not worth a look
SMALL = 32.0  # input pixels: what was seen smaller may be told better
UNSURE = (0.1, 0.5)  # scores of which a closer look may make something
ROLL = 60.0  # degrees: an upright network finds what leans by half of it


@dataclass(frozen=True, slots=True)
class Place:
    """A region of the plan, and at which level of the pyramid it is."""

    region: Region
    level: int


def places(picture: Size, canvas: Size, *, turned: bool = False) -> list[Place]:
    """Return all tiles of a picture (width, height) for a network's input, the coarsest level first.

    With `turned` the whole picture comes once more, turned to either side, for what leans.
    """
    upright = [
        Place(region, level)
        for level, size in enumerate(_levels(picture, canvas), 1)
        for region in tiles(picture, size, OVERLAP * min(size))
    ]
    if not turned:
        return upright
    whole = Place(Region(0, 0, *picture), 0)
    return upright + [replace(whole, region=replace(whole.region, roll=roll)) for roll in (ROLL, -ROLL)]


def _levels(picture: Size, canvas: Size) -> list[tuple[float, float]]:
    """Return the size (width, height) of the tiles of each level that is worth a look."""
    zoom = min(canvas[0] / picture[0], canvas[1] / picture[1])
    sizes = []
    while zoom * GAIN < MOST_ZOOM:
        zoom = min(zoom * 2, MOST_ZOOM)
        sizes.append((canvas[0] / zoom, canvas[1] / zoom))
    return sizes


def need(places_: Sequence[Place], found: Detections, zoom: float, hints: Float32 | None = None) -> Float:
    """Return how much each of P places is worth looking at (P,), 0 where nothing speaks for it.

    Args:
        places_: the tiles.
        found: what the first look saw, in the picture's pixels.
        zoom: input pixels a pixel of the picture in the first look.
        hints: boxes (N,4) where something must be: heads, motion.
    """
    low, high = UNSURE
    sharp = np.sqrt(area(found.xyxy)) * zoom
    small = np.clip(1 - sharp / SMALL, 0, 1) * (found.confidence >= low)
    unsure = (found.confidence >= low) & (found.confidence < high)
    worth = small + 0.5 * unsure  # (N,)
    points = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    if hints is not None and len(hints):
        points = np.concatenate((points, (hints[:, :2] + hints[:, 2:]) / 2))
        worth = np.concatenate((worth, np.ones(len(hints))))
    boxes = np.concatenate([place.region.box for place in places_]) if places_ else np.zeros((0, 4))
    inside = (points[None] >= boxes[:, None, :2]) & (points[None] < boxes[:, None, 2:])  # (P,N,2)
    return np.asarray((inside.all(2) * worth[None]).sum(1), np.float64)
