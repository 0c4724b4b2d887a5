"""What is kept of alerts: rules, outlets, the alerts themselves; their messages are in the `outbox`.

What always holds: what people say of an
alert (acknowledged, snoozed, closed) and what the rule finds are different fields, so neither overwrites the
other. Every write is journaled before it returns.

    rules outlets     as the API takes them, by id
    alerts            what rules found; `stored_at` once it is closed, from then on it expires
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from pymongo import DESCENDING, UpdateOne

from aggregator.site_time import now
from aggregator.store.errors import translated
from aggregator.store.outbox import Document, Outbox, plain

PEOPLES = ("state", "snoozed_until", "changed", "changed_by", "closed", "why", "quiet")


class AlertBook:
    """The collections of the alerts. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where
        self.outbox = Outbox(database, where)

    async def prepare(self) -> None:
        """Make the indexes; the caller translates errors."""
        await self._database.alerts.create_index([("state", 1), ("opened", -1)])
        await self._database.alerts.create_index("opened")
        await self.outbox.prepare()

    # ── rules and outlets: documents by id, as msgspec gives them ──

    async def all(self, kind: str) -> list[Document]:
        """Return all of `alert_rules` or `alert_outlets`, by id."""
        with translated(self._where):
            return [plain(row) async for row in self._database[kind].find().sort("_id", 1)]

    async def one(self, kind: str, id_: str) -> Document | None:
        """Return one of them."""
        with translated(self._where):
            found = await self._database[kind].find_one({"_id": id_})
        return plain(found) if found else None

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
            return [plain(row) async for row in self._database.alerts.find(query)]

    async def states(self, ids: Collection[str]) -> list[Document]:
        """Return what people have said of alerts."""
        if not ids:
            return []
        fields = dict.fromkeys(PEOPLES, 1)
        with translated(self._where):
            rows = self._database.alerts.find({"_id": {"$in": list(ids)}}, fields)
            return [plain(row) async for row in rows]

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
        return plain(found) if found else None

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
            return [plain(row) async for row in self._database.alerts.aggregate(stages)]

    async def alert(self, id_: str) -> Document | None:
        """Return one alert."""
        return await self.one("alerts", id_)

    async def history(self, query: Document, limit: int) -> list[Document]:
        """Return alerts, the newest first."""
        with translated(self._where):
            rows = self._database.alerts.find(query).sort("opened", DESCENDING).limit(limit)
            return [plain(row) async for row in rows]

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
