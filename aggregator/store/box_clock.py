"""The clocks of the boxes: whether one is right, and by how much to put right what it dated while it was not.

Each batch says a moment by two clocks of its box: the wall's (`base`) and one that counts since the machine
started and cannot leap (`mono`). Their difference, the *offset*, changes only when the wall's clock is set.
The true offset of an epoch is known from what comes: nothing comes before it was sent, so

    true offset <= now here - mono         of all that comes; nearly equal for a state, which is sent at once

and an offset of the box that lies just below that is a right clock's: it is then exact. Until something is
known, times stay as they were told; then they are put right, to the second, also what is stored already.

What always holds: a batch without `mono`, and an epoch of which nothing is known, are left as they were told.
Times are milliseconds, Unix or since a box's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent import wire

LATEST = 7_258_118_400_000  # the year 2200: no clock is later
WRONG_MS = 1_000  # a clock that is further off is put right
_AHEAD_MS = 500  # how far our clock and a right one of a box may differ
LATE_MS = 90_000  # a batch is sent at most a minute after it was begun, if it waited for nothing
FRESH_MS = 2_000  # and a state at once
_NEAR_MS = 600_000  # how far from its batch's beginning an event may lie
_OFFSETS = 32


@dataclass
class BoxClock:
    """What is known of one epoch's clock."""

    offsets: list[int] = field(default_factory=list)  # of its batches and states, each told once
    bound: int | None = None  # the true offset is not above it
    is_fresh: bool = False  # and hardly below it
    newest: int = 0  # `mono` of the newest batch

    def hear(self, offset: int, bound: int, fresh: bool) -> bool:
        """Take a moment by both clocks; `bound`: now here - mono. Return if it says anything new."""
        news = False
        if all(abs(offset - known) >= WRONG_MS for known in self.offsets):
            self.offsets = [*self.offsets[-_OFFSETS + 1 :], offset]
            news = True
        if self.bound is None or bound < self.bound - (_AHEAD_MS if self.is_fresh >= fresh else 0):
            news = True
            self.bound = bound if self.bound is None else min(bound, self.bound)
        if fresh and not self.is_fresh:
            self.is_fresh = news = True
        return news

    @property
    def true(self) -> int | None:
        """The true offset; None while it is not known."""
        if self.bound is None:
            return None
        lowest = self.bound - (FRESH_MS if self.is_fresh else LATE_MS)
        right = [offset for offset in self.offsets if lowest <= offset <= self.bound + _AHEAD_MS]
        return max(right) if right else self.bound if self.is_fresh else None

    def off(self, offset: int) -> int:
        """Return by how much a clock with this offset is ahead; 0 if it is right or nothing is known."""
        true = self.true
        return 0 if true is None or abs(offset - true) < WRONG_MS else offset - true

    def shift(self, by: int) -> None:
        """Our own clock was set by some ms."""
        if self.bound is not None:
            self.bound += by

    def correct(self, at: int, base: int, mono: int) -> int:
        """Return when something happened that a batch begun at `base` and `mono` says was `at`.

        The clock may have been set while the batch was open: then what lies far from its beginning was told
        by another of the epoch's offsets.
        """
        true = self.true
        if true is None:
            return at
        begun = mono + true
        own = at - self.off(base - mono)
        if abs(own - begun) <= _NEAR_MS:
            return own
        others = [at - self.off(offset) for offset in self.offsets]
        nearest = min(others, key=lambda other: abs(other - begun), default=own)
        return nearest if abs(nearest - begun) <= _NEAR_MS else own


def corrected(
    events: Sequence[tuple[int, wire.AnyEvent]], batch: wire.Batch, clock: BoxClock
) -> dict[int, int]:
    """Return the places of a batch's events whose time was wrong -> when they happened."""
    if clock.true is None or not any(map(clock.off, clock.offsets)):
        return {}
    found = {place: clock.correct(event.at, batch.base, batch.mono) for place, event in events}
    return {
        place: found[place]
        for place, event in events
        if found[place] != event.at and 0 <= found[place] < LATEST
    }


def has_clocks(batch: wire.Batch) -> bool:
    """True if a batch says when it was begun by both clocks of its box."""
    return 0 < batch.mono < LATEST and 0 <= batch.base < LATEST
