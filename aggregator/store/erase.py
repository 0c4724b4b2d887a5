"""Erasing what was stored of a node: all of it, or the single events of a period; and what is left.

What always holds: what is erased is counted, and then looked for again; the answer says how much was still
found. Sums by the minute and by the quarter hour name no single object: they go with the whole node only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aggregator.site_time import now
from aggregator.store import codec, detail
from aggregator.store.box_clock import LATEST
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated

_SAMPLES_MS = 60_000  # a document of samples reaches so far
_REFUSED = ("quarantine", "conflicts")
_APART = "apart"  # what copies of a box told, see `clones`
_OF_NODES = (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "days", _APART, *_REFUSED)
_BELOW = (BATCHES, "boxclocks", "departures")  # their ids begin with the node's name

_SINGLE_APART = {EVENTS: "a", RESOURCES: "at"}  # collection -> where its times are

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
        """Erase everything that a node told, its answers to orders and its log of pictures too.

        Its place in the fleet, its settings, alerts and the audit log stay.
        """
        below = {"_id": {"$gt": f"{node}:", "$lt": f"{node};"}}
        queries: dict[str, Document] = {name: {"n": node} for name in _OF_NODES}
        queries |= dict.fromkeys(_BELOW, below)
        queries |= {"derived": {"_id": node}, "orders": {"node": node}}
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
            erased[_APART] = await self._cut_apart(node, since, until)
            samples = _samples(node, since, until)
            done = await self._database[RESOURCES].delete_many(samples)
            erased[RESOURCES] = int(done.deleted_count)
            begun = now()
            for name in _REFUSED:
                erased[name] = int((await self._database[name].delete_many({"n": node})).deleted_count)
            left = int(await self._database[EVENTS].count_documents({"n": node, "a": span}))
            left += int(await self._database[RESOURCES].count_documents(samples))
            for name in _REFUSED:  # what comes meanwhile is of another period
                query = {"n": node, "stored_at": {"$lt": begun}}
                left += int(await self._database[name].count_documents(query))
            async for row in self._batches(node, since, until):
                left += _inside(row, since, until)
            async for kept in self._database[_APART].find(_apart(node, BATCHES)):
                left += _inside(_whole(kept), since, until)
            for name, field in _SINGLE_APART.items():
                query = {**_apart(node, name), f"row.{field}": span}
                left += int(await self._database[_APART].count_documents(query))
        return Erased(erased, left)

    def _batches(self, node: str, since: int, until: int) -> Any:
        reach = {"$gte": since, "$lt": min(until + detail.SPAN, LATEST)}
        query = {"n": node, "t": {"$exists": True}, "a": reach, "e": {"$exists": True}}
        return self._database[BATCHES].find(query)

    async def _cut(self, row: Document, since: int, until: int) -> int:
        """Take a batch's events of the period out of its document; return how many."""
        amount = _inside(row, since, until)
        if amount:
            fields = _without(row, since, until)
            gone = {name: "" for name in detail.NAMES if name not in fields}
            change: Document = {"$unset": gone, **({"$set": fields} if fields else {})}
            await self._database[BATCHES].update_one({"_id": row["_id"]}, change)
        return amount

    async def _cut_apart(self, node: str, since: int, until: int) -> int:
        """Take the period out of what copies of the box told; return how many events and samples."""
        rows = self._database[_APART]
        amount = 0
        for name, field in _SINGLE_APART.items():
            query = {**_apart(node, name), f"row.{field}": {"$gte": since, "$lt": until}}
            amount += int((await rows.delete_many(query)).deleted_count)
        async for kept in rows.find(_apart(node, BATCHES)):
            inside = _inside(_whole(kept), since, until)
            fields = _without(_whole(kept), since, until) if inside else {}
            if fields:
                row = {key: value for key, value in kept["row"].items() if key not in detail.NAMES}
                await rows.update_one({"_id": kept["_id"]}, {"$set": {"row": {**row, **fields}}})
            elif inside:
                await rows.delete_one({"_id": kept["_id"]})
            amount += inside
        return amount


def _apart(node: str, name: str) -> Document:
    """Return the query for what was set aside of a node out of a collection."""
    return {"n": node, "from": name}


def _whole(kept: Document) -> Document:
    """Return what was set aside of a batch as its own document would be."""
    return {**kept["row"], "stored_at": kept["stored_at"]}


def _samples(node: str, since: int, until: int) -> Document:
    """Return the query for the documents of resource samples that touch a period."""
    reach = {"$gte": since - _SAMPLES_MS, "$lt": until}
    return {"n": node, "a": reach, "at": {"$gte": since, "$lt": until}}


def _inside(row: Document, since: int, until: int) -> int:
    """Return how many of a batch's events lie in a period."""
    return sum(since <= one.event.at < until for one in detail.events_of(row))


def _without(row: Document, since: int, until: int) -> Document:
    """Return a batch's fields of detail without the events of a period; none are left: nothing."""
    kept = [one for one in detail.events_of(row) if not since <= one.event.at < until]
    if not kept:
        return {}
    base = int(row["b"])
    events = [(codec.split_id(one.id)[3], one.event) for one in kept]
    told = {codec.split_id(one.id)[3]: one.told for one in kept if one.told is not None}
    return detail.fields(events, detail.encoded(events, base), base, told)
