"""Orders to nodes and their answers, as they are kept. How long is for `retention`."""

from __future__ import annotations

from typing import Any

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]
_WITHOUT_PICTURE = {"jpeg": 0}


class OrderStore:
    """The orders of one database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._orders = database.orders
        self._where = where

    async def prepare(self) -> None:
        """Make the indexes; raise pymongo's errors."""
        await self._orders.create_index([("node", 1), ("at", -1)])
        await self._orders.create_index("at")

    async def add(self, id_: str, fields: Document) -> None:
        """Keep an order that is about to be sent."""
        with translated(self._where):
            await self._orders.insert_one({"_id": id_, "at": now(), "state": "sent", **fields})

    async def answer(self, node: str, id_: str, fields: Document) -> bool:
        """Keep the answer of the node that was asked; return whether it was the first one."""
        query = {"_id": id_, "node": node, "state": "sent"}
        with translated(self._where):
            done = await self._orders.update_one(query, {"$set": {"answered": now(), **fields}})
        return bool(done.modified_count)

    async def get(self, node: str, id_: str, *, picture: bool = False) -> Document | None:
        """Return an order; with its picture if asked."""
        with translated(self._where):
            found: Document | None = await self._orders.find_one(
                {"_id": id_, "node": node}, None if picture else _WITHOUT_PICTURE
            )
            return found

    async def newest(self, node: str, user: str, limit: int) -> list[Document]:
        """Return a node's orders, the newest first; of one user, or (empty) of all."""
        query = {"node": node, **({"user": user} if user else {})}
        with translated(self._where):
            found = self._orders.find(query, _WITHOUT_PICTURE).sort("at", -1).limit(limit)
            return [row async for row in found]
