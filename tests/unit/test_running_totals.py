"""Counts out of running totals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from aggregator.store.running_totals import MINUTE, Marks, increments

START = 1_760_000_400_000 // MINUTE * MINUTE
Event = wire.Crossing | wire.Tally


def crossing(minute: float, total: int, version: int = 0, label: str = "car") -> wire.Crossing:
    """A crossing of `main`."""
    return wire.Crossing(START + int(minute * MINUTE), "cam0", "main", version, "AB", label, 1, total)


def tally(minute: int, total: int, objects: int = 0) -> wire.Tally:
    """The tally of a minute: the totals at its end. A total of 0 is not mentioned."""
    totals = [wire.LineTotal("main", 0, "AB", "car", total)] if total else []
    seen = {"car": objects} if objects else {}
    return wire.Tally(START + minute * MINUTE, "cam0", 60_000, {}, totals, seen, 0, 0, 0, 0, 0)


class Rows:
    """What the store does with updates: `$min` and `$max` on one document per id."""

    def __init__(self) -> None:
        self.by_id: dict[Any, dict[str, Any]] = {}

    def take(self, events: Iterable[tuple[int, Event]]) -> Rows:
        """Take (epoch, event) pairs in one group."""
        marks = Marks()
        for epoch, event in events:
            marks.add("box", epoch, event)
        for bounds in marks.bounds(datetime.now(UTC)):
            query, change = bounds.update()
            row = self.by_id.setdefault(query["_id"], {**change["$setOnInsert"], "s": {}, "e": {}})
            for operator, choose in (("$min", min), ("$max", max)):
                for path, value in change[operator].items():
                    field, minute = path.split(".")
                    row[field][minute] = choose(row[field].get(minute, value), value)
        return self

    def minutes(self, line: str = "main") -> dict[int, int]:
        """Return minute -> count, of all versions and labels."""
        found: Counter[int] = Counter()
        for step in increments(self.by_id.values()):
            if step.row.line == line:
                found[(step.minute - START) // MINUTE] += step.amount
        return dict(found)


def count(*events: tuple[int, Event]) -> dict[int, int]:
    """Count the crossings of `events`."""
    return Rows().take(events).minutes()


def test_crossings_count_where_they_happen() -> None:
    """Each crossing counts once in its own minute, also before the tally is there."""
    assert count((1, crossing(0.1, 1)), (1, crossing(0.9, 2)), (1, crossing(2.5, 3))) == {0: 2, 2: 1}


def test_quiet_minutes_are_known_zeros() -> None:
    """A minute with a tally and no movement is a row of 0, not a missing one."""
    assert count((1, crossing(0, 1)), (1, tally(0, 1)), (1, tally(1, 1))) == {0: 1, 1: 0}


def test_lost_crossing_counts_by_the_tally() -> None:
    """A crossing that never arrived is counted in the minute whose tally shows it."""
    assert count((1, crossing(0, 1)), (1, tally(0, 1)), (1, tally(1, 3)), (1, tally(2, 3))) == {
        0: 1,
        1: 2,
        2: 0,
    }


def test_lost_crossing_counts_by_the_next() -> None:
    """Without a tally the next crossing shows the gap."""
    assert count((1, crossing(0, 1)), (1, crossing(3, 4))) == {0: 1, 3: 3}


def test_new_row_starts_at_zero() -> None:
    """A row that earlier tallies did not mention was 0 then, so its first lost crossings count."""
    assert count((1, tally(0, 0)), (1, tally(1, 2))) == {1: 2}


def test_unknown_past_is_not_counted() -> None:
    """A total whose past nobody knows is where counting starts."""
    assert count((1, tally(0, 500)), (1, tally(1, 502))) == {0: 0, 1: 2}


def test_restart_goes_on() -> None:
    """After a restart with its totals restored, what was lost in between is counted."""
    assert count((1, crossing(0, 7)), (2, crossing(1, 10)), (2, tally(1, 10))) == {0: 1, 1: 3}


def test_wiped_node_starts_again() -> None:
    """A node that begins again at 0 lowers nothing and adds what it counts."""
    events = [(1, crossing(0, total)) for total in range(1, 6)]
    assert count(*events, (2, crossing(2, 1)), (2, crossing(3, 2))) == {0: 5, 2: 1, 3: 1}


def test_clock_set_back_counts_nothing_twice() -> None:
    """Totals, not clocks, order an epoch: a clock that goes back leaves the sum as it is."""
    events = [(1, crossing(minute, total)) for total, minute in enumerate((0, 5, 6, 2, 5, 7), start=1)]
    assert sum(count(*events).values()) == 6


def test_versions_and_labels_are_rows_of_their_own() -> None:
    """A moved line starts at 0 again without taking anything from the old one."""
    events = [(1, crossing(0, 1)), (1, crossing(0, 2)), (1, crossing(1, 1, version=4))]
    assert count(*events, (1, crossing(1, 1, label="bus"))) == {0: 2, 1: 2}


def test_objects_count_by_tallies() -> None:
    """Objects come from tallies alone; one that names a new label counts from 0."""
    rows = Rows().take([(1, tally(0, 0, 0)), (1, tally(1, 0, 3)), (1, tally(2, 0, 4))])
    assert rows.minutes(line="") == {1: 3, 2: 1}


def test_zones_and_trips_are_kinds_of_their_own() -> None:
    """What goes in and out of a zone and from gate to gate counts as running totals do, apart from lines."""
    tallies = [
        wire.Tally(
            START + n * MINUTE, "cam0", 60_000, {}, [], {}, 0, 0, 0, 0, 0,
            [wire.ZoneTotal("main", 0, "car", 3 * n, 2 * n)], [],
            [wire.TripTotal("main:AB", "to x", "car", 5 * n)],
        )
        for n in range(3)
    ]  # fmt: skip
    steps = list(increments(Rows().take([(1, one) for one in tallies]).by_id.values()))
    found: Counter[tuple[str, str, str]] = Counter()
    for step in steps:
        found[step.row.kind, step.row.line, step.row.destination] += step.amount
    assert found == {("zone", "main", "in"): 6, ("zone", "main", "out"): 4, ("trip", "main:AB", "to x"): 10}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 180), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 2**32),
)
def test_order_and_repeats_change_nothing(steps: list[tuple[int, bool]], seed: int) -> None:
    """Whatever arrives twice, late or not at all between known totals, the sum is the total's movement."""
    chance = random.Random(seed)
    minutes = sorted(minute for minute, _ in steps)
    events: list[tuple[int, Event]] = [(1, tally(-1, 0))]
    for total, (minute, (_, lost)) in enumerate(zip(minutes, steps, strict=True), start=1):
        if not lost:
            events.append((1, crossing(minute, total)))
    last = max(minutes)
    events += [(1, tally(m, sum(one <= m for one in minutes))) for m in range(0, last + 1, 7)]
    events.append((1, tally(last, len(minutes))))
    orderly = Rows().take(events).minutes()
    assert sum(orderly.values()) == len(minutes)
    events += chance.sample(events, len(events) // 2)
    chance.shuffle(events)
    rows = Rows()
    while events:
        rows.take(events[:5])
        del events[:5]
    assert rows.minutes() == orderly
    by_hour = increments(rows.by_id.values(), lambda hour: True)
    assert sum(step.amount for step in by_hour if step.row.line) == len(minutes)
