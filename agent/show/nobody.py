"""The picture that shows nobody: the median, over a minute, of each point of a camera's picture.

What always holds: what stood at a point for less than half of the minute is not in it. It is made on the box,
only while somebody watches, from pictures whose private zones are black already; it needs `SAMPLES` small
pictures of memory, which are given back when nobody has watched for a while.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from agent.boxes import Uint8

SAMPLES = 15
EVERY_SECONDS = 4.0
FORGET_SECONDS = 90.0


class Nobody:
    """Collects pictures of one camera; `picture` is their median once a minute of them is there."""

    def __init__(self) -> None:
        self.picture: Uint8 | None = None
        self._samples: deque[Uint8] = deque(maxlen=SAMPLES)
        self._last = 0.0
        self._fresh = 0  # samples that the median does not know yet

    @property
    def wait_seconds(self) -> float:
        """How long it takes until there is a picture, if somebody goes on watching."""
        return (SAMPLES - len(self._samples)) * EVERY_SECONDS

    def add(self, image: Uint8, seconds: float) -> bool:
        """Take a picture (H,W,3) if it is time for one; return True if the median is new, once a minute."""
        if self._samples and (seconds - self._last > FORGET_SECONDS or self._samples[0].shape != image.shape):
            self.clear()
        if self._samples and seconds - self._last < EVERY_SECONDS:
            return False
        self._samples.append(image.copy())
        self._last = seconds
        self._fresh += 1
        if self._fresh < SAMPLES:
            return False
        self._fresh = 0
        self.picture = _median(self._samples)
        return True

    def clear(self) -> None:
        """Forget all pictures."""
        self._samples.clear()
        self._fresh = 0
        self.picture = None


def _median(samples: deque[Uint8]) -> Uint8:
    """Return the median of an odd number of pictures, row by row: it takes no second copy of them."""
    result = np.empty_like(samples[0])
    middle = len(samples) // 2
    for row in range(len(result)):
        lines = np.stack([sample[row] for sample in samples])  # (S,W,3)
        result[row] = np.partition(lines, middle, axis=0)[middle]
    return result
