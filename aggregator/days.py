"""Each node's day, read from the store when somebody asks and something has changed since.

What always holds: the days of many nodes are one question; they are read by one at a time, and what comes
while they are read makes them old again. What a day came to up to some hour is remembered, and only the rest
is read (see `today`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from zoneinfo import ZoneInfo

from aggregator import site_time
from aggregator.node_view import NodeView
from aggregator.slices import slices
from aggregator.store.errors import StoreError
from aggregator.store.history import History
from aggregator.store.running_totals import REACH
from aggregator.store.store import Store
from aggregator.today import Day

_AT_ONCE = 250  # nodes of one question

NamedDay = tuple[str, Day]  # a node's name, and its day: what is forgotten while it is read is another one
Read = Callable[[Sequence[NamedDay], int, int, int], Awaitable[None]]


class Days:
    """The days of all nodes. `zone_of`: tells the time zone in which a node's day begins."""

    def __init__(self, store: Store, zone_of: Callable[[str], ZoneInfo]) -> None:
        self._store = store
        self._zone_of = zone_of
        self._reading = asyncio.Lock()

    async def refresh(self, views: Sequence[NodeView], now: int) -> None:
        """Bring nodes' days up to date; raise StoreError. `now`: Unix ms."""
        async with self._reading:
            starts: dict[ZoneInfo, int] = {}
            for view in views:
                zone = self._zone_of(view.name)
                start = starts.get(zone) or starts.setdefault(zone, site_time.day_start(now, zone))
                if view.day.start != start:
                    view.day = Day(start)
            days = [view.day for view in views]
            await self._read(views, History.settled(now))
            forgotten = [view for view, day in zip(views, days, strict=True) if view.day is not day]
            await self._read(forgotten, History.settled(now))
            await asyncio.gather(*(self._refresh_first(view, now) for view in views if _is_new(view)))

    def forget(self, view: NodeView) -> None:
        """Have all of it read again: times have changed."""
        view.day = Day(view.day.start)
        view.known_first.clear()
        view.first.clear()
        view.is_newborn = False
        self._store.archive.forget_first(view.name)

    async def _read(self, views: Sequence[NodeView], settled: int) -> None:
        await _all(self._refresh(part, views, settled) for part in ("counts", "watch"))

    async def _refresh(self, part: str, views: Sequence[NodeView], settled: int) -> None:
        """Read what is old of some nodes, those together whose reading begins at the same moment."""
        old = [(view.name, view.day) for view in views if part not in view.day.fresh]
        moment = time.monotonic()
        groups: dict[tuple[int, int], list[NamedDay]] = defaultdict(list)
        for name, day in old:
            groups[day.start, day.begin(part, moment)].append((name, day))
        read = self._read_counts if part == "counts" else self._read_watch
        try:
            await _all(
                _in_parts(read, group, start, since, max(settled, since))
                for (start, since), group in groups.items()
            )
        except StoreError:
            for _, day in old:
                day.fresh.discard(part)
            raise

    async def _read_counts(self, days: Sequence[NamedDay], start: int, since: int, settled: int) -> None:
        names = [name for name, _ in days]
        found = await self._store.chains.today(names, start, since, start + 2 * REACH)
        moment = time.monotonic()
        for name, day in days:
            steps = found.get(name, [])
            before = [step for step in steps if step.minute < settled]
            after = [step for step in steps if step.minute >= settled]
            day.count(before, after, settled, moment)

    async def _read_watch(self, days: Sequence[NamedDay], start: int, since: int, settled: int) -> None:
        names = [name for name, _ in days]
        found = await self._store.today.watch(names, since, settled, start + 2 * REACH)
        moment = time.monotonic()
        for name, day in days:
            before, after = found.get(name, ([], []))
            day.watch(before, after, settled, moment)

    async def _refresh_first(self, view: NodeView, now: int) -> None:
        """Learn since when each camera is there: by its first tally, or by when it was first heard of."""
        for report in view.state.cameras if view.state else []:
            name = report.camera
            if name in view.known_first:
                continue
            view.known_first.add(name)  # asked once: a tally that comes later says so itself
            first = None if view.is_newborn else await self._store.archive.first_seen(view.name, name)
            view.first[name] = min(view.first.get(name, now), first or now)


async def _in_parts(read: Read, days: Sequence[NamedDay], start: int, since: int, settled: int) -> None:
    for some in slices(days, _AT_ONCE):
        await read(some, start, since, settled)


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Do all of it at once; when all has ended, raise what went wrong first."""
    for error in await asyncio.gather(*work, return_exceptions=True):
        if error is not None:
            raise error


def _is_new(view: NodeView) -> bool:
    """True if a node has a camera of which it is not known since when it is there."""
    cameras = view.state.cameras if view.state else []
    return any(report.camera not in view.known_first for report in cameras)
