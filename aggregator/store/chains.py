"""The bounds of running totals of a span of time, with as much of what lies before it as is needed.

What a total was before the span is mostly told in the hour before it, by the tallies, which repeat all
totals. Only for a row that is not told there, the day before is read too; and for a start of an agent of
which nothing lies there either, the last day on which it told something, however far back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from aggregator.slices import in_turns
from aggregator.store.day import DAY
from aggregator.store.errors import translated
from aggregator.store.running_totals import HOUR, REACH, Increment, increments

_CHUNK = 2000  # documents of one answer
_TOGETHER = 20  # nodes that are computed before others have their turn
_FIELDS = {"_id": 0, "stored_at": 0, "stored_as": 0, "dated": 0}

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

    async def today(
        self, nodes: Sequence[str], start: int, since: int, until: int
    ) -> dict[str, list[Increment]]:
        """Return node -> what was counted in [since, until), an hour as one step where it can be.

        A total before it is looked for a day back and no further. `start`: the midnight, which may lie within
        an hour; `since`: that, or a full hour.
        """
        first = since // HOUR * HOUR
        with translated(self._where):
            found = await self._read(nodes, first - HOUR, until, {})
            deep = [node for node, rows in found.items() if _is_unanchored(rows, first)]
            earlier = await self._read(deep, first - REACH, first - HOUR, {}) if deep else {}
            for node, rows in earlier.items():
                found[node] += rows

        def whole(hour: int) -> bool:
            return not hour < start < hour + HOUR

        steps: dict[str, list[Increment]] = {}
        async for nodes in in_turns(list(found), _TOGETHER):
            for node in nodes:
                told = increments(found[node], whole)
                steps[node] = [step for step in told if since <= step.minute < until]
        return steps

    async def documents(
        self, nodes: Sequence[str], since: int, until: int, only: Document | None = None
    ) -> dict[str, list[Document]]:
        """Return node -> documents of the hours that touch [since, until), and of those that they need."""
        first = since // HOUR * HOUR
        with translated(self._where):
            found = await self._read(nodes, first - HOUR, until, only or {})
            await self._deepen(found, first, only or {})
        return found

    async def each(
        self, nodes: Sequence[str], since: int, until: int
    ) -> AsyncIterator[tuple[str, list[Document]]]:
        """Iterate over (node, its documents as `documents` returns them), in one stream; raise PyMongoError.

        A node of which nothing was told comes too, with no documents.
        """
        first = since // HOUR * HOUR
        cursor = self._database.counts.find(_hours(nodes, first - HOUR, until, {}), _FIELDS)
        cursor = cursor.sort("n", 1).batch_size(_CHUNK)
        held: dict[str, list[Document]] = {}
        silent = set(nodes)
        while some := await cursor.to_list(_CHUNK):
            for row in some:
                held.setdefault(row["n"], []).append(row)
            for node in list(held)[:-1]:
                silent.discard(node)
                yield node, await self._whole(node, held.pop(node), first)
        for node, rows in held.items():
            silent.discard(node)
            yield node, await self._whole(node, rows, first)
        for node in sorted(silent):
            yield node, []

    async def _whole(self, node: str, rows: list[Document], first: int) -> list[Document]:
        found = {node: rows}
        await self._deepen(found, first, {})
        return found[node]

    async def _deepen(self, found: dict[str, list[Document]], first: int, only: Document) -> None:
        """Add what lies further back than the hour before `first`, for the nodes that need it."""
        deep = [node for node, rows in found.items() if _is_unanchored(rows, first)]
        if not deep:
            return
        earlier = await self._read(deep, first - HOUR - REACH, first - HOUR, only)
        for node in deep:
            found[node] += earlier.get(node, [])
            found[node] += await self._last_told(node, found[node], first, only)

    async def _read(
        self, nodes: Sequence[str], since: int, until: int, only: Document
    ) -> dict[str, list[Document]]:
        cursor = self._database.counts.find(_hours(nodes, since, until, only), _FIELDS).batch_size(_CHUNK)
        found: dict[str, list[Document]] = defaultdict(list)
        for row in await cursor.to_list(None):
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


def _hours(nodes: Sequence[str], since: int, until: int, only: Document) -> Document:
    return {"n": {"$in": list(nodes)}, "h": {"$gte": since, "$lt": until}, **only}


def _is_unanchored(rows: Sequence[Document], first: int) -> bool:
    """True if a row of the span is not told in the hour before it."""
    told = {_row_of(row) for row in rows if row["h"] < first}
    return any(_row_of(row) not in told for row in rows)


def _row_of(row: Document) -> tuple[str, str, int, str, str]:
    return row["c"], row["i"], row["r"], row["d"], row["l"]


def _inside(rows: Sequence[Document], since: int, until: int) -> Iterator[Increment]:
    return (step for step in increments(rows) if since <= step.minute < until)
