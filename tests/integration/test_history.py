"""Histories: days that are kept ready say the same as the detail, whatever comes late, twice or anew."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent import wire
from aggregator import history
from aggregator.keeping import Keeping
from aggregator.site_time import bucket_start, now
from aggregator.store import codec
from aggregator.store.running_totals import Marks, Row, increments
from aggregator.store.store import Claim, Store, connect
from aggregator.window import Window
from deploy.stack import Stack

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000
SPRING = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp() * 1000)  # Europe's clocks change on the 29th
AUTUMN = int(datetime(2026, 10, 23, tzinfo=UTC).timestamp() * 1000)  # and on the 25th
DAYS = 5
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
LABELS = ("car", "bus")


class Box:
    """A box that counts: totals that only grow within a start, and a clock that may be wrong."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self._chance = chance
        self._totals: dict[tuple[str, str], int] = {}
        self._epoch = 1000
        self._seq = 0

    def restart(self, keep: bool = True) -> None:
        """Begin a new start of the agent; a wiped box begins at 0."""
        self._epoch += 1
        self._seq = 0
        if not keep:
            self._totals = {}

    def hour(self, start: int) -> tuple[int, int, list[Any], int]:
        """Return epoch, seq, the events of one hour and when they were begun."""
        events: list[Any] = []
        for minute in sorted(self._chance.sample(range(60), 6)):
            at = start + minute * MINUTE
            for key in [(way, label) for way in ("AB", "BA") for label in LABELS]:
                if self._chance.random() < 0.4:
                    self._totals[key] = self._totals.get(key, 0) + 1
                    total = self._totals[key]
                    events.append(wire.Crossing(at, "cam0", "main", 1, *key, total, total, 80))
            rows = [wire.LineTotal("main", 1, *key, total) for key, total in self._totals.items()]
            blind = {"stalled": self._chance.randrange(1, 5000)} if self._chance.random() < 0.2 else {}
            objects = {"car": self._totals.get(("AB", "car"), 0)}
            zone = wire.ZoneMinute("yard", 1, self._chance.randrange(300), 4, 3, 0, 0, 0)
            events.append(wire.Tally(
                at, "cam0", 55_000, blind, rows, objects, 900, 899, 1, 20, minute, [], [zone]
            ))  # fmt: skip
        self._seq += 1
        return self._epoch, self._seq, events, start


async def keep(store: Store, node: str, batch: tuple[int, int, list[Any], int], offset: int = 0) -> None:
    """Store one batch in the durable order. `offset`: of the box's clock, ms."""
    epoch, seq, events, begun = batch
    moment = now()
    id_ = codec.batch_id(node, epoch, seq)
    await store.claim([Claim(id_, b"8 bytes.", len(events), 0, begun + offset, begun - SPRING + DAY)], moment)
    marks = Marks()
    rows = defaultdict(list)
    for i, event in enumerate(events):
        marks.add(node, epoch, event)
        home = codec.HOME.get(type(event), codec.EVENTS)
        rows[home].append(codec.encode(node, f"{id_}:{i}", event, moment))
    for name, some in rows.items():
        await store.insert(name, some)
    await store.raise_counts(marks, moment)
    await store.mark_stored([id_])


async def out_of_detail(store: Store, node: str, window: Window) -> dict[tuple[int, Row], int]:
    """Count a window from all running totals that are stored, in one pass, step by step."""
    found: dict[tuple[int, Row], int] = defaultdict(int)
    for step in increments(await store.archive.hours(node, 0, 2**50)):
        if window.since <= step.minute < window.until and step.row.kind == "line":
            start = (
                window.since
                if window.bucket == "all"
                else bucket_start(step.minute, window.bucket, window.zone)
            )
            found[start, step.row] += step.amount
    return found


