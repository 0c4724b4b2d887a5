"""What a training does at which progress 0..1: its learning rate, its mosaics, its size.

0 ........................................ 0.88 ........ 1 - finish.share .......... 1
  mosaics                                     no mosaics    at the deployed size
"""

from __future__ import annotations

import math
from typing import Any

from export.data.augment import Augmentation

PLAIN_TAIL = 0.12  # the last share of a training sees no mosaics


def rate_at(progress: float, peak: float, warm_up: float = 0.02) -> float:
    """Return the learning rate at a progress 0..1: a short ramp, then a cosine down to 1 % of the peak."""
    if progress < warm_up:
        return peak * max(progress / warm_up, 0.01)
    half_turn = math.pi * (progress - warm_up) / (1 - warm_up)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(min(half_turn, math.pi))))


def part_of(recipe: dict[str, Any], progress: float) -> int:
    """Say which part of a training a progress 0..1 lies in: 0 mosaics, 1 none, 2 at the deployed size."""
    finish = recipe.get("finish", {}).get("share", 0.0)
    return 2 if progress >= 1 - finish and finish else int(progress >= 1 - max(PLAIN_TAIL, finish))


def augmentation(recipe: dict[str, Any], part: int) -> Augmentation:
    """Return the augmentation of a part of the recipe's training."""
    low, high = recipe["scale"]
    height, width = recipe["finish"]["size"] if part == 2 else recipe["fit"]
    size = (height, width) if part == 2 else recipe["size"]
    mosaic = 0.0 if part else recipe["mosaic"]
    roll = recipe.get("roll", 0.0)
    nines = recipe.get("nines", 0.0)
    faults = recipe.get("faults", 0.0)
    return Augmentation(size, (height, width), (low, high), mosaic, roll, nines=nines, faults=faults)
