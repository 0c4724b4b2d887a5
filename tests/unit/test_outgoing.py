"""The end of a connection at the worst moment: while a batch to be sent is being taken."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from agent import wire
from agent.deliver.outgoing import Outgoing
from agent.deliver.spool import Spool, SpoolWorker
from agent.deliver.standing import ConnectionRecord
from agent.deliver.window import Window
from agent.mqtt.client import BrokerError
from agent.tasks import lasting


class Late(Window):
    """A window whose batch is there at the moment that `come` says."""

    def __init__(self, spool: SpoolWorker) -> None:
        super().__init__(spool, 4, 10.0, random.Random(1))
        self.come = asyncio.get_running_loop().create_future()

    async def fill(self) -> None:
        await super().fill()
        await self.come


class Broken:
    """A connection that is lost at the first message."""

    async def publish(self, topic: str, payload: bytes) -> bool:
        raise BrokerError("the connection was lost")


def outgoing(spool: SpoolWorker, window: Window) -> Outgoing:
    record = ConnectionRecord("mqtt://nowhere")
    return Outgoing("gate-01", spool, window, record, turn_seconds=5.0, alive=lambda: None)


async def with_a_batch(folder: Path) -> SpoolWorker:
    """Return a spool with one closed batch."""
    spool = SpoolWorker(Spool.open(folder / "spool.db", 8 << 20))
    await spool.append([wire.Crossing(1, "cam0", "main", 1, "AB", "car", 1, 1, 80)])
    await spool.close_batch()
    return spool


@pytest.mark.parametrize("steps", range(6))
async def test_a_connection_lost_while_a_batch_is_taken_ends_as_a_lost_one(
    tmp_path: Path, steps: int
) -> None:
    """Whichever step of the event loop lies between the two, nothing but the loss is raised."""
    loop = asyncio.get_running_loop()

    async def lose(window: Late) -> None:
        await asyncio.sleep(0.2)

        def later(left: int) -> None:
            if left:
                loop.call_soon(later, left - 1)
            else:
                window.come.set_result(None)

        later(steps)
        raise BrokerError("the connection was lost")

    async with await with_a_batch(tmp_path) as spool:
        window = Late(spool)
        client: Any = Broken()

        async def connection() -> None:
            async with asyncio.TaskGroup() as group:
                send = lasting(outgoing(spool, window).run(client), "send", expected=(BrokerError,))
                group.create_task(send, name="send lasts")
                group.create_task(lose(window), name="lose")

        with pytest.raises(ExceptionGroup) as raised:
            await connection()
        assert {type(error) for error in raised.value.exceptions} == {BrokerError}


async def test_what_a_batch_meets_on_its_way_is_raised_as_it_is(tmp_path: Path) -> None:
    """A lost connection is told in its own words, as every other part of the connection tells it."""
    async with await with_a_batch(tmp_path) as spool:
        window = Window(spool, 4, 10.0, random.Random(1))
        client: Any = Broken()
        with pytest.raises(BrokerError, match="the connection was lost"):
            await outgoing(spool, window).run(client)
