"""Erasing what a node told, with a receipt: by the command line and by the API."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent import wire
from aggregator.store.store import connect
from deploy.stack import Stack

from .box import crossing, event_rows, now_ms
from .test_history import HOUR, SPRING, Box, keep
from .test_store import store_events


def ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def sample(at: int) -> wire.Resources:
    """Return a resource sample."""
    return wire.Resources(at, "", 5, 5, 5, 5, 5, None, 0, 0, False, {}, 0)


def departure(at: int) -> wire.Departure:
    """Return a series of pictures that left a box."""
    return wire.Departure(at, at + 1000, "cam0", "page", "anna", "viewer", 3, "blurred")


async def test_a_period_loses_its_single_events(stack: Stack) -> None:
    """Of a batch that reaches over the edge only what lies inside goes; sums and other nodes stay."""
    async with connect(stack.mongodb_uri, "erase_period") as store:
        start = now_ms() - HOUR
        events: list[Any] = [crossing(n, start + n * 1000) for n in range(1, 21)]
        await store_events(store, "erase-1", 5, 1, events)
        await store_events(store, "erase-2", 5, 1, events)
        done = await store.erase.period("erase-1", start + 5000, start + 11_000)
        assert (done.erased["batches"], done.left) == (6, 0)
        left = [row["_id"] for row in await event_rows(store) if row["n"] == "erase-1"]
        assert sorted(left) == sorted(f"erase-1:5:1:{i}" for i in range(20) if not 4 <= i < 10)
        assert len(await store.archive.newest("erase-2", [wire.Crossing], 0, 2**50, 100)) == 20
        assert len(await store.archive.newest("erase-1", [wire.Crossing], start, 2**50, 100)) == 14
        assert await store._database.counts.count_documents({"n": "erase-1"}) == 1


async def test_a_period_is_erased_of_what_copies_told_too(stack: Stack) -> None:
    """Events and samples that were set aside go like the others, come back without the period, and the
    receipt counts them."""
    async with connect(stack.mongodb_uri, "erase_apart") as store:
        start = now_ms() - HOUR
        cross: list[Any] = [crossing(n, start + n * 1000) for n in range(1, 11)]
        await store_events(store, "erase-3", 5, 1, cross)
        await store_events(store, "erase-3", 5, 2, [sample(start + 5000)])
        await store_events(store, "erase-3", 5, 3, [crossing(11, start + 5500)])
        assert await store.clones.set_aside("erase-3", 5) > 0
        assert await event_rows(store) == []
        done = await store.erase.period("erase-3", start + 5000, start + 8000)
        assert (done.erased["apart"], done.left) == (5, 0)
        assert await store._database.apart.count_documents({"from": "resources"}) == 0
        await store.clones.take_back("erase-3", 5)
        left = [row["_id"] for row in await event_rows(store)]
        assert sorted(left) == sorted(f"erase-3:5:1:{i}" for i in (0, 1, 2, 3, 7, 8, 9))
        done = await store.erase.period("erase-3", start, start + HOUR)
        assert (done.erased["batches"], done.erased["apart"], done.left) == (7, 0, 0)


async def test_everything_of_a_node_goes_by_one_command(stack: Stack, tmp_path: Path) -> None:
    """`erase NAME` leaves nothing of the node in any collection but the audit log, which has the receipt."""
    async with connect(stack.mongodb_uri, "erase_all") as store:
        box = Box("gone-1", random.Random(1))
        for number in range(30):
            await keep(store, box.name, box.hour(SPRING + number * HOUR))
        await store_events(store, "stays-1", 5, 1, [crossing(1)])
        await store.history.ensure([box.name], SPRING + 30 * HOUR)
        await store_events(store, "gone-1", 77, 1, [crossing(1, SPRING)])
        await store.clones.set_aside("gone-1", 77)
        await store.orders.add("order-1", {"node": "gone-1", "user": "anna", "verb": "logs"})
        await store.orders.answer("gone-1", "order-1", {"state": "done", "text": "what it said"})
        await store.departures.keep("gone-1", [departure(SPRING)])
        await store.departures.keep("gone-10", [departure(SPRING)])
        config = tmp_path / "aggregator.toml"
        config.write_text(f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "erase_all"\n')
        command = [sys.executable, "-m", "aggregator", "erase", "gone-1", "--config", str(config)]
        done = await asyncio.to_thread(ran, command)
        receipt = json.loads(done.stdout)
        assert receipt["left"] == 0
        assert receipt["erased"]["tallies"] == 30 * 6
        assert receipt["erased"]["batches"] == 31
        assert receipt["erased"]["apart"] > 0
        assert (receipt["erased"]["orders"], receipt["erased"]["departures"]) == (1, 1)
        assert receipt["erased"]["days"] == 2
        for name in await store._database.list_collection_names():
            rows = [row async for row in store._database[name].find()]
            held = [row for row in rows if "gone-1" in str(row).replace("gone-10", "")]
            assert len(held) == (1 if name == "audit" else 0), name
        assert await store._database.batches.count_documents({"n": "stays-1"}) == 1
        assert len(await store.departures.newest("gone-10", 10)) == 1
        refused = await asyncio.to_thread(ran, [*command, "--from", "2026-01-01"])
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
