"""For how long this machine has slept: the clock by which pictures are timed stands still meanwhile.

    CLOCK_MONOTONIC   ──────────┤ sleep ├──────────   stands still
    CLOCK_BOOTTIME    ────────────────────────────   goes on; the difference is what was slept (Linux)

What always holds: the answer only grows, and a moment between the two readings is not taken for sleep. A
virtual machine that its host has paused is not told from this: both clocks stand still there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST = 1.0  # seconds: less is no sleep
PROMPT = 0.1  # seconds between two readings of one clock, so that the other one belongs to them


def _boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Sleep:
    """Add up what was slept. `monotonic`, `boot`: seconds of the clock that stands still, and the other."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, boot: Callable[[], float] = _boot
    ) -> None:
        self._monotonic = monotonic
        self._boot = boot
        self._slept = 0.0

    def seconds(self) -> float:
        """Return for how long the machine has slept since it was started."""
        before = self._monotonic()
        boot = self._boot()
        after = self._monotonic()
        if after - before < PROMPT and boot - after >= self._slept + LEAST:
            self._slept = boot - after
        return self._slept
