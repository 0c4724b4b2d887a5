"""Invitations, and the boxes that wait for an administrator's word, as they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]
_ANSWERED = timedelta(seconds=10)  # after it asked, a box has its answer


class JoinStore:
    """Who may join. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def add(self, id_: str, fields: Document) -> None:
        """Keep an invitation."""
        with translated(self._where):
            await self._database.invitations.insert_one({"_id": id_, "created": now(), **fields})

    async def all(self) -> list[Document]:
        """Return all invitations, the newest first."""
        with translated(self._where):
            return [row async for row in self._database.invitations.find().sort("created", -1)]

    async def take_one(self, id_: str, key: str) -> Document | None:
        """Use up one box of an invitation that is still good; None if it is not. `key`: of its secret."""
        query = {"_id": id_, "key": key, "left": {"$gt": 0}, "until": {"$gt": now()}}
        with translated(self._where):
            found: Document | None = await self._database.invitations.find_one_and_update(
                query, {"$inc": {"left": -1}, "$set": {"taken": now()}}, return_document=ReturnDocument.AFTER
            )
            return found

    async def give_back(self, id_: str) -> None:
        """Give one box back to an invitation: nobody joined with it."""
        with translated(self._where):
            await self._database.invitations.update_one({"_id": id_}, {"$inc": {"left": 1}})

    async def remove(self, id_: str) -> bool:
        """Take an invitation away; return whether there was one."""
        with translated(self._where):
            return bool((await self._database.invitations.delete_one({"_id": id_})).deleted_count)

    async def over(self) -> list[str]:
        """Return the invitations that are used up or too old, and have not been closed at the broker.

        One that was just used stays: the broker cuts off who still waits for the answer.
        """
        since = {"taken": {"$not": {"$gt": now() - _ANSWERED}}}
        old: list[Document] = [{"left": {"$lte": 0}, **since}, {"until": {"$lte": now()}, **since}]
        with translated(self._where):
            rows = self._database.invitations.find({"$or": old, "closed": {"$ne": True}}, {"_id": 1})
            return [str(row["_id"]) async for row in rows]

    async def close(self, id_: str) -> None:
        """Note that an invitation is closed at the broker."""
        with translated(self._where):
            await self._database.invitations.update_one({"_id": id_}, {"$set": {"closed": True}})

    # ── who waits for a word ──

    async def wait(self, node: str, invitation: str) -> None:
        """Keep that a box waits for an administrator's word."""
        row: Document = {"invitation": invitation, "at": now()}
        with translated(self._where):
            await self._database.applications.replace_one({"_id": node}, row, upsert=True)

    async def waiting(self) -> list[tuple[str, str, datetime]]:
        """Return who waits: node, invitation, since when; the oldest first."""
        with translated(self._where):
            rows = self._database.applications.find().sort("at", 1)
            return [(row["_id"], row["invitation"], row["at"]) async for row in rows]

    async def decided(self, node: str) -> bool:
        """Note that a box waits no more; return whether it did."""
        with translated(self._where):
            return bool((await self._database.applications.delete_one({"_id": node})).deleted_count)
