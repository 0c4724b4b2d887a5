"""How sure this camera's detections are: the rank of a confidence among those of the last while.

What always holds: only the order counts, so it fits detectors that are never sure as well as those that
always are. It is a histogram that forgets; it starts with as many detections of every confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

BINS = 100
START = 20.0  # detections that it takes to be known for half
MEMORY = 2000.0  # detections


@dataclass(slots=True)
class Levels:
    """Remember how sure the last detections of one camera were."""

    _counts: Float = field(default_factory=lambda: np.full(BINS, START / BINS))

    def note(self, sure: Float) -> Float:
        """Take the confidences (N,) of a frame; return the rank (N,) of each, 0..1; equals share one."""
        place = np.minimum((sure * BINS).astype(np.intp), BINS - 1)
        self._counts *= 1 - len(sure) / MEMORY
        self._counts += np.bincount(place, minlength=BINS)
        upto = self._counts.cumsum()
        ranks: Float = (upto - self._counts / 2)[place] / upto[-1]
        return ranks
