"""Figures: quantiles, intervals, pairs of gates, and the time that nobody saw."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api import ROUTES
from aggregator.statistics import LATE, Window, pairs_of, quantile, unseen, wilson

DOCS = Path(__file__).parents[2] / "docs" / "centre.md"
MINUTE = 60_000
HOUR = 3_600_000
NOON = 1_760_000_400_000 // HOUR * HOUR
MUCH_LATER = NOON + 100 * HOUR


def window(hours: float, bucket: str = "hour") -> Window:
    return Window(NOON, NOON + int(hours * HOUR), bucket, ZoneInfo("UTC"))


@given(st.lists(st.integers(0, 10**6), min_size=1), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[int], share: float) -> None:
    """The quantile is that of somebody else's arithmetic."""
    assert quantile(sorted(values), share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (8, 10, 0.4902, 0.9433), (81, 263, 0.2553, 0.3662)],
)
def test_intervals_are_wilsons(count: int, total: int, low: float, high: float) -> None:
    """Published values (Newcombe 1998 for 81 of 263), and edges that stay inside 0 to 1."""
    assert wilson(count, total) == pytest.approx((low, high), abs=1e-4)


def test_an_object_makes_a_pair_once() -> None:
    """Any later gate makes a pair; who goes round again is not counted twice."""
    gates = [("west:AB", 0), ("yard", 400), ("west:AB", 900), ("yard", 1000), ("east:AB", 2000)]
    assert pairs_of(gates, "west:AB", "") == {
        ("west:AB", "yard"): 400, ("west:AB", "west:AB"): 900, ("west:AB", "east:AB"): 2000
    }  # fmt: skip
    assert pairs_of(gates, "", "yard").keys() == {("west:AB", "yard"), ("yard", "yard")}
    assert pairs_of(gates, "east:AB", "yard") == {}


def test_minutes_without_a_word_are_unseen() -> None:
    """A node that was off for twenty minutes has seen nothing in them, though nothing says "blind"."""
    watched = {NOON + n * MINUTE: 60_000 for n in range(60) if not 20 <= n < 40}
    assert list(unseen(watched, window(1), MUCH_LATER)) == [(NOON + 20 * MINUTE, NOON + 40 * MINUTE)]


def test_a_blind_part_lies_in_its_own_minute() -> None:
    """Blind seconds are told where they were, to the minute; a trifle is not told."""
    watched = {NOON + n * MINUTE: 60_000 for n in range(60)}
    watched |= {NOON + 5 * MINUTE: 15_000, NOON + 6 * MINUTE: 0, NOON + 9 * MINUTE: 59_000}
    assert list(unseen(watched, window(1), MUCH_LATER)) == [(NOON + 5 * MINUTE + 15_000, NOON + 7 * MINUTE)]


def test_unseen_time_is_cut_at_buckets_and_at_now() -> None:
    """Each bucket has its own spans, and what cannot be known yet is not called unseen."""
    now = NOON + 2 * HOUR
    assert list(unseen({}, window(3), now)) == [(NOON, NOON + HOUR), (NOON + HOUR, now - LATE)]
    assert window(3).slot == MINUTE
    assert window(90).slot == 15 * MINUTE


@given(st.dictionaries(st.integers(0, 179), st.integers(0, 60_000)))
def test_seen_and_unseen_are_all_of_the_time(minutes: dict[int, int]) -> None:
    """What was watched and what is told unseen add up to the window, but for the trifles."""
    watched = {NOON + n * MINUTE: length for n, length in minutes.items()}
    spans = list(unseen(watched, window(3), MUCH_LATER))
    length = sum(end - begin for begin, end in spans)
    assert 3 * HOUR - 180 * 3000 <= length + sum(watched.values()) <= 3 * HOUR
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


def test_the_documentation_names_every_endpoint() -> None:
    """Nobody has to guess what the API can do."""
    text = DOCS.read_text()
    assert [route.path for route in ROUTES if f"{route.path}`" not in text] == []
    names = {name for route in ROUTES for name in route.query}
    assert {name for name in names if name not in text} == set()
