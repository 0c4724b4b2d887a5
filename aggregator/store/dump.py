"""The whole database as bytes, and back, while aggregators write to it.

What always holds: `batches` is copied before everything else. A batch is marked stored only after its events
and counts were written, so whatever the copy says is stored is in the copy; what came later is sent again by
its box, or is there twice under one id, which is once. `derived` is copied before `days`: what it says is
ready is in the copy. What lives for seconds only (`_PASSING`) is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from aggregator.store.errors import StoreError, translated

_PASSING = frozenset(("aggregators", "leases", "watches"))
_SIGNS_OF_LIFE = ("batches", "nodes", "users", "wants")
_PART_BYTES = 4 * 1024 * 1024
_AT_ONCE = 5000
_DUPLICATE = 11000
_RESTORED = "restored"

Document = dict[str, Any]


class Dump:
    """One database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def parts(self) -> AsyncIterator[tuple[str, bytes]]:
        """Iterate over everything: name of a collection, some of its documents as BSON back to back."""
        with translated(self._where):
            found = await self._database.list_collection_names(filter={"type": "collection"})
            names = [
                name for name in sorted(found) if name not in _PASSING and not name.startswith("system.")
            ]
            for name in sorted(names, key=lambda each: (each != "batches", each != "derived")):
                part = bytearray()
                async for raw in self._database[name].find_raw_batches({}, batch_size=_AT_ONCE):
                    part += raw
                    if len(part) >= _PART_BYTES:
                        yield name, bytes(part)
                        part.clear()
                if part:
                    yield name, bytes(part)

    async def refusal(self, backup: str) -> str:
        """Return why a backup cannot be loaded here; empty if it can, into nothing or half of the same."""
        with translated(self._where):
            begun = await self._database.meta.find_one({"_id": _RESTORED})
            if begun is not None and begun["backup"] == backup and "at" not in begun:
                return ""
            for name in _SIGNS_OF_LIFE:
                if await self._database[name].find_one({}, {"_id": 1}) is not None:
                    return (
                        f"the database {self._database.name!r} at {self._where} holds a centre already; name "
                        "an empty one in [mongodb] database, or drop it first"
                    )
        return ""

    async def check_whole(self) -> None:
        """Raise StoreError where a restore into this database has not come to its end."""
        with translated(self._where):
            begun = await self._database.meta.find_one({"_id": _RESTORED})
        if begun is not None and "at" not in begun:
            raise StoreError(
                f"a restore into the database {self._database.name!r} at {self._where} has not come to its "
                "end: run `gb-aggregator restore` with the same file again, it goes on where it was"
            )

    async def begin(self, backup: str, taken: int) -> None:
        """Note that a backup, made at `taken` (Unix ms), is being loaded."""
        row = {"backup": backup, "taken": taken}
        with translated(self._where):
            await self._database.meta.replace_one({"_id": _RESTORED}, row, upsert=True)

    async def load(self, name: str, part: bytes) -> int:
        """Add documents; those already there stay. Return how many there are in the part."""
        rows = list(_documents(part))
        with translated(self._where):
            if name == "meta":
                for row in rows:
                    if row["_id"] != _RESTORED:
                        await self._database.meta.replace_one({"_id": row["_id"]}, row, upsert=True)
                return len(rows)
            for start in range(0, len(rows), _AT_ONCE):
                await self._insert(name, rows[start : start + _AT_ONCE])
        return len(rows)

    async def _insert(self, name: str, rows: list[RawBSONDocument]) -> None:
        try:
            await self._database[name].insert_many(rows, ordered=False)
        except BulkWriteError as error:
            failed = (error.details or {}).get("writeErrors", [])
            other = [row["errmsg"][:200] for row in failed if row["code"] != _DUPLICATE]
            if other or not failed:
                raise StoreError(f"MongoDB at {self._where}: {(other or ['the write failed'])[0]}") from None

    async def done(self, at: int) -> None:
        """Note that all of it is there; returns when that is on disk."""
        with translated(self._where):
            await self._database.meta.update_one({"_id": _RESTORED}, {"$set": {"at": at}})


def _documents(part: bytes) -> Iterator[RawBSONDocument]:
    """Cut BSON documents that lie back to back; each begins with its length, 4 bytes little-endian."""
    place = 0
    while place < len(part):
        end = place + int.from_bytes(part[place : place + 4], "little")
        yield RawBSONDocument(part[place:end])
        place = end
