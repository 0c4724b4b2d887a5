"""The centre's own clock: wrong at first, years ahead, set while it runs and while it does not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.site_time import now
from aggregator.store import clock as clock_module
from aggregator.store.clock import Clock
from aggregator.store.clocks import Reading, read
from aggregator.store.detail import events_of
from aggregator.store.store import Store, connect
from deploy.stack import Stack, die_with_parent

from .box import batch, box, crossing, until

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
DAY_MS = 86_400_000


class Machine:
    """A centre in a process of its own whose wall clock can be set; what counts since the start is true."""

    def __init__(self, folder: Path, stack: Stack, database: str) -> None:
        self._clock = folder / "clock"
        self._config = folder / "aggregator.toml"
        self._log = folder / "log"
        self._config.write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
            f'database = "{database}"\ndetail_days = 30\n[http]\nport = 0\ntoken = "a token"\n'
        )
        self._process: asyncio.subprocess.Process | None = None

    def set(self, shift: str) -> None:
        """Set its clock by a shift in libfaketime's words, `-10y` or `+0`."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{shift}\n")
        new.rename(self._clock)

    async def start(self) -> None:
        """Start the centre and wait until it is ready."""
        environment = {
            **os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "aggregator", "run", "--config", str(self._config),
                stdout=asyncio.subprocess.PIPE, stderr=log, env=environment, preexec_fn=die_with_parent,
            )  # fmt: skip
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        assert line.startswith(b"ready"), self._log.read_text()

    async def stop(self) -> None:
        """Stop it gently."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self._process.wait(), 20) == 0

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text()


@asynccontextmanager
async def stored(stack: Stack, database: str) -> AsyncIterator[Store]:
    """Open the database beside the centre."""
    async with connect(stack.mongodb_uri, database) as store:
        yield store


async def send(stack: Stack, name: str, first: int, amount: int) -> None:
    """Send batches and wait until they are acknowledged."""
    async with box(stack.mqtt_url, name) as node:
        for seq in range(first, first + amount):
            await node.send(batch(7, seq, [crossing(seq)]))
        await until(lambda: len(set(node.acked)) == amount, 60)


async def come_true(store: Store, condition: Callable[[list[Any]], bool], seconds: float = 30.0) -> bool:
    """Wait until what the events were stored at fulfils a condition; return if it did in time."""
    deadline = time.monotonic() + seconds
    while not condition(await dates(store)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return condition(await dates(store))


async def dates(store: Store) -> list[Any]:
    """Return when the events were stored, oldest first."""
    rows = store._database.batches.find().sort("stored_at")
    return [one.stored_at async for row in rows for one in events_of(row)]


@pytest.mark.skipif(not FAKETIME.exists(), reason="needs libfaketime")
async def test_a_centre_that_learns_the_time_deletes_nothing(own_stack: Stack, tmp_path: Path) -> None:
    """What was stored in 2016 is there when the clock is set, to the second; +10 years delete none."""
    machine = Machine(tmp_path, own_stack, "clock_learns")
    machine.set("-10y")
    await machine.start()
    began = now()
    await send(own_stack, "learn-1", 1, 40)
    async with stored(own_stack, "clock_learns") as store:
        assert (await dates(store))[-1].year <= began.year - 9
        machine.set("+0")
        assert await come_true(store, lambda at: at[0] > began - timedelta(seconds=2))
        assert (await dates(store))[-1] < now() + timedelta(seconds=1)
        old = await store._database.batches.find_one({})
        assert old["stored_as"].year <= began.year - 9
        await send(own_stack, "learn-1", 41, 10)
        machine.set("+10y")
        await until(lambda: machine.log().count("are dated again") == 2, 40)
        await send(own_stack, "learn-1", 51, 10)
        machine.set("+0")
        assert await come_true(store, lambda at: at[-1] < now() + timedelta(minutes=1))
        assert len(await dates(store)) == 60
        assert (await dates(store))[0] > began - timedelta(seconds=2)
        assert (await store.archive.delivery("learn-1"))["epochs"] == [
            {"epoch": 7, "stored": 60, "missing": 0}
        ]
        order = [row["_id"] async for row in store._database.batches.find().sort("stored_at")]
        assert [int(id_.split(":")[2]) for id_ in order] == sorted(range(1, 61))
        await until(lambda: machine.log().count("are dated again") == 3, 40)
        await asyncio.sleep(2)  # the audit log follows
        await machine.stop()
        audit = [row["action"] async for row in store._database.audit.find()]
        assert sum("documents were dated again" in action for action in audit) == 3


@pytest.mark.skipif(not FAKETIME.exists(), reason="needs libfaketime")
async def test_a_clock_that_was_set_between_two_starts(own_stack: Stack, tmp_path: Path) -> None:
    """A centre that stored in 2016, was stopped, and starts at the right time dates it anew."""
    machine = Machine(tmp_path, own_stack, "clock_between")
    machine.set("-10y")
    await machine.start()
    began = now()
    await send(own_stack, "between-1", 1, 20)
    await machine.stop()
    machine.set("+0")
    await machine.start()
    async with stored(own_stack, "clock_between") as store:
        assert len(await dates(store)) == 20
        assert (await dates(store))[0] > began - timedelta(seconds=2)
        assert "dated again" in machine.log()
    await machine.stop()


async def test_another_start_of_the_machine(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a start of the machine stored by a clock that was never set counts, in the next, as stored now."""
    async with connect(stack.mongodb_uri, "clock_boots") as store:
        wrong = clock_module.WRITTEN - 3600 * DAY_MS
        monkeypatch.setattr(clock_module, "boot_id", lambda: "first")
        monkeypatch.setattr(clock_module, "read", lambda: Reading(wrong, 5000))
        first = Clock(store)
        await first.start()
        assert "cannot be" in first.trouble
        moment = first.stamp()
        await store._database.events.insert_one({"_id": 1, "stored_at": moment})
        await store.clocks.save("first", wrong + 60_000, True)
        assert await first.expire() == 0
        monkeypatch.undo()
        second = Clock(store)
        await second.start()
        row = await store._database.events.find_one({"_id": 1})
        assert abs((row["stored_at"] - now()).total_seconds()) < 120
        assert row["stored_as"] == moment


