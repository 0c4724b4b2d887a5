"""Days kept ready to be read: one document a node and day of UTC, made from tallies and running totals.

    days       {_id: "node:day", n, d: its midnight, b: the day, see `day`, u: it holds what lies before this,
                k: the starts of the agent that told it, g: how often its detail has changed since, f: the g
                that it was made from}
    derived    {_id: node, until: all of its days before this are in `days`}
               {_id: "", until: no node's is later, final: days before this are made no more}

What always holds:

* A day is stale while `g` and `f` differ. What is late is stored first; then its days are marked (`g` goes
  up), and only then it is acknowledged. Whoever makes a day reads `g` first, and writes it only while `g` is
  the same.
* Before a day is made, the common `until` is raised; whoever stores something reads it after. So one of the
  two sees the other, whatever the clocks say, and what is not late costs one small question a group.
* Days before `final` have lost detail and stay as they are.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from aggregator.store import day as days_of
from aggregator.store.chains import Chains
from aggregator.store.codec import TALLIES
from aggregator.store.day import DAY, SLOT, Day
from aggregator.store.derive import Draft, by_day
from aggregator.store.errors import translated
from aggregator.store.running_totals import HOUR, increments
from aggregator.store.slots import Slots

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8  # days that are made together
_REACH_DAYS = 2  # what is told on a day may change what the next two counted
_SETTLED = 15 * 60_000  # ms: what is told of an hour has come by then, mostly
_OLDEST_DAYS = 3653  # before this, what is told is of a clock that was wrong: it makes no days
_EVER = 2**62

Document = dict[str, Any]


@dataclass(slots=True)
class NodeDay:
    """A node's day as it was read. It says nothing of what lies at or after `until` (Unix ms)."""

    node: str
    start: int
    until: int
    day: Day


