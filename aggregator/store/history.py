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

import bisect
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne

from aggregator.store import day as days_of
from aggregator.store.chains import Chains
from aggregator.store.day import DAY, Day
from aggregator.store.errors import translated
from aggregator.store.making import Again, Making, is_fresh
from aggregator.store.running_totals import HOUR
from aggregator.store.slots import Slots

_LOG = logging.getLogger(__name__)
_REACH_DAYS = 2  # what is told on a day may change what the next two counted
_SETTLED = 15 * 60_000  # ms: what is told of an hour has come by then, mostly
_OLDEST_DAYS = 3653  # before this, what is told is of a clock that was wrong: it makes no days

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
        self._making = Making(database, chains, slots)
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
                _LOG.warning(
                    "%d days of nodes are closed: events that came for them now are not counted", len(closed)
                )
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
        await self._making.write(changes)

    # ── keeping days ready ──

    @staticmethod
    def settled(now: int) -> int:
        """Return the moment before which days may be made. `now`: Unix ms."""
        return (now - _SETTLED) // HOUR * HOUR

    async def ensure(self, nodes: Sequence[str], until: int) -> dict[str, int]:
        """Have the days of nodes made up to a full hour; return node -> up to when they are."""
        with translated(self._where):
            return await self._making.ensure(nodes, until)

    # ── reading ──

    async def read(self, nodes: Sequence[str], since: int, until: int) -> list[NodeDay]:
        """Return the days that touch [since, until); both full hours, and not after what `ensure` gave."""
        self.asked.update(nodes)
        query = {"n": {"$in": list(nodes)}, "d": {"$gte": since // DAY * DAY, "$lt": until}}
        with translated(self._where):
            rows = await self._database.days.find(query, {"_id": 0, "k": 0}).batch_size(4000).to_list(None)
            again = await self._again(rows)
        found = []
        for row in rows:
            node = row["n"]
            start = int(row["d"])
            made = again.get((node, start))
            if made is not None:
                found.append(NodeDay(node, start, max(made.until, start), made.day))
            else:
                day = days_of.decode(row["b"]) if "b" in row else Day()
                found.append(NodeDay(node, start, max(int(row["u"]), start), day))
        return found

    async def _again(self, rows: Sequence[Document]) -> dict[tuple[str, int], Again]:
        """Make again what is stale of stored days and not final."""
        stale = [row for row in rows if not is_fresh(row)]
        if not stale:
            return {}
        final = await self._final()
        return await self._making.again([row for row in stale if row["d"] >= final])

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
                await self._again(await self._database.days.find(stale, {"n": 1, "d": 1}).to_list(None))
            assert reached[node] >= final
        with translated(self._where):
            await self._database.derived.update_one({"_id": ""}, {"$max": {"final": final}}, upsert=True)
        return final
