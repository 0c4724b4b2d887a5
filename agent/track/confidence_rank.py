"""How sure this camera's detections of a class are: the rank of a confidence among those of the last while.

What always holds: only the order counts, so it fits detectors that are never sure as well as those that
always are. It is a histogram that forgets; it starts with as many detections of every confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.intp]

BINS = 100
START = 20.0  # detections that it takes to be known for half
MEMORY = 2000.0  # detections
FRESH = 0.02  # as many of all that are remembered may wait to be counted


@dataclass(slots=True)
class ConfidenceRanks:
    """Remember how sure the last detections of one class were."""

    _counts: Float = field(default_factory=lambda: np.full(BINS, START / BINS))
    _ranks: Float = field(default_factory=lambda: (np.arange(BINS) + 0.5) / BINS)
    _total: float = START
    _waiting: list[Int] = field(default_factory=list)
    _new: int = 0

    def note(self, sure: Float) -> Float:
        """Take the confidences (N,) of a frame; return the rank (N,) of each, 0..1; equals share one."""
        place = np.minimum((sure * BINS).astype(np.intp), BINS - 1)
        if len(place):
            self._waiting.append(place)
            self._new += len(place)
        if self._new > FRESH * self._total:
            self._count()
        return self._ranks[place]

    def usual(self) -> float:
        """Return the confidence that half of the detections reach."""
        return float(self._ranks.searchsorted(0.5) + 0.5) / BINS

    def _count(self) -> None:
        """Take in what waits, and forget as much of what was long ago."""
        self._counts *= max(1 - self._new / MEMORY, 0.0)
        self._counts += np.bincount(np.concatenate(self._waiting), minlength=BINS)
        upto = self._counts.cumsum()
        self._total = float(upto[-1])
        self._ranks = (upto - self._counts / 2) / self._total
        self._waiting.clear()
        self._new = 0


@dataclass(slots=True)
class ClassRanks:
    """Remember it for each class apart: a detector that is sure of cars need not be of people."""

    _of: dict[int, ConfidenceRanks] = field(default_factory=dict)

    def note(self, sure: Float, kind: Float) -> Float:
        """Take confidences and classes (N,) of a frame; return the rank (N,) of each in its class, 0..1."""
        ranks = np.zeros(len(sure))
        for each in sorted(set(kind.tolist())):
            same = kind == each
            ranks[same] = self._ranks(each).note(sure[same])
        return ranks

    def usual(self, kind: Float) -> Float:
        """Return the confidence (N,) that half of the detections of some classes (N,) reach."""
        usual = np.zeros(len(kind))
        for each in sorted(set(kind.tolist())):
            usual[kind == each] = self._ranks(each).usual()
        return usual

    def _ranks(self, kind: float) -> ConfidenceRanks:
        return self._of.setdefault(int(kind), ConfidenceRanks())
