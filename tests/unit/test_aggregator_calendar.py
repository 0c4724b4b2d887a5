"""The site's clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aggregator.calendar import bucket_start, day_start, parse_moment

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000


def ms(text: str) -> int:
    """Return an ISO moment as Unix milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("noon", "hours"),
    [("2026-03-29T12:00+02:00", 23), ("2026-10-25T12:00+01:00", 25), ("2026-06-01T12:00+02:00", 24)],
)
def test_day_is_between_two_midnights(noon: str, hours: int) -> None:
    """The days of the clock's changes have 23 and 25 hours, and every moment of them is in that day."""
    start = day_start(ms(noon), BERLIN)
    end = day_start(ms(noon) + 24 * HOUR, BERLIN)
    assert end - start == hours * HOUR
    assert all(day_start(at, BERLIN) == start for at in range(start, end, HOUR // 2))
    assert day_start(end, BERLIN) == end


def test_repeated_hour_is_two_hours() -> None:
    """The hour that autumn repeats makes two buckets, so no count is folded into another."""
    first, second = ms("2026-10-25T02:30+02:00"), ms("2026-10-25T02:30+01:00")
    assert bucket_start(first, "hour", BERLIN) == ms("2026-10-25T02:00+02:00")
    assert bucket_start(second, "hour", BERLIN) == ms("2026-10-25T02:00+01:00")


def test_hours_follow_the_local_clock() -> None:
    """In a zone of half hours an hour starts where its clock shows a full one."""
    kolkata = ZoneInfo("Asia/Kolkata")
    assert bucket_start(ms("2026-06-01T10:20+05:30"), "hour", kolkata) == ms("2026-06-01T10:00+05:30")


def test_minute_needs_no_zone() -> None:
    """Minutes are the same everywhere."""
    assert bucket_start(ms("2026-06-01T10:20:59+05:30"), "minute", BERLIN) == ms("2026-06-01T10:20+05:30")


def test_moments_as_numbers_and_iso() -> None:
    """A moment without a zone is the site's; others say theirs."""
    assert parse_moment("1700000000000", BERLIN) == 1_700_000_000_000
    assert parse_moment("2026-06-01T12:00", BERLIN) == ms("2026-06-01T12:00+02:00")
    assert parse_moment("2026-06-01T12:00Z", BERLIN) == ms("2026-06-01T12:00+00:00")
    with pytest.raises(ValueError, match="yesterday"):
        parse_moment("yesterday", BERLIN)
