"""What kinds of objects are like: how they move, and how far off a detection of one may be.

What always holds: lengths are in sizes of the object (the root of its box's area) and times in seconds, so a
habit fits any camera and any frame rate.

A car covers several times its own size in a second and brakes hard. A walker covers about its size, goes in
crowds of its like where the next one is near, and disappears behind them. So walkers are given less room to
change their way; but a walker's box is often half of one person or two in one, so within that room a single
detection may be far off (`gate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Number = TypeVar("Number", float, NDArray[np.float64])

ON_FOOT = frozenset({"person", "pedestrian"})  # labels, in small letters


class ClassPrior(NamedTuple, Generic[Number]):
    """Say what to expect of one kind, or of N objects at once, each field then (N,).

    The costs are of a pair of track and detection, as `agent.track.association` weighs them.
    """

    agility: Number  # how fast speed wanders: sizes/s per square root of a second
    fastest: Number  # what a new object's speed may be, one sigma: sizes/s
    jitter: Number  # how far a detection is off: share of the size
    gate: Number  # sigmas
    strict: Number  # what any pair costs more
    hidden: Number  # what a second out of sight costs
    alike: Number  # what an overlap of 1 is worth, beside the likelihood


ANY = ClassPrior(agility=0.5, fastest=2.0, jitter=0.07, gate=5.0, strict=0.0, hidden=0.0, alike=2.0)
WALK = ClassPrior(agility=0.25, fastest=1.0, jitter=0.055, gate=6.0, strict=2.0, hidden=3.0, alike=5.0)


class Habits:
    """Look up the habits of many objects by their class numbers."""

    def __init__(self, usual: ClassPrior[float], special: Mapping[int, ClassPrior[float]]) -> None:
        self._rows = np.repeat(np.array(usual)[:, None], max(special, default=-1) + 2, axis=1)  # (F,K)
        for kind, habit in special.items():
            self._rows[:, kind] = habit

    def of(self, kinds: Float) -> ClassPrior[Float]:
        """Return the habits of class numbers (N,), each field (N,)."""
        last = self._rows.shape[1] - 1
        return ClassPrior(*self._rows[:, np.minimum(kinds, last).astype(np.intp)])


def walkers(names: Mapping[int, str]) -> list[int]:
    """Return the class numbers of those who go on foot."""
    return [kind for kind, name in names.items() if name.casefold() in ON_FOOT]
