"""What was stored, read back: events, samples, tallies, counts, and what arrived at all.

What always holds: a question reads and changes nothing. Events have two orders: by their own time, newest
first, for people; and by the time of storing, for whoever goes on where they were and must miss nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from agent import wire
from aggregator.store import codec, resent
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.detail import SPAN, Stored, events_of, samples_of
from aggregator.store.errors import translated

_SEQ = {"$toInt": {"$arrayElemAt": [{"$split": ["$_id", ":"]}, 2]}}  # a batch's number, of its id

Document = dict[str, Any]
_AT_ONCE = 200  # documents that are decoded together


class Archive:
    """The facts of one database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where
        self._first: dict[tuple[str, str], int] = {}

    async def first_seen(self, node: str, camera: str) -> int | None:
        """Return the Unix ms of a camera's first tally; None if there is none yet."""
        if (node, camera) not in self._first:
            query = {"n": node, "c": camera}
            with translated(self._where):
                found = await self._database[TALLIES].find_one(query, {"a": 1}, sort=[("a", ASCENDING)])
            if found is None:
                return None
            self._first[node, camera] = int(found["a"])
        return self._first[node, camera]

    def forget_first(self, node: str) -> None:
        """Have a node's first tallies looked for again: their times have changed."""
        self._first = {key: at for key, at in self._first.items() if key[0] != node}

    async def newest(
        self, node: str, kinds: Iterable[type], since: int, until: int, limit: int
    ) -> list[Stored]:
        """Return events of a node in [since, until), newest first."""
        found: list[Stored] = []
        with translated(self._where):
            for name, tags in _homes(kinds).items():
                found += await self._newest_of(name, node, tags, (since, until), limit)
        found.sort(key=lambda one: (one.event.at, one.id), reverse=True)
        return found[:limit]

    async def _newest_of(
        self, name: str, node: str, tags: list[int], span: tuple[int, int], limit: int
    ) -> list[Stored]:
        """Read documents by their last event, until what follows can only be older than what was found."""
        since, until = span
        reach = SPAN if name == BATCHES else 0
        query: Document = {"n": node, "a": {"$gte": since, "$lt": until + reach}}
        if name in (EVENTS, BATCHES):
            query["t"] = {"$in": tags}
        if name == BATCHES:
            query["e"] = {"$exists": True}
        found: list[Stored] = []
        newest: list[int] = []  # a heap of the `limit` newest times
        async for row in self._database[name].find(query).sort("a", DESCENDING):
            if len(newest) == limit and row["a"] < newest[0]:
                break
            for one in events_of(row, tags):
                if since <= one.event.at < until:
                    found.append(one)
                    heapq.heappush(newest, one.event.at)
                    if len(newest) > limit:
                        heapq.heappop(newest)
        return found

    async def each(
        self, node: str, kind: type, since: int, until: int, camera: str = ""
    ) -> AsyncIterator[Any]:
        """Iterate over a node's events of one kind in [since, until), in no order; empty camera: all."""
        tag = wire.EVENT_TAGS[kind]
        query = {"n": node, "t": tag}
        spans = {EVENTS: {"$gte": since, "$lt": until}, BATCHES: {"$gte": since, "$lt": until + SPAN}}
        with translated(self._where):
            for name, span in spans.items():
                more = {"e": {"$exists": True}} if name == BATCHES else {}
                rows = self._database[name].find({**query, "a": span, **more})
                while some := await rows.to_list(_AT_ONCE):
                    for one in await asyncio.to_thread(_events, some, (tag,)):
                        if since <= one.event.at < until and camera in ("", one.event.camera):
                            yield one.event

    async def after(self, id_: str, kinds: Iterable[type], node: str, limit: int) -> list[Stored]:
        """Return what was stored after an event, in that order; `node` empty: of all nodes.

        Nothing is returned for an event that is unknown or has expired.
        """
        with translated(self._where):
            origin = await self._origin(id_)
            if origin is None:
                return []
            found: list[Stored] = []
            for name, tags in _homes(kinds).items():
                query: Document = {"n": node} if node else {}
                if name in (EVENTS, BATCHES):
                    query["t"] = {"$in": tags}
                found += await self._stored_after(name, query, tags, origin, limit)
        found.sort(key=lambda one: one.order)
        return found[:limit]

    async def _origin(self, id_: str) -> tuple[datetime, str, int, int, int] | None:
        """Return an event's place in the order of storing; a resource sample has that of its batch."""
        batch = id_.rpartition(":")[0]
        for name in (EVENTS, TALLIES, LOSSES, RESOURCES, BATCHES):
            query: Document = {"_id": batch if name in (RESOURCES, BATCHES) else id_}
            row = await self._database[name].find_one(query)
            if row is None or (name == BATCHES and all(one.id != id_ for one in events_of(row))):
                continue
            return (row["stored_at"], *codec.split_id(id_))
        return None

    async def _stored_after(
        self,
        name: str,
        query: Document,
        tags: list[int],
        origin: tuple[datetime, str, int, int, int],
        limit: int,
    ) -> list[Stored]:
        """Page through one collection: ties of `stored_at` are always read whole."""
        later = {**query, "stored_at": {"$gte": origin[0]}}
        found: list[Stored] = []
        moment = origin[0]
        async for row in self._database[name].find(later).sort("stored_at", ASCENDING):
            if len(found) >= limit and row["stored_at"] > moment:
                break
            moment = row["stored_at"]
            found += [one for one in events_of(row, tags) if one.order > origin]
        return found

    async def stored_since(self, moment: datetime, limit: int) -> list[Stored]:
        """Return what any aggregator stored since a moment, oldest first."""
        found: list[Stored] = []
        with translated(self._where):
            for name in (EVENTS, BATCHES, TALLIES, LOSSES, RESOURCES):
                rows = self._database[name].find({"stored_at": {"$gte": moment}})
                async for row in rows.sort("stored_at", ASCENDING).limit(limit):
                    found += samples_of(row) if name == RESOURCES else events_of(row)
        found.sort(key=lambda one: one.stored_at)
        return found[:limit]

    async def resources(self, node: str, since: int, until: int, limit: int) -> list[Document]:
        """Return resource documents of a node, newest first. A document reaches a minute back."""
        query = {"n": node, "a": {"$gte": since - 60_000, "$lt": until}}
        with translated(self._where):
            rows = self._database[RESOURCES].find(query).sort("a", DESCENDING).limit(limit)
            return [row async for row in rows]

    async def watch(self, node: str, since: int, until: int) -> list[Document]:
        """Return camera `c`, watched `w`, blind `x`, inferred `g`, p95 `u` of tallies in [since, until)."""
        fields = {"_id": 0, "c": 1, "w": 1, "x": 1, "g": 1, "u": 1}
        with translated(self._where):
            rows = self._database[TALLIES].find({"n": node, "a": {"$gte": since, "$lt": until}}, fields)
            return [row async for row in rows.sort("a", ASCENDING)]

    async def hours(self, node: str, since: int, until: int, only: Document | None = None) -> list[Document]:
        """Return the count documents of a node whose hour lies in [since, until); `only`: see `of_kind`."""
        query = {"n": node, "h": {"$gte": since, "$lt": until}, **(only or {})}
        with translated(self._where):
            rows = self._database.counts.find(query)
            return [row async for row in rows]

    # ── single objects ──

    async def speeds(
        self, node: str, camera: str, line: str, since: int, until: int
    ) -> dict[tuple[str, str, str, str], list[int]]:
        """Return (camera, line, direction, label) -> speeds in tenths of km/h."""
        found: dict[tuple[str, str, str, str], list[int]] = {}
        async for one in self.each(node, wire.Crossing, since, until, camera):
            if one.speed is not None and line in ("", one.line):
                key = (one.camera, one.line, one.direction, one.label)
                found.setdefault(key, []).append(one.speed)
        return found

    async def gates(
        self, node: str, camera: str, since: int, until: int
    ) -> AsyncIterator[tuple[str, str, list[tuple[str, int]]]]:
        """Iterate over tracks that passed gates: camera, label, gates with ms since first sight."""
        async for one in self.each(node, wire.Track, since, until, camera):
            if one.gates:
                yield one.camera, one.label, [(gate.text, gate.after) for gate in one.gates]

    # ── what arrived ──

    async def delivery(self, node: str) -> Document:
        """Return what is stored of a node, by epoch, and what was lost or refused."""
        stages = [
            {"$match": {"_id": {"$gt": f"{node}:", "$lt": f"{node};"}, "d": True}},
            {
                "$group": {
                    "_id": {"$arrayElemAt": [{"$split": ["$_id", ":"]}, 1]},
                    "stored": {"$sum": "$g"}, "bad": {"$sum": "$q"}, "first": {"$min": "$stored_at"},
                    "batches": {"$sum": 1}, "low": {"$min": _SEQ}, "high": {"$max": _SEQ},
                }
            },
            {"$sort": {"first": 1}},
        ]  # fmt: skip
        with translated(self._where):
            epochs = [row async for row in self._database.batches.aggregate(stages)]
            lost = [row async for row in self._database[LOSSES].find({"n": node}, {"o": 1, "u": 1})]
            amounts = {"_id": 1, "seen": 1, "messages": 1}
            rows = self._database.quarantine.find({"n": node, "whole": True}, amounts)
            whole = [1 if row["_id"] != f"{node}:more" else _counted(row) async for row in rows]
            conflicts = await self._database.conflicts.count_documents({"n": node})
        found: Document = {
            "epochs": [
                {"epoch": int(row["_id"]), "stored": int(row["stored"]), "missing": _missing(row)}
                for row in epochs
            ],
            "lost": sum(int(row["o"]) for row in lost),
            "conflicts": conflicts,
            "quarantined": sum(int(row["bad"]) for row in epochs) + sum(whole),
        }
        return found | {"lost_unknown": True} if any(row.get("u") for row in lost) else found

    async def longer(self, batches: Mapping[str, resent.Events]) -> set[str]:
        """Return which batches are stored with all these events and more, see `resent`."""
        with translated(self._where):
            return await resent.longer(self._database, batches)

    async def losses(self) -> dict[str, int]:
        """Return node -> how many events it says it has lost."""
        stages = [{"$group": {"_id": "$n", "amount": {"$sum": "$o"}}}]
        with translated(self._where):
            return {row["_id"]: int(row["amount"]) async for row in self._database[LOSSES].aggregate(stages)}

    async def unknown_losses(self) -> list[str]:
        """Return the nodes that have lost events and cannot say how many."""
        with translated(self._where):
            return [str(node) for node in await self._database[LOSSES].distinct("n", {"u": True})]


def _missing(row: Document) -> int:
    """Return how many batches between an epoch's first and last are not here: on their way, or lost here."""
    return int(row["high"]) - int(row["low"]) + 1 - int(row["batches"])


def _counted(row: Document) -> int:
    """Return how many messages were counted and not kept; older documents do not tell them from events."""
    return int(row["messages"] if "messages" in row else row["seen"])


def _homes(kinds: Iterable[type]) -> dict[str, list[int]]:
    """Return collection -> wire tags of the kinds that live there (resource samples excepted)."""
    homes: dict[str, list[int]] = {}
    for kind in kinds:
        home = codec.HOME.get(kind, EVENTS)
        for name in (EVENTS, BATCHES) if home == EVENTS else () if home == RESOURCES else (home,):
            homes.setdefault(name, []).append(wire.EVENT_TAGS[kind])
    return homes


def _events(rows: Sequence[Document], tags: Collection[int]) -> list[Stored]:
    return [one for row in rows for one in events_of(row, tags)]
