"""Putting right, in the store, the times of boxes whose clock was found to be wrong.

What always holds: a document whose time was put right keeps the one that its box told (`was`), and every new
finding starts from that, so doing it again changes nothing. The counts of the epoch are made again from its
events, since they are bounds by minute and cannot be moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pymongo import UpdateOne

from agent import wire
from aggregator.store import codec, detail
from aggregator.store.box_clock import BoxClock
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated
from aggregator.store.running_totals import Marks

_AT_ONCE = 2000

Document = dict[str, Any]
Epoch = tuple[str, int]  # a node and the number of a start of its agent
Raise = Callable[[Marks, datetime], Awaitable[None]]
Mark = Callable[[Iterable[tuple[str, int]]], Awaitable[None]]


class Redate:
    """What is known of boxes' clocks, and what they dated.

    Args:
        database: its collections.
        where: the database's address, for errors.
        raise_counts: widens bounds of running totals.
        mark: told the hours of nodes whose detail has changed.
    """

    def __init__(self, database: Any, where: str, raise_counts: Raise, mark: Mark) -> None:
        self._database = database
        self._where = where
        self._raise_counts = raise_counts
        self._mark = mark

    async def clocks(self, epochs: Iterable[Epoch]) -> dict[Epoch, BoxClock]:
        """Return what is known of the clocks of some epochs."""
        wanted = {f"{node}:{epoch}": (node, epoch) for node, epoch in epochs}
        found = {epoch: BoxClock() for epoch in wanted.values()}
        with translated(self._where):
            async for row in self._database.boxclocks.find({"_id": {"$in": list(wanted)}}):
                bound = None if row["bound"] is None else int(row["bound"])
                found[wanted[row["_id"]]] = BoxClock(
                    [int(one) for one in row["offsets"]], bound, row["fresh"]
                )
        return found

    async def save(self, clocks: Mapping[Epoch, BoxClock], stored_at: datetime) -> None:
        """Keep what is known of the clocks of some epochs."""
        changes = []
        for (node, epoch), clock in clocks.items():
            fields = {"offsets": clock.offsets, "bound": clock.bound, "fresh": clock.is_fresh}
            change = {"$set": {**fields, "stored_at": stored_at}}
            changes.append(UpdateOne({"_id": f"{node}:{epoch}"}, change, upsert=True))
        if changes:
            with translated(self._where):
                await self._database.boxclocks.bulk_write(changes, ordered=False)

    async def put_right(self, node: str, epoch: int, clock: BoxClock, stored_at: datetime) -> int:
        """Put right what an epoch's batches told, as far as its clock is known; return how many documents."""
        changed = 0
        counted = False
        with translated(self._where):
            batches = self._database.batches.find(_of(f"{node}:{epoch}", o={"$exists": True}))
            async for batch in batches:
                mono = int(batch["m"])
                base = int(batch["o"]) + mono
                if "e" in batch:
                    amount = await self._put_detail_right(batch, clock, base, mono)
                    changed += amount
                    counted = counted or amount > 0
                for name in (EVENTS, TALLIES, LOSSES, RESOURCES):
                    amount = await self._put_batch_right(name, batch["_id"], clock, base, mono)
                    changed += amount
                    counted = counted or (amount > 0 and name in (EVENTS, TALLIES))
            if counted:
                await self._count_again(node, epoch, stored_at)
        return changed

    async def _put_batch_right(self, name: str, id_: str, clock: BoxClock, base: int, mono: int) -> int:
        query = {"_id": id_} if name == RESOURCES else _of(id_)
        changes = []
        async for row in self._database[name].find(query, {"a": 1, "was": 1, "at": 1}):
            told = int(row.get("was", row["a"]))
            right = clock.correct(told, base, mono)
            if right != row["a"]:
                fields: Document = {"a": right, "was": told}
                if name == RESOURCES:
                    fields["at"] = [int(at) + right - int(row["a"]) for at in row["at"]]
                changes.append(UpdateOne({"_id": row["_id"]}, {"$set": fields}))
        if changes:
            await self._database[name].bulk_write(changes, ordered=False)
        return len(changes)

    async def _put_detail_right(self, batch: Document, clock: BoxClock, base: int, mono: int) -> int:
        """Put right the events in a batch's own document."""
        stored = detail.events_of(batch)
        events: list[tuple[int, wire.AnyEvent]] = []
        told: dict[int, int] = {}
        changed = 0
        for one in stored:
            place = codec.split_id(one.id)[3]
            said = one.event.at if one.told is None else one.told
            right = clock.correct(said, base, mono)
            changed += right != one.event.at
            if right != said:
                told[place] = said
            events.append((place, msgspec.structs.replace(one.event, at=right)))
        if changed:
            start = int(batch["b"])
            fields = detail.fields(events, detail.encoded(events, start), start, told)
            if not detail.is_short([event for _, event in events]):
                await self._apart(batch, events, told)
                return changed
            gone = {"$unset": {"was": ""}} if "was" not in fields else {}
            await self._database.batches.update_one({"_id": batch["_id"]}, {"$set": fields, **gone})
        return changed

    async def _apart(
        self, batch: Document, events: Sequence[tuple[int, wire.AnyEvent]], told: Mapping[int, int]
    ) -> None:
        """Make documents of their own of events that no longer lie near each other."""
        for place, event in events:
            id_ = f"{batch['_id']}:{place}"
            row = codec.encode(batch["n"], id_, event, batch["stored_at"], told.get(place))
            await self._database[EVENTS].replace_one({"_id": id_}, row, upsert=True)
        gone = dict.fromkeys(detail.NAMES, "")
        await self._database.batches.update_one({"_id": batch["_id"]}, {"$unset": gone})

    async def _count_again(self, node: str, epoch: int, stored_at: datetime) -> None:
        """Make the bounds of an epoch's running totals anew. What is stored meanwhile is raised by itself."""
        rows = self._database.counts
        left = {(node, int(hour)) for hour in await rows.distinct("h", {"n": node, "y": epoch})}
        await rows.delete_many({"n": node, "y": epoch})
        marks = Marks()
        number = 0
        async for event in self._with_totals(f"{node}:{epoch}"):
            marks.add(node, epoch, event)
            number += 1
            if number % _AT_ONCE == 0:
                await self._raise_counts(marks, stored_at)
                marks = Marks()
        await self._raise_counts(marks, stored_at)
        await self._mark(left)

    async def _with_totals(self, id_: str) -> AsyncIterator[wire.AnyEvent]:
        crossing = wire.EVENT_TAGS[wire.Crossing]
        for name, query in ((EVENTS, {"t": crossing}), (BATCHES, {"t": crossing}), (TALLIES, {})):
            async for row in self._database[name].find(_of(id_, **query)):
                for one in detail.events_of(row, None if name == TALLIES else (crossing,)):
                    yield one.event


def _of(id_: str, **more: Any) -> Document:
    """Return the query for what lies below an epoch or a batch."""
    return {"_id": {"$gt": f"{id_}:", "$lt": f"{id_};"}, **more}
