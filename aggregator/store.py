"""All of MongoDB: the schema, the durable order of writes, and every question that is asked.

What always holds:

* A batch is stored in this order: claim it, insert its events, raise the counts, mark it `d` with a journaled
  write. Only what is marked may be acknowledged. Each step can be repeated: ids make inserts idempotent,
  counts move by `$min` and `$max` only.
* Details expire by `stored_at`, the server's clock, never by a box's.
* What the database cannot do now is a `StoreError` of one line; nothing of pymongo leaves this module.

    events tallies losses resources    what nodes report, see `documents`
    counts                             bounds of running totals by hour, see `counts`
    batches                            names, checksums and sizes of what was stored
    quarantine conflicts               what was refused, and why
    nodes wants audit                  the fleet, its desired documents, who changed them
    users sessions                     who may log in, who is
    meta                               the schema's version
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING, InsertOne, UpdateOne, WriteConcern
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from aggregator import documents
from aggregator.counts import Marks
from aggregator.documents import EVENTS, LOSSES, RESOURCES, TALLIES

SCHEMA = 1
KEPT_POISON = 1000  # quarantined messages and conflicts kept of one node; beyond this they are counted
_RAW_KEPT = 64 * 1024
_DUPLICATE = 11000
_ZSTD = {"wiredTiger": {"configString": "block_compressor=zstd"}}
_NAMESPACE_EXISTS = 48
_DAY = 86_400

Document = dict[str, Any]


class StoreError(Exception):
    """The database cannot be used now; the text is one line: the reason and what to do."""


class Claim(NamedTuple):
    """A batch about to be stored: its id, checksum, and how many events are good and bad."""

    id: str
    sum: bytes
    good: int
    bad: int


class Poison(NamedTuple):
    """Something refused. `whole`: a message that could not be opened, not one event among others."""

    id: str
    node: str
    reason: str
    raw: bytes
    whole: bool


@contextlib.contextmanager
def _plain(where: str) -> Any:
    """Turn pymongo's errors into one line."""
    try:
        yield
    except PyMongoError as error:
        raise StoreError(_explain(error, where)) from None


def _explain(error: PyMongoError, where: str) -> str:
    match error:
        case OperationFailure(code=18):
            return f"MongoDB at {where} refused the login: correct [mongodb] username and password_file"
        case OperationFailure(code=13):
            return f"MongoDB at {where} gives this user no right to its database: grant readWrite"
        case InvalidURI() | ConfigurationError():
            return f"mongodb.uri: {str(error)[:200]}"
        case ServerSelectionTimeoutError():
            return f"no MongoDB answers at {where}: start it, or correct [mongodb] uri"
    return f"MongoDB at {where}: {type(error).__name__}: {str(error).splitlines()[0][:200]}"


def now() -> datetime:
    """Return the server's time as the database keeps it, in whole milliseconds."""
    return datetime.fromtimestamp(int(time.time() * 1000) / 1000, UTC)


