"""Whether this centre took late what boxes had sent at once.

A state is sent at once, so it tells a box's clock to a second or two; but only if it did not lie about on our
side. It did where one of these signs shows:

* many messages wait here, so that the broker holds back more of them until these are dealt with;
* the event loop, or the whole process, was held up;
* most of many states that come at once look late: so many clocks are not wrong at one moment, but a broker
  that was held up has so many senders;
* a crowd comes: each of thousands then waits somewhere for the others.

What always holds: a sign covers what came for some seconds after it, since what was held up comes then. Times
are monotonic seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

_FEW = 10  # messages may wait here while the broker holds back none: it lets us have 20 at least
_HELD_UP_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_AFTER_SECONDS = 1.5  # what was held up here has come by then
_MANY = 20  # states of which most look late
_AT_ONCE_SECONDS = 5.0
_CROWD = 200  # states
_CROWD_SECONDS = 2.0
_SPANS = 50


class Lateness:
    """The signs of one aggregator."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque(maxlen=_SPANS)
        self._states: deque[tuple[float, bool]] = deque(maxlen=_MANY)
        self._crowd: deque[float] = deque(maxlen=_CROWD)

    def took(self, came: float, waiting: int) -> None:
        """Take that a message is dealt with now, and how many with QoS 1 wait behind it."""
        if waiting > _FEW:
            self._sign(came, time.monotonic() + _AFTER_SECONDS)

    def state(self, came: float, late: bool) -> None:
        """Take that a state came, and whether it looks late by its box's clock."""
        self._states.append((came, late))
        since = self._states[0][0]
        at_once = len(self._states) == _MANY and came - since < _AT_ONCE_SECONDS
        if at_once and 2 * sum(one for _, one in self._states) > _MANY:
            self._sign(since, came + _AT_ONCE_SECONDS)
        self._crowd.append(came)
        if len(self._crowd) == _CROWD and came - self._crowd[0] < _CROWD_SECONDS:
            self._sign(self._crowd[0], came + _AT_ONCE_SECONDS)

    def covers(self, came: float) -> bool:
        """True if what came then may have come late because of us."""
        return any(since <= came <= until for since, until in self._spans)

    async def watch_loop(self) -> None:
        """Notice when the event loop is held up, for ever."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            if now - before - _LOOK_SECONDS > _HELD_UP_SECONDS:
                self._sign(before, now + _AFTER_SECONDS)

    def _sign(self, since: float, until: float) -> None:
        if self._spans and self._spans[-1][1] >= since:
            before = self._spans.pop()
            since = min(since, before[0])
            until = max(until, before[1])
        self._spans.append((since, until))
