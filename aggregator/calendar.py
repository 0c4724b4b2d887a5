"""The site's clock: which minute, hour and day a moment belongs to, over daylight saving too.

Hours are steps of the local clock, so in a zone with half-hour offsets they start at its full hours; the
hour that autumn repeats is two hours. A day is what lies between two local midnights: 23, 24 or 25 hours.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return this machine's time as the database keeps it, in whole milliseconds."""
    return datetime.fromtimestamp(int(time.time() * 1000) / 1000, UTC)


def local(at: int, zone: ZoneInfo) -> datetime:
    """Return Unix milliseconds as a local time."""
    return datetime.fromtimestamp(at / 1000, zone)


def day_start(at: int, zone: ZoneInfo) -> int:
    """Return the Unix milliseconds of the local midnight at or before `at`."""
    return _midnight(local(at, zone), zone)


def _midnight(moment: datetime, zone: ZoneInfo) -> int:
    return int(datetime(moment.year, moment.month, moment.day, tzinfo=zone).timestamp() * 1000)


def bucket_start(at: int, bucket: str, zone: ZoneInfo) -> int:
    """Return the start of the minute, hour or day that `at` lies in."""
    if bucket == "day":
        return day_start(at, zone)
    if bucket == "minute":
        return at // 60_000 * 60_000
    offset = local(at, zone).utcoffset() or timedelta()
    shift = int(offset.total_seconds() * 1000)
    return (at + shift) // 3_600_000 * 3_600_000 - shift


def parse_moment(text: str, zone: ZoneInfo) -> int:
    """Read Unix milliseconds or ISO 8601 (local to the site if it names no zone); raise ValueError."""
    if text.lstrip("-").isdigit():
        return int(text)
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
