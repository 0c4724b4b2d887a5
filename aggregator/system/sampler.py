"""Samples what every part of the centre spends, once a minute.

What always holds: each aggregator measures itself and shows all parts in its `/metrics`; what is of the parts
that they share is stored by one of them, who holds the lease. What cannot be known is None, and a note says
why; never a made-up zero.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import psutil

from aggregator.config import Config
from aggregator.fleet import Fleet
from aggregator.metrics import Metrics
from aggregator.store.errors import StoreError
from aggregator.store.store import Store
from aggregator.system.broker import BrokerReport
from aggregator.system.rates import Rates
from aggregator.system.schemas import AggregatorUse, DatabaseUse, NodesUse, SystemRow

_LOG = logging.getLogger(__name__)
EVERY_SECONDS = 60.0
_FIRST_SECONDS = 2.0
_LEASE = "system"
_NO_ROOM = "the database does not say how much room its disk has: watch it yourself"
_NO_RIGHT = (
    "the database says nothing of its memory, CPU and connections: grant its user the role clusterMonitor on "
    "the database admin"
)


class Sampler:
    """The samples of one aggregator. `newest`: the last row, None before the first."""

    def __init__(
        self, config: Config, store: Store, fleet: Fleet, metrics: Metrics, stamp: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._metrics = metrics
        self._stamp = stamp
        self._process = psutil.Process()
        self._process.cpu_percent(None)
        self._rates = Rates()
        self.broker = BrokerReport(config.broker_settings(f"{store.leases.holder}-sys"))
        self._troubles: dict[str, str] = {}
        self.newest: SystemRow | None = None

    @property
    def notes(self) -> list[str]:
        """What cannot be known, a sentence each."""
        room = _NO_ROOM if self._store.room.silent else ""
        return [text for text in (self.broker.trouble, *self._troubles.values(), room) if text]

    async def run(self) -> None:
        """Sample for ever."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.sample()
            except StoreError as error:
                _LOG.debug("a sample of the system is not stored: %s", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def sample(self) -> None:
        """Take one sample, show it and store it; raise StoreError where it cannot be stored."""
        at = int(time.time() * 1000)
        row = SystemRow(at, self._itself(), self.broker.use(time.monotonic()), None, self._nodes(at))
        self.newest = row
        try:
            row.database = await self._database()
            self._troubles.pop("away", None)
        except StoreError as error:
            self._troubles["away"] = str(error)
            raise
        finally:
            self._metrics.system(msgspec.to_builtins(row))
        parts: dict[str, Any] = msgspec.to_builtins(row)
        del parts["at"]
        if not await self._store.leases.take(_LEASE, 3 * EVERY_SECONDS):
            parts = {"aggregators": parts["aggregators"]}
        await self._store.system.write(self._store.leases.holder, at, parts, self._stamp())

    def _itself(self) -> AggregatorUse:
        cpu = round(self._process.cpu_percent(None), 1)
        return AggregatorUse(1, cpu, self._process.memory_info().rss)

    async def _database(self) -> DatabaseUse:
        found = await self._store.system.measure()
        use = DatabaseUse(found.bytes, found.free_bytes)
        self._troubles["rights"] = "" if found.status else _NO_RIGHT
        if found.status:
            now = time.monotonic()
            use.memory_bytes = found.status.memory_bytes
            use.connections = found.status.connections
            use.operations_per_second = self._rates.take("operations", found.status.operations, now)
            if found.status.cpu_seconds is not None:
                used = self._rates.take("cpu", found.status.cpu_seconds, now)
                use.cpu_percent = None if used is None else round(100 * used, 1)
        return use

    def _nodes(self, at: int) -> NodesUse:
        use = NodesUse(0, 0, 0)
        samples = []
        for view in self._fleet.views():
            standing = view.standing(at)
            setattr(use, standing, getattr(use, standing) + 1)
            if standing == "online" and view.resources is not None:
                samples.append(view.resources)
        if samples:
            use.cpu_percent = round(sum(one.cpu_percent for one in samples) / len(samples), 1)
            use.cpu_percent_most = max(one.cpu_percent for one in samples)
            use.memory_bytes = sum(one.memory_bytes for one in samples)
            heats = [one.temperature for one in samples if one.temperature is not None]
            use.temperature_most = max(heats, default=None)
            use.frames_per_second = sum(sum(one.fps_tenths.values()) for one in samples) / 10
        if busy := [one.gpu_percent for one in samples if one.gpu_percent is not None]:
            use.gpu_percent = round(sum(busy) / len(busy), 1)
            use.gpu_percent_most = max(busy)
        powers = [one.power for one in samples if one.power is not None]
        if powers:
            use.watts = round(sum(one.watts for one in powers), 2)
            use.watts_most = max(one.watts for one in powers)
        costs = [one.joules_per_count for one in powers if one.joules_per_count is not None]
        if costs:
            use.joules_per_count = round(sum(costs) / len(costs), 1)
        return use
