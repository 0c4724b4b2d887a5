"""Which start of a node is its box, and which are copies'; and what of these was stored, taken out of the
counts.

    copies     {_id: node, kept, stopped: starts of the agent, since, forked: Unix ms, resolved, by}
    apart      what lay in another collection: {_id: its collection and id, n, y: the start, from, row}

What always holds: what is set aside is nowhere counted, is kept as long as details, and comes back as it was.
Each step can be repeated. The names of batches stay, so nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne, UpdateOne

from agent import wire
from aggregator.site_time import now
from aggregator.store import codec, detail
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated
from aggregator.store.running_totals import HOUR, MINUTE, Marks

_SINGLE = (EVENTS, TALLIES, LOSSES, RESOURCES)  # their ids begin with the batch's
_AT_ONCE = 1000

Document = dict[str, Any]
Raise = Callable[[Marks, datetime], Awaitable[None]]
Mark = Callable[[set[tuple[str, int]]], Awaitable[None]]


class CloneStore:
    """The copies of one database's boxes.

    `mark`: notes that hours of nodes are to be counted anew. `raise_counts`: writes bounds of running totals.
    """

    def __init__(self, database: Any, where: str, mark: Mark, raise_counts: Raise) -> None:
        self._database = database
        self._where = where
        self._mark = mark
        self._raise_counts = raise_counts

    async def all(self) -> list[Document]:
        """Return what is known of every node that has copies."""
        with translated(self._where):
            return [row async for row in self._database.copies.find()]

    async def put(self, node: str, fields: Document) -> None:
        """Keep what is known of a node's copies."""
        with translated(self._where):
            await self._database.copies.replace_one({"_id": node}, fields, upsert=True)

    async def remove(self, node: str) -> None:
        """Forget a node's copies: another box has its name now. What was set aside expires."""
        with translated(self._where):
            await self._database.copies.delete_one({"_id": node})

    # ── out of the counts ──

    async def set_aside(self, node: str, epoch: int, since: int = 0) -> int:
        """Take what a start has told since a moment (Unix ms) out of the counts; return how much it was."""
        amount = 0
        with translated(self._where):
            for name in _SINGLE:
                query = {**_below(node, epoch), "a": {"$gte": since}}
                amount += await self._move(name, query, node, epoch)
            amount += await self._move_details(node, epoch, since)
            amount += await self._move_counts(node, epoch, since)
            left = await self._left_of_minute(node, epoch, since)
        await self._raise_counts(left, now())
        return amount

    async def _move(self, name: str, query: Document, node: str, epoch: int) -> int:
        amount = 0
        while rows := [row async for row in self._database[name].find(query).limit(_AT_ONCE)]:
            await self._keep([(name, row) for row in rows], node, epoch)
            await self._database[name].delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
            amount += len(rows)
        return amount

    async def _move_details(self, node: str, epoch: int, since: int) -> int:
        """Take the events out of batches; their names stay."""
        query = {**_below(node, epoch), "e": {"$exists": True}, "a": {"$gte": since}}
        rows = [row async for row in self._database[BATCHES].find(query)]
        await self._keep([(BATCHES, _events_of(row)) for row in rows], node, epoch)
        gone = {"$unset": dict.fromkeys(detail.NAMES, "")}
        await self._database[BATCHES].update_many({"_id": {"$in": [row["_id"] for row in rows]}}, gone)
        return len(rows)

    async def _move_counts(self, node: str, epoch: int, since: int) -> int:
        """Take the minutes from `since` on out of the bounds of running totals."""
        query = {"n": node, "y": epoch, "h": {"$gte": since // HOUR * HOUR}}
        rows = [row async for row in self._database.counts.find(query)]
        moved = [part for row in rows if (part := _minutes_from(row, since))["s"]]
        await self._keep([("counts", row) for row in moved], node, epoch)
        whole = {row["_id"]: len(row["s"]) for row in rows}
        for row in moved:
            await self._drop_minutes(row, whole[row["_id"]] == len(row["s"]))
        await self._mark({(node, int(row["h"])) for row in moved})
        return len(moved)

    async def _left_of_minute(self, node: str, epoch: int, since: int) -> Marks:
        """Return what a start had counted of the minute of `since`, before it, by its single events."""
        left = Marks()
        span = {"$gte": since // MINUTE * MINUTE, "$lt": since}
        for name in (BATCHES, EVENTS):
            async for row in self._database[name].find({**_below(node, epoch), "a": span}):
                for stored in detail.events_of(row) if "e" in row or name == EVENTS else ():
                    if isinstance(stored.event, wire.Crossing):
                        left.add(node, epoch, stored.event)
        return left

    async def _drop_minutes(self, part: Document, whole: bool) -> None:
        """Take minutes out of a document; `whole`: they are all of it. None without minutes may be read."""
        counts = self._database.counts
        if whole:
            await counts.delete_one({"_id": part["_id"]})
            return
        gone = {f"{side}.{minute}": "" for side in ("s", "e") for minute in part[side]}
        await counts.update_one({"_id": part["_id"]}, {"$unset": gone})

    async def _keep(self, rows: list[tuple[str, Document]], node: str, epoch: int) -> None:
        moment = now()
        changes = []
        for name, row in rows:
            place = {"from": name, "id": row["_id"]}
            kept = {"n": node, "y": epoch, "from": name, "row": row, "stored_at": moment}
            changes.append(ReplaceOne({"_id": place}, kept, upsert=True))
        if changes:
            await self._database.apart.bulk_write(changes, ordered=False)

    # ── and back ──

    async def take_back(self, node: str, epoch: int) -> int:
        """Put what was set aside of a start back where it was; return how much it was."""
        amount = 0
        hours: set[tuple[str, int]] = set()
        with translated(self._where):
            while rows := [
                row async for row in self._database.apart.find({"n": node, "y": epoch}).limit(_AT_ONCE)
            ]:
                for name in {row["from"] for row in rows}:
                    some = [row["row"] for row in rows if row["from"] == name]
                    await self._database[name].bulk_write(list(_put_back(name, some)), ordered=False)
                    hours |= {(node, int(row["h"])) for row in some if name == "counts"}
                await self._database.apart.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
                amount += len(rows)
        await self._mark(hours)
        return amount


def _below(node: str, epoch: int) -> Document:
    """Return the query for what has the id of one of a start's batches, or begins with it."""
    first = codec.batch_id(node, epoch, 0).removesuffix("0")
    return {"_id": {"$gt": first, "$lt": first[:-1] + chr(ord(first[-1]) + 1)}}


def _events_of(row: Document) -> Document:
    return {name: row[name] for name in ("_id", "n", *detail.NAMES) if name in row}


def _minutes_from(row: Document, since: int) -> Document:
    """Return a document of bounds with its minutes from a moment on."""
    hour = int(row["h"])
    late = {minute for minute in row["s"] if hour + (int(minute) + 1) * MINUTE > since}
    cut = {side: {minute: row[side][minute] for minute in late} for side in ("s", "e")}
    return {**row, **cut}


def _put_back(name: str, rows: list[Document]) -> Iterator[Any]:
    for row in rows:
        query = {"_id": row["_id"], "n": row["n"]}
        if name == "counts":
            fixed = {key: value for key, value in row.items() if key not in ("_id", "n", "s", "e")}
            lowest = {f"s.{minute}": total for minute, total in row["s"].items()}
            highest = {f"e.{minute}": total for minute, total in row["e"].items()}
            yield UpdateOne(query, {"$setOnInsert": fixed, "$min": lowest, "$max": highest}, upsert=True)
        elif name == BATCHES:
            yield UpdateOne({"_id": row["_id"]}, {"$set": {key: row[key] for key in row if key != "_id"}})
        else:
            yield ReplaceOne({"_id": row["_id"]}, row, upsert=True)
