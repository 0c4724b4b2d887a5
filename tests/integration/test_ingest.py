"""Ingest against the real broker and the real database."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import msgspec

from agent import wire
from agent.mqtt.client import Message
from aggregator.config import IngestSection
from aggregator.ingest import unpack
from aggregator.live import Watcher
from aggregator.store.store import KEPT_POISON
from deploy.stack import Stack

from .box import DOCUMENT, batch, box, centre, crossing, event_rows, now_ms, settings, until


async def rows(running: Any, name: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return documents as they lie in the database."""
    return [row async for row in running.store._database[name].find(query or {})]


async def test_stored_before_it_is_acknowledged(stack: Stack) -> None:
    """Whatever is acknowledged can be read at once, with its id, and is marked in the batches."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_ack")
    async with centre(config) as running, box(stack.mqtt_url, "ack-1") as node:
        for seq in range(1, 41):
            await node.send(batch(7, seq, [crossing(seq * 2 - 1), crossing(seq * 2)]))
        await until(lambda: len(node.acked) == 40)
        assert await running.store.archive.delivery("ack-1") == {
            "epochs": [{"epoch": 7, "stored": 80, "missing": 0}], "lost": 0, "conflicts": 0, "quarantined": 0,
        }  # fmt: skip
        ids = {row["_id"] for row in await event_rows(running)}
        assert ids == {f"ack-1:7:{seq}:{i}" for seq in range(1, 41) for i in range(2)}


async def test_a_busy_centre_writes_less_often(stack: Stack) -> None:
    """Who comes alone is stored after the linger; who comes right after waits five times it, all together."""
    calm = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_busy")
    config = msgspec.structs.replace(calm, ingest=IngestSection(linger_ms=300))
    groups: list[float] = []
    async with centre(config) as running, box(stack.mqtt_url, "busy-1") as node:
        acknowledge = running.ingest._acknowledge

        async def note(name: str, payload: bytes) -> None:
            groups.append(time.monotonic())
            await acknowledge(name, payload)

        running.ingest._acknowledge = note
        begun = time.monotonic()
        await node.send(batch(7, 1, [crossing(1)]))
        await until(lambda: len(groups) == 1)
        assert 0.3 <= groups[0] - begun < 1.5
        for seq in range(2, 12):
            await node.send(batch(7, seq, [crossing(seq)]))
            await asyncio.sleep(0.02)
        await until(lambda: len(node.acked) == 11)
        assert len(groups) == 2
        assert groups[1] - begun >= 1.5


async def test_resends_are_stored_once(stack: Stack) -> None:
    """A batch that comes again, also within one group, is acknowledged again and stored once."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_twice")
    async with centre(config) as running, box(stack.mqtt_url, "twice-1") as node:
        payloads = [batch(7, seq, [crossing(seq)]) for seq in range(1, 21)]
        sent = payloads * 3
        random.Random(1).shuffle(sent)
        for payload in sent:
            await node.send(payload)
        await until(lambda: set(node.acked) == {(7, seq) for seq in range(1, 21)})
        await node.send(payloads[0])
        count = node.acked.count((7, 1))
        await until(lambda: node.acked.count((7, 1)) > count)
        assert len(await event_rows(running)) == 20
        assert (await running.store.archive.delivery("twice-1"))["epochs"] == [
            {"epoch": 7, "stored": 20, "missing": 0}
        ]
        assert (await running.fleet.entry("twice-1")).counts_today[0].count == 20


