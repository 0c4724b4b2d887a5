"""The day so far of a node: remembered up to an hour and read on from there, it says what the store says."""

from __future__ import annotations

import random
import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aggregator.days import Days
from aggregator.ingest import Fact
from aggregator.node_view import NodeView
from aggregator.site_time import day_start
from aggregator.store.store import Store, connect
from deploy.stack import Stack

from .test_history import DAY, HOUR, SPRING, Box, keep

MINUTE = 60_000


def said(view: NodeView) -> tuple[Any, ...]:
    """Return all that a day says."""
    day = view.day
    return day.start, day.counts, day.objects, day.watched, day.blind, day.p95


async def tell(store: Store, view: NodeView, batch: tuple[int, int, list[Any], int]) -> None:
    """Store a batch, and let the node hear of it as ingest does."""
    await keep(store, view.name, batch)
    epoch, seq, events, _ = batch
    view.take([Fact(view.name, f"{view.name}:{epoch}:{seq}:{i}", one) for i, one in enumerate(events)], 0)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
async def test_what_is_remembered_of_a_day_says_what_the_store_says(stack: Stack, zone: str) -> None:
    """Hour after hour over a midnight, with restarts, a wiped box and late hours, a day that is read
    on from an hour equals one that is read from midnight; hours that are over are not read again.
    """
    chance = random.Random(zone)
    async with connect(stack.mongodb_uri, f"today_{zone.replace('/', '_')}") as store:
        days = Days(store, lambda node: ZoneInfo(zone))
        view = NodeView("today-1", 0)
        box = Box(view.name, chance)
        late: list[Any] = []
        for number in range(8, 30):
            hour = SPRING + number * HOUR
            if number in (13, 19):
                box.restart(keep=number == 13)
            if number % 5 != 4:  # else the box was off
                batch = box.hour(hour)
                if chance.random() < 0.3:
                    late.append(batch)
                else:
                    await tell(store, view, batch)
            if late and chance.random() < 0.3:
                await tell(store, view, late.pop(chance.randrange(len(late))))
            now = hour + HOUR
            await days.refresh([view], now)
            anew = NodeView(view.name, 0)
            await days.refresh([anew], now)
            assert said(view)[:-1] == said(anew)[:-1], number
            settled = (now - 15 * MINUTE) // HOUR * HOUR
            start = day_start(now, ZoneInfo(zone))
            assert view.day.begin("counts", time.monotonic()) == max(settled, start)
            view.day.fresh.clear()
        assert view.day.start > SPRING + DAY - 12 * HOUR


async def test_what_comes_late_while_a_day_is_read_is_not_forgotten(stack: Stack) -> None:
    """An hour that is over is told of between the reading and its end: nothing of before it is remembered."""
    async with connect(stack.mongodb_uri, "today_race") as store:
        days = Days(store, lambda node: ZoneInfo("UTC"))
        view = NodeView("today-2", 0)
        box = Box(view.name, random.Random(5))
        await tell(store, view, box.hour(SPRING))
        late = box.hour(SPRING + HOUR)
        read = store.chains.today

        async def slowly(*args: Any) -> Any:
            found = await read(*args)
            await tell(store, view, late)
            return found

        store.chains.today = slowly  # type: ignore[method-assign]
        await days.refresh([view], SPRING + 5 * HOUR)
        store.chains.today = read  # type: ignore[method-assign]
        await days.refresh([view], SPRING + 5 * HOUR)
        anew = NodeView(view.name, 0)
        await days.refresh([anew], SPRING + 5 * HOUR)
        assert said(view) == said(anew)
        assert sum(row.count for row in view.day.counts) > 0


async def test_a_day_that_is_forgotten_while_it_is_read_is_read_anew(stack: Stack) -> None:
    """Times are put right between the reading and its end: the day says what the store says, at once."""
    async with connect(stack.mongodb_uri, "today_forgotten") as store:
        days = Days(store, lambda node: ZoneInfo("UTC"))
        view = NodeView("today-3", 0)
        box = Box(view.name, random.Random(6))
        await tell(store, view, box.hour(SPRING))
        read = store.chains.today
        asked = 0

        async def slowly(*args: Any) -> Any:
            nonlocal asked
            asked += 1
            found = await read(*args)
            if asked == 1:
                days.forget(view)
                await tell(store, view, box.hour(SPRING + HOUR))
            return found

        store.chains.today = slowly  # type: ignore[method-assign]
        await days.refresh([view], SPRING + 5 * HOUR)
        anew = NodeView(view.name, 0)
        await days.refresh([anew], SPRING + 5 * HOUR)
        assert said(view) == said(anew)
        assert sum(row.count for row in view.day.counts) > 0