class Store:
    """One database. Made by `connect`."""

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        self._database = client[database]
        self._journaled = self._database.with_options(write_concern=WriteConcern(w="majority", j=True))
        self.where = "its address"

    # ── opening ──

    async def prepare(self, detail_days: int, tally_days: int, batch_days: int) -> None:
        """Check the schema's version, make collections and indexes; raise StoreError."""
        with _plain(self.where):
            if "setName" in await self._client.admin.command("hello"):
                self._database = self._journaled  # a replica set: only the majority's word counts
            await self._check_schema()
            for name in (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "batches", "quarantine", "conflicts"):
                await self._make(name)
            await self._database[EVENTS].create_index([("n", 1), ("t", 1), ("a", 1)])
            for name in (TALLIES, RESOURCES):
                await self._database[name].create_index([("n", 1), ("a", 1)])
            await self._database.counts.create_index([("n", 1), ("h", 1)])
            for name in (LOSSES, "quarantine", "conflicts"):
                await self._database[name].create_index("n")
            await self._database.audit.create_index("at")
            for name in (EVENTS, RESOURCES, "quarantine", "conflicts"):
                await self._expire(name, detail_days)
            for name in (TALLIES, LOSSES, "counts"):
                await self._expire(name, tally_days)
            await self._expire("batches", batch_days)
            await self._database.sessions.create_index("expires", expireAfterSeconds=0)

    async def _make(self, name: str) -> None:
        """Make a collection that may be there, or be made by another aggregator at this moment."""
        try:
            await self._database.create_collection(name, storageEngine=_ZSTD)
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise

    async def _check_schema(self) -> None:
        meta = self._database.meta
        found = await meta.find_one({"_id": "schema"})
        if found is None:
            with contextlib.suppress(DuplicateKeyError):
                await meta.insert_one({"_id": "schema", "version": SCHEMA})
        elif found["version"] > SCHEMA:
            raise StoreError(
                f"the database {self._database.name!r} at {self.where} was written by a newer version "
                f"(schema {found['version']}, this one knows {SCHEMA}): upgrade, or name another database"
            )

    async def _expire(self, name: str, days: int) -> None:
        """Set the time to live of a collection, also where another one was set before."""
        try:
            await self._database[name].create_index("stored_at", expireAfterSeconds=days * _DAY)
        except OperationFailure as error:
            if error.code not in (85, 86):
                raise
            index = {"keyPattern": {"stored_at": 1}, "expireAfterSeconds": days * _DAY}
            await self._database.command({"collMod": name, "index": index})

    async def ping(self) -> None:
        """Raise StoreError if the database does not answer."""
        with _plain(self.where):
            await self._client.admin.command("ping")

    # ── the durable order ──

    async def claim(self, claims: Sequence[Claim], stored_at: datetime) -> list[str]:
        """Claim batches; return for each "new", "known" (not yet stored), "stored" or "conflict"."""
        rows = [
            InsertOne({"_id": c.id, "s": c.sum, "g": c.good, "q": c.bad, "stored_at": stored_at})
            for c in claims
        ]
        with _plain(self.where):
            taken = set((await self._insert("batches", rows)).keys())
            if not taken:
                return ["new"] * len(claims)
            ids = [claims[place].id for place in taken]
            found = {row["_id"]: row async for row in self._database.batches.find({"_id": {"$in": ids}})}
        return [
            self._judge(claim, found.get(claim.id)) if place in taken else "new"
            for place, claim in enumerate(claims)
        ]

    @staticmethod
    def _judge(claim: Claim, row: Document | None) -> str:
        if row is None:  # it expired this very moment
            return "known"
        if row["s"] != claim.sum:
            return "conflict"
        return "stored" if row.get("d") else "known"

    async def insert(self, name: str, rows: Sequence[Any]) -> dict[int, str]:
        """Insert documents, those already there ignored; return place -> reason of what is refused."""
        if not rows:
            return {}
        with _plain(self.where):
            failed = await self._insert(name, [InsertOne(row) for row in rows])
        return {place: reason for place, (code, reason) in failed.items() if code != _DUPLICATE}

    async def _insert(self, name: str, rows: Sequence[Any]) -> dict[int, tuple[int, str]]:
        try:
            await self._database[name].bulk_write(rows, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                raise
            return {row["index"]: (row["code"], row["errmsg"][:200]) for row in details["writeErrors"]}
        return {}

    async def raise_counts(self, marks: Marks, stored_at: datetime) -> None:
        """Widen the bounds of running totals."""
        rows = [UpdateOne(query, change, upsert=True) for query, change in marks.updates(stored_at)]
        with _plain(self.where):
            while rows:
                failed = await self._insert("counts", rows)  # two writers upserting the same document
                if any(code != _DUPLICATE for code, _ in failed.values()):
                    raise StoreError(f"MongoDB at {self.where}: {next(iter(failed.values()))[1]}")
                rows = [rows[place] for place in failed]

    async def mark_stored(self, ids: Sequence[str]) -> None:
        """Mark batches stored, journaled; when this returns they may be acknowledged."""
        with _plain(self.where):
            done = await self._journaled.batches.update_many(
                {"_id": {"$in": list(ids)}}, {"$set": {"d": True}}
            )
        if done.matched_count != len(set(ids)):
            raise StoreError(f"MongoDB at {self.where} lost claims that it had taken; they are written again")

    async def keep_conflict(self, id_: str, node: str, sum_: bytes, payload: bytes) -> None:
        """Keep a batch whose number another one already has."""
        row = {"_id": f"{id_}:{sum_.hex()}", "n": node, "raw": payload, "stored_at": now()}
        await self._keep("conflicts", node, row)

    async def quarantine(self, poison: Poison) -> None:
        """Keep what was refused, once, with its reason; beyond the cap only count it."""
        row = {
            "_id": poison.id, "n": poison.node, "why": poison.reason, "whole": poison.whole,
            "raw": poison.raw[:_RAW_KEPT], "size": len(poison.raw), "stored_at": now(),
        }  # fmt: skip
        await self._keep("quarantine", poison.node, row)

    async def _keep(self, name: str, node: str, row: Document) -> None:
        kept = self._journaled[name]
        with _plain(self.where):
            if await kept.count_documents({"n": node}, limit=KEPT_POISON) >= KEPT_POISON:
                row = {"_id": f"{node}:more", "n": node, "why": "more of it is only counted", "whole": True}
            update = {"$inc": {"seen": 1}, "$setOnInsert": {k: v for k, v in row.items() if k != "_id"}}
            await kept.update_one({"_id": row["_id"]}, update, upsert=True)

    # ── facts ──

    async def newest(
        self, node: str, kinds: Iterable[type], since: int, until: int, limit: int
    ) -> list[Document]:
        """Return events of a node in [since, until), newest first."""
        found: list[Document] = []
        with _plain(self.where):
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
        with _plain(self.where):
            origin = None
            for name in (EVENTS, TALLIES, LOSSES):
                origin = origin or await self._database[name].find_one({"_id": id_})
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
        with _plain(self.where):
            for name in (EVENTS, TALLIES, LOSSES, RESOURCES):
                rows = self._database[name].find({"stored_at": {"$gte": moment}})
                found += [row async for row in rows.sort("stored_at", ASCENDING).limit(limit)]
        found.sort(key=lambda row: row["stored_at"])
        return found[:limit]

    async def resources(self, node: str, since: int, until: int, limit: int) -> list[Document]:
        """Return resource documents of a node, newest first. A document reaches a minute back."""
        query = {"n": node, "a": {"$gte": since - 60_000, "$lt": until}}
        with _plain(self.where):
            rows = self._database[RESOURCES].find(query).sort("a", DESCENDING).limit(limit)
            return [row async for row in rows]

    async def tallies(self, node: str, since: int, until: int) -> list[Document]:
        """Return a node's tallies in [since, until), oldest first."""
        with _plain(self.where):
            rows = self._database[TALLIES].find({"n": node, "a": {"$gte": since, "$lt": until}})
            return [row async for row in rows.sort("a", ASCENDING)]

    async def hours(self, node: str, since: int, until: int) -> list[Document]:
        """Return the count documents of a node whose hour lies in [since, until)."""
        with _plain(self.where):
            rows = self._database.counts.find({"n": node, "h": {"$gte": since, "$lt": until}})
            return [row async for row in rows]

    async def delivery(self, node: str) -> Document:
        """Return what is stored of a node, by epoch, and what was lost or refused."""
        stages = [
            {"$match": {"_id": {"$gt": f"{node}:", "$lt": f"{node};"}, "d": True}},
            {
                "$group": {
                    "_id": {"$arrayElemAt": [{"$split": ["$_id", ":"]}, 1]},
                    "stored": {"$sum": "$g"}, "bad": {"$sum": "$q"}, "first": {"$min": "$stored_at"},
                }
            },
            {"$sort": {"first": 1}},
        ]  # fmt: skip
        with _plain(self.where):
            epochs = [row async for row in self._database.batches.aggregate(stages)]
            lost = [row async for row in self._database[LOSSES].find({"n": node}, {"o": 1})]
            whole = [
                row async for row in self._database.quarantine.find({"n": node, "whole": True}, {"_id": 1})
            ]
            conflicts = await self._database.conflicts.count_documents({"n": node})
        return {
            "epochs": [{"epoch": int(row["_id"]), "stored": int(row["stored"])} for row in epochs],
            "lost": sum(int(row["o"]) for row in lost),
            "conflicts": conflicts,
            "quarantined": sum(int(row["bad"]) for row in epochs) + len(whole),
        }

    async def troubles(self) -> dict[str, dict[str, int]]:
        """Return node -> how much of `conflicts`, `quarantine` and `losses` there is."""
        found: dict[str, dict[str, int]] = {}
        with _plain(self.where):
            for name, amount in (("conflicts", 1), ("quarantine", 1), (LOSSES, "$o")):
                stages = [{"$group": {"_id": "$n", "amount": {"$sum": amount}}}]
                async for row in self._database[name].aggregate(stages):
                    found.setdefault(row["_id"], {})[name] = int(row["amount"])
        return found

    # ── the fleet ──

    async def nodes(self) -> list[Document]:
        """Return every node that was ever heard, as it was saved."""
        with _plain(self.where):
            return [row async for row in self._database.nodes.find()]

    async def save_node(self, node: str, fields: Document) -> None:
        """Save what is known of a node."""
        with _plain(self.where):
            await self._database.nodes.update_one({"_id": node}, {"$set": fields}, upsert=True)

    async def forget_node(self, node: str) -> None:
        """Remove a node from the fleet; its facts stay until they expire."""
        with _plain(self.where):
            await self._journaled.nodes.delete_one({"_id": node})
            await self._journaled.wants.delete_one({"_id": node})

    async def want(self, node: str) -> Document | None:
        """Return the desired document of a node: {"version", "document"}."""
        with _plain(self.where):
            found: Document | None = await self._database.wants.find_one({"_id": node})
            return found

    async def wants(self) -> list[Document]:
        """Return the desired documents of all nodes."""
        with _plain(self.where):
            return [row async for row in self._database.wants.find()]

    async def put_want(self, node: str, replaces: int | None, version: int, document: bytes) -> bool:
        """Set the desired document if the one it `replaces` (None: none) still stands; return if it did."""
        row = {"version": version, "document": document.decode()}
        with _plain(self.where):
            try:
                if replaces is None:
                    await self._journaled.wants.insert_one({"_id": node, **row})
                    return True
                query = {"_id": node, "version": replaces}
                done = await self._journaled.wants.update_one(query, {"$set": row})
            except DuplicateKeyError:
                return False
        return bool(done.matched_count)

    async def write_audit(self, entry: Document) -> None:
        """Keep who did what."""
        with _plain(self.where):
            await self._journaled.audit.insert_one({"at": now(), **entry})

    # ── who may come in ──

    async def user(self, name: str) -> Document | None:
        """Return a user: {"role", "salt", "key"}."""
        with _plain(self.where):
            found: Document | None = await self._database.users.find_one({"_id": name})
            return found

    async def save_user(self, name: str, fields: Document) -> None:
        """Add or replace a user; their sessions end."""
        with _plain(self.where):
            await self._journaled.users.update_one({"_id": name}, {"$set": fields}, upsert=True)
            await self._journaled.sessions.delete_many({"user": name})

    async def add_session(self, key: str, fields: Document) -> None:
        """Keep a session under the hash of its secret."""
        with _plain(self.where):
            await self._journaled.sessions.insert_one({"_id": key, **fields})

    async def session(self, key: str) -> Document | None:
        """Return a session that has not expired."""
        with _plain(self.where):
            found: Document | None = await self._database.sessions.find_one(
                {"_id": key, "expires": {"$gt": now()}}
            )
            return found

    async def end_session(self, key: str) -> None:
        """Forget a session."""
        with _plain(self.where):
            await self._journaled.sessions.delete_one({"_id": key})

    async def size(self) -> Document:
        """Return collection -> (documents, bytes of data and indexes on disk)."""
        sizes: Document = {}
        with _plain(self.where):
            await self._client.admin.command({"fsync": 1})
            for name in (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "batches"):
                stats = await self._database.command("collStats", name)
                sizes[name] = (stats["count"], stats["storageSize"] + stats["totalIndexSize"])
        return sizes


def _homes(kinds: Iterable[type]) -> dict[str, list[int]]:
    """Return collection -> wire tags of the kinds that live there (resource samples excepted)."""
    homes: dict[str, list[int]] = {}
    for kind in kinds:
        home = documents.HOME.get(kind, EVENTS)
        if home != RESOURCES:
            homes.setdefault(home, []).append(documents.TAGS[kind])
    return homes


def _storing_order(row: Document) -> tuple[datetime, str, int, int, int]:
    return (row["stored_at"], *documents.split_id(row["_id"]))


@asynccontextmanager
async def connect(
    uri: str,
    database: str,
    *,
    ca_file: str = "",
    detail_days: int = 30,
    tally_days: int = 730,
    batch_days: int = 90,
    patience: float = 0.0,
) -> AsyncIterator[Store]:
    """Open the database and make it ready; raise StoreError after `patience` seconds of its absence."""
    options: Document = {"tls": True, "tlsCAFile": ca_file} if ca_file else {}
    try:
        client: Any = AsyncIOMotorClient(
            uri, tz_aware=True, appname="gb-aggregator", serverSelectionTimeoutMS=2000,
            connectTimeoutMS=3000, socketTimeoutMS=20_000, **options,
        )  # fmt: skip
    except (PyMongoError, ValueError, OSError) as error:
        raise StoreError(f"mongodb.uri: {str(error)[:200]}") from None
    store = Store(client, database)
    store.where = uri.rpartition("@")[2].removeprefix("mongodb://").removeprefix("mongodb+srv://")
    store.where = store.where.partition("/")[0]
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                await store.prepare(detail_days, tally_days, batch_days)
                break
            except StoreError as error:
                if time.monotonic() > deadline or "no MongoDB answers" not in str(error):
                    raise
                await asyncio.sleep(0.2)
        yield store
    finally:
        client.close()
