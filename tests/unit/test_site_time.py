"""The site's clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aggregator.site_time import MomentError, bucket_start, day_start, parse_moment

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
    first = ms("2026-10-25T02:30+02:00")
    second = ms("2026-10-25T02:30+01:00")
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1700000000", "as seconds it is 1700000000000, or 2023-11-14T22:13:20Z"),
        ("1700000000.25", "as seconds it is 1700000000000"),
        ("1700000000123456", "as microseconds it is 1700000000123"),
        ("1700000000123456789", "as nanoseconds it is 1700000000123"),
        ("20261128", "write the day 2026-11-28"),
        ("202611281200", "13 digits"),
        ("20261128120000", "13 digits"),
        ("-1700000000000", "13 digits"),
        ("2026-11-28T10:00:00 01:00", "write 2026-11-28T10:00:00%2B01:00"),
        ("2026-11-28T10:00 0100", "write 2026-11-28T10:00%2B0100"),
        ("2026-11-28 10:00:00.5 01", "write 2026-11-28 10:00:00.5%2B01"),
        ("20261128T1000 01:00", "%2B01:00"),
        ("now", "Unix milliseconds or ISO 8601, not 'now'"),
        ("\uff11\uff17" + "\uff10" * 11, "ISO 8601"),
    ],
)
def test_what_would_find_nothing_is_refused_with_what_to_write(text: str, says: str) -> None:
    """Seconds, other units, bare days and a lost plus are named, with the right form of the same moment."""
    with pytest.raises(MomentError) as refused:
        parse_moment(text, BERLIN)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_space_is_not_always_a_lost_plus() -> None:
    """A day and a time with a space between them are ISO 8601 as people write it; 0 is the beginning."""
    assert parse_moment("2026-06-01 12:00", BERLIN) == ms("2026-06-01T12:00+02:00")
    assert parse_moment("2026-06-01 12:00:00+01:00", BERLIN) == ms("2026-06-01T12:00+01:00")
    assert parse_moment("0", BERLIN) == 0
