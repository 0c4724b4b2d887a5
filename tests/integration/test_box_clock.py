"""Boxes whose clock is wrong: what they sent is put right to the second, and everybody is told."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from agent import wire
from aggregator.centre import Centre
from aggregator.statistics import Window, counts
from aggregator.store.box_clock import BoxClock
from deploy.stack import Stack

from .box import Box, box, centre, crossing, event_rows, now_ms, settings, until

YEARS = 10 * 365 * 86_400_000
MINUTE = 60_000


def sealed(seq: int, off: int, age: int, events: list[Any], started: int) -> bytes:
    """Return a batch of a box that is `off` ms ahead, begun `age` ms ago; `started`: the box, for us."""
    begun = now_ms() - age
    raw = [wire.encode_event(event, begun + off) for event in events]
    return wire.encode_batch(7, seq, begun + off, begun - started, raw)


def tally(at: int, total: int) -> wire.Tally:
    """Return a minute in which `main` had counted up to `total`."""
    totals = [wire.LineTotal("main", 0, "AB", "car", total)]
    return wire.Tally(at, "cam0", MINUTE, {}, totals, {"car": total}, 600, 600, 0, 5, 9)


def sample(at: int) -> wire.Resources:
    """Return a resource sample."""
    return wire.Resources(at, "", 5, 5, 5, 5, 5, None, 0, 0, False, {}, 0)


async def events(running: Centre, node: str) -> list[dict[str, Any]]:
    """Return a node's events and tallies as they lie in the database, by id."""
    rows = [row for row in await event_rows(running) if row["n"] == node]
    rows += [row async for row in running.store._database.tallies.find({"n": node})]
    return sorted(rows, key=lambda row: str(row["_id"]))


async def warnings(running: Centre, node: str) -> str:
    """Return what is told of a node."""
    return " | ".join((await running.fleet.entry(node)).warnings)


@pytest.mark.parametrize("off", [-YEARS, YEARS, -3_600_000, 5_000])
async def test_what_was_stored_before_the_clock_was_set_is_put_right(stack: Stack, off: int) -> None:
    """Times of a clock that was set later are right to a second, what was told is kept, counts follow."""
    node = f"late-{abs(off) // 1000}-{int(off > 0)}"
    config = settings(stack.mqtt_url, stack.mongodb_uri, "boxclock_late")
    started = now_ms() - 1_000_000
    async with centre(config) as running, box(stack.mqtt_url, node) as sender:
        true = now_ms() - 5 * MINUTE
        told = [crossing(1, true + off), crossing(2, true + MINUTE + off)]
        told += [tally(true + off, 1), tally(true + MINUTE + off, 2), sample(true + off)]
        await sender.send(sealed(1, off, 5 * MINUTE, told, started))
        await until(lambda: sender.acked)
        await sender.send(sealed(2, 0, 0, [crossing(3), sample(now_ms())], started))
        await until(lambda: len(sender.acked) == 2)
        await _put_right(running, node, true)
        rows = await events(running, node)
        assert [row.get("was") for row in rows[:4]] == [event.at for event in told[:4]]
        for row, event in zip(rows[:4], told, strict=False):
            assert abs(row["a"] - (event.at - off)) < 1000
        (first, second) = [
            row async for row in running.store._database.resources.find({"n": node}).sort("_id")
        ]
        assert abs(first["at"][0] - true) < 1000
        assert "was" not in second
        span = Window(true - 60 * MINUTE, now_ms() + MINUTE, "all", config.zone)
        assert [row.count for row in await counts(running.store, node, "cam0", "main", span)] == [3]
        wrong = Window(true - 60 * MINUTE + off, true + 30 * MINUTE + off, "minute", config.zone)
        if abs(off) > 100 * MINUTE:
            assert await counts(running.store, node, "cam0", "main", wrong) == []
        assert "put right" in await warnings(running, node)


async def _put_right(running: Centre, node: str, true: int) -> None:
    """Wait until the oldest event lies where it belongs."""
    async with asyncio.timeout(20):
        while abs((await events(running, node))[0]["a"] - true) >= 1000:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # the counts follow


