"""Makes the days of all nodes ready to be read, so that nobody who asks has to wait for it.

What always holds: one aggregator does it at a time, a node after the other with rests, and only while its
clock is believed. A reader that comes first makes what it needs by itself.
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
_REST = 4.0  # times as long as a node took


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
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.catch_up(int(time.time() * 1000))
            except StoreError as error:
                _LOG.debug("days are made ready later: %s", error)

    async def catch_up(self, now: int) -> None:
        """Make ready what nodes told up to the last midnight (UTC), and up to now what is looked at.

        Raise StoreError. `now`: Unix ms.
        """
        settled = self._store.history.settled(now)
        for node in self._nodes():
            until = settled if node in self._store.history.asked else settled // DAY * DAY
            if self._reached.get(node, 0) >= until:
                continue
            if not self._believed() or not await self._store.leases.take(_LEASE, _LEASE_SECONDS):
                return
            began = time.monotonic()
            self._reached |= await self._store.history.ensure([node], until)
            await asyncio.sleep(_REST * (time.monotonic() - began))
