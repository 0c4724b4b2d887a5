"""What the benchmarks offer to a centre, against the real broker."""

from __future__ import annotations

import asyncio

import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from benchmarks import ingest
from deploy.stack import Stack


async def centre(client: Client, unheard: set[int], stored: list[int]) -> None:
    """Acknowledge each batch, of some numbers the second time only; below 0: never."""
    async for message in client.messages:
        batch = wire.decode_batch(message.payload)
        if batch.seq in unheard:
            unheard.discard(batch.seq)
        elif -1 not in unheard:
            stored.append(batch.seq)
            node, _ = wire.parse_topic(message.topic)
            ack = wire.encode_ack({batch.epoch: [batch.seq]})
            await client.publish(wire.topic(node, "ack"), ack, qos=0)


async def offered(stack: Stack, unheard: set[int]) -> tuple[list[float], list[int]]:
    """Offer 20 batches to a centre that does not hear some; return the delays and what it stored."""
    work = [("offer-1", 5, seq, wire.encode_batch(5, seq, 1000, 0, [])) for seq in range(1, 21)]
    stored: list[int] = []
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic("offer-1", "ev"))
        hearing = asyncio.create_task(centre(client, unheard, stored), name="centre")
        try:
            return (await ingest.drive(stack, work, 1e6, 1, 5))[0], stored
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])


async def test_what_is_not_acknowledged_comes_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A centre that misses two of 20 batches has them all in the end, each once."""
    monkeypatch.setattr(ingest, "_AGAIN_SECONDS", 0.5)
    late, stored = await offered(stack, {3, 17})
    assert sorted(stored) == list(range(1, 21))
    assert len(late) == 20
    assert max(late) >= 0.5


async def test_a_centre_that_stores_nothing_ends_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for ever: a sentence says how much was stored."""
    monkeypatch.setattr(ingest, "_SILENCE_SECONDS", 1.0)
    with pytest.raises(TimeoutError, match=r"^0 of 20 batches are stored, and none for 1 s$"):
        await offered(stack, {-1})