async def test_a_state_tells_a_wrong_clock_at_once_and_the_warning_follows_it(stack: Stack) -> None:
    """What a box sends by a clock of 2016 is stored right at once; the warning goes when its clock is set."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "boxclock_state")
    started = now_ms() - 1_000_000
    async with centre(config) as running, box(stack.mqtt_url, "state-1") as node:
        await _say_state(node, -YEARS, started)
        await until(lambda: running.fleet.known("state-1"))
        await asyncio.sleep(0.3)
        at = now_ms()
        await node.send(sealed(1, -YEARS, 0, [crossing(1, at - YEARS)], started))
        await until(lambda: node.acked)
        (row,) = await events(running, "state-1")
        assert abs(row["a"] - at) < 1000
        assert row["was"] == at - YEARS
        assert "days behind" in await warnings(running, "state-1")
        shown = (await running.fleet.entry("state-1")).counts_today
        assert [one.count for one in shown] == [1]
        await node.send(sealed(2, 0, 0, [crossing(2)], started))
        await until(lambda: len(node.acked) == 2)
        text = await warnings(running, "state-1")
        assert "The node's clock is" not in text
        assert "put right" in text
    async with centre(config) as later:
        await node_known(later, "state-1")
        assert "The node's clock is" not in await warnings(later, "state-1")


async def node_known(running: Centre, name: str) -> None:
    """Wait until a node is known."""
    await until(lambda: running.fleet.known(name))


async def _say_state(node: Box, off: int, started: int) -> None:
    at = now_ms()
    camera = wire.CameraReport("cam0", "ok", at, labels=["car"], size=(640, 360))
    state = wire.State(node.name, True, at + off, at - started, 7, "1", [camera])
    await node.client.publish(wire.topic(node.name, "state"), msgspec.json.encode(state), 1, True)


async def test_a_sample_of_the_future_does_not_stick(stack: Stack) -> None:
    """A sample dated ten years ahead by a box without a second clock is replaced by the next one."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "boxclock_future")
    async with centre(config) as running, box(stack.mqtt_url, "future-1") as node:
        await node.state()
        for seq, (at, cpu) in enumerate(((now_ms() + YEARS, 90), (now_ms(), 7)), 1):
            event = wire.Resources(at, "", cpu, 5, 5, 5, 5, None, 0, 0, False, {}, 0)
            await node.send(wire.encode_batch(7, seq, at, 0, [wire.encode_event(event, at)]))
            await until(lambda: len(node.acked) == seq)  # noqa: B023
        assert (await running.fleet.entry("future-1")).cpu_percent == 7
        assert "The node's clock is" not in await warnings(running, "future-1")


def test_stale_follows_the_centres_clock(stack: Stack) -> None:
    """A node that was last heard before the clock was set back ten years is stale after 150 s of silence."""
    from aggregator.node_view import STALE_MS, NodeView

    view = NodeView("stale-1", now_ms())
    view.online = True
    view.hear(now_ms())
    view.heard -= YEARS
    view.listening_since -= YEARS
    assert view.standing(now_ms() - YEARS) == "online"
    assert view.standing(now_ms() - YEARS + STALE_MS + 5000) == "stale"


def test_a_right_clock_is_left_alone() -> None:
    """Neither a backlog of three days nor one sent a minute late is taken for a wrong clock."""
    clock = BoxClock()
    for age in (3 * 86_400_000, 3_600_000, 59_000, 30_000):
        clock.hear(1_000_000, 1_000_000 + age, False)
        assert clock.off(1_000_000) == 0
    clock.hear(1_000_000, 1_000_040, True)
    assert clock.true == 1_000_000


def test_a_clock_that_was_set_while_a_batch_was_open() -> None:
    """What such a batch tells by the clock before is put right, what it tells by the new one is left."""
    clock = BoxClock()
    clock.hear(-YEARS, 0, True)
    clock.hear(0, 50, False)
    begun = 5_000_000
    assert abs(clock.correct(begun + 3000, begun, begun) - (begun + 3000)) < 100
    assert abs(clock.correct(begun - 2000 - YEARS, begun, begun) - (begun - 2000)) < 100
    assert abs(clock.correct(begun + 9000, begun - YEARS, begun) - (begun + 9000)) < 100
