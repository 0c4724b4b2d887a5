"""A simulated fleet against the real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from aggregator.simulate.fleet import Plan, simulate
from deploy.stack import Stack, free_port

from .box import settings

FAR_SECONDS = 0.05
NODES = 300


@asynccontextmanager
async def far_away(broker: BrokerSettings) -> AsyncIterator[str]:
    """Give the address of a broker whose every byte takes `FAR_SECONDS`, either way."""
    loop = asyncio.get_running_loop()
    joined: list[asyncio.Task[None] | None] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                loop.call_later(FAR_SECONDS, writer.write, chunk)
        finally:
            writer.close()
            await writer.wait_closed()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joined.append(asyncio.current_task())
        there, back = await asyncio.open_connection(broker.host, broker.port)
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    port = free_port()
    async with await asyncio.start_server(join, "127.0.0.1", port):
        yield f"mqtt://127.0.0.1:{port}"
        await asyncio.gather(*(task for task in joined if task is not None))  # their ends have gone


async def test_nodes_come_together_however_far_the_broker_is(stack: Stack) -> None:
    """300 nodes on 2 connections, 100 ms from the broker and back: 30 s one by one, here all within 8 s."""
    seen: set[str] = set()
    broker = BrokerSettings.parse(stack.mqtt_url)

    async def listen(client: Client) -> None:
        async for message in client.messages:
            node, _ = wire.parse_topic(message.topic)
            if node.startswith("far-"):
                assert wire.decode_state(message.payload).online
                seen.add(node)
            if len(seen) == NODES:
                return

    async with far_away(broker) as url, connect(broker) as client:
        await client.subscribe(wire.topic("+", "state"))
        plan = Plan(NODES, 2, 60.0, 1, 0.0, "far")
        fleet = asyncio.create_task(simulate(settings(url, stack.mongodb_uri, "far"), plan), name="fleet")
        try:
            async with asyncio.timeout(8):
                await listen(client)
        finally:
            fleet.cancel()
            await asyncio.wait([fleet])
    assert seen == {f"far-{number:03d}" for number in range(1, NODES + 1)}
