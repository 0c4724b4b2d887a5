"""Erasing what was stored of a node: all of it, or the single events of a period; and what is left.

What always holds: what is erased is counted, and then looked for again; the answer says how much was still
found. Sums by the minute and by the quarter hour name no single object: they go with the whole node only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aggregator.store import codec, detail
from aggregator.store.box_clock import LATEST
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated

_SAMPLES_MS = 60_000  # a document of samples reaches so far
_REFUSED = ("quarantine", "conflicts")
_OF_NODES = (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "days", "apart", *_REFUSED)

Document = dict[str, Any]


class Erased(NamedTuple):
    """What was erased: collection -> documents, of batches of a period events; `left`: found after."""

    erased: dict[str, int]
    left: int


class Erase:
    """Erases. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def all_of(self, node: str) -> Erased:
        """Erase everything that a node told. Its place in the fleet, its settings and the audit log stay."""
        below = {"_id": {"$gt": f"{node}:", "$lt": f"{node};"}}
        queries: dict[str, Document] = {name: {"n": node} for name in _OF_NODES}
        queries |= {BATCHES: below, "boxclocks": below, "derived": {"_id": node}}
        erased = {}
        left = 0
        with translated(self._where):
            for name, query in queries.items():
                erased[name] = int((await self._database[name].delete_many(query)).deleted_count)
            for name, query in queries.items():
                left += int(await self._database[name].count_documents(query))
        return Erased(erased, left)

    async def period(self, node: str, since: int, until: int) -> Erased:
        """Erase a node's single events and samples in [since, until), and all that was refused of it."""
        span = {"$gte": since, "$lt": until}
        with translated(self._where):
            done = await self._database[EVENTS].delete_many({"n": node, "a": span})
            erased = {EVENTS: int(done.deleted_count), BATCHES: 0, RESOURCES: 0}
            async for row in self._batches(node, since, until):
                erased[BATCHES] += await self._cut(row, since, until)
            erased[RESOURCES] = await self._cut_samples(node, since, until)
            for name in _REFUSED:
                erased[name] = int((await self._database[name].delete_many({"n": node})).deleted_count)
            left = int(await self._database[EVENTS].count_documents({"n": node, "a": span}))
            async for row in self._batches(node, since, until):
                left += sum(since <= one.event.at < until for one in detail.events_of(row))
        return Erased(erased, left)

    def _batches(self, node: str, since: int, until: int) -> Any:
        reach = {"$gte": since, "$lt": min(until + detail.SPAN, LATEST)}
        query = {"n": node, "t": {"$exists": True}, "a": reach, "e": {"$exists": True}}
        return self._database[BATCHES].find(query)

    async def _cut(self, row: Document, since: int, until: int) -> int:
        """Take a batch's events of the period out of its document; return how many."""
        stored = detail.events_of(row)
        kept = [one for one in stored if not since <= one.event.at < until]
        if len(kept) == len(stored):
            return 0
        gone = dict.fromkeys(detail.NAMES, "")
        change: Document = {"$unset": gone}
        if kept:
            base = int(row["b"])
            events = [(codec.split_id(one.id)[3], one.event) for one in kept]
            told = {codec.split_id(one.id)[3]: one.told for one in kept if one.told is not None}
            fields = detail.fields(events, detail.encoded(events, base), base, told)
            change = {"$set": fields, "$unset": {name: "" for name in gone if name not in fields}}
        await self._database[BATCHES].update_one({"_id": row["_id"]}, change)
        return len(stored) - len(kept)

    async def _cut_samples(self, node: str, since: int, until: int) -> int:
        """Erase the documents of resource samples that touch the period; return how many."""
        rows = self._database[RESOURCES]
        query = {
            "n": node,
            "a": {"$gte": since - _SAMPLES_MS, "$lt": until},
            "at": {"$gte": since, "$lt": until},
        }
        return int((await rows.delete_many(query)).deleted_count)
