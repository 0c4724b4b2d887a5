"""How long what was stored is kept, by the time at which it was stored. When to delete is said by `clock`.

What always holds: the database deletes nothing by itself, since its clock or ours may be wrong. A document
that is dated anew keeps its first date, `stored_as`. Moments are Unix milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import OperationFailure

from aggregator.store.codec import EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import translated

_NEVER = 2**31 - 1  # seconds, the longest that the database takes
_DELETED_AT_ONCE = 5000
_OTHER_OPTIONS = 85  # an index is there already, with another time to live
_OTHER_KEYS = 86

Document = dict[str, Any]


class Retention:
    """What expires. `where`: the database's address, for the words of an error."""

    def __init__(self, client: Any, database: Any, where: str) -> None:
        self._client = client
        self._database = database
        self._where = where
        self.days: dict[str, int] = {}  # collection -> how long its documents are kept

    async def prepare(self, detail_days: int, tally_days: int, batch_days: int) -> None:
        """Learn how long what is kept, and see that the times are indexed."""
        details = dict.fromkeys((EVENTS, RESOURCES, "quarantine", "conflicts", "outbox"), detail_days)
        totals = dict.fromkeys((TALLIES, LOSSES, "counts", "alerts"), tally_days)
        self.days = {**details, **totals, "batches": batch_days, "boxclocks": batch_days}
        for name in self.days:
            await self._never_by_itself(name, "stored_at")
        await self._never_by_itself("sessions", "expires")

    async def _never_by_itself(self, name: str, field: str) -> None:
        """Index a time, and keep the database from deleting by it, as earlier versions had it do."""
        try:
            await self._database[name].create_index(field)
        except OperationFailure as error:
            if error.code not in (_OTHER_OPTIONS, _OTHER_KEYS):
                raise
            index = {"keyPattern": {field: 1}, "expireAfterSeconds": _NEVER}
            await self._database.command({"collMod": name, "index": index})

    async def expire(self, at: int) -> int:
        """Delete what is older than it is kept, seen from a moment (Unix ms); return how much."""
        deleted = 0
        with translated(self._where):
            for name, days in self.days.items():
                before = datetime.fromtimestamp(at / 1000, UTC) - timedelta(days=days)
                while amount := await self._delete_some(name, {"stored_at": {"$lt": before}}):
                    deleted += amount
            await self._delete_some("sessions", {"expires": {"$lt": datetime.fromtimestamp(at / 1000, UTC)}})
        return deleted

    async def _delete_some(self, name: str, query: Document) -> int:
        rows = self._database[name]
        ids = [row["_id"] async for row in rows.find(query, {"_id": 1}).limit(_DELETED_AT_ONCE)]
        if not ids:
            return 0
        return int((await rows.delete_many({"_id": {"$in": ids}})).deleted_count)

    async def date_anew(self, step: Document) -> int:
        """Date what was stored from `from` to `to` later by `by` ms, once; return how much it is."""
        first, last = (datetime.fromtimestamp(step[name] / 1000, UTC) for name in ("from", "to"))
        query = {"stored_at": {"$gte": first, "$lte": last}, "dated": {"$ne": step["id"]}}
        change = {
            "stored_as": {"$ifNull": ["$stored_as", "$stored_at"]},
            "stored_at": {"$add": ["$stored_at", step["by"]]},
            "dated": step["id"],
        }
        dated = 0
        with translated(self._where):
            for name in self.days:
                done = await self._database[name].update_many(query, [{"$set": change}])
                dated += int(done.modified_count)
        return dated

    async def move_sessions(self, by: int) -> None:
        """Let sessions end some ms later."""
        with translated(self._where):
            change = [{"$set": {"expires": {"$add": ["$expires", by]}}}]
            await self._database.sessions.update_many({}, change)

    async def server_time(self) -> int:
        """Return the database's clock, Unix ms."""
        with translated(self._where):
            found = await self._client.admin.command("hello")
        return int(found["localTime"].timestamp() * 1000)
