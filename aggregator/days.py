"""Each node's day, read from the store when somebody asks and something has changed since.

What always holds: the days of many nodes are one question; they are read by one at a time, and what comes
while they are read makes them old again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from aggregator import site_time
from aggregator.node_view import Day, NodeView, count_day, watch_day
from aggregator.store.errors import StoreError
from aggregator.store.running_totals import REACH
from aggregator.store.store import Store

_AT_ONCE = 250  # nodes of one question


class Days:
    """The days of all nodes. `zone_of`: tells the time zone in which a node's day begins."""

    def __init__(self, store: Store, zone_of: Callable[[str], ZoneInfo]) -> None:
        self._store = store
        self._zone_of = zone_of
        self._reading = asyncio.Lock()

    async def refresh(self, views: Sequence[NodeView], now: int) -> None:
        """Bring nodes' days up to date; raise StoreError. `now`: Unix ms."""
        async with self._reading:
            by_start: dict[int, list[NodeView]] = defaultdict(list)
            for view in views:
                start = site_time.day_start(now, self._zone_of(view.name))
                if view.day.start != start:
                    view.day = Day(start)
                by_start[start].append(view)
            for start, group in by_start.items():
                for place in range(0, len(group), _AT_ONCE):
                    await self._refresh_days(group[place : place + _AT_ONCE], start)
            await asyncio.gather(*(self._refresh_first(view, now) for view in views if _is_new(view)))

    def forget(self, view: NodeView) -> None:
        """Have all of it read again: times have changed."""
        view.day.fresh.clear()
        view.known_first.clear()
        view.first.clear()
        self._store.archive.forget_first(view.name)

    async def _refresh_days(self, views: Sequence[NodeView], start: int) -> None:
        """Read what is old of some nodes whose day has this start."""
        for part, read in (("counts", self._read_counts), ("watch", self._read_watch)):
            old = [view for view in views if part not in view.day.fresh]
            if not old:
                continue
            for view in old:
                view.day.fresh.add(part)  # what comes while it is read makes it old again
            try:
                await read(old, start)
            except StoreError:
                for view in old:
                    view.day.fresh.discard(part)
                raise

    async def _read_counts(self, views: Sequence[NodeView], start: int) -> None:
        names = [view.name for view in views]
        found = await self._store.today.hours(names, start - REACH, start + 2 * REACH)
        for view in views:
            count_day(found.get(view.name, []), view.day)

    async def _read_watch(self, views: Sequence[NodeView], start: int) -> None:
        names = [view.name for view in views]
        found = await self._store.today.watch(names, start, start + 2 * REACH)
        for view in views:
            watch_day(found.get(view.name, []), view.day)

    async def _refresh_first(self, view: NodeView, now: int) -> None:
        """Learn since when each camera is there: by its first tally, or by when it was first heard of."""
        for report in view.state.cameras if view.state else []:
            name = report.camera
            if name in view.known_first:
                continue
            view.known_first.add(name)  # asked once: a tally that comes later says so itself
            first = await self._store.archive.first_seen(view.name, name)
            view.first[name] = min(view.first.get(name, now), first or now)


def _is_new(view: NodeView) -> bool:
    """True if a node has a camera of which it is not known since when it is there."""
    cameras = view.state.cameras if view.state else []
    return any(report.camera not in view.known_first for report in cameras)
