"""The site's clock: which minute, hour and day a moment belongs to, over daylight saving too.

Hours are steps of the local clock, so in a zone with half-hour offsets they start at its full hours; the
hour that autumn repeats is two hours. A day is what lies between two local midnights: 23, 24 or 25 hours.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_UNITS = {
    10: (1, "seconds"),
    16: (1_000_000, "microseconds"),
    19: (1_000_000_000, "nanoseconds"),
}  # by digits
_LOST_PLUS = re.compile(r".*\d[T ]\d\d[\d:.,]* \d\d(:?\d\d)?")


class MomentError(ValueError):
    """A text that is no moment; its words say what to write instead."""


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


def _first_day(moment: datetime, bucket: str) -> datetime:
    if bucket == "week":
        return moment.replace(tzinfo=None) - timedelta(days=moment.weekday())
    if bucket == "month":
        return moment.replace(day=1)
    return moment.replace(day=1, month=1) if bucket == "year" else moment


def bucket_start(at: int, bucket: str, zone: ZoneInfo) -> int:
    """Return the start of the minute, hour, day, week (from Monday), month or year that `at` lies in."""
    if bucket in ("day", "week", "month", "year"):
        return _midnight(_first_day(local(at, zone), bucket), zone)
    if bucket == "minute":
        return at // 60_000 * 60_000
    offset = local(at, zone).utcoffset() or timedelta()
    shift = int(offset.total_seconds() * 1000)
    return (at + shift) // 3_600_000 * 3_600_000 - shift


def next_start(start: int, bucket: str, zone: ZoneInfo) -> int:
    """Return the start of the day, week, month or year after the one that begins at `start`."""
    first = local(start, zone).replace(tzinfo=None)
    steps = {"day": 1, "week": 7, "month": 32, "year": 367}
    return _midnight(_first_day(first + timedelta(days=steps[bucket]), bucket), zone)


def parse_moment(text: str, zone: ZoneInfo) -> int:
    """Read Unix milliseconds or ISO 8601 (local to the site if it names no zone); raise MomentError.

    Milliseconds have 13 digits from 2001 to 2286, and 0 means from the beginning. Another number is a mistake
    that would find nothing: seconds, microseconds, a day without its hyphens.
    """
    if re.fullmatch(r"0|[0-9]{13}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text):
        raise MomentError(_other_number(text))
    if _LOST_PLUS.fullmatch(text):
        when, _, zone_text = text.rpartition(" ")
        raise MomentError(f"a + in an address means a space: write {when[:40]}%2B{zone_text}")
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise MomentError(f"write Unix milliseconds or ISO 8601, not {text[:40]!r}") from None


def _other_number(text: str) -> str:
    """Say what a number that is not Unix milliseconds may have been meant to be."""
    whole = text.partition(".")[0]
    said = f"{text[:40]} is not in Unix milliseconds, which have 13 digits"
    if len(whole) in _UNITS:
        each, name = _UNITS[len(whole)]
        meant = datetime.fromtimestamp(int(whole) // each, UTC)
        return f"{said}; as {name} it is {int(whole) * 1000 // each}, or {meant:%Y-%m-%dT%H:%M:%SZ}"
    if re.fullmatch(r"(19|20)[0-9]{6}", text):
        return f"{said}; write the day {text[:4]}-{text[4:6]}-{text[6:]}"
    return f"{said}; or write ISO 8601, as 2026-06-01T12:00Z"
