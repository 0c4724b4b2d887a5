"""What is kept of alerts: rules, outlets, the alerts themselves, and the messages that wait to be sent.

What always holds: a message has one id and is kept once, however often it is given. What people say of an
alert (acknowledged, snoozed, closed) and what the rule finds are different fields, so neither overwrites the
other. Every write is journaled before it returns.

    rules outlets     as the API takes them, by id
    alerts            what rules found; `stored_at` once it is closed, from then on it expires
    outbox            messages: `state` waiting, sent or given up; `due` Unix ms
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson.int64 import Int64
from pymongo import DESCENDING, UpdateOne

from aggregator.site_time import now
from aggregator.store.errors import translated

Document = dict[str, Any]

PEOPLES = ("state", "snoozed_until", "changed", "changed_by", "closed", "why", "quiet")
_MOST_WAITING = 1000  # messages of one outlet; beyond this the oldest are given up


class AlertBook:
    """The collections of the alerts. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def prepare(self) -> None:
        """Make the indexes; the caller translates errors."""
        await self._database.alerts.create_index([("state", 1), ("opened", -1)])
        await self._database.alerts.create_index("opened")
        await self._database.outbox.create_index([("state", 1), ("outlet", 1), ("due", 1)])

    # ── rules and outlets: documents by id, as msgspec gives them ──

    async def all(self, kind: str) -> list[Document]:
        """Return all of `alert_rules` or `alert_outlets`, by id."""
        with translated(self._where):
            return [_plain(row) async for row in self._database[kind].find().sort("_id", 1)]

    async def one(self, kind: str, id_: str) -> Document | None:
        """Return one of them."""
        with translated(self._where):
            found = await self._database[kind].find_one({"_id": id_})
        return _plain(found) if found else None

    async def put(self, kind: str, document: Document, replaces: int | None = None) -> bool:
        """Keep one; where `replaces` is given, only if that version still stands. Return if it was kept."""
        row = {key: value for key, value in document.items() if key != "id"}
        query: Document = {"_id": document["id"]}
        if replaces is not None:
            query["version"] = replaces
        with translated(self._where):
            done = await self._database[kind].replace_one(query, row, upsert=replaces is None)
        return bool(done.matched_count or done.upserted_id is not None)

    async def remove(self, kind: str, id_: str) -> bool:
        """Take one away; return whether there was one."""
        with translated(self._where):
            done = await self._database[kind].delete_one({"_id": id_})
        return bool(done.deleted_count)

    # ── alerts ──

    async def standing(self) -> list[Document]:
        """Return the alerts that are not closed, and those that were closed by hand and still hold."""
        query = {"$or": [{"state": {"$ne": "closed"}}, {"quiet": True}]}
        with translated(self._where):
            return [_plain(row) async for row in self._database.alerts.find(query)]

    async def states(self, ids: Collection[str]) -> list[Document]:
        """Return what people have said of alerts."""
        if not ids:
            return []
        fields = dict.fromkeys(PEOPLES, 1)
        with translated(self._where):
            rows = self._database.alerts.find({"_id": {"$in": list(ids)}}, fields)
            return [_plain(row) async for row in rows]

    async def save(self, alerts: Iterable[tuple[Document, bool]]) -> None:
        """Save alerts; of each, whether its state was changed by the rule, and is to be saved too."""
        changes = []
        for document, moved in alerts:
            ours = {key: value for key, value in document.items() if key not in (*PEOPLES, "id")}
            theirs = {key: document[key] for key in PEOPLES}
            if moved and document["state"] == "closed":
                theirs["stored_at"] = now()
            change = {"$set": {**ours, **theirs}} if moved else {"$set": ours, "$setOnInsert": theirs}
            changes.append(UpdateOne({"_id": document["id"]}, change, upsert=True))
        if changes:
            with translated(self._where):
                await self._database.alerts.bulk_write(changes, ordered=False)

    async def say(self, id_: str, fields: Document) -> Document | None:
        """Set what a person says of an alert that is not closed; return it, None if there is none."""
        change = {**fields, "stored_at": now()} if fields["state"] == "closed" else fields
        with translated(self._where):
            found = await self._database.alerts.find_one_and_update(
                {"_id": id_, "state": {"$ne": "closed"}}, {"$set": change}, return_document=True
            )
        return _plain(found) if found else None

    async def board(self, limit: int) -> list[Document]:
        """Return the newest alerts that are not closed, with the nodes and texts of their parts."""
        fields = dict.fromkeys(("name", "severity", "state", "opened"), 1)
        stages: list[Document] = [
            {"$match": {"state": {"$ne": "closed"}}},
            {"$sort": {"opened": DESCENDING}},
            {"$limit": limit},
            {"$project": {**fields, "nodes": "$parts.node", "texts": "$parts.text"}},
        ]
        with translated(self._where):
            return [_plain(row) async for row in self._database.alerts.aggregate(stages)]

    async def alert(self, id_: str) -> Document | None:
        """Return one alert."""
        return await self.one("alerts", id_)

    async def history(self, query: Document, limit: int) -> list[Document]:
        """Return alerts, the newest first."""
        with translated(self._where):
            rows = self._database.alerts.find(query).sort("opened", DESCENDING).limit(limit)
            return [_plain(row) async for row in rows]

    # ── messages ──

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
        return _plain(found) if found else None

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
            amount = int(await rows.count_documents(query)) - _MOST_WAITING
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
            return [_plain(row) async for row in rows]

    # ── what the conditions ask ──

    async def wanted_versions(self) -> dict[str, int]:
        """Return node -> version of the document that is wanted of it."""
        with translated(self._where):
            rows = self._database.wants.find({}, {"version": 1})
            return {row["_id"]: int(row["version"]) async for row in rows}

    async def conflicting(self, since: datetime) -> list[str]:
        """Return the nodes of which a batch came with other contents since a moment."""
        with translated(self._where):
            query = {"stored_at": {"$gt": since}}
            return [str(node) for node in await self._database.conflicts.distinct("n", query)]


def last_hour() -> datetime:
    """Return the moment an hour ago."""
    return now() - timedelta(hours=1)


def _plain(row: Document) -> Document:
    """Return a document with `id` in the place of `_id`, and Python's own numbers."""
    fields = {key: value for key, value in row.items() if key not in ("_id", "stored_at")}
    numbers = {key: int(value) for key, value in fields.items() if isinstance(value, Int64)}
    return {"id": row["_id"], **fields, **numbers}


def _without_id(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "id"}
