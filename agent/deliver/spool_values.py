"""The small things that a spool deals in: moments, sealed batches, losses, and what is dropped first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from agent import wire

DETAIL = (wire.Detection, wire.Track, wire.Resources)
DROPPED_IN_TURN: tuple[tuple[type, ...], ...] = (DETAIL, (wire.Stay,))
COUNTS = (wire.Tally, wire.Crossing, wire.CameraState)  # go last, and only where there is no disk to grow on


class Now(NamedTuple):
    """A moment: Unix milliseconds, and milliseconds since the machine started."""

    wall: int
    mono: int


def this_moment() -> Now:
    """Read both clocks. The second one goes on while the machine sleeps: else a sleep would look to the
    centre like a wall clock that was set.
    """
    return Now(int(time.time() * 1000), int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000))


class Sealed(NamedTuple):
    """A batch as it is sent. `position` grows; give the last one to `take` to go on behind it."""

    position: int
    epoch: int
    seq: int
    payload: bytes


def lost(counts: Mapping[str, int], now: Now, reason: str) -> list[wire.AnyEvent]:
    """Return the events that declare a loss: kind -> how many."""
    return [wire.Lost(now.wall, "", kind, count, reason) for kind, count in sorted(counts.items()) if count]
