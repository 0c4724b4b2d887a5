"""How many events a second one centre stores, through the real mosquitto into the real mongod.

Events are offered at a fixed rate; "stored" is the moment at which the centre's acknowledgement arrives, so
it includes the broker twice, the checks, and the durable write.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from aggregator.store.store import connect as connect_store
from deploy.stack import Stack, die_with_parent

NODES = 50
BATCH = 50
Sealed = tuple[str, int, int, bytes]  # node, epoch, seq, payload
_SILENCE_SECONDS = 60.0
_AGAIN_SECONDS = 30.0
LABELS = ("person", "car", "bus", "truck", "bicycle")


def make_events(count: int, at: int, chance: random.Random, first_track: int) -> list[wire.AnyEvent]:
    """Return events in the mix of a busy road: of each object a detection, a track, and half a crossing."""
    events: list[wire.AnyEvent] = []
    for number in range(count):
        track = first_track + number
        label = chance.choice(LABELS)
        match number % 5:
            case 0 | 1:
                box = wire.pack_box(*(chance.random() for _ in range(4)))
                events.append(wire.Detection(at + number, "cam0", track, label, 80, box))
            case 2 | 3:
                path = wire.pack_path((t * 0.8, chance.random(), chance.random()) for t in range(5))
                events.append(wire.Track(at + number, "cam0", track, label, 80, 4000, 60, path))
            case _:
                events.append(wire.Crossing(at + number, "cam0", "main", 1, "AB", label, track, track, 80))
    return events


def make_work(total: int, batch: int = BATCH, epoch: int = 1000) -> list[Sealed]:
    """Return `total` events in batches of `batch`, spread over nodes. `epoch`: the first node's."""
    chance = random.Random(1)
    base = round(time.time() * 1000)
    work = []
    for number in range(total // batch):
        node = f"box-{number % NODES:03d}"
        seq = number // NODES + 1
        epoch_of_node = epoch + number % NODES
        events = [wire.encode_event(e, base) for e in make_events(batch, base, chance, number * batch)]
        payload = wire.encode_batch(epoch_of_node, seq, base, 0, events)
        work.append((node, epoch_of_node, seq, payload))
    return work


@contextlib.contextmanager
def centre(folder: Path, stack: Stack) -> Iterator[None]:
    """Run an aggregator on a stack."""
    config = folder / "aggregator.toml"
    config.write_text(
        f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
        '[http]\nport = 0\ntoken = "a-token-of-the-benchmark"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "aggregator", "run", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


class Offer:
    """Batches that are offered to a centre; what is not acknowledged comes again, as a box sends it.

    `window`: batches that wait for their acknowledgement at most. `late`: seconds until each was stored.
    """

    def __init__(self, client: Client, work: list[Sealed], window: int) -> None:
        self.late: list[float] = []
        self._client = client
        self._work = work
        self._room = asyncio.Semaphore(window)
        self._first: dict[tuple[int, int], float] = {}  # (epoch, seq) -> when it was sent first
        self._last: dict[tuple[int, int], tuple[float, str, bytes]] = {}
        self._moved = time.perf_counter()
        self._stuck = ""

    async def run(self, rate: float, batch: int) -> list[float]:
        """Publish at `rate` events a second in batches of `batch`; raise TimeoutError if nothing moves."""
        try:
            async with asyncio.TaskGroup() as group:
                again = group.create_task(self._again(), name="again")
                group.create_task(self._publish(group, rate, batch), name="offer")
                await self._hear()
                again.cancel()
        except* TimeoutError:
            stored = f"{len(self.late)} of {len(self._work)} batches are stored"
            self._stuck = f"{stored}, and none for {_SILENCE_SECONDS:.0f} s"
        if self._stuck:
            raise TimeoutError(self._stuck)
        return self.late

    async def _publish(self, group: asyncio.TaskGroup, rate: float, batch: int) -> None:
        started = time.perf_counter()
        for number, (node, epoch, seq, payload) in enumerate(self._work):
            due = started + number * batch / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await self._room.acquire()
            now = time.perf_counter()
            topic = wire.topic(node, "ev")
            self._first[epoch, seq] = now
            self._last[epoch, seq] = (now, topic, payload)
            group.create_task(self._client.publish(topic, payload), name="publish")

    async def _hear(self) -> None:
        async for message in self._client.messages:
            self._moved = time.perf_counter()
            for epoch, ranges in wire.decode_ack(message.payload).stored.items():
                for one, two in ranges:
                    for seq in range(one, two + 1):
                        self._stored((epoch, seq))
            if len(self.late) == len(self._work):
                return

    def _stored(self, key: tuple[int, int]) -> None:
        if key in self._first:
            self.late.append(self._moved - self._first.pop(key))
            del self._last[key]
            self._room.release()

    async def _again(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.perf_counter()
            if now - self._moved > _SILENCE_SECONDS:
                raise TimeoutError
            due = [key for key, (last, _, _) in self._last.items() if now - last > _AGAIN_SECONDS]
            for key in due:
                _, topic, payload = self._last[key]
                self._last[key] = (now, topic, payload)
                await self._client.publish(topic, payload)


async def drive(
    stack: Stack, work: list[Sealed], rate: float, batch: int = BATCH, window: int = 5000
) -> tuple[list[float], float]:
    """Offer the work; return each batch's seconds until it was stored, and the seconds of it all.

    Args:
        stack: where the centre is.
        work: the batches.
        rate: events a second.
        batch: events in each.
        window: batches that wait for their acknowledgement at most.

    Raises:
        TimeoutError: nothing was stored for a minute.
    """
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic("+", "ack"), 0)
        started = time.perf_counter()
        late = await Offer(client, work, window).run(rate, batch)
        return late, time.perf_counter() - started


async def sizes_of(stack: Stack) -> dict[str, tuple[int, int]]:
    """Return (documents, bytes on disk with indexes) of each collection."""
    async with connect_store(stack.mongodb_uri, "gb_fleet") as store:
        return await store.size()


def round_at(rate: float, seconds: float) -> dict[str, float]:
    """Offer events at a rate for some seconds; return what was stored, how late, and the room it takes."""
    work = make_work(round(rate * seconds))
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack") as stack:
        with centre(Path(folder), stack):
            late, took = asyncio.run(drive(stack, work, rate))
        sizes = asyncio.run(sizes_of(stack))
    late.sort()
    events = len(work) * BATCH
    return {
        "offered_per_s": rate,
        "stored_per_s": events / took,
        "stored_p50_s": statistics.median(late),
        "stored_p99_s": late[int(len(late) * 0.99)],
        "disk_bytes_per_event": sum(used for _, used in sizes.values()) / events,
    }


def measure() -> dict[str, float]:
    """Measure at the goal's rate."""
    return round_at(5000, 20)