async def test_nothing_is_deleted_by_a_clock_that_is_not_believed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted before the newest time that was believed, a day after a leap, or against mongod."""
    async with connect(stack.mongodb_uri, "clock_doubt") as store:
        real = read()
        clock = Clock(store)
        await clock.start()
        await store._database.events.insert_one({"_id": 1, "stored_at": now() - timedelta(days=31)})
        monkeypatch.setattr(clock_module, "read", lambda: Reading(real.wall + 3650 * DAY_MS, real.since_boot))
        await clock._look(clock_module.read())
        assert await clock.expire() == 0
        monkeypatch.setattr(clock_module, "read", lambda: Reading(real.wall, real.since_boot))
        await clock._look(clock_module.read())
        assert await clock.expire() == 0, "it has leapt"
        clock._hold_until = 0
        monkeypatch.setattr(clock_module, "read", lambda: Reading(real.wall + DAY_MS, real.since_boot))
        assert await clock.expire() == 0, "the database says another time"
        monkeypatch.setattr(clock_module, "read", read)
        row = await store._database.events.find_one({"_id": 1})
        assert abs((row["stored_at"] - (now() - timedelta(days=31))).total_seconds()) < 60
        assert await clock.expire() == 1
        monkeypatch.setattr(clock_module, "boot_id", lambda: "another")
        monkeypatch.setattr(clock_module, "read", lambda: Reading(real.wall - 10 * DAY_MS, 1))
        behind = Clock(store)
        await behind.start()
        assert "cannot be" in behind.trouble
        assert await behind.expire() == 0


async def test_what_is_stored_is_in_order_where_the_clock_goes_back(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After half an hour backwards each stamp is above the one before."""
    async with connect(stack.mongodb_uri, "clock_order") as store:
        clock = Clock(store)
        before = [clock.stamp() for _ in range(3)]
        real = read()
        monkeypatch.setattr(clock_module, "read", lambda: Reading(real.wall - 1_800_000, real.since_boot))
        after = [clock.stamp() for _ in range(3)]
        assert before + after == sorted({*before, *after})
        assert after[-1] - before[-1] < timedelta(seconds=1)
