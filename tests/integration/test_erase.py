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


async def test_everything_of_a_node_goes_by_one_command(stack: Stack, tmp_path: Path) -> None:
    """`erase NAME` leaves nothing of the node in any collection but the audit log, which has the receipt."""
    async with connect(stack.mongodb_uri, "erase_all") as store:
        box = Box("gone-1", random.Random(1))
        for number in range(30):
            await keep(store, box.name, box.hour(SPRING + number * HOUR))
        await store_events(store, "stays-1", 5, 1, [crossing(1)])
        await store.history.ensure([box.name], SPRING + 30 * HOUR)
        config = tmp_path / "aggregator.toml"
        config.write_text(f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "erase_all"\n')
        command = [sys.executable, "-m", "aggregator", "erase", "gone-1", "--config", str(config)]
        done = await asyncio.to_thread(ran, command)
        receipt = json.loads(done.stdout)
        assert receipt["left"] == 0
        assert receipt["erased"]["tallies"] == 30 * 6
        assert receipt["erased"]["batches"] == 30
        assert receipt["erased"]["days"] == 2
        for name in await store._database.list_collection_names():
            rows = [row async for row in store._database[name].find()]
            held = [row for row in rows if "gone-1" in str(row)]
            assert len(held) == (1 if name == "audit" else 0), name
        assert await store._database.batches.count_documents({"n": "stays-1"}) == 1
        refused = await asyncio.to_thread(ran, [*command, "--from", "2026-01-01"])
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
