"""Messages that were refused as they arrived, on their way to quarantine.

What always holds: what waits here is bounded, and what finds no room is counted and not kept. It is written
in bulk by a task of its own, so it waits for nothing that is honest, and nothing honest waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from aggregator.metrics import Metrics
from aggregator.store.errors import StoreError
from aggregator.store.kept import KEPT_POISON, RAW_KEPT, Kept
from aggregator.store.parcel import Poison

_LOG = logging.getLogger(__name__)
_WAITING_BYTES = 8 * 1024 * 1024
_PAUSE_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class Refusals:
    """What was refused and is not yet written."""

    def __init__(self, kept: Kept, metrics: Metrics) -> None:
        self._kept = kept
        self._metrics = metrics
        self._waiting: list[Poison] = []
        self._of_node: Counter[str] = Counter()
        self._bytes = 0
        self._counted: Counter[str] = Counter()
        self._any = asyncio.Event()

    def add(self, poison: Poison) -> None:
        """Take a refused message; one without room is only counted."""
        size = min(len(poison.raw), RAW_KEPT)
        node = poison.node
        crowded = self._of_node[node] >= KEPT_POISON or self._bytes + size > _WAITING_BYTES
        if crowded or self._kept.is_full(node):
            self._counted[node] += 1
        else:
            self._waiting.append(poison)
            self._of_node[node] += 1
            self._bytes += size
        self._any.set()

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._any.wait()
            self._any.clear()
            try:
                await self._flush()
                await asyncio.sleep(_PAUSE_SECONDS)
            except StoreError as error:
                _LOG.debug("what was refused is written later: %s", error)
                self._any.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _flush(self) -> None:
        waiting = list(self._waiting)
        counted = Counter(self._counted)
        await self._kept.quarantine(waiting, counted)
        self._waiting = self._waiting[len(waiting) :]
        self._of_node = Counter(poison.node for poison in self._waiting)
        self._bytes = sum(min(len(poison.raw), RAW_KEPT) for poison in self._waiting)
        self._counted -= counted
        self._metrics.quarantined.inc(len(waiting) + counted.total())
