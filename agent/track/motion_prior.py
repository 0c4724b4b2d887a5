"""Where things went that passed here: what to expect of the speed of something new.

What always holds: it is a ring of the last notes, each a centre, a speed in sizes/s and a log size; it starts
empty, and then anything may come. At a low frame rate a queue moves by its own spacing from frame to frame;
only the flow tells that from standing still.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

NOTES = 1000
DOUBT = 0.5  # how many notes "anything may come" is worth
BROAD = 0.5  # how different in log size a note may be, one sigma; in place it is one size


@dataclass(slots=True)
class Flow:
    """Remember the last notes of one camera."""

    _ring: Float = field(default_factory=lambda: np.zeros((5, NOTES)))
    _count: int = 0

    def note(self, place: Float, speed: Float, size: Float) -> None:
        """Remember some centres (2,N), speeds (2,N) in sizes/s and log sizes (N,); forget the oldest."""
        notes = np.concatenate([place, speed, size[None]])[:, -NOTES:]
        where = (self._count + np.arange(notes.shape[1])) % NOTES
        self._ring[:, where] = notes
        self._count += notes.shape[1]

    def expect(self, place: Float, size: Float, fastest: Float) -> tuple[Float, Float]:
        """Return mean and variance (2,N) of the speed in sizes/s of what begins at centres (2,N).

        `size` (N,) is its log; `fastest` (N,) is one sigma of what may come where nothing is known.
        """
        notes = self._ring[:, : self._count]
        far = ((place[:, :, None] - notes[:2, None]) / np.exp(size)[:, None]) ** 2  # (2,N,F)
        like = far[0] + far[1] + ((size[:, None] - notes[4]) / BROAD) ** 2
        weight = np.exp(-like / 2)  # (N,F)
        total = weight.sum(axis=1) + DOUBT
        speeds = notes[2:4].T  # (F,2)
        mean = (weight @ speeds).T / total
        square = (weight @ speeds**2).T
        inner = square - 2 * mean * (mean * total) + mean**2 * (total - DOUBT)
        return mean, (np.maximum(inner, 0.0) + DOUBT * (fastest**2 + mean**2)) / total
