"""What was stored, read back: events, samples, tallies, counts, and what arrived at all.

What always holds: a question reads and changes nothing. Events have two orders: by their own time, newest
first, for people; and by the time of storing, for whoever goes on where they were and must miss nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from agent import wire
from aggregator.store import codec
from aggregator.store.codec import EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated
from aggregator.store.slots import span

_SEQ = {"$toInt": {"$arrayElemAt": [{"$split": ["$_id", ":"]}, 2]}}  # a batch's number, of its id

Document = dict[str, Any]


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
    ) -> list[Document]:
        """Return events of a node in [since, until), newest first."""
        found: list[Document] = []
        with translated(self._where):
            for name, tags in _homes(kinds).items():
                query: Document = {"n": node, "a": {"$gte": since, "$lt": until}}
                if name == EVENTS:
                    query["t"] = {"$in": tags}
                rows = self._database[name].find(query).sort("a", DESCENDING).limit(limit)
                found += [row async for row in rows]
        found.sort(key=lambda row: (row["a"], row["_id"]), reverse=True)
        return found[:limit]

    async def after(self, id_: str, kinds: Iterable[type], node: str, limit: int) -> list[Document]:
        """Return what was stored after an event, in that order; `node` empty: of all nodes.

        Nothing is returned for an event that is unknown or has expired.
        """
        homes = _homes(kinds)
        with translated(self._where):
            origin = await self._origin(id_)
            if origin is None:
                return []
            found: list[Document] = []
            for name, tags in homes.items():
                query: Document = {"n": node} if node else {}
                if name == EVENTS:
                    query["t"] = {"$in": tags}
                found += await self._stored_after(name, query, origin, limit)
        found.sort(key=_storing_order)
        return found[:limit]

    async def _origin(self, id_: str) -> Document | None:
        """Return `_id` and `stored_at` of an event; a resource sample has those of its batch's document."""
        for name in (EVENTS, TALLIES, LOSSES, RESOURCES):
            held = id_.rpartition(":")[0] if name == RESOURCES else id_
            found = await self._database[name].find_one({"_id": held}, {"stored_at": 1})
            if found:
                return {**found, "_id": id_}
        return None

    async def _stored_after(self, name: str, query: Document, origin: Document, limit: int) -> list[Document]:
        """Page through one collection: ties of `stored_at` are always read whole."""
        rows = self._database[name]
        moment = origin["stored_at"]
        ties = [row async for row in rows.find({**query, "stored_at": moment})]
        found = [row for row in ties if _storing_order(row) > _storing_order(origin)]
        if len(found) >= limit:
            return found
        later = {**query, "stored_at": {"$gt": moment}}
        page = [row async for row in rows.find(later).sort("stored_at", ASCENDING).limit(limit)]
        if len(page) == limit:
            last = page[-1]["stored_at"]
            page = [row for row in page if row["stored_at"] < last]
            page += [row async for row in rows.find({**query, "stored_at": last})]
        return found + page

    async def stored_since(self, moment: datetime, limit: int) -> list[Document]:
        """Return what any aggregator stored since a moment, oldest first."""
        found: list[Document] = []
        with translated(self._where):
            for name in (EVENTS, TALLIES, LOSSES, RESOURCES):
                rows = self._database[name].find({"stored_at": {"$gte": moment}})
                found += [row async for row in rows.sort("stored_at", ASCENDING).limit(limit)]
        found.sort(key=lambda row: row["stored_at"])
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
        query = {**span([node], camera, since, until), "t": wire.EVENT_TAGS[wire.Crossing], "u": {"$gte": 0}}
        day = {"$subtract": ["$a", {"$mod": ["$a", 86_400_000]}]}  # so that no document grows too large
        stages: list[Document] = [
            {"$match": {**query, "i": line} if line else query},
            {"$group": {"_id": {"c": "$c", "i": "$i", "d": "$d", "l": "$l", "s": day}, "u": {"$push": "$u"}}},
        ]
        found: dict[tuple[str, str, str, str], list[int]] = {}
        with translated(self._where):
            async for row in self._database[EVENTS].aggregate(stages):
                key = row["_id"]
                found.setdefault((key["c"], key["i"], key["d"], key["l"]), []).extend(map(int, row["u"]))
        return found

    async def gates(
        self, node: str, camera: str, since: int, until: int
    ) -> AsyncIterator[tuple[str, str, list[tuple[str, int]]]]:
        """Iterate over tracks that passed several gates: camera, label, gates with ms since first sight."""
        query = {
            **span([node], camera, since, until),
            "t": wire.EVENT_TAGS[wire.Track],
            "j": {"$exists": True},
        }
        with translated(self._where):
            async for row in self._database[EVENTS].find(query, {"_id": 0, "c": 1, "l": 1, "j": 1}):
                flat = row["j"]
                yield row["c"], row["l"], list(zip(flat[::2], map(int, flat[1::2]), strict=True))

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
        if home != RESOURCES:
            homes.setdefault(home, []).append(wire.EVENT_TAGS[kind])
    return homes


def _storing_order(row: Document) -> tuple[datetime, str, int, int, int]:
    return (row["stored_at"], *codec.split_id(row["_id"]))
