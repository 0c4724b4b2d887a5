"""What takes an hour and a day in the field, in seconds: the load by its cost, the day by a told clock."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from agent import wire
from agent.count.analyst import Analyst, Totals
from agent.deliver.spool import Now, Spool
from agent.minute import Ledger
from agent.track.tracker import Tracks
from deploy.stack import Stack
from tests.unit.watched import CAR, LEVEL, SIZE, VEHICLES, boxes

from .box import batch, box, centre, crossing, now_ms, settings, until

RATE = 5000  # events a second, on two cores
CORES = 0.5  # that they may take: the rest is the machine's, and the page's
EVENTS = 20_000
OF_BATCH = 50
BEGUN = 1_700_000_000_000
HOURS = 24
CARS = 2  # a minute


async def test_five_thousand_events_a_second_fit_into_two_cores(own_stack: Stack) -> None:
    """20,000 events through the real broker into the real database: each is stored once, and all processes
    together compute no more for them than half a core does in the four seconds that they stand for.

    The clock of the processes is read, not the wall's: so it says the same on a busy machine.
    """
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "soak")
    assert own_stack.mongod is not None
    others = [psutil.Process(one.pid) for one in (own_stack.mongod, own_stack.mosquitto)]

    def spent() -> float:
        times = [one.cpu_times() for one in others]
        return time.process_time() + sum(each.user + each.system for each in times)

    base = now_ms()
    numbers = range(EVENTS // OF_BATCH)
    payloads = [
        batch(7, seq, [crossing(seq * OF_BATCH + i + 1, base) for i in range(OF_BATCH)], base)
        for seq in numbers
    ]
    async with centre(config) as running, box(own_stack.mqtt_url, "soak-1") as node:
        before = spent()
        for payload in payloads:
            await node.send(payload)
        await until(lambda: len(set(node.acked)) == len(payloads), 120)
        computed = spent() - before
        delivery = await running.store.archive.delivery("soak-1")
        assert delivery["epochs"] == [{"epoch": 7, "stored": EVENTS, "missing": 0}]
        assert (await running.fleet.entry("soak-1")).counts_today[0].count == EVENTS
    print(f"{1e6 * computed / EVENTS:.0f} us of CPU an event, all processes together")
    assert computed <= CORES * EVENTS / RATE


class Day:
    """A box of one camera: counts, a minute's ledger, and a spool that a centre keeps empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.totals = Totals()
        lines = wire.CameraSettings(lines={"main": LEVEL})
        self.analyst = Analyst("cam0", lines, VEHICLES, self.totals)
        self.ledger = Ledger()
        self.spool = Spool.open(path, 8 << 20, Now(BEGUN, 0))
        self.seconds = 0.0
        self.track = 0

    def minute(self) -> None:
        """Let two cars cross, tell the minute, send it all and have it acknowledged."""
        events: list[wire.AnyEvent] = []
        for _ in range(CARS):
            self.track += 1
            for step in range(6):
                events += self._frame({self.track: (0.5, 0.3 + 0.1 * step)}, [])
            events += self._frame({}, [self.track])
            self.seconds += 60 / CARS - 0.7
            self.ledger.calm(60 / CARS - 0.7)
        watched, blind = self.ledger.take()
        events.append(
            self.analyst.tally(
                self.wall, watched=watched, blind=blind, captured=600, inferred=14, dropped=0, p50=20, p95=40
            )
        )
        events.append(
            wire.Resources(self.wall, "", 20, 30, 50 << 20, 30, 40, 50, 999, 999, False, {"cam0": 10})
        )
        now = Now(self.wall, round(self.seconds * 1000))
        assert self.spool.append(events, now, {"totals": self.totals.snapshot()})
        self.spool.close_batch()
        while sealed := self.spool.take(0, 32, now):
            for one in sealed:
                assert self.spool.acknowledge(one.epoch, [(one.seq, one.seq)], now) > 0

    @property
    def wall(self) -> int:
        """Unix ms of now."""
        return BEGUN + round(self.seconds * 1000)

    def _frame(self, places: dict[int, tuple[float, float]], ended: list[int]) -> list[wire.AnyEvent]:
        self.seconds += 0.1
        self.ledger.frame(self.seconds)
        tracks = Tracks.of_boxes(
            boxes(list(places.values())),
            np.array(list(places), np.int64),
            np.full(len(places), 0.8, np.float32),
            np.full(len(places), CAR, np.int64),
            self.seconds,
        )
        return self.analyst.update(tracks, ended, SIZE, self.seconds, self.wall)

    def held(self) -> tuple[int, int, int, int]:
        """Return the process's bytes of memory, its open files and threads, and the spool's bytes on disk."""
        process = psutil.Process()
        files = len(os.listdir("/proc/self/fd"))
        return process.memory_info().rss, files, threading.active_count(), self.path.stat().st_size


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """A folder in memory: what is looked for is not how fast a disk is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_day_leaves_nothing_behind(memory_disk: Path) -> None:
    """24 hours by the clock of the frames, 2,880 crossings: after the first hour memory, files, threads and
    the spool's file stay as they are; every crossing was counted and acknowledged.
    """
    day = Day(memory_disk / "spool.db")
    held = []
    for _ in range(HOURS):
        for _ in range(60):
            day.minute()
        held.append(day.held())
    account = day.spool.status()
    day.spool.close()
    assert sum(day.totals.rows.values()) == CARS * 60 * HOURS
    assert (account["pending"], account["lost"]) == (0, 0)
    memory, files, threads, sizes = zip(*held, strict=True)
    print(f"memory {(memory[-1] - memory[0]) / 1e6:+.2f} MB from the first hour to the last")
    assert memory[-1] - memory[0] < 8_000_000, memory  # a third of what a megabyte an hour would be
    assert len({*files}) == len({*threads}) == 1
    assert max(sizes) <= 2 * sizes[0], sizes
