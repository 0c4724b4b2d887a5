"""A group of batches -> the database, in an order after each step of which the machine may lose its power.

What always holds: a batch's number is claimed, its events are written, the counts raised, and only then is it
marked as stored; done again after a fault in between, it comes to the same. Of two contents under one number
only the first is stored; the other is kept as a conflict, unless it is what is left of the first. Between its
slices others have their turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from aggregator.slices import SLICE, each_in_turn, slices
from aggregator.store.parcel import Parcel, Poison, addressing
from aggregator.store.running_totals import WITH_TOTALS, Marks
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)

GiveWay = Callable[[], Awaitable[None]]


class DurableWrite:
    """What writes groups. `on_conflicts` is told of batches that came again with another content."""

    def __init__(
        self,
        store: Store,
        stamp: Callable[[], datetime],
        on_conflicts: Callable[[Sequence[Parcel]], None],
    ) -> None:
        self._store = store
        self._stamp = stamp
        self._on_conflicts = on_conflicts

    async def write(self, parcels: Sequence[Parcel], give_way: GiveWay) -> list[Parcel]:
        """Write a group once; return what was new. All of the group may be acknowledged then.

        `give_way` is awaited between two writes. Raise StoreError.
        """
        stored_at = self._stamp()
        unique = list({(parcel.id, parcel.sum): parcel for parcel in parcels}.values())
        for parcel in unique:
            await each_in_turn(addressing(parcel, stored_at))
        # Of two contents under one number in the same group, only the first can be claimed.
        first = list({parcel.id: parcel for parcel in reversed(unique)}.values())[::-1]
        verdicts = await self._store.claim([parcel.claim() for parcel in first], stored_at)
        verdict = {id(parcel): word for parcel, word in zip(first, verdicts, strict=True)}
        conflicts = [parcel for parcel in unique if verdict.get(id(parcel), "conflict") == "conflict"]
        fresh = [parcel for parcel in unique if verdict.get(id(parcel)) in ("new", "known")]
        if fresh:
            await self._write_claimed(fresh, stored_at, give_way)
        if conflicts:
            await self._set_aside(conflicts)
        return fresh

    async def _set_aside(self, conflicts: Sequence[Parcel]) -> None:
        """Keep what came under a number with another content, unless it is what is left of the same."""
        seen = Counter(parcel.id for parcel in conflicts)
        told = {one.id: one.as_told() for one in conflicts if not one.bad and seen[one.id] == 1}
        shorter = await self._store.archive.longer(told)
        for id_ in shorter:
            _LOG.info(
                "%s came again with less in it: the end of its box's spool was lost after it was sent", id_
            )
        others = [parcel for parcel in conflicts if parcel.id not in shorter]
        if others:
            await self._store.kept.conflicts(others)
            self._on_conflicts(others)

    async def _write_claimed(self, fresh: Sequence[Parcel], stored_at: datetime, give_way: GiveWay) -> None:
        marks = await _marks(fresh)
        refused = [poison for parcel in fresh for poison in parcel.poison]
        refused += await self._insert(fresh, give_way)
        more: Counter[str] = Counter()
        for parcel in fresh:
            more[parcel.node] += parcel.more_poison
        await self._store.kept.quarantine(refused, events=+more)
        for some_marks in marks.parts(SLICE):
            await self._store.raise_counts(some_marks, stored_at)
            await give_way()
        await self._store.mark_stored([parcel.id for parcel in fresh])

    async def _insert(self, fresh: Sequence[Parcel], give_way: GiveWay) -> list[Poison]:
        """Write the events; return those that the database refuses for what they are."""
        rows: dict[str, list[Any]] = defaultdict(list)
        for parcel in fresh:
            for name, some in parcel.rows.items():
                rows[name] += some
        refused = []
        for name, all_ in rows.items():
            for part in slices(all_):
                for index, reason in (await self._store.insert(name, part)).items():
                    row = part[index]
                    node = row["_id"].partition(":")[0]
                    refused.append(Poison(row["_id"], node, reason, bytes(row.raw), False))
                await give_way()
        return refused


async def _marks(fresh: Sequence[Parcel]) -> Marks:
    """Return how far the running totals of some batches go."""
    marks = Marks()
    held = 0  # events since others had their turn
    for parcel in fresh:
        for events in slices(parcel.good):
            for _, event in events:
                if isinstance(event, WITH_TOTALS):
                    marks.add(parcel.node, parcel.epoch, event)
            held += len(events)
            if held >= SLICE:
                held = 0
                await asyncio.sleep(0)
    return marks
