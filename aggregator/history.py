"""A window of nodes' history, read once: days that are kept ready, and detail where they say nothing yet.

What always holds: what is told by the quarter hour comes out of `Store.history`; only what is newer than the
days that are ready, quarters that the window cuts, and windows by the minute are read from the detail. Both
give the same rows. What is computed over many days is computed in a thread, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from aggregator.store.day import DAY, SLOT, SLOTS, Quarters, add, unpack
from aggregator.store.history import NodeDay
from aggregator.store.running_totals import HOUR, Row, of_kind
from aggregator.store.slots import Slot, ZoneSlot
from aggregator.store.store import Store
from aggregator.window import Window

K = TypeVar("K", bound=Hashable)
_BLOCK = 64  # days


class Seen(NamedTuple):
    """How long cameras watched and were blind, ms."""

    watched: int
    blind: int


class Reading:
    """Some nodes' window, made by `open_window`."""

    def __init__(
        self, store: Store, nodes: Sequence[str], window: Window, days: list[NodeDay], ready: tuple[int, int]
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._window = window
        self._days = days
        self._since, self._until = ready  # the quarters that are read from days

    async def counted(
        self, kind: str, camera: str, key: Callable[[str, Row], K | None]
    ) -> dict[tuple[int, K], int]:
        """Return (start of the bucket, key) -> how much was counted.

        Args:
            kind: "line", "zone", "trip" or "object".
            camera: empty for all.
            key: of a node and a row, under what to count it; None: not at all.
        """
        found = await asyncio.to_thread(lambda: self._counted(kind, camera, key))
        for since, until in self._rest():
            only = of_kind(kind, camera)
            steps = await self._store.chains.increments(self._nodes, since, until, only)
            for node, some in steps.items():
                for step in some:
                    under = key(node, step.row) if step.row.kind == kind else None
                    if under is not None:
                        found[self._window.start(step.minute), under] += step.amount
        return found

    def _counted(
        self, kind: str, camera: str, key: Callable[[str, Row], K | None]
    ) -> dict[tuple[int, K], int]:
        found: dict[tuple[int, K], int] = defaultdict(int)
        for block in self._blocks():
            sums: dict[K, tuple[Quarters, Quarters]] = defaultdict(block.pair)
            for one in block.days:
                for counted in one.day.rows:
                    row = counted.row
                    under = key(one.node, row) if row.kind == kind and camera in ("", row.camera) else None
                    if under is not None:
                        add(*sums[under], block.place(one), counted.amounts)
            for under, (amounts, told) in sums.items():
                for start, amount, is_told in block.by_bucket(amounts, told):
                    if is_told:
                        found[start, under] += amount
        return found

    async def seen(self, camera: str, key: Callable[[str, str], K]) -> dict[tuple[int, K], Seen]:
        """Return (start of the bucket, key) -> how long was watched. `key`: of a node and a camera."""
        found = await asyncio.to_thread(lambda: self._seen(camera, key))
        for slot in await self._recent(camera):
            under = (self._window.start(slot.start), key(slot.node, slot.camera))
            before = found.get(under, Seen(0, 0))
            found[under] = Seen(before.watched + slot.watched, before.blind + sum(slot.blind.values()))
        return found

    def _seen(self, camera: str, key: Callable[[str, str], K]) -> dict[tuple[int, K], Seen]:
        found: dict[tuple[int, K], Seen] = {}
        for block in self._blocks():
            sums: dict[K, tuple[Quarters, Quarters, Quarters]] = defaultdict(block.three)
            for one in block.days:
                for watched in one.day.cameras:
                    if camera in ("", watched.camera):
                        seen, told, blind = sums[key(one.node, watched.camera)]
                        add(seen, told, block.place(one), watched.watched)
                        for data in watched.blind.values():
                            add(blind, None, block.place(one), data)
            for under, (seen, _, blind) in sums.items():
                for start, amount, dark in block.by_bucket(seen, blind):
                    before = found.get((start, under), Seen(0, 0))
                    found[start, under] = Seen(before.watched + amount, before.blind + dark)
        return found

    def _blocks(self) -> Iterator[_Block]:
        """Return the days in spans that are added up together."""
        spans: dict[int, list[NodeDay]] = defaultdict(list)
        for one in self._days:
            spans[one.start // (_BLOCK * DAY)].append(one)
        for number in sorted(spans):
            yield _Block(number * _BLOCK * DAY, spans[number], self._window, (self._since, self._until))

    async def slots(self, camera: str) -> list[Slot]:
        """Return what cameras watched, by the window's slots."""
        return [*await asyncio.to_thread(lambda: list(self._slots(camera))), *await self._recent(camera)]

    def _slots(self, camera: str) -> Iterator[Slot]:
        for one in self._days:
            for camera_day in one.day.cameras:
                if camera not in ("", camera_day.camera):
                    continue
                watched = self._cut(one.start, unpack(camera_day.watched))
                rest = [
                    unpack(data)
                    for data in (
                        camera_day.captured, camera_day.inferred, camera_day.dropped,
                        camera_day.p50, camera_day.p95,
                    )
                ]  # fmt: skip
                dark = {reason: unpack(data) for reason, data in camera_day.blind.items()}
                for place in map(int, np.flatnonzero(watched)):
                    blind = {reason: int(values[place]) for reason, values in dark.items() if values[place]}
                    captured, inferred, dropped, p50, p95 = (int(values[place]) for values in rest)
                    at = one.start + place * SLOT
                    yield Slot(
                        one.node, camera_day.camera, at, int(watched[place]) - 1,
                        captured, inferred, dropped, p50, p95, blind,
                    )  # fmt: skip

    async def filled(self, camera: str, zone: str) -> list[ZoneSlot]:
        """Return how full zones were, by the window's slots."""
        found = await asyncio.to_thread(lambda: list(self._filled(camera, zone)))
        for since, until in self._rest():
            found += await self._store.slots.filled(
                self._nodes, camera, zone, since, until, self._window.slot
            )
        return found

    def _filled(self, camera: str, zone: str) -> Iterator[ZoneSlot]:
        for one in self._days:
            for day in one.day.zones:
                if camera not in ("", day.camera) or zone not in ("", day.zone):
                    continue
                watched = self._cut(one.start, unpack(day.watched))
                rest = [unpack(d) for d in (day.inside, day.queued, day.most_inside, day.most_queued)]
                for place in map(int, np.flatnonzero(watched)):
                    numbers = (int(values[place]) for values in rest)
                    at = one.start + place * SLOT
                    yield ZoneSlot(
                        one.node, day.camera, day.zone, day.version, at, int(watched[place]) - 1, *numbers
                    )

    async def _recent(self, camera: str) -> list[Slot]:
        found: list[Slot] = []
        for since, until in self._rest():
            found += await self._store.slots.watched(self._nodes, camera, since, until, self._window.slot)
        return found

    def _rest(self) -> list[tuple[int, int]]:
        """Return the spans that are read from the detail."""
        if self._since >= self._until:
            return [(self._window.since, self._window.until)]
        spans = [(self._window.since, self._since), (self._until, self._window.until)]
        return [(since, until) for since, until in spans if since < until]

    def _cut(self, day: int, values: Quarters) -> Quarters:
        """Silence the quarters of a day that are not read from days."""
        first = (self._since - day) // SLOT
        last = (self._until - day) // SLOT
        if first > 0:
            values[:first] = 0
        if last < SLOTS:
            values[max(last, 0) :] = 0
        return values


class _Block:
    """Days of nodes that are added up together. `ready`: the quarters that are read from days."""

    def __init__(self, start: int, days: Sequence[NodeDay], window: Window, ready: tuple[int, int]) -> None:
        self.days = days
        self._start = start
        self._first, self._last = (min(max((at - start) // SLOT, 0), SLOTS * _BLOCK) for at in ready)
        starts = window.starts(start, _BLOCK)[self._first : self._last]
        self._places = np.flatnonzero(np.diff(starts, prepend=-1))
        self._starts = starts[self._places].tolist()

    def pair(self) -> tuple[Quarters, Quarters]:
        """Return two arrays of all its quarters."""
        return np.zeros(SLOTS * _BLOCK, np.int64), np.zeros(SLOTS * _BLOCK, np.int64)

    def three(self) -> tuple[Quarters, Quarters, Quarters]:
        """Return three of them."""
        return *self.pair(), np.zeros(SLOTS * _BLOCK, np.int64)

    def place(self, day: NodeDay) -> int:
        """Return where a day's first quarter lies in these arrays."""
        return (day.start - self._start) // SLOT

    def by_bucket(self, one: Quarters, two: Quarters) -> Iterator[tuple[int, int, int]]:
        """Return the start and both sums of each bucket, where they are not both 0."""
        if not self._starts:
            return iter(())
        sums = (np.add.reduceat(values[self._first : self._last], self._places) for values in (one, two))
        rows = zip(self._starts, *(each.tolist() for each in sums), strict=True)
        return (row for row in rows if row[1] or row[2])


async def open_window(store: Store, nodes: Sequence[str], window: Window, now: int | None = None) -> Reading:
    """Have the days of some nodes ready that a window asks for, and read them. `now`: Unix ms."""
    now = int(time.time() * 1000) if now is None else now
    since = -(-window.since // SLOT) * SLOT
    settled = min(store.history.settled(now), -(-window.until // HOUR) * HOUR)
    until = min(window.until // SLOT * SLOT, settled)
    if window.slot < SLOT or since >= until:
        return Reading(store, nodes, window, [], (0, 0))
    await store.history.ensure(nodes, settled)
    days = await store.history.read(nodes, since, until)
    return Reading(store, nodes, window, days, (since, until))
