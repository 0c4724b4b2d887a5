"""Several aggregators beside each other: what one stores, the watchers of all see.

What always holds: the broker gives each batch to one aggregator only, so the others read it back from the
store a moment later. They know of each other by a document that each renews; alone, nothing is read. What
this one stored itself is shown at once and is not shown again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aggregator.ingest import Fact
from aggregator.site_time import now
from aggregator.store.errors import StoreError
from aggregator.store.store import Store
from aggregator.watches import WATCH_SECONDS, Looks

_LOG = logging.getLogger(__name__)
_BEAT_SECONDS = 2.0  # less than `_OVERLAP`, so that what another stored before it was noticed is read back
_GONE_SECONDS = 30.0  # without a beat
_READ_SECONDS = 1.0
_OVERLAP = timedelta(seconds=3)  # how long a write may take to become visible
_MOST = 5000


class Beside:
    """The other aggregators on this database."""

    def __init__(self, store: Store, show: Callable[[Sequence[Fact]], None]) -> None:
        self._store = store
        self._show = show
        self._name = store.leases.holder
        self.others = 0  # how many live
        self._shown: deque[tuple[float, frozenset[str]]] = deque()

    def stored_here(self, facts: Sequence[Fact]) -> None:
        """Remember for a while what need not be read back; alone too, for another may come at any moment."""
        if facts:
            self._remember(frozenset(fact.id for fact in facts))

    def _remember(self, ids: frozenset[str]) -> None:
        moment = time.monotonic()
        self._shown.append((moment, ids))
        while moment - self._shown[0][0] > 3 * _OVERLAP.total_seconds():
            self._shown.popleft()

    async def watch(self, node: str, camera: str, open_here: Looks) -> Looks:
        """Tell the others who has a camera open here; return who has it open there."""
        if not self.others:
            return []
        try:
            return await self._store.registry.watch(self._name, node, camera, open_here, WATCH_SECONDS)
        except StoreError as error:
            _LOG.debug("who else looks at %s of %s is asked again soon: %s", camera, node, error)
            return []

    async def run(self) -> None:
        """Renew the own document and read what the others stored, for ever."""
        since = now()
        beaten = 0.0
        while True:
            try:
                if time.monotonic() - beaten > _BEAT_SECONDS:
                    self.others = await self._store.registry.beat(self._name, _GONE_SECONDS)
                    beaten = time.monotonic()
                since = await self._read(min(since, now())) if self.others else now()
            except StoreError as error:
                _LOG.debug("what others stored is shown later: %s", error)
            await asyncio.sleep(_READ_SECONDS)

    async def _read(self, since: datetime) -> datetime:
        """Show what the others stored since a moment; return where to go on."""
        rows = await self._store.archive.stored_since(since - _OVERLAP, _MOST)
        known = frozenset().union(*(ids for _, ids in self._shown))
        facts = [Fact(*one[:3]) for one in rows if one.id not in known]
        if facts:
            self._remember(frozenset(fact.id for fact in facts))
            self._show(facts)
        if len(rows) == _MOST:  # more than can be shown: go on with what comes from now on
            return now() + _OVERLAP
        return max(since, rows[-1].stored_at) if rows else since
