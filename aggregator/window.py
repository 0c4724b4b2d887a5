"""A span of time in buckets, by the local clock: which bucket a moment lies in, over daylight saving too."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from aggregator import site_time
from aggregator.store.day import SLOT, SLOTS
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

    def starts(self, day: int, days: int) -> NDArray[np.int64]:
        """Return the bucket's start of each quarter of some days of UTC, shape (96 * days,)."""
        moments = day + np.arange(SLOTS * days, dtype=np.int64) * SLOT
        if self.bucket == "all":
            return np.full(len(moments), self.since, np.int64)
        if self.bucket == "hour":
            return self._hours(moments)
        edges = [self.start(day)]
        while edges[-1] <= moments[-1]:
            edges.append(site_time.next_start(edges[-1], self.bucket, self.zone))
        return np.array(edges, np.int64)[np.searchsorted(edges, moments, "right") - 1]

    def _hours(self, moments: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the starts of the local hours of quarters of whole days."""
        found = []
        for some in np.split(moments, len(moments) // SLOTS):
            shifts = {self._shift(int(some[place])) for place in (0, SLOTS // 2, -1)}
            if len(shifts) == 1:
                shift = shifts.pop()
                found.append((some + shift) // HOUR * HOUR - shift)
            else:
                found.append(np.array([self.start(int(at)) for at in some], np.int64))
        return np.concatenate(found)

    def _shift(self, at: int) -> int:
        offset = site_time.local(at, self.zone).utcoffset() or timedelta()
        return int(offset.total_seconds() * 1000)
