"""The messages of alerts that wait to be sent, and what became of them.

What always holds: a message has one id and is kept once, however often it is given. At most MOST_WAITING wait
for one outlet; the oldest are given up, and that is counted. Every write is journaled before it returns.

    outbox            messages: `state` waiting, sent or given up; `due` Unix ms
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from bson.int64 import Int64
from pymongo import UpdateOne

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]

MOST_WAITING = 1000


class Outbox:
    """The collection of messages. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def prepare(self) -> None:
        """Make the index; the caller translates errors."""
        await self._database.outbox.create_index([("state", 1), ("outlet", 1), ("due", 1)])

    async def post(self, messages: Sequence[Document]) -> None:
        """Keep messages to be sent; those that are kept already stay as they are."""
        changes = [
            UpdateOne(
                {"_id": message["id"]},
                {"$setOnInsert": {**_without_id(message), "state": "waiting", "stored_at": now()}},
                upsert=True,
            )
            for message in messages
        ]
        if changes:
            with translated(self._where):
                await self._database.outbox.bulk_write(changes, ordered=False)

    async def next(self, outlet: str) -> Document | None:
        """Return the message that an outlet sends next, due or not: they go in order."""
        query = {"state": "waiting", "outlet": outlet}
        with translated(self._where):
            found = await self._database.outbox.find_one(query, sort=[("made", 1), ("_id", 1)])
        return plain(found) if found else None

    async def waiting(self) -> list[str]:
        """Return the outlets for which messages wait."""
        with translated(self._where):
            return [
                str(name) for name in await self._database.outbox.distinct("outlet", {"state": "waiting"})
            ]

    async def mark(self, id_: str, fields: Document) -> None:
        """Note what became of a message."""
        with translated(self._where):
            await self._database.outbox.update_one({"_id": id_}, {"$set": fields})

    async def drop_oldest(self, outlet: str, error: str) -> int:
        """Give up the oldest of an outlet's messages where too many wait; return how many."""
        query = {"state": "waiting", "outlet": outlet}
        with translated(self._where):
            rows = self._database.outbox
            amount = int(await rows.count_documents(query)) - MOST_WAITING
            if amount <= 0:
                return 0
            found = [row["_id"] async for row in rows.find(query, {"_id": 1}).sort("made", 1).limit(amount)]
            change = {"$set": {"state": "given up", "error": error}}
            await rows.update_many({"_id": {"$in": found}}, change)
        return amount

    async def messages(self, alerts: Collection[str]) -> list[Document]:
        """Return what became of the messages of alerts, oldest first."""
        fields = {"alert": 1, "what": 1, "outlet": 1, "state": 1, "error": 1, "made": 1, "attempts": 1}
        with translated(self._where):
            rows = self._database.outbox.find({"alert": {"$in": list(alerts)}}, fields).sort("made", 1)
            return [plain(row) async for row in rows]


def plain(row: Document) -> Document:
    """Return a document with `id` in the place of `_id`, and Python's own numbers."""
    fields = {key: value for key, value in row.items() if key not in ("_id", "stored_at")}
    numbers = {key: int(value) for key, value in fields.items() if isinstance(value, Int64)}
    return {"id": row["_id"], **fields, **numbers}


def _without_id(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "id"}
