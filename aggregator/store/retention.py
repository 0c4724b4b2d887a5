"""How long what was stored is kept, by the time at which it was stored. When to delete is said by `clock`.

What always holds: the database deletes nothing by itself, since its clock or ours may be wrong. A document
that is dated anew keeps its first date, `stored_as`. Where room is low, details go before their time, and the
audit log says so. Moments are Unix milliseconds.
"""

from __future__ import annotations

import logging
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pymongo.errors import OperationFailure

from aggregator.store import detail
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.day import DAY
from aggregator.store.errors import translated
from aggregator.store.history import History
from aggregator.store.room import Room

_LOG = logging.getLogger(__name__)
STEP_SECONDS = 180.0  # so that the database has written out, and says, what a step has freed
_LEAST_DAYS = 1  # of details are kept, however low room is
_NEVER = 2**31 - 1  # seconds, the longest that the database takes
_DELETED_AT_ONCE = 5000
_OTHER_OPTIONS = 85  # an index is there already, with another time to live
_OTHER_KEYS = 86

_MADE_FROM = {"counts": "h", TALLIES: "a"}  # what days are made from -> its time
DETAILS = (EVENTS, RESOURCES, "quarantine", "conflicts", "outbox", "system_samples", "apart")
_NEEDED_DAYS = 2  # before a day, for what it goes on from

Document = dict[str, Any]


class Keep(NamedTuple):
    """How many days what is kept: details, tallies, names of batches, days of nodes, the pictures' log."""

    detail_days: int = 30
    tally_days: int = 730
    batch_days: int = 90
    history_days: int = 3650
    pictures_days: int = 366

    def collections(self) -> dict[str, int]:
        """Return collection -> how many days its documents are kept."""
        details = dict.fromkeys(DETAILS, self.detail_days)
        totals = dict.fromkeys((TALLIES, LOSSES, "counts", "alerts"), self.tally_days)
        names = max(self.batch_days, self.detail_days)  # a batch's events lie in its document
        return {**details, **totals, BATCHES: names, "boxclocks": self.batch_days}


class Retention:
    """What expires.

    Args:
        client: the connection.
        database: its collections.
        where: the database's address, for the words of an error.
        history: makes days for the last time, before what they are made from is deleted.
        room: where it is low, details go earlier.
    """

    def __init__(self, client: Any, database: Any, where: str, history: History, room: Room) -> None:
        self._history = history
        self._details_before = datetime.fromtimestamp(0, UTC)  # no batch from before holds events any more
        self._client = client
        self._database = database
        self._where = where
        self._room = room
        self._stepped = time.monotonic()
        self.keep = Keep()

    async def prepare(self, keep: Keep) -> None:
        """Learn how long what is kept, and see that the times are indexed."""
        self.keep = keep
        for name in keep.collections():
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
        moment = datetime.fromtimestamp(at / 1000, UTC)
        deleted = 0
        keep = await self._by_room(moment)
        with translated(self._where):
            for name, days in keep.collections().items():
                query: Document = {"stored_at": {"$lt": moment - timedelta(days=days)}}
                if name in _MADE_FROM:
                    query |= await self._finished(name, query)
                while amount := await self._delete_some(name, query):
                    deleted += amount
            await self._expire_details(moment - timedelta(days=keep.detail_days))
            oldest = at - keep.history_days * DAY
            await self._delete_some("days", {"d": {"$lt": oldest - oldest % DAY}})
            heard = moment - timedelta(days=keep.pictures_days)
            await self._delete_some("departures", {"heard": {"$lt": heard}})
            ordered = {"at": {"$lt": moment - timedelta(days=keep.detail_days)}}
            await self._delete_some("orders", ordered)  # their answers are words and pictures of boxes
            await self._delete_some("sessions", {"expires": {"$lt": moment}})
        return deleted

    async def _by_room(self, moment: datetime) -> Keep:
        """Return how long what is kept now: where room is low, details a day less at each step."""
        level = await self._room.look()
        if level not in ("low", "full"):
            self._room.early_days = None
            return self.keep
        days = min(self.keep.detail_days, self._room.early_days or self.keep.detail_days)
        if time.monotonic() - self._stepped > STEP_SECONDS:
            self._stepped = time.monotonic()
            days = max(_LEAST_DAYS, min(days, await self._oldest_days(moment)) - 1)
            if days != self._room.early_days:
                await self._note(days, moment)
        self._room.early_days = days
        return self.keep._replace(detail_days=days)

    async def _oldest_days(self, moment: datetime) -> int:
        """Return how many days old the oldest details are."""
        since = moment - timedelta(days=self.keep.detail_days)  # what lies before that has expired
        oldest = moment
        with translated(self._where):
            for name in (*DETAILS, BATCHES):
                query: Document = {"stored_at": {"$gte": since, "$lt": oldest}}
                if name == BATCHES:
                    query["e"] = {"$exists": True}
                row = await self._database[name].find_one(query, {"stored_at": 1}, sort=[("stored_at", 1)])
                if row is not None:
                    oldest = min(oldest, row["stored_at"])
        return math.ceil((moment - oldest) / timedelta(days=1))

    async def _note(self, days: int, moment: datetime) -> None:
        """Keep in the audit log that details go before their time."""
        free = (self._room.free or 0) >> 20
        action = f"{free} MB are free for the database: what is older than {days} days of events goes early"
        _LOG.warning("%s", action)
        entry = {"user": "the centre", "action": action, "at": moment}
        with translated(self._where):
            await self._database.audit.insert_one(entry)

    async def _finished(self, name: str, query: Document) -> Document:
        """Have the days made for the last time that are made from what is deleted; return what may go."""
        rows = self._database[name]
        if await rows.find_one(query, {"_id": 1}) is None:
            return {}
        nodes = [node for node in await rows.distinct("n", query) if node]
        final = await self._history.finish(int(query["stored_at"]["$lt"].timestamp() * 1000), nodes)
        return {"$nor": [{_MADE_FROM[name]: {"$gte": final - _NEEDED_DAYS * DAY}}]}

    async def _expire_details(self, before: datetime) -> None:
        """Take the events out of batches; their names are kept longer."""
        query = {"stored_at": {"$gte": self._details_before, "$lt": before}, "e": {"$exists": True}}
        change = {"$unset": dict.fromkeys(detail.NAMES, "")}
        await self._database[BATCHES].update_many(query, change)
        self._details_before = before

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
        self._details_before = datetime.fromtimestamp(0, UTC)
        with translated(self._where):
            for name in self.keep.collections():
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
