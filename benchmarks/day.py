"""What a day costs on the wire: MQTT bytes of one node with 1,000 crossings and all its telemetry, both ways.

A day of events goes through the real spool (by its own clock), the real client and a real mosquitto; a
counting proxy between node and broker sees every byte, acknowledgements included. Only the pings of the
quiet seconds are computed, because the day is played faster than it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from agent import wire
from agent.deliver.spool import Now, Sealed, Spool
from agent.mqtt.client import BrokerSettings, Client, connect
from deploy.stack import Stack

NODE = "gate-07"
DAY_MS = 86_400_000
START_MS = 1_767_225_600_000
PING_BYTES = 4
PING_SECONDS = 21


class Wiretap:
    """A TCP proxy that counts what passes, both ways."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.bytes = 0
        self.port = 0
        self._idle = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[Wiretap]:
        """Serve on a free port while the context lasts."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            await self._idle.wait()

    async def _join(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_connection("127.0.0.1", self._target)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._copy(near, far_out), name="up")
            both.create_task(self._copy(far, near_out), name="down")
        self._idle.set()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            self.bytes += len(data)
            sink.write(data)
            await sink.drain()
        sink.close()


def day(crossings: int, seed: int = 1) -> Iterator[wire.AnyEvent]:
    """Yield a day's events in the order of time: objects through the day, and the telemetry."""
    chance = random.Random(seed)
    moments = sorted(chance.randrange(10_000, DAY_MS - 10_000) for _ in range(crossings))
    events: list[wire.AnyEvent] = []
    for number, at in enumerate(moments, 1):
        events += _object(number, START_MS + at, chance)
    for at in range(START_MS, START_MS + DAY_MS, 10_000):
        events.append(_sample(at, chance))
    for at in range(START_MS, START_MS + DAY_MS, 60_000):
        events.append(_tally(at + 60_000, sum(START_MS + m < at for m in moments)))
    yield from sorted(events, key=lambda event: event.at)


def _object(number: int, at: int, chance: random.Random) -> list[wire.AnyEvent]:
    direction = chance.choice(("AB", "BA"))
    label = chance.choice(("car", "car", "car", "bus", "truck", "person"))
    path = [(t, chance.random(), chance.random()) for t in (0.0, 1.1, 2.0, 3.2, 4.5)]
    return [
        wire.Detection(at - 1500, "cam0", number, label, 88, wire.pack_box(0.1, 0.2, 0.3, 0.4)),
        wire.Crossing(at, "cam0", "main", 3, direction, label, number, number, 88),  # type: ignore[arg-type]
        wire.Track(at + 3000, "cam0", number, label, 90, 4500, 67, wire.pack_path(path)),
    ]


def _sample(at: int, chance: random.Random) -> wire.Resources:
    def some(low: int, high: int) -> int:
        return chance.randrange(low, high)

    return wire.Resources(
        at, "", some(20, 60), some(50, 90), 180_000_000 + some(0, 10**6), 41, 63, some(48, 60),
        some(300, 2000), some(300, 2000), False, {"cam0": some(145, 151)},
    )  # fmt: skip


def _tally(at: int, total: int) -> wire.Tally:
    rows = [
        wire.LineTotal("main", 3, way, label, total // 8)  # type: ignore[arg-type]
        for label in ("car", "bus", "truck", "person")
        for way in ("AB", "BA")
    ]
    objects = dict.fromkeys(("car", "bus", "truck", "person"), total // 4)
    return wire.Tally(at, "cam0", 60_000, {}, rows, objects, 900, 899, 1, 21, 34)


class Road:
    """A node's end and a centre's end of one broker."""

    def __init__(self, spool: Spool, node: Client, centre: Client) -> None:
        self._spool = spool
        self._node = node
        self._centre = centre
        self._acks = aiter(node.messages)
        self._arrived = aiter(centre.messages)
        self._position = 0
        self.batches = 0

    async def send(self, now: int) -> None:
        """Send what is closed and wait until the centre's word for it has arrived."""
        while sealed := self._spool.take(self._position, 16, Now(now, now)):
            for each in sealed:
                await self._deliver(each, now)

    async def _deliver(self, sealed: Sealed, now: int) -> None:
        self._position = sealed.position
        self.batches += 1
        await self._node.publish(wire.topic(NODE, "ev"), sealed.payload)
        batch = wire.decode_batch((await anext(self._arrived)).payload)
        await self._centre.publish(
            wire.topic(NODE, "ack"), wire.encode_ack({batch.epoch: [batch.seq]}), qos=0
        )
        ack = wire.decode_ack((await anext(self._acks)).payload)
        for epoch, ranges in ack.stored.items():
            self._spool.acknowledge(epoch, ranges, Now(now, now))


async def play(folder: Path, stack: Stack, events: list[wire.AnyEvent]) -> tuple[int, int]:
    """Play events through spool and broker; return (MQTT bytes both ways without pings, batches)."""
    spool = Spool.open(folder / "spool.db", 64 << 20, Now(START_MS, START_MS))
    async with Wiretap(stack.mosquitto.port).listen() as tap:
        near = BrokerSettings.parse(f"mqtt://127.0.0.1:{tap.port}", client_id=NODE)
        async with connect(near) as node, connect(BrokerSettings.parse(stack.mqtt_url)) as centre:
            await node.subscribe(wire.topic(NODE, "ack"), 0)
            await centre.subscribe(wire.topic("+", "ev"))
            road = Road(spool, node, centre)
            for event in events:
                spool.close_due(Now(event.at, event.at))
                await road.send(event.at)
                spool.append([event], Now(event.at, event.at))
            spool.close_batch()
            await road.send(events[-1].at)
    spool.close()
    return tap.bytes, road.batches


def measure() -> dict[str, float]:
    """Return the bytes of a day, of a lone crossing, and of a crossing and a box that share a batch."""
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), mongodb_uri="unused") as stack:
        events = list(day(1000))
        total, batches = asyncio.run(play(Path(folder), stack, events))
        lone = [event for event in events if isinstance(event, wire.Crossing)]
        quiet, _ = asyncio.run(play(Path(folder), stack, [lone[0]]))
        more, _ = asyncio.run(play(Path(folder), stack, lone[:11]))
        shared = [wire.Crossing(START_MS, "cam0", "main", 3, "AB", "car", n, n, 88) for n in range(1, 101)]
        together, _ = asyncio.run(play(Path(folder), stack, list(shared)))
        one, _ = asyncio.run(play(Path(folder), stack, [shared[0]]))
    pings = DAY_MS / 1000 / PING_SECONDS * PING_BYTES
    rows = [(n, 0.1, 0.2, 0.3, 0.4, 2, 88) for n in range(20)]
    live = wire.encode_live(wire.Live(START_MS, "cam0", wire.pack_rows(rows)))
    return {
        "day_bytes": total + pings,
        "day_batches": batches,
        "lone_crossing_bytes": (more - quiet) / 10,
        "crossing_bytes_in_a_batch_of_100": (together - one) / 99,
        "box_bytes_in_a_live_frame_of_20": (len(live) + len(wire.topic(NODE, "live")) + 5) / 20,
    }
