"""What is remembered of what other systems were told: so it can be taken back, and goes on where it was."""

from __future__ import annotations

from typing import Any

from aggregator.store.errors import translated

Document = dict[str, Any]


class OutsideStore:
    """Documents by name. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def all(self, prefix: str) -> dict[str, str]:
        """Return name -> text of what is kept under a prefix, which is taken off."""
        query = {"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}}
        with translated(self._where):
            rows = self._database.outside.find(query)
            return {row["_id"].removeprefix(prefix): str(row["text"]) async for row in rows}

    async def put(self, name: str, text: str) -> None:
        """Keep a text."""
        with translated(self._where):
            await self._database.outside.replace_one({"_id": name}, {"text": text}, upsert=True)

    async def remove(self, name: str) -> None:
        """Forget it."""
        with translated(self._where):
            await self._database.outside.delete_one({"_id": name})
