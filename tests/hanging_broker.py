"""A road to a broker that swallows some of its answers: how one looks that accepts and then hangs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

CONNACK = 2
PUBACK = 4
SUBACK = 9


@dataclass
class Road:
    """`swallowed`: the types of packets that do not come back, at any time; `port`: where it begins."""

    port: int = 0
    swallowed: set[int] = field(default_factory=set)
    connections: int = 0


async def packet(reader: asyncio.StreamReader) -> bytes:
    """Read one MQTT packet whole."""
    head = await reader.readexactly(1)
    length = 0
    for place in range(4):
        digit = await reader.readexactly(1)
        head += digit
        length |= (digit[0] & 0x7F) << (7 * place)
        if digit[0] < 0x80:
            break
    return head + await reader.readexactly(length)


@contextlib.asynccontextmanager
async def road_to(broker_port: int) -> AsyncIterator[Road]:
    """Run a road to the broker at this port of the loopback."""
    road = Road()
    async with contextlib.AsyncExitStack() as undo:
        tasks = await undo.enter_async_context(asyncio.TaskGroup())

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            road.connections += 1
            there, back = await asyncio.open_connection("127.0.0.1", broker_port)
            with contextlib.closing(writer), contextlib.closing(back):
                ways = [
                    tasks.create_task(_plainly(reader, back), name="there"),
                    tasks.create_task(_choosily(road, there, writer), name="back"),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()

        server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
        undo.callback(server.close)
        road.port = server.sockets[0].getsockname()[1]
        yield road


async def _plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _choosily(road: Road, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            whole = await packet(reader)
            if whole[0] >> 4 not in road.swallowed:
                writer.write(whole)
                await writer.drain()
