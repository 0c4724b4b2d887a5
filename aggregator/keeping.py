"""Makes the days of all nodes ready to be read, so that nobody who asks has to wait for it.

What always holds: one aggregator does it at a time, some nodes after the others with rests, and only while
its clock is believed. A reader that comes first makes what it needs by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aggregator.store.day import DAY
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
_LEASE = "history"
_LEASE_SECONDS = 180.0
_EVERY_SECONDS = 60.0
_FIRST_SECONDS = 5.0  # after the start: an older version may have left days that nobody has made
_TOGETHER = 10  # nodes
_REST = 4.0  # times as long as these took


class Keeping:
    """The task of one aggregator. `nodes`: who is known; `believed`: whether our clock may be right."""

    def __init__(
        self, store: Store, nodes: Callable[[], Sequence[str]], believed: Callable[[], bool]
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._believed = believed
        self._reached: dict[str, int] = {}

    async def run(self) -> None:
        """Look for days that are over, for ever."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.catch_up(int(time.time() * 1000))
            except StoreError as error:
                _LOG.debug("days are made ready later: %s", error)
            await asyncio.sleep(_EVERY_SECONDS)

    async def catch_up(self, now: int) -> None:
        """Make ready what nodes told up to the last midnight (UTC), and up to now what is looked at.

        Raise StoreError. `now`: Unix ms.
        """
        settled = self._store.history.settled(now)
        asked = self._store.history.asked
        behind: dict[int, list[str]] = {settled: [], settled // DAY * DAY: []}
        for node in self._nodes():
            until = settled if node in asked else settled // DAY * DAY
            if self._reached.get(node, 0) < until:
                behind[until].append(node)
        for until, nodes in behind.items():
            for place in range(0, len(nodes), _TOGETHER):
                if not await self._make(nodes[place : place + _TOGETHER], until):
                    return

    async def _make(self, nodes: Sequence[str], until: int) -> bool:
        """Make some nodes' days, and rest; return whether this aggregator may go on."""
        if not self._believed() or not await self._store.leases.take(_LEASE, _LEASE_SECONDS):
            return False
        began = time.monotonic()
        self._reached |= await self._store.history.ensure(nodes, until)
        await asyncio.sleep(_REST * (time.monotonic() - began))
        return True
