"""Sites, groups, and which node belongs to them, as they are kept.

What always holds: each write raises `version`, so that every aggregator can see with one small question that
something has changed. Names are ids of documents, never keys of them, so a dot or a slash in one is harmless.
"""

from __future__ import annotations

from typing import Any

from aggregator.store.errors import translated

Document = dict[str, Any]


class PlaceStore:
    """Where the nodes of one database stand. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def version(self) -> int:
        """Return a number that grows with each change."""
        with translated(self._where):
            found = await self._database.meta.find_one({"_id": "places"})
            return int(found["version"]) if found else 0

    async def all(self, kind: str) -> list[Document]:
        """Return all documents of `sites`, `groups` or `places`."""
        with translated(self._where):
            return [row async for row in self._database[kind].find()]

    async def put(self, kind: str, name: str, fields: Document) -> bool:
        """Set a document whole; return whether it is new."""
        with translated(self._where):
            done = await self._database[kind].replace_one({"_id": name}, fields, upsert=True)
            await self._changed()
            return done.upserted_id is not None

    async def patch(self, kind: str, name: str, fields: Document) -> None:
        """Change some fields of a document, or make it with them; what others change meanwhile stays."""
        with translated(self._where):
            await self._database[kind].update_one({"_id": name}, {"$set": fields}, upsert=True)
            await self._changed()

    async def delete(self, kind: str, name: str) -> bool:
        """Take a document away; return whether there was one."""
        with translated(self._where):
            done = await self._database[kind].delete_one({"_id": name})
            await self._changed()
            return bool(done.deleted_count)

    async def _changed(self) -> None:
        await self._database.meta.update_one({"_id": "places"}, {"$inc": {"version": 1}}, upsert=True)
