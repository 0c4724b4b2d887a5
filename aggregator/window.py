"""A span of time in buckets, by the local clock: which bucket a moment lies in, over daylight saving too."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from aggregator import site_time
from aggregator.store.day import DAY, SLOT, SLOTS
from aggregator.store.running_totals import HOUR, MINUTE

_YEARS = 366 * 300
LONGEST = {
    "minute": 8, "hour": 800, "day": 4000, "week": _YEARS, "month": _YEARS, "year": _YEARS, "all": _YEARS,
}  # fmt: skip # days
_FINE = 49 * HOUR  # up to here, time unseen is told by the minute


class Window(msgspec.Struct, frozen=True):
    """A span of time in buckets: [since, until). The bucket "all" is the whole span."""

    since: int
    until: int
    bucket: str
    zone: ZoneInfo

    def start(self, at: int) -> int:
        """Return the start of the bucket that a moment lies in."""
        return self.since if self.bucket == "all" else site_time.bucket_start(at, self.bucket, self.zone)

    @property
    def slot(self) -> int:
        """How finely tallies are summed: every zone's hours start at a quarter."""
        fine = self.bucket == "minute" or (self.bucket == "hour" and self.until - self.since <= _FINE)
        return MINUTE if fine else SLOT

    def holds(self, at: int) -> bool:
        """True if a moment lies inside."""
        return self.since <= at < self.until

    def starts(self, day: int) -> NDArray[np.int64]:
        """Return the bucket's start of each quarter of a day of UTC, shape (96,)."""
        moments = day + np.arange(SLOTS, dtype=np.int64) * SLOT
        if self.bucket == "all":
            return np.full(SLOTS, self.since, np.int64)
        if self.bucket == "hour":
            shifts = [self._shift(day), self._shift(day + DAY - SLOT)]
            if shifts[0] == shifts[1] == self._shift(day + DAY // 2):
                return (moments + shifts[0]) // HOUR * HOUR - shifts[0]
            return np.array([self.start(int(at)) for at in moments], np.int64)
        found = np.empty(SLOTS, np.int64)
        self._fill(found, day, 0, SLOTS)
        return found

    def _shift(self, at: int) -> int:
        offset = site_time.local(at, self.zone).utcoffset() or timedelta()
        return int(offset.total_seconds() * 1000)

    def _fill(self, found: NDArray[np.int64], day: int, first: int, last: int) -> None:
        """Fill the starts of the quarters [first, last): equal ends have equal quarters between them."""
        start = self.start(day + first * SLOT)
        if last - first == 1 or start == self.start(day + (last - 1) * SLOT):
            found[first:last] = start
            return
        middle = (first + last) // 2
        self._fill(found, day, first, middle)
        self._fill(found, day, middle, last)
