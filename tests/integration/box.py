"""A box as the centre sees it: states, batches and acknowledgements over the real broker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import bson
import msgspec

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from aggregator.centre import Centre, open_centre
from aggregator.config import Config
from aggregator.store import codec
from aggregator.store.detail import events_of
from aggregator.store.store import Store

TOKEN = "a-token-of-the-tests"
DOCUMENT = wire.Document(
    0, {"cam0": wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.6), (1.0, 0.6)])})}
)


def now_ms() -> int:
    """Return Unix milliseconds."""
    return int(time.time() * 1000)


def crossing(total: int, at: int | None = None, label: str = "car") -> wire.Crossing:
    """Return a crossing of `main`."""
    return wire.Crossing(at or now_ms(), "cam0", "main", 0, "AB", label, total, total, 90)


def batch(epoch: int, seq: int, events: Sequence[wire.AnyEvent | bytes], base: int | None = None) -> bytes:
    """Return a batch; an event given as bytes goes in as it is."""
    base = base or now_ms()
    encoded = [event if isinstance(event, bytes) else wire.encode_event(event, base) for event in events]
    return wire.encode_batch(epoch, seq, base, 0, encoded)


def singly(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return stored events one by one, as documents of their own would hold them, by id.

    `rows`: documents of `events` and `batches`.
    """
    found = [
        bson.decode(codec.encode(one.node, one.id, one.event, one.stored_at, one.told).raw)
        for row in rows
        for one in events_of(row)
    ]
    return sorted(found, key=lambda row: str(row["_id"]))


async def event_rows(running: Centre | Store) -> list[dict[str, Any]]:
    """Return all events that are stored, see `singly`."""
    store = running if isinstance(running, Store) else running.store
    rows = [row async for row in store._database.events.find()]
    return singly([*rows, *[row async for row in store._database.batches.find()]])


class Box:
    """One node. `acked`: (epoch, seq) in the order in which they were acknowledged."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.acked: list[tuple[int, int]] = []
        self.wants: list[wire.Document] = []
        self.commands: list[wire.Command] = []
        self.client = client

    async def listen(self) -> None:
        """Take what the centre says, until the connection ends."""
        async for message in self.client.messages:
            kind = wire.parse_topic(message.topic)[1]
            if kind == "ack":
                for epoch, ranges in wire.decode_ack(message.payload).stored.items():
                    self.acked += [(epoch, seq) for first, last in ranges for seq in range(first, last + 1)]
            elif not message.payload:
                continue  # nothing is wanted any more
            elif kind == "want":
                self.wants.append(wire.decode_document(message.payload))
            else:
                self.commands.append(wire.decode_json(message.payload, wire.Command))

    async def send(self, payload: bytes, kind: str = "ev") -> None:
        """Publish on one of the node's topics."""
        await self.client.publish(wire.topic(self.name, kind), payload, qos=1)

    async def state(self, online: bool = True, **fields: object) -> None:
        """Publish the retained state: one camera with a line."""
        camera = wire.CameraReport("cam0", "ok", now_ms(), labels=["car", "bus"], size=(640, 360))
        settings = {"cameras": [camera], "config": wire.ConfigReport(0, "", DOCUMENT), **fields}
        state = wire.State(self.name, online, now_ms(), **settings)  # type: ignore[arg-type]
        await self.client.publish(wire.topic(self.name, "state"), msgspec.json.encode(state), 1, True)


async def until(condition: object, seconds: float = 15.0) -> None:
    """Wait until `condition()` is true, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def busy() -> float:
    """Return how much longer than alone a process takes on this machine now, 1 if it is idle."""
    wall = time.monotonic()
    cpu = time.process_time()
    while time.process_time() - cpu < 0.2:
        pass
    return max(1.0, (time.monotonic() - wall) / 0.2)


@asynccontextmanager
async def box(mqtt_url: str, name: str, client_id: str = "") -> AsyncIterator[Box]:
    """Connect a node."""
    async with connect(BrokerSettings.parse(mqtt_url, client_id=client_id or name)) as client:
        for kind in ("ack", "want", "cmd"):
            await client.subscribe(wire.topic(name, kind))
        node = Box(name, client)
        listening = asyncio.create_task(node.listen(), name=f"{name}-listens")
        try:
            yield node
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def settings(mqtt_url: str, mongodb_uri: str, database: str, timezone: str = "UTC") -> Config:
    """Return the configuration of a test's centre."""
    return msgspec.convert(
        {
            "broker": {"url": mqtt_url},
            "mongodb": {"uri": mongodb_uri, "database": database},
            "http": {"port": 0, "token": TOKEN},
            "site": {"timezone": timezone},
        },
        Config,
    )


@asynccontextmanager
async def centre(config: Config) -> AsyncIterator[Centre]:
    """Run a centre's tasks in this process."""
    async with open_centre(config, 10.0) as running, running.running():
        await running.link.tried()
        yield running
