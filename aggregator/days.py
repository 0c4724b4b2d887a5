"""Each node's day, read from the store when somebody asks and something has changed since.

What always holds: a node's day is read by one at a time, and what comes while it is read makes it old again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

from aggregator import site_time
from aggregator.node_view import Day, NodeView, read_counts, read_watch
from aggregator.store.errors import StoreError
from aggregator.store.store import Store


class Days:
    """The days of all nodes. `zone_of`: tells the time zone in which a node's day begins."""

    def __init__(self, store: Store, zone_of: Callable[[str], ZoneInfo]) -> None:
        self._store = store
        self._zone_of = zone_of
        self._reading: dict[str, asyncio.Lock] = {}

    async def refresh(self, view: NodeView, now: int) -> None:
        """Bring a node's day up to date; raise StoreError. `now`: Unix ms."""
        await self._refresh_day(view, site_time.day_start(now, self._zone_of(view.name)))
        await self._refresh_first(view, now)

    def forget(self, view: NodeView) -> None:
        """Have all of it read again: times have changed."""
        view.day.fresh.clear()
        view.known_first.clear()
        view.first.clear()
        self._store.archive.forget_first(view.name)

    async def _refresh_day(self, view: NodeView, start: int) -> None:
        async with self._reading.setdefault(view.name, asyncio.Lock()):
            if view.day.start != start:
                view.day = Day(start)
            for part, read in (("counts", read_counts), ("watch", read_watch)):
                if part in view.day.fresh:
                    continue
                view.day.fresh.add(part)  # what comes while it is read makes it old again
                try:
                    await read(self._store, view.name, view.day)
                except StoreError:
                    view.day.fresh.discard(part)
                    raise

    async def _refresh_first(self, view: NodeView, now: int) -> None:
        """Learn since when each camera is there: by its first tally, or by when it was first heard of."""
        for report in view.state.cameras if view.state else []:
            name = report.camera
            if name in view.known_first:
                continue
            view.known_first.add(name)  # asked once: a tally that comes later says so itself
            first = await self._store.archive.first_seen(view.name, name)
            view.first[name] = min(view.first.get(name, now), first or now)
