"""What a score is worth: of the boxes told at it, the share that is right (a reliability diagram).

A box is right where its best match, IoU 0.5 and more, is an object of its class, each object once. Source:
DeGroot and Fienberg, The Comparison and Evaluation of Forecasters, The Statistician 32 (1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from export.judge.evaluate import Seen, pair
from export.judge.metrics import Interval, draw, ratio

EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)  # few boxes of small models score more than 0.8


@dataclass(frozen=True, slots=True)
class Told:
    """Hold the boxes of one class with low <= score < high: how many, their mean score, the share right."""

    low: float
    high: float
    boxes: int
    mean: float
    right: Interval


def reliability(seen: Sequence[Seen], names: Sequence[str]) -> dict[str, list[Told]]:
    """Return for each class what its scores were worth over all pictures; ranges without a box are left out.

    Intervals come from redrawing whole pictures. What lies on hidden boxes, or is of a class that the
    picture does not label, is not judged.
    """
    pairs = [pair(one, EDGES[0]) for one in seen]
    drawn = draw(len(pairs))
    owner = np.repeat(np.arange(len(pairs)), [len(one.right) for one in pairs])
    score = np.concatenate([one.found.confidence for one in pairs])
    kind = np.concatenate([one.found.class_id for one in pairs])
    right = np.concatenate([one.right for one in pairs])
    table: dict[str, list[Told]] = {}
    for number, name in enumerate(names):
        table[name] = []
        for low, high in pairwise(EDGES):
            rows = (kind == number) & (score >= low) & (score < high)
            if not rows.any():
                continue
            told = np.bincount(owner[rows], minlength=len(pairs))
            true = np.bincount(owner[rows & right], minlength=len(pairs))
            mean = float(score[rows].mean())
            table[name].append(Told(low, high, int(rows.sum()), mean, ratio(true, told, drawn)))
    return table
