"""Clocks of recordings and streams, put right: always growing, and real where they can be.

Invariant: a step that a clock's own numbers give is kept; where they jump, the time goes on by one picture.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

LARGEST_GAP = 10.0  # seconds between pictures of a recording; more is a cut
LEAST_STEP = 0.5  # of a usual step, where the clock is ahead of what a recording says
RECENT = 9  # pictures that tell how long one takes
DRIFT = 0.002  # by how much a camera's clock may run differently, seconds a second
SLEW = 0.1  # of the time between two pictures by which it may be shortened when a lesser delay is seen
LARGEST_LAG = 10.0  # seconds that the network may hold a picture back; more is a new beginning


class FileClock:
    """The times of a recording's pictures.

    A recording may be made of pieces, each begun by a motion: their times jump, forwards or back. A jump is a
    cut and takes the time of one picture; between two jumps the recording's own differences hold. How long a
    picture takes is also learned from these: the rate that a container says may be its mean over all jumps.
    Where a time does not grow (two pictures with one time, whole seconds only) the clock goes a step ahead,
    and what it is ahead is taken off the next steps: the recording gets no longer by that.
    """

    def __init__(self, fps: float) -> None:
        self._usual = 1 / fps
        self._steps = deque([self._usual], RECENT)
        self._said: float | None = None
        self._now = 0.0
        self._ahead = 0.0  # of what the container says, since the last cut
        self._cut = False
        self.known = False  # the container has said two times that differ

    def moment(self, said: float) -> float:
        """Return the time of the next picture, for which the container says `said` seconds."""
        if self._said is None:
            self._now = said if math.isfinite(said) and 0 <= said < LARGEST_GAP else 0.0
            self._said = said if math.isfinite(said) else 0.0
            return self._now
        gap = said - self._said
        if 0 < gap <= LARGEST_GAP:
            self.known = True
            self._steps.append(gap)
            step = max(gap - self._ahead, min(LEAST_STEP * self._usual_step(), gap))
            self._ahead += step - gap
        else:
            step = self._usual_step()
            jumps = gap > LARGEST_GAP or gap < -2 * step  # a smaller one is a rounding
            self._ahead = 0.0 if jumps or not math.isfinite(gap) else self._ahead + step - gap
            self._cut |= jumps
        self._now += step
        if math.isfinite(said):
            self._said = said
        return self._now

    def _usual_step(self) -> float:
        return min(self._usual, median(self._steps))

    def take_cut(self) -> bool:
        """Return whether there was a cut since this was last asked."""
        cut = self._cut
        self._cut = False
        return cut


class StreamClock:
    """When a live stream's pictures were taken: spaced as the camera says, however they arrive.

    The network can only delay. So the least delay seen is taken for none, and a picture that comes later was
    taken earlier than it came. The least delay may creep up, since two clocks never run alike.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0  # arrival of the last picture
        self._said = -math.inf

    def moment(self, said: float, arrived: float) -> float:
        """Return a picture's time on the clock of `arrived`, monotonic seconds; `said`: the stream's
        seconds.
        """
        if not math.isfinite(said) or said <= self._said:
            self._offset = None
            self._said = -math.inf
            return arrived
        delay = arrived - said
        if self._offset is None or abs(delay - self._offset) > LARGEST_LAG:
            self._offset = delay
        else:
            target = min(delay, self._offset + DRIFT * (arrived - self._last))
            self._offset = max(target, self._offset - SLEW * (said - self._said))
        self._last = arrived
        self._said = said
        return said + self._offset