async def seen_in_detail(store: Store, node: str, window: Window) -> dict[tuple[int, str], tuple[int, int]]:
    """Sum what was watched out of the single tallies."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    query = {"n": node, "a": {"$gte": window.since, "$lt": window.until}}
    async for row in store._database.tallies.find(query):
        key = (window.start(int(row["a"])), row["c"])
        one, two = found.get(key, (0, 0))
        found[key] = (one + row["w"], two + sum(row["x"].values()))
    return found


async def assert_equal(store: Store, node: str, begin: int, chance: random.Random) -> None:
    """Compare windows of every bucket in many zones, with edges anywhere, to the detail."""
    for name in ZONES:
        bucket = chance.choice(("hour", "hour", "day", "day", "week", "month", "year", "all"))
        since = begin + chance.randrange(0, 2 * DAY, MINUTE)
        until = since + chance.randrange(DAY // 2, 4 * DAY, MINUTE)
        window = Window(since, until, bucket, ZoneInfo(name))
        reading = await history.open_window(store, [node], window, now=begin + 30 * DAY)
        counted = await reading.counted("line", "", lambda _, row: row)
        assert counted == await out_of_detail(store, node, window), (name, bucket)
        seen = {key: tuple(value) for key, value in (await reading.seen("", lambda _, c: c)).items()}
        told = await seen_in_detail(store, node, window)
        assert {k: v for k, v in seen.items() if any(v)} == told, (name, bucket)


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
async def test_days_say_what_the_detail_says(stack: Stack, begin: int) -> None:
    """Restarts, a wiped box, gaps, hours that come late or twice, over both changes of the clocks, in zones
    with half and quarter hours: days say what the detail says, before and after what comes late.
    """
    chance = random.Random(begin)
    node = "days-1"
    async with connect(stack.mongodb_uri, f"history_{begin}") as store:
        box = Box(node, chance)
        late = []
        for number in range(DAYS * 24):
            if number in (30, 77):
                box.restart(keep=number == 30)
            if 50 <= number < 55:
                continue  # the box was off
            batch = box.hour(begin + number * HOUR)
            if chance.random() < 0.25:
                late.append(batch)
            else:
                await keep(store, node, batch)
        await assert_equal(store, node, begin, chance)
        chance.shuffle(late)
        for batch in [*late, *late[:3]]:
            await keep(store, node, batch)
        await assert_equal(store, node, begin, chance)


async def test_days_are_ready_before_anybody_asks(stack: Stack) -> None:
    """What nodes told up to midnight is made ready in the background, once."""
    async with connect(stack.mongodb_uri, "history_keeping") as store:
        box = Box("keep-1", random.Random(3))
        for number in range(30):
            await keep(store, box.name, box.hour(SPRING + number * HOUR))
        keeping = Keeping(store, lambda: [box.name, "silent-1"], lambda: True)
        await keeping.catch_up(SPRING + 31 * HOUR)
        days = [row async for row in store._database.days.find()]
        assert [(row["n"], row["d"], row["u"]) for row in days] == [(box.name, SPRING, SPRING + DAY)]
        await keeping.catch_up(SPRING + 3 * DAY)
        assert await store._database.days.count_documents({}) == 2


async def test_days_outlive_the_detail(stack: Stack) -> None:
    """When tallies and totals expire, their days are made for the last time and stay as they are."""
    async with connect(stack.mongodb_uri, "history_final", detail_days=1, tally_days=10) as store:
        box = Box("final-1", random.Random(4))
        batches = [box.hour(SPRING + number * HOUR) for number in range(48)]
        for batch in batches[:40]:
            await keep(store, box.name, batch)
        window = Window(SPRING, SPRING + 2 * DAY, "day", ZoneInfo("UTC"))

        async def counted() -> int:
            reading = await history.open_window(store, [box.name], window, now=SPRING + 90 * DAY)
            return sum((await reading.counted("line", "", lambda _, row: row)).values())

        before = await counted()
        assert before == sum(
            step.amount
            for step in increments(await store.archive.hours(box.name, 0, 2**50))
            if step.row.kind == "line"
        )
        later = int(now().timestamp() * 1000) + 11 * DAY
        await store.retention.expire(later)
        assert await store._database.counts.count_documents({}) == 0
        assert await store._database.tallies.count_documents({}) == 0
        assert await counted() == before
        await keep(store, box.name, batches[41])
        assert await counted() == before
        assert store.history.too_late == 1


async def test_days_of_a_whole_site_are_made_together(stack: Stack) -> None:
    """What 30 nodes told since somebody asked last is made ready with hardly more questions to the database
    than one node's, and their sums are those of the detail, also when a late batch of each of them comes.
    """
    names = [f"site-{number:02d}" for number in range(30)]
    window = Window(SPRING, SPRING + 2 * DAY, "day", ZoneInfo("Europe/Berlin"))
    questions: list[int] = []
    sums: list[int] = []
    for nodes in (names[:1], names):
        async with connect(stack.mongodb_uri, f"history_site_{len(nodes)}") as store:
            late = []
            for name in nodes:
                box = Box(name, random.Random(name))
                for number in (0, 5, 10, 17):
                    await keep(store, name, box.hour(SPRING + number * HOUR))
                await history.open_window(store, [name], window, now=SPRING + 19 * HOUR)
                late.append((name, box.hour(SPRING + 21 * HOUR)))
                await keep(store, name, box.hour(SPRING + 23 * HOUR))

            async def asked(database: Any = store._database) -> int:
                status = await database.command("serverStatus")
                return int(status["opcounters"]["query"])

            before = await asked()
            reading = await history.open_window(store, nodes, window, now=SPRING + 9 * DAY)
            questions.append(await asked() - before)
            for name, batch in late:
                await keep(store, name, batch)
            reading = await history.open_window(store, nodes, window, now=SPRING + 9 * DAY)
            counted = await reading.counted("line", "", lambda node, row: node)
            detail = 0
            for name in nodes:
                told = await out_of_detail(store, name, window)
                detail += sum(told.values())
            sums.append(sum(counted.values()) - detail)
    assert sums == [0, 0]
    assert questions[1] < 2 * questions[0] + 10, questions
