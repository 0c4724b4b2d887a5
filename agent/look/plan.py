"""Where to look again: a pyramid of tiles, each wanted the more, the more there may be to see.

What always holds: a tile of level k shows its part of the picture 2^k times as large as the first look did;
levels go on until MOST_ZOOM input pixels show one of the picture; the closest tiles, after them, are needed
only where something is smaller still; every place lies in a tile of each level, neighbours share OVERLAP of a
tile; the same finds give the same plan.

    first look           level 1, 2x           level 2, 4x
    ┌──────────┐         ┌─────┬┬─────┐        ┌──┬──┬──┬──┐    needed(tile) = what it would show sharper
    │   . .    │         │  . .││     │        ├──┼──┼──┼──┤       of what is known, the unsure twice,
    │          │   ─▶    ├─────┼┼─────┤   ─▶   ├──┼──┼──┼──┤       and of hints (heads, motion)
    │     ▢    │         │     ││ ▢   │        ├──┼──┼──┼──┤
    └──────────┘         └─────┴┴─────┘        └──┴──┴──┴──┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Int64, area
from agent.look.merge import ENOUGH, Finds, joined, same
from agent.look.region import Region, Size, tiles

Float = NDArray[np.float64]

OVERLAP = 0.15  # of a tile, shared with its neighbour: what is smaller is whole in one of them
MOST_ZOOM = 2.0  # input pixels a picture's pixel: there is nothing more to see beyond,
CLOSEST = 3.0  # but that the network wants more input pixels than the smallest objects have of their own
GAIN = 1.3  # a tile that shows its part hardly larger is not worth a look
UNSURE = (0.1, 0.5)  # scores of which a closer look may make something
LEANING = 0.5  # worth of what is unsure to a turned region: it shows nothing sharper
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


def closest(picture: Size, canvas: Size) -> list[Place]:
    """Return the tiles of a picture (width, height) that show it largest; only those that are needed pay."""
    zoom = min(canvas[0] / picture[0], canvas[1] / picture[1])
    if zoom * GAIN >= CLOSEST:
        return []
    level = len(_levels(picture, canvas)) + 1
    size = (canvas[0] / CLOSEST, canvas[1] / CLOSEST)
    return [Place(region, level) for region in tiles(picture, size, OVERLAP * min(size))]


def _levels(picture: Size, canvas: Size) -> list[tuple[float, float]]:
    """Return the size (width, height) of the tiles of each level that is worth a look."""
    zoom = min(canvas[0] / picture[0], canvas[1] / picture[1])
    sizes = []
    while zoom * GAIN < MOST_ZOOM:
        zoom = min(zoom * 2, MOST_ZOOM)
        sizes.append((canvas[0] / zoom, canvas[1] / zoom))
    return sizes


def sharpest(first: Finds, second: Finds, kinds: Int64) -> Finds:
    """Return what both looks found; what the first saw is as sharp as any region showed it.

    `second`: the finds of regions, each object once; those of turned ones are left out, for no upright tile
    shows them sharper; `kinds` (C,) of each class.
    """
    second = second.some(second.sharp > 0)
    alike = same(first.found, second.found, kinds)  # (N,M)
    again = np.where(alike, second.sharp, 0.0).max(1, initial=0.0)
    return joined([replace(first, sharp=np.maximum(first.sharp, again).astype(np.float32)), second])


def need(places_: Sequence[Place], known: Finds, canvas: Size, hints: Float32 | None = None) -> Float:
    """Return how much each of P places is worth looking at (P,), 0 where nothing speaks for it.

    Of a find that is sharp enough, or that a place would show no sharper, a look tells nothing new.

    Args:
        places_: the tiles.
        known: what was seen up to now, in the picture's pixels, as sharp as it was seen.
        canvas: width and height of the network's input.
        hints: boxes (N,4) where something must be that was not seen: heads, motion.
    """
    if not places_:
        return np.zeros(0)
    low, high = UNSURE
    sure = known.found.confidence
    unsure = ((sure >= low) & (sure < high)).astype(np.float64)
    unseen = np.zeros((0, 4), np.float32) if hints is None else hints
    boxes = np.concatenate((known.found.xyxy, unseen))
    before = np.concatenate((known.sharp, np.zeros(len(unseen))))
    weight = np.concatenate(((sure >= low) * 1.0 + unsure, np.ones(len(unseen))))  # (N,)
    zooms = np.asarray([place.region.zoom(canvas) for place in places_])
    then = np.minimum(np.sqrt(area(boxes)) * zooms[:, None], ENOUGH)  # (P,N)
    worth = np.maximum(then - before, 0.0) / ENOUGH * weight
    leans = np.asarray([bool(place.region.roll) for place in places_])
    worth[leans] = np.concatenate((unsure, np.ones(len(unseen)))) * LEANING
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    tile = np.concatenate([place.region.box for place in places_])
    inside = (middles >= tile[:, None, :2]) & (middles < tile[:, None, 2:])  # (P,N,2)
    return np.asarray((inside.all(2) * worth).sum(1), np.float64)
