"""Who did what, read back: the audit log, newest first."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from bson import ObjectId

from aggregator.store.errors import translated

Document = dict[str, Any]
_TEXTS = ("user", "action", "node", "what")


class Audit:
    """The audit log of one database; `Registry.write_audit` writes it."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def find(
        self, equal: Document, text: str, span: tuple[datetime, datetime], after: str, limit: int
    ) -> list[Document]:
        """Return entries, newest first.

        Args:
            equal: fields and the values that they must have.
            text: what the user, the action, the node or the object must contain, upper or lower case.
            span: from, to (not included).
            after: the id of the entry behind which to go on; empty: the newest.
            limit: at most this many.
        """
        query: Document = {"at": {"$gte": span[0], "$lt": span[1]}, **equal}
        if text:
            query["$or"] = [{name: {"$regex": re.escape(text), "$options": "i"}} for name in _TEXTS]
        with translated(self._where):
            if after:
                last = await self._database.audit.find_one({"_id": ObjectId(after)}) or {}
                older = {"at": {"$lt": last.get("at", span[0])}}
                same = {"at": last.get("at"), "_id": {"$lt": ObjectId(after)}}
                query = {"$and": [query, {"$or": [older, same]}]}
            found = self._database.audit.find(query).sort([("at", -1), ("_id", -1)]).limit(limit)
            return [row async for row in found]


def is_id(text: str) -> bool:
    """Return whether a text can be the id of an entry."""
    return ObjectId.is_valid(text)