async def test_same_number_with_other_content_is_a_conflict(stack: Stack) -> None:
    """A copy of a box is kept apart, acknowledged, and warned of; the first content stays."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_conflict")
    async with centre(config) as running, box(stack.mqtt_url, "copy-1") as node:
        await node.state()
        first = batch(7, 1, [crossing(1)])
        second = batch(7, 1, [crossing(5, label="bus")])
        await node.send(first)
        await until(lambda: node.acked == [(7, 1)])
        await node.send(second)
        await until(lambda: node.acked == [(7, 1)] * 2)
        (kept,) = await rows(running, "conflicts")
        assert kept["raw"] == second
        assert [row["l"] for row in await event_rows(running)] == ["car"]
        running.fleet._troubles.read_soon()  # read anew
        assert any("copy" in text for text in (await running.fleet.entry("copy-1")).warnings)
        both = [batch(7, 2, [crossing(6)]), batch(7, 2, [crossing(7)])]  # both in one group
        await asyncio.gather(*(node.send(payload) for payload in both))
        await until(lambda: running.metrics.conflicts._value.get() == 2 and (7, 2) in node.acked)
        assert len(await rows(running, "conflicts")) == 2


async def test_poison_among_good(stack: Stack) -> None:
    """Of 1,000 events one is refused: 999 are stored, one lies in quarantine with its reason and bytes."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_poison")
    bad = wire.encode_event(crossing(1), 0).replace(b"\xa2AB", b"\xa2XY")
    async with centre(config) as running, box(stack.mqtt_url, "poison-1") as node:
        for seq in range(10):
            events: list[Any] = [crossing(seq * 100 + i + 1) for i in range(100)]
            if seq == 4:
                events[50] = bad
            await node.send(batch(7, seq, events))
        await until(lambda: len(node.acked) == 10)
        (kept,) = await rows(running, "quarantine")
        assert kept["_id"] == "poison-1:7:4:50"
        assert kept["raw"] == bad
        assert "XY" in kept["why"]
        delivery = await running.store.archive.delivery("poison-1")
        assert delivery["epochs"] == [{"epoch": 7, "stored": 999, "missing": 0}]
        assert delivery["quarantined"] == 1
        assert (await running.fleet.entry("poison-1")).counts_today[0].count == 1000  # by its running total


async def test_what_the_database_cannot_hold_is_poison(stack: Stack) -> None:
    """A number beyond 64 bits takes none of its neighbours along."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_big")
    sample = wire.Resources(now_ms(), "", 5, 5, 5, 5, 5, 2**63, 0, 0, False, {}, 0)
    async with centre(config) as running, box(stack.mqtt_url, "big-1") as node:
        await node.send(batch(7, 1, [crossing(1), sample, crossing(2)]))
        await until(lambda: node.acked == [(7, 1)])
        assert len(await event_rows(running)) == 2
        assert [row["_id"] for row in await rows(running, "quarantine")] == ["big-1:7:1:1"]


async def test_malformed_messages_go_to_quarantine(stack: Stack) -> None:
    """What is no batch, altered, or a foreign state is kept once with its reason and never acknowledged."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_malformed")
    good = batch(7, 1, [crossing(1)])
    altered = good[:-1] + bytes([good[-1] ^ 2])
    async with centre(config) as running, box(stack.mqtt_url, "bad-1") as node:
        for payload in (altered, altered, b"", b"\xc1", b"{", b"[]", bytes(300_000)):
            await node.send(payload)
        await node.send(b'{"node":"bad-2","online":true,"at":1}', "state")
        await node.send(b"\x93\x01", "live")
        await node.client.publish("gb/1/NO_NODE/ev", good, qos=1)
        await node.send(good)
        await until(lambda: node.acked == [(7, 1)])
        await until(lambda: running.metrics.quarantined._value.get() >= 10)
        kept = {row["_id"]: row for row in await rows(running, "quarantine")}
        assert len(kept) == 9
        assert sorted(row["seen"] for row in kept.values()) == [1] * 8 + [2]
        reasons = " ".join(row["why"] for row in kept.values())
        for part in ("checksum", "foreign topic", "limit is", "bad-2", "bad live frame"):
            assert part in reasons, part
        assert len(await event_rows(running)) == 1


async def test_no_message_stops_it(stack: Stack) -> None:
    """Thousands of altered states, frames, answers and batches: each is taken or refused, and all goes on."""
    chance = random.Random(4)
    camera = wire.CameraReport("cam0", "ok", now_ms(), "fine", "model", "", ["car"], (640, 360), True)
    state = wire.State("fuzz-1", True, now_ms(), 5, 6, "1", [camera], wire.ConfigReport(0, "", DOCUMENT))
    live = wire.Live(now_ms(), "cam0", wire.pack_rows([(1, 0, 0, 1, 1, 0, 90)]), b"jpeg")
    seeds = {
        "state": msgspec.json.encode(state),
        "live": wire.encode_live(live),
        "rsp": msgspec.json.encode(wire.Response("12345678", False, "no")),
        "ev": batch(7, 1, [crossing(1), crossing(2)]),
    }
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_fuzz")
    async with centre(config) as running, box(stack.mqtt_url, "fuzz-1") as node:
        with running.hub.open(Watcher("fuzz-1", "cam0")):
            for number in range(4000):
                kind = chance.choice(list(seeds))
                payload = bytearray(seeds[kind])
                for _ in range(chance.randrange(1, 4)):
                    payload[chance.randrange(len(payload))] = chance.choice(b'0123456789-e."[]{}\0\xff\xcf')
                message = Message(wire.topic("fuzz-1", kind), bytes(payload))
                if kind == "ev":
                    unpack(message.topic, message.payload, 0.0)
                else:
                    await running.take(message)
                if number % 50 == 0 and running.fleet.known("fuzz-1"):
                    msgspec.json.encode(await running.fleet.entry("fuzz-1"))
                    msgspec.json.encode(await running.wants.config("fuzz-1"))
        await node.send(batch(7, 1, [crossing(1)]))
        await until(lambda: (7, 1) in node.acked, 60)


