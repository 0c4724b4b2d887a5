"""Makes days ready: what nodes told up to an hour, many nodes in few questions. See `history` for what holds.

A step makes some days of some nodes. Their tallies are two questions for all of them; their totals come in
one stream, a node after the other, so that no more than one node's detail is in memory. What is computed of
it is computed in a thread, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from aggregator.store import day as days_of
from aggregator.store.chains import Chains
from aggregator.store.codec import TALLIES
from aggregator.store.day import DAY, SLOT, Day
from aggregator.store.derive import Told, derive
from aggregator.store.running_totals import HOUR
from aggregator.store.slots import Slots

_DAYS_AT_ONCE = 8
_NODES_AT_ONCE = 25
_GROUPS_AT_ONCE = 2  # while the database reads for one, we compute for the other
_WRITTEN_AT_ONCE = 400
_EVER = 2**62
_DUPLICATE = 11000

Document = dict[str, Any]
Made = dict[tuple[str, int], Day]  # (node, midnight)


class _OfNode(Protocol):
    @property
    def node(self) -> str: ...


T = TypeVar("T", bound=_OfNode)


class Again(NamedTuple):
    """A day that was made again, and up to when it says something (Unix ms)."""

    until: int
    day: Day


class Making:
    """Makes days out of detail. One writes a node's days at a time; others are told apart by `g`."""

    def __init__(self, database: Any, chains: Chains, slots: Slots) -> None:
        self._database = database
        self._chains = chains
        self._slots = slots
        self._locks: dict[str, asyncio.Lock] = {}
        self._until = 0  # what the common `until` is at least

    async def ensure(self, nodes: Sequence[str], until: int) -> dict[str, int]:
        """Have the days of nodes made up to a full hour; return node -> up to when they are."""
        reached = await self._reached(nodes)
        behind = sorted(node for node in set(nodes) if reached[node] < until)
        groups = [behind[place : place + _NODES_AT_ONCE] for place in range(0, len(behind), _NODES_AT_ONCE)]
        for place in range(0, len(groups), _GROUPS_AT_ONCE):
            await asyncio.gather(
                *(self._go_on(some, until) for some in groups[place : place + _GROUPS_AT_ONCE])
            )
        return reached | dict.fromkeys(behind, until)

    async def again(self, stale: Sequence[Document]) -> dict[tuple[str, int], Again]:
        """Make days again to which something came; return (node, midnight) -> what they come to."""
        found: dict[tuple[str, int], Again] = {}
        by_start: dict[int, list[str]] = defaultdict(list)
        for row in stale:
            by_start[int(row["d"])].append(row["n"])
        for start, nodes in by_start.items():
            for place in range(0, len(nodes), _NODES_AT_ONCE):
                found |= await self._again(sorted(nodes[place : place + _NODES_AT_ONCE]), start)
        return found

    async def _again(self, nodes: Sequence[str], start: int) -> dict[tuple[str, int], Again]:
        found: dict[tuple[str, int], Again] = {}
        async with self._held(nodes):
            by_end: dict[int, dict[str, int]] = defaultdict(dict)
            for node, reached in (await self._reached(nodes)).items():
                by_end[min(start + DAY, reached or start + DAY)][node] = 0
            for until, some in by_end.items():
                made = await self._make(some, start, until)
                found |= {(node, start): Again(until, made.get((node, start), Day())) for node in some}
        return found

    @asynccontextmanager
    async def _held(self, nodes: Sequence[str]) -> AsyncIterator[None]:
        """Keep others of this process from making days of these nodes (sorted) while this is open."""
        async with AsyncExitStack() as stack:
            for node in nodes:
                await stack.enter_async_context(self._locks.setdefault(node, asyncio.Lock()))
            yield

    # ── how far ──

    async def _reached(self, nodes: Sequence[str]) -> dict[str, int]:
        rows = self._database.derived.find({"_id": {"$in": list(nodes)}})
        known = {row["_id"]: int(row["until"]) for row in await rows.to_list(None)}
        return dict.fromkeys(nodes, 0) | known

    async def _go_on(self, nodes: Sequence[str], until: int) -> None:
        async with self._held(nodes):
            await self._go_on_alone(nodes, until)

    async def _go_on_alone(self, nodes: Sequence[str], until: int) -> None:
        reached = await self._reached(nodes)
        await self._raise(until)
        starts = {node: at // DAY * DAY if at < until else until for node, at in reached.items()}
        for node in nodes:
            if not reached[node]:
                starts[node] = await self._next_told(node, 0)
        while behind := [node for node in nodes if starts[node] < until]:
            first = min(starts[node] for node in behind)
            end = min(first + _DAYS_AT_ONCE * DAY, until)
            some = {node: reached[node] for node in behind if starts[node] < end}
            spoke = {node for node, _ in await self._make(some, first, end)}
            await self._reach(some, end)
            for node in some:
                reached[node] = end
                starts[node] = end if node in spoke or end == until else await self._next_told(node, end)
        await self._reach(nodes, until)

    async def _raise(self, until: int) -> None:
        if until > self._until:
            change = {"$max": {"until": until}}
            await self._database.derived.update_one({"_id": ""}, change, upsert=True)
            self._until = until

    async def _reach(self, nodes: Collection[str], until: int) -> None:
        change = {"$max": {"until": until}}
        await self.write([UpdateOne({"_id": node}, change, upsert=True) for node in nodes], "derived")

    async def _next_told(self, node: str, at: int) -> int:
        """Return the midnight before something was told next, from the hour of a moment on."""
        moments = [_EVER]
        for name, key in (("counts", "h"), (TALLIES, "a")):
            query = {"n": node, key: {"$gte": at // HOUR * HOUR}}
            row = await self._database[name].find_one(query, {key: 1}, sort=[(key, 1)])
            if row is not None:
                moments.append(int(row[key]))
        return max(min(moments), at) // DAY * DAY

    # ── making ──

    async def _make(self, nodes: Mapping[str, int], start: int, until: int) -> Made:
        """Make days from a midnight on, and keep them; return them.

        Args:
            nodes: node -> up to when a day of it is made that may be gone on with.
            start: the midnight.
            until: a full hour.
        """
        held: dict[str, dict[int, Document]] = {node: {} for node in nodes}
        query: Document = {"n": {"$in": list(nodes)}, "d": {"$gte": start, "$lt": until}}
        for row in await self._database.days.find(query).to_list(None):
            held[row["n"]][int(row["d"])] = row
        begins = {node: _begin(held[node].get(start), start, until, at) for node, at in nodes.items()}
        found: Made = {}
        changes: list[UpdateOne] = []
        async for node, told in self._told(nodes, min(begins.values()), until):
            first = held[node].get(start)
            before = days_of.decode(first["b"]) if first and begins[node] > start else None
            days = await asyncio.to_thread(derive, told, begins[node], until, before)
            if first is not None:
                told.epochs.setdefault(start, set()).update(map(int, first.get("k", ())))
            changes += _changes(node, days, held[node], told, until)
            found |= {(node, day): made for day, made in days.items()}
            if len(changes) >= _WRITTEN_AT_ONCE:
                await self.write(changes)
                changes = []
        await self.write(changes)  # what was marked meanwhile stays stale
        return found

    async def _told(self, nodes: Collection[str], since: int, until: int) -> AsyncIterator[tuple[str, Told]]:
        """Iterate over the nodes and what each of them told, from `since` on and what that needs."""
        names = list(nodes)
        watched = _by_node(await self._slots.watched(names, "", since, until, SLOT))
        filled = _by_node(await self._slots.filled(names, "", "", since, until, SLOT))
        async for node, rows in self._chains.each(names, since, until):
            yield node, Told(rows, watched.get(node, []), filled.get(node, []))

    async def write(self, changes: list[UpdateOne], collection: str = "days") -> None:
        """Write; what finds that another one inserted the same document at that moment is done again."""
        while changes:
            try:
                await self._database[collection].bulk_write(changes, ordered=False)
                return
            except BulkWriteError as error:
                failed = (error.details or {}).get("writeErrors", [])
                if not failed or any(row["code"] != _DUPLICATE for row in failed):
                    raise
                changes = [changes[row["index"]] for row in failed]


def is_fresh(row: Mapping[str, Any]) -> bool:
    """True if nothing has come to a day since it was made."""
    return "b" in row and row.get("g", 0) == row.get("f")


def _begin(first: Document | None, start: int, until: int, at: int) -> int:
    """Return from when on detail is read: from `at`, where the first day is made up to there."""
    goes_on = first is not None and is_fresh(first) and start < first["u"] == at < until
    return at if goes_on else start


def _by_node(values: Sequence[T]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for value in values:
        found[value.node].append(value)
    return found


def _changes(
    node: str, days: dict[int, Day], held: Mapping[int, Document], told: Told, until: int
) -> list[UpdateOne]:
    """Return what writes a node's days, each only while it is what it was when it was read."""
    changes = []
    for day in sorted({*days, *held}):
        made = days.setdefault(day, Day())
        fields = {
            "n": node, "d": day, "f": int(held[day].get("g", 0)) if day in held else 0,
            "u": min(day + DAY, until), "k": sorted(told.epochs.get(day, ())), "b": days_of.encode(made),
        }  # fmt: skip
        query: Document = {"_id": f"{node}:{day}", "g": fields["f"], "u": {"$lte": fields["u"]}}
        if day not in held:
            query["u"] = -1  # no document has it: this one is inserted
        changes.append(UpdateOne(query, {"$set": fields}, upsert=True))
    return changes
