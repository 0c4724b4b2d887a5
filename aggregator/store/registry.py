"""What is kept about nodes: the fleet, its desired documents, who changed what.

What always holds: every write is journaled before it returns. A desired document is replaced only if the one
it was made from still stands, so no change is lost to another made at the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]
_DUPLICATE = 11000
KEPT_VERSIONS = 100  # of a node's desired documents


class Registry:
    """Nodes of one database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def nodes(self) -> list[Document]:
        """Return every node that was ever heard, as it was saved."""
        with translated(self._where):
            return [row async for row in self._database.nodes.find()]

    async def save_nodes(self, nodes: Mapping[str, Document]) -> None:
        """Save what is known of some nodes."""
        rows = [UpdateOne({"_id": name}, {"$set": fields}, upsert=True) for name, fields in nodes.items()]
        with translated(self._where):
            while rows:
                try:
                    await self._database.nodes.bulk_write(rows, ordered=False)
                    return
                except BulkWriteError as error:  # another aggregator saves the same new nodes
                    failed = (error.details or {}).get("writeErrors", [])
                    if not failed or any(row["code"] != _DUPLICATE for row in failed):
                        raise
                    rows = [rows[row["index"]] for row in failed]

    async def expect_node(self, node: str, until: int) -> None:
        """Keep that a node may join, with a code that is good until then (Unix ms)."""
        with translated(self._where):
            await self._database.joins.replace_one({"_id": node}, {"until": until}, upsert=True)

    async def expected(self) -> dict[str, int]:
        """Return the nodes that were let in to join, joined or not, with the end of their codes (Unix ms)."""
        with translated(self._where):
            return {row["_id"]: int(row["until"]) async for row in self._database.joins.find()}

    async def remove_node(self, node: str, losses: int = 0) -> bool:
        """Take a node out of the fleet; return False if it was not in it. Its facts stay until they expire.

        What was refused of it goes, and `losses` that it told of are told no more: whoever has its name next
        begins anew.
        """
        with translated(self._where):
            found = await self._database.nodes.find_one({"_id": node})
            change = {"removed": True, "removed_at": now(), "losses": losses}
            await self._database.nodes.update_one({"_id": node}, {"$set": change}, upsert=True)
            await self._database.wants.delete_one({"_id": node})
            await self._database.joins.delete_one({"_id": node})
            await self._database.places.delete_one({"_id": node})
            await self._database.copies.delete_one({"_id": node})
            await self._database.meta.update_one({"_id": "places"}, {"$inc": {"version": 1}}, upsert=True)
            for name in ("quarantine", "conflicts"):
                await self._database[name].delete_many({"n": node})
        return found is not None and not found.get("removed")

    async def removed(self) -> dict[str, int]:
        """Return the nodes that were taken out and have not come back -> losses that they had told of."""
        with translated(self._where):
            rows = self._database.nodes.find({"removed": True}, {"losses": 1})
            return {row["_id"]: int(row.get("losses", 0)) async for row in rows}

    async def want(self, node: str) -> Document | None:
        """Return the desired document of a node: {"version", "document"}."""
        with translated(self._where):
            found: Document | None = await self._database.wants.find_one({"_id": node})
            return found

    async def wants(self, nodes: Sequence[str] | None = None) -> list[Document]:
        """Return the desired documents of some nodes, or of all."""
        query = {} if nodes is None else {"_id": {"$in": list(nodes)}}
        with translated(self._where):
            return [row async for row in self._database.wants.find(query)]

    async def put_want(
        self, node: str, replaces: int | None, version: int, document: bytes, **more: Any
    ) -> bool:
        """Set the desired document if the one it `replaces` (None: none) still stands; return if it did.

        `more`: who wanted it, and what else is kept beside it.
        """
        row = {"version": version, "document": document.decode(), "at": now(), **more}
        with translated(self._where):
            try:
                if replaces is None:
                    await self._database.wants.insert_one({"_id": node, **row})
                    return True
                query = {"_id": node, "version": replaces}
                done = await self._database.wants.update_one(query, {"$set": row})
            except DuplicateKeyError:
                return False
        return bool(done.matched_count)

    async def keep_version(self, node: str, row: Document) -> None:
        """Keep a desired document in the history of its node."""
        past = self._database.wanted
        with translated(self._where):
            await past.replace_one({"_id": f"{node}:{row['version']}"}, {"n": node, **row}, upsert=True)
            await past.delete_many({"n": node, "version": {"$lte": row["version"] - KEPT_VERSIONS}})

    async def versions(self, node: str, limit: int) -> list[Document]:
        """Return the desired documents that a node has had, the newest first."""
        with translated(self._where):
            found = self._database.wanted.find({"n": node}).sort("version", -1).limit(limit)
            return [row async for row in found]

    async def write_audit(self, entry: Document) -> None:
        """Keep who did what."""
        with translated(self._where):
            await self._database.audit.insert_one({"at": now(), **entry})

    # ── the aggregators themselves ──

    async def beat(self, name: str, seconds: float) -> int:
        """Say that this aggregator lives; return how many others said so within `seconds`."""
        with translated(self._where):
            await self._database.aggregators.update_one({"_id": name}, {"$set": {"at": now()}}, upsert=True)
        return len([other for other in await self.living(seconds) if other != name])

    async def watch(
        self, name: str, node: str, camera: str, open_here: list[tuple[bool, str, str]], seconds: float
    ) -> list[tuple[bool, str, str]]:
        """Say for so long who has a camera open at this aggregator; return who has it open at others.

        Of each: whether pictures are asked for, the role of who looks, and who that is.
        """
        watches = self._database.watches
        key = f"{name}:{node}:{camera}"
        row = {"n": node, "c": camera, "open": open_here, "until": now() + timedelta(seconds=seconds)}
        with translated(self._where):
            if open_here:
                await watches.replace_one({"_id": key}, row, upsert=True)
            else:
                await watches.delete_many({"$or": [{"_id": key}, {"until": {"$lt": now()}}]})
            others = watches.find({"n": node, "c": camera, "_id": {"$ne": key}, "until": {"$gt": now()}})
            return [
                (bool(look[0]), str(look[1]), "".join(look[2:3]))  # an older aggregator names nobody
                async for other in others
                for look in other["open"]
            ]

    async def living(self, seconds: float) -> list[str]:
        """Return the aggregators that said within `seconds` that they live."""
        fresh = {"at": {"$gt": now() - timedelta(seconds=seconds)}}
        with translated(self._where):
            return [str(row["_id"]) async for row in self._database.aggregators.find(fresh, {"_id": 1})]