async def test_quarantine_is_bounded(stack: Stack) -> None:
    """Beyond the cap poison is counted and no longer kept."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_flood")
    async with centre(config) as running, box(stack.mqtt_url, "flood-1") as node:
        for number in range(KEPT_POISON + 20):
            node.client.publish_now(wire.topic("flood-1", "ev"), b"poison %d" % number)
            if number % 50 == 0:
                await asyncio.sleep(0.05)
        await until(lambda: running.metrics.quarantined._value.get() >= KEPT_POISON + 20, 60)
        kept = await rows(running, "quarantine")
        assert len(kept) == KEPT_POISON + 1
        assert [row["seen"] for row in kept if row["_id"] == "flood-1:more"] == [20]


async def test_survives_the_database_killed(own_stack: Stack) -> None:
    """mongod is killed twice while events come: what is resent until acknowledged is stored once."""
    assert own_stack.mongod
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "ingest_killed")
    open_: dict[int, bytes] = {}
    async with centre(config) as running, box(own_stack.mqtt_url, "kill-1") as node:

        async def resend() -> None:
            while True:
                for seq in {seq for _, seq in node.acked} & open_.keys():
                    del open_[seq]
                for payload in list(open_.values())[:100]:
                    await node.send(payload)
                await asyncio.sleep(0.1)

        resending = asyncio.create_task(resend())
        for seq in range(300):
            open_[seq] = batch(7, seq, [crossing(seq + 1)])
            await asyncio.sleep(0.01)
            if seq in (100, 200):
                await asyncio.to_thread(own_stack.mongod.kill)
                known = len(set(node.acked))
                await asyncio.sleep(1.0)
                assert len(set(node.acked)) <= known + 250  # at most the group that was under way
                await asyncio.to_thread(own_stack.mongod.start)
        await until(lambda: not open_, 60)
        resending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await resending
        delivery = await running.store.archive.delivery("kill-1")
        assert delivery == {
            "epochs": [{"epoch": 7, "stored": 300, "missing": 0}],
            "lost": 0, "conflicts": 0, "quarantined": 0,
        }  # fmt: skip
        assert len(await event_rows(running)) == 300
        assert (await running.fleet.entry("kill-1")).counts_today[0].count == 300


async def test_survives_the_broker_killed(own_stack: Stack) -> None:
    """After the broker was killed and came back empty, events flow again and desired documents are there."""
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "ingest_broker")
    async with centre(config) as running:
        async with box(own_stack.mqtt_url, "broker-1") as node:
            await node.state()
            await until(lambda: running.fleet.known("broker-1"))
            await running.store.registry.put_want("broker-1", None, 3, b'{"version":3}')
        await asyncio.to_thread(own_stack.mosquitto.kill)
        await until(lambda: running.link.trouble)
        assert any("nothing listens" in reason or "lost" in reason for reason in await running.unhealthy())
        await asyncio.to_thread(own_stack.mosquitto.start)
        await until(lambda: not running.link.trouble)
        async with box(own_stack.mqtt_url, "broker-1") as node:
            await until(lambda: [document.version for document in node.wants] == [3])

            async def acked() -> None:
                while not node.acked:
                    await node.send(batch(7, 1, [crossing(1)]))
                    await asyncio.sleep(0.2)

            async with asyncio.timeout(15):
                await acked()


async def test_two_aggregators_share_the_work(stack: Stack) -> None:
    """Two aggregators beside each other store everything once, and both show the node."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "ingest_shared")
    async with centre(config) as one, centre(config) as two, box(stack.mqtt_url, "shared-1") as node:
        await node.state()
        for seq in range(60):
            await node.send(batch(7, seq, [crossing(seq + 1)]))
        await until(lambda: len(node.acked) == 60)
        shares = [running.metrics.events._value.get() for running in (one, two)]
        assert sum(shares) == 60
        assert min(shares) > 10
        for running in (one, two):
            assert (await running.fleet.entry("shared-1")).state == "online"
        assert (await one.store.archive.delivery("shared-1"))["epochs"] == [
            {"epoch": 7, "stored": 60, "missing": 0}
        ]
