"""The bounds of running totals of a span of time, with as much of what lies before it as is needed.

What a total was before the span is mostly told in the hour before it, by the tallies, which repeat all
totals. Only for a row that is not told there, the day before is read too; and for a start of an agent of
which nothing lies there either, the last day on which it told something, however far back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from aggregator.store.day import DAY
from aggregator.store.errors import translated
from aggregator.store.running_totals import HOUR, REACH, Increment, increments

Document = dict[str, Any]


class Chains:
    """Reads `counts`. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def increments(
        self, nodes: Sequence[str], since: int, until: int, only: Document | None = None
    ) -> dict[str, list[Increment]]:
        """Return node -> what its minutes in [since, until) counted. `only`: see `of_kind`."""
        found = await self.documents(nodes, since, until, only)
        return {node: list(_inside(rows, since, until)) for node, rows in found.items()}

    async def documents(
        self, nodes: Sequence[str], since: int, until: int, only: Document | None = None
    ) -> dict[str, list[Document]]:
        """Return node -> documents of the hours that touch [since, until), and of those that they need."""
        first = since // HOUR * HOUR
        with translated(self._where):
            found = await self._read(nodes, first - HOUR, until, only or {})
            deep = [node for node, rows in found.items() if _is_unanchored(rows, first)]
            if deep:
                earlier = await self._read(deep, first - HOUR - REACH, first - HOUR, only or {})
                for node in deep:
                    found[node] += earlier.get(node, [])
                    found[node] += await self._last_told(node, found[node], first, only or {})
        return found

    async def _read(
        self, nodes: Sequence[str], since: int, until: int, only: Document
    ) -> dict[str, list[Document]]:
        query = {"n": {"$in": list(nodes)}, "h": {"$gte": since, "$lt": until}, **only}
        fields = {"_id": 0, "stored_at": 0, "stored_as": 0, "dated": 0}
        found: dict[str, list[Document]] = defaultdict(list)
        async for row in self._database.counts.find(query, fields).batch_size(2000):
            found[row["n"]].append(row)
        return found

    async def _last_told(
        self, node: str, rows: Sequence[Document], first: int, only: Document
    ) -> list[Document]:
        """Return the last documents before the span, of agents' starts of which none was read."""
        before = {row["y"] for row in rows if row["h"] < first}
        found: list[Document] = []
        for epoch in {row["y"] for row in rows} - before:
            query = {"n": node, "k": epoch, "d": {"$lte": first // DAY * DAY}}
            days = self._database.days.find(query, {"d": 1}).sort("d", -1).limit(2)
            async for day in days:
                hours = {"$gte": day["d"], "$lt": min(int(day["d"]) + DAY, first)}
                some = self._database.counts.find({"n": node, "y": epoch, "h": hours, **only})
                found += [row async for row in some]
        return found


def _is_unanchored(rows: Sequence[Document], first: int) -> bool:
    """True if a row of the span is not told in the hour before it."""
    told = {_row_of(row) for row in rows if row["h"] < first}
    return any(_row_of(row) not in told for row in rows)


def _row_of(row: Document) -> tuple[str, str, int, str, str]:
    return row["c"], row["i"], row["r"], row["d"], row["l"]


def _inside(rows: Sequence[Document], since: int, until: int) -> Iterator[Increment]:
    return (step for step in increments(rows) if since <= step.minute < until)