class History:
    """The days of all nodes. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str, chains: Chains, slots: Slots) -> None:
        self._database = database
        self._where = where
        self._chains = chains
        self._slots = slots
        self._locks: dict[str, asyncio.Lock] = {}
        self._until = 0  # what the common `until` is at least
        self.asked: set[str] = set()  # nodes whose days were read since the start
        self.too_late = 0  # days to which something came when they were final

    async def prepare(self) -> None:
        """See that what is looked for is indexed."""
        await self._database.days.create_index([("n", 1), ("d", 1)])

    # ── what comes late ──

    async def mark(self, hours: Iterable[tuple[str, int]]) -> None:
        """Note that something was stored of nodes' hours (Unix ms), after it was stored."""
        with translated(self._where):
            known = await self._database.derived.find_one({"_id": ""})
            if known is None:
                return
            late = {(node, hour // DAY * DAY) for node, hour in hours if hour < known["until"]}
            final = max(int(known.get("final", 0)), int(known["until"]) - _OLDEST_DAYS * DAY)
            closed = {(node, day) for node, day in late if day < final}
            if closed:
                self.too_late += len(closed)
                _LOG.warning("%d days of nodes are closed: what came of them now is not counted", len(closed))
            await self._mark(late - closed, int(known["until"]))

    async def _mark(self, late: Iterable[tuple[str, int]], until: int) -> None:
        touched: set[tuple[str, int]] = set()
        days_by_node: dict[str, list[int]] = defaultdict(list)
        for node, day in late:
            touched |= {(node, day + n * DAY) for n in range(_REACH_DAYS + 1) if day + n * DAY < until}
            days_by_node[node].append(day + _REACH_DAYS * DAY)
        for node, reached in days_by_node.items():
            query = {"n": node, "d": {"$gt": min(reached)}}
            rows = self._database.days.find(query, {"d": 1}).sort("d", 1)
            made = [int(row["d"]) async for row in rows]
            following = {bisect.bisect_right(made, day) for day in reached}  # go on from these totals
            touched |= {(node, made[place]) for place in following if place < len(made)}
        changes = [
            UpdateOne(
                {"_id": f"{node}:{day}"},
                {"$inc": {"g": 1}, "$setOnInsert": {"n": node, "d": day, "u": 0}},
                upsert=True,
            )
            for node, day in touched
        ]
        while changes:
            changes = await self._write(changes)

    async def _write(self, changes: list[UpdateOne]) -> list[UpdateOne]:
        """Write; return those whose document another one inserted at the same moment."""
        try:
            await self._database.days.bulk_write(changes, ordered=False)
        except BulkWriteError as error:
            failed = (error.details or {}).get("writeErrors", [])
            if not failed or any(row["code"] != 11000 for row in failed):
                raise
            return [changes[row["index"]] for row in failed]
        return []

    # ── keeping days ready ──

    @staticmethod
    def settled(now: int) -> int:
        """Return the moment before which days may be made. `now`: Unix ms."""
        return (now - _SETTLED) // HOUR * HOUR

    async def ensure(self, nodes: Sequence[str], until: int) -> dict[str, int]:
        """Have the days of nodes made up to a full hour; return node -> up to when they are."""
        with translated(self._where):
            rows = self._database.derived.find({"_id": {"$in": list(nodes)}})
            reached = {row["_id"]: int(row["until"]) async for row in rows}
            for node in nodes:
                if reached.get(node, 0) < until:
                    reached[node] = await self._go_on(node, until)
        return reached

    async def _go_on(self, node: str, until: int) -> int:
        async with self._locks.setdefault(node, asyncio.Lock()):
            known = await self._database.derived.find_one({"_id": node})
            at = int(known["until"]) if known else 0
            if at >= until:
                return at
            await self._raise(until)
            while (told := await self._next_told(node, at)) < until:
                start = max(told // DAY * DAY, at // DAY * DAY)
                end = min(start + _AT_ONCE * DAY, until)
                await self._make(node, start, end, at)
                at = end
                await self._reach(node, end)
            await self._reach(node, until)
            return until

    async def _raise(self, until: int) -> None:
        if until > self._until:
            change = {"$max": {"until": until}}
            await self._database.derived.update_one({"_id": ""}, change, upsert=True)
            self._until = until

    async def _reach(self, node: str, until: int) -> None:
        await self._database.derived.update_one({"_id": node}, {"$max": {"until": until}}, upsert=True)

    async def _next_told(self, node: str, at: int) -> int:
        """Return when something was told next, from the hour of a moment on."""
        moments = [_EVER]
        for name, key in (("counts", "h"), (TALLIES, "a")):
            query = {"n": node, key: {"$gte": at // HOUR * HOUR}}
            row = await self._database[name].find_one(query, {key: 1}, sort=[(key, 1)])
            if row is not None:
                moments.append(int(row[key]))
        return min(moments)

    async def _make(self, node: str, start: int, until: int, at: int = 0) -> dict[int, Day]:
        """Make days from a midnight on, and keep them; return them. `at`: a day made up to here goes on."""
        query: Document = {"n": node, "d": {"$gte": start, "$lt": until}}
        held = {int(row["d"]): row async for row in self._database.days.find(query)}
        first = held.get(start)
        begin = start
        before: Day | None = None
        if first is not None and _is_fresh(first) and start < first["u"] == at < until:
            begin = at
            before = days_of.decode(first["b"])
        days, epochs = await self._derive(node, begin, until, before)
        if first is not None:
            epochs.setdefault(start, set()).update(map(int, first.get("k", ())))
        changes = []
        for day in sorted({*days, *held}):
            generation = int(held[day].get("g", 0)) if day in held else 0
            made = days.setdefault(day, Day())
            fields = {
                "n": node, "d": day, "f": generation, "u": min(day + DAY, until),
                "k": sorted(epochs.get(day, ())), "b": days_of.encode(made),
            }  # fmt: skip
            query = {"_id": f"{node}:{day}", "g": generation, "u": {"$lte": fields["u"]}}
            if day not in held:
                query["u"] = -1  # no document has it: this one is inserted
            changes.append(UpdateOne(query, {"$set": fields}, upsert=True))
        if changes:
            await self._write(changes)  # what was marked meanwhile stays stale
        return days

    async def _derive(
        self, node: str, begin: int, until: int, before: Day | None
    ) -> tuple[dict[int, Day], dict[int, set[int]]]:
        """Return day -> what it comes to, and day -> the agent's starts that told it; Unix ms."""
        rows = (await self._chains.documents([node], begin, until)).get(node, [])
        steps = [step for step in increments(rows) if begin <= step.minute < until]
        counted = by_day(steps, "minute")
        watched = by_day(await self._slots.watched([node], "", begin, until, SLOT), "start")
        filled = by_day(await self._slots.filled([node], "", "", begin, until, SLOT), "start")
        epochs: dict[int, set[int]] = defaultdict(set)
        for row in rows:
            epochs[int(row["h"]) // DAY * DAY].add(int(row["y"]))
        days = {}
        first = begin // DAY * DAY
        for day in {*counted, *watched, *filled, *([first] if before is not None else [])}:
            draft = Draft(day, before if day == first else None)
            draft.count(counted.get(day, ()))
            draft.watch(watched.get(day, ()))
            draft.fill(filled.get(day, ()))
            days[day] = draft.day()
            await asyncio.sleep(0)
        return days, epochs

    # ── reading ──

    async def read(self, nodes: Sequence[str], since: int, until: int) -> list[NodeDay]:
        """Return the days that touch [since, until); both full hours, and not after what `ensure` gave."""
        self.asked.update(nodes)
        query = {"n": {"$in": list(nodes)}, "d": {"$gte": since // DAY * DAY, "$lt": until}}
        with translated(self._where):
            rows = await self._database.days.find(query, {"_id": 0, "k": 0}).batch_size(4000).to_list(None)
            final = await self._final()
            found = []
            for row in rows:
                day = await self._fresh(row, final)
                found.append(NodeDay(row["n"], int(row["d"]), max(int(row["u"]), int(row["d"])), day))
        return found

    async def _fresh(self, row: Document, final: int) -> Day:
        """Return a stored day, made again if it is stale."""
        if _is_fresh(row) or row["d"] < final:
            return days_of.decode(row["b"]) if "b" in row else Day()
        node = row["n"]
        start = int(row["d"])
        async with self._locks.setdefault(node, asyncio.Lock()):
            known = await self._database.derived.find_one({"_id": node})
            until = min(start + DAY, int(known["until"]) if known else start + DAY)
            row["u"] = until
            return (await self._make(node, start, until)).get(start, Day())

    async def _final(self) -> int:
        known = await self._database.derived.find_one({"_id": ""})
        return int(known.get("final", 0)) if known else 0

    async def finish(self, before: int, nodes: Sequence[str]) -> int:
        """Make all days before a moment for the last time; return the midnight before which none is made."""
        final = before // DAY * DAY
        for node in nodes:
            reached = await self.ensure([node], final)
            with translated(self._where):
                stale = {"n": node, "d": {"$lt": final}, "$expr": {"$ne": ["$g", "$f"]}}
                async for row in self._database.days.find(stale):
                    await self._fresh(row, await self._final())
            assert reached[node] >= final
        with translated(self._where):
            await self._database.derived.update_one({"_id": ""}, {"$max": {"final": final}}, upsert=True)
        return final


def _is_fresh(row: Mapping[str, Any]) -> bool:
    return "b" in row and row.get("g", 0) == row.get("f")
