"""A box without cameras that counts: what it has committed must all arrive, each once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent import wire
from agent.deliver.publish import Delivery
from agent.deliver.spool import Spool, SpoolWorker
from agent.mqtt.client import BrokerSettings


class CountingBox:
    """A box without cameras: real spool, real delivery, crossings with a running total."""

    def __init__(self, folder: Path, broker: BrokerSettings, node: str) -> None:
        folder.mkdir()
        self.node = node
        self.total = 0
        self.spool = SpoolWorker(Spool.open(folder / "spool.db", 8 << 20))
        self.delivery = Delivery(
            self.spool, broker, node, state=self.state, on_want=self._ignore, on_command=self._ignore,
            delay_cap=0.5,
        )  # fmt: skip

    def state(self) -> wire.State:
        """Return what the box says of itself."""
        return wire.State(self.node, True, int(time.time() * 1000), epoch=self.spool.epoch)

    async def _ignore(self, payload: bytes) -> None:
        pass

    async def count(self, amount: int, pause: float = 0.005) -> None:
        """Count crossings one after the other."""
        for _ in range(amount):
            self.total += 1
            now = int(time.time() * 1000)
            event = wire.Crossing(now, "cam0", "main", 1, "AB", "car", self.total, self.total, 80)
            await self.spool.append([event])
            await asyncio.sleep(pause)

    async def drained(self, seconds: float = 30.0) -> None:
        """Wait until the centre has acknowledged everything."""
        async with asyncio.timeout(seconds):
            while (await self.spool.status())["pending"]:  # noqa: ASYNC110 - on disk
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(box: CountingBox) -> AsyncIterator[CountingBox]:
    """Run a box while this is open."""
    async with box.spool, asyncio.TaskGroup() as group:
        group.create_task(box.delivery.run(), name="delivery")
        try:
            yield box
        finally:
            box.delivery.stop()
