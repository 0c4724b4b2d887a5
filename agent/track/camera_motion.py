"""How the camera itself moves: what nearly all tracks are off by at once is not theirs.

What always holds: it is known from tracks and detections alone, no picture is looked at; how much of a common
shift is believed is learned from how often there is one, so where the camera hangs still nothing is moved.

    predicted   +      +         +
    seen          o      o          o       all are off by the same: the camera has turned, and who is
                             (+) → (o)      hidden now is not where it would be either
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

LEAST = 3  # tracks, to tell what is common; more than so many add nothing
ENOUGH = 64
AGREE = 0.75  # the share of them that has to be nearer to its detection with the shift than without
MEDIAN = np.pi / 2  # the variance of a median of N is so much of that of one, over N
LEARN = 0.1  # how much of a difference each frame teaches
SLOWLY = 0.02  # the same of how much it usually moves
MOVES = 0.15  # usually more than this: the camera is carried


@dataclass(slots=True)
class CameraMotion:
    """Learn how much one camera moves beyond what its tracks foresee."""

    much: float = 0.0  # variance of the common shift, in those of the place of one track
    usual: float = 0.0  # the same over some hundred frames

    @property
    def carried(self) -> bool:
        """Whether the camera moves all the time, so that who is hidden is soon somewhere else."""
        return self.usual > MOVES

    def shift(self, off: Float, variance: Float) -> Float | None:
        """Return the shift (2,) in pixels that is common to tracks, None where none is to be believed.

        `off` (2,N) is how far the detections are from the tracks, `variance` (2,N) how far they may be.
        """
        count = off.shape[1]
        if count < LEAST:
            return None
        ranked = np.sort(off, axis=1)
        common: Float = (ranked[:, (count - 1) // 2] + ranked[:, count // 2]) / 2
        luck = MEDIAN / count  # of a shift in units of the mean 1/sigma, also where sigmas differ
        found = float(((common * (1 / np.sqrt(variance)).mean(axis=1)) ** 2).mean()) - luck
        self.much = max(self.much + LEARN * (found - self.much), 0.0)
        self.usual += SLOWLY * (self.much - self.usual)
        if self.much < luck:
            return None
        nearer = (np.abs(off - common[:, None]) < np.abs(off)).sum(axis=1)
        common *= nearer >= AGREE * count
        return common * (self.much / (self.much + luck)) if common.any() else None
