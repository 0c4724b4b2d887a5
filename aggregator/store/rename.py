"""A node's new name in everything that is stored of it: facts, days, settings, place, orders, alerts.

    renames    {_id: the new name, was, at, by, state: "asked" or "moving"}

What always holds: names of batches move first, so that what the box sends again under its new name is known.
A document is made under the new name before it is taken away under the old one, and each step can be
repeated: a rename that is cut goes on. The old name stays in the fleet as one that was taken out, so an
aggregator that saves what it last heard of it brings nobody back. The audit log stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pymongo import ReplaceOne, UpdateOne

from aggregator.site_time import now
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated
from aggregator.store.running_totals import Key, digest

# The ids of the first begin with the node's name; that of the others is the name.
_BELOW = (
    BATCHES, EVENTS, TALLIES, LOSSES, RESOURCES, "boxclocks", "quarantine", "conflicts", "days", "wanted",
    "departures",
)  # fmt: skip
_WHOLE = ("derived", "wants", "places", "overrides", "copies", "joins")
_NAMING = ("n", "node")
_AT_ONCE = 2000

Document = dict[str, Any]


class RenameStore:
    """The names of one database's nodes. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def all(self) -> list[Document]:
        """Return the renames that are not done."""
        with translated(self._where):
            return [row async for row in self._database.renames.find()]

    async def ask(self, old: str, new: str, user: str) -> None:
        """Keep that a box is asked to take another name."""
        row = {"was": old, "at": now(), "by": user, "state": "asked"}
        with translated(self._where):
            await self._database.renames.replace_one({"_id": new}, row, upsert=True)

    async def confirm(self, new: str) -> None:
        """Keep that the box has taken the name, and that its history has to follow."""
        with translated(self._where):
            await self._database.renames.update_one({"_id": new}, {"$set": {"state": "moving"}})

    async def done(self, new: str) -> None:
        """Forget a rename that is done, or that the box has refused."""
        with translated(self._where):
            await self._database.renames.delete_one({"_id": new})

    async def is_free(self, name: str) -> bool:
        """Return whether nothing is stored under a name, not even of a node that was removed."""
        with translated(self._where):
            for kind in ("nodes", "joins", "applications"):
                found = await self._database[kind].find_one(
                    {"_id": name, "removed": {"$ne": True}}, {"_id": 1}
                )
                if found is not None:
                    return False
            for kind in ("counts", TALLIES):
                if await self._database[kind].find_one({"n": name}, {"_id": 1}) is not None:
                    return False
        return True

    async def move(self, old: str, new: str) -> None:
        """Give everything of a node its new name."""
        with translated(self._where):
            for name in _BELOW:
                await self._each(name, _below(old), lambda row: _renamed(row, old, new))
            await self._each("counts", {"n": old}, lambda row: _count(row, new))
            await self._each("apart", {"n": old}, lambda row: _apart(row, old, new))
            for name in _WHOLE:
                await self._each(name, {"_id": old}, lambda row: {**row, "_id": new})
            await self._node(old, new)
            await self._database.orders.update_many({"node": old}, {"$set": {"node": new}})
            await self._in_alerts(old, new)
            await self._database.meta.update_one({"_id": "places"}, {"$inc": {"version": 1}}, upsert=True)

    async def _node(self, old: str, new: str) -> None:
        """Give the node's place in the fleet its new name, and leave the old one as taken out."""
        nodes = self._database.nodes
        row = await nodes.find_one({"_id": old, "removed": {"$ne": True}})
        if row is not None:
            await nodes.replace_one({"_id": new}, {**row, "_id": new}, upsert=True)
        gone = {"removed": True, "removed_at": now(), "losses": 0}
        await nodes.update_one({"_id": old}, {"$set": gone}, upsert=True)

    async def _each(self, name: str, query: Document, change: Callable[[Document], Document]) -> None:
        """Make each document that is found under its new id, then take the old one away."""
        rows = self._database[name]
        while found := [row async for row in rows.find(query).limit(_AT_ONCE)]:
            await rows.bulk_write(list(_written(name, map(change, found))), ordered=False)
            await rows.delete_many({"_id": {"$in": [row["_id"] for row in found]}})

    async def _in_alerts(self, old: str, new: str) -> None:
        """Let rules that name the node, and alerts of it, go on under the new name."""
        rules = {"$set": {"scope.nodes.$": new}}
        await self._database.alert_rules.update_many({"scope.nodes": old}, rules)
        await self._database.alerts.update_many(
            {"parts.node": old}, {"$set": {"parts.$[part].node": new}}, array_filters=[{"part.node": old}]
        )


def _below(node: str) -> Document:
    return {"_id": {"$gt": f"{node}:", "$lt": f"{node};"}}


def _renamed(row: Document, old: str, new: str) -> Document:
    naming = {field: new for field in _NAMING if row.get(field) == old}
    return {**row, **naming, "_id": new + str(row["_id"]).removeprefix(old)}


def _count(row: Document, new: str) -> Document:
    key = Key(new, int(row["y"]), row["c"], row["i"], int(row["r"]), row["d"], row["l"], int(row["h"]))
    return {**row, "n": new, "_id": digest(key)}


def _apart(row: Document, old: str, new: str) -> Document:
    inner = _count(row["row"], new) if row["from"] == "counts" else _renamed(row["row"], old, new)
    return {**row, "n": new, "row": inner, "_id": {"from": row["from"], "id": inner["_id"]}}


def _written(name: str, rows: Iterable[Document]) -> Iterable[Any]:
    """Return what makes documents: bounds of totals are widened, what is there already stays newest."""
    for row in rows:
        if name == "counts":
            fixed = {key: value for key, value in row.items() if key not in ("_id", "n", "s", "e")}
            lowest = {f"s.{minute}": total for minute, total in row["s"].items()}
            highest = {f"e.{minute}": total for minute, total in row["e"].items()}
            change = {"$setOnInsert": fixed, "$min": lowest, "$max": highest}
            yield UpdateOne({"_id": row["_id"], "n": row["n"]}, change, upsert=True)
        else:
            yield ReplaceOne({"_id": row["_id"]}, row, upsert=True)
