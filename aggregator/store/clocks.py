"""What is known of the clocks of the machines on which the centre ran. Times are Unix milliseconds.

{_id: a start of a machine, offset: when that was by its clock, since: .., last: what was stored by that
 offset lies between, wrong: it could not be right, hold: .., open: steps whose documents are being dated}
{_id: "confirmed", at: the newest time that was believed}
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from aggregator.store.errors import translated

_CONFIRMED = "confirmed"
_SAME_MS = 60_000  # two aggregators of one machine read their clocks at different moments

Document = dict[str, Any]


class Reading(NamedTuple):
    """Both clocks of this machine at one moment: the wall's, and the time since the machine started."""

    wall: int
    since_boot: int

    @property
    def offset(self) -> int:
        """When the machine started, by the wall's clock."""
        return self.wall - self.since_boot


def read() -> Reading:
    """Read both clocks."""
    return Reading(int(time.time() * 1000), int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000))


class Clocks:
    """The collection `clocks`. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._rows = database.clocks
        self._where = where

    async def of_boot(self, boot: str) -> Document | None:
        """Return what is known of this start of the machine."""
        with translated(self._where):
            found: Document | None = await self._rows.find_one({"_id": boot})
            return found

    async def begin(self, boot: str, offset: int, wall: int) -> None:
        """Note that the machine has started."""
        row = {"offset": offset, "since": wall, "last": wall, "wrong": False}
        with translated(self._where):
            await self._rows.update_one({"_id": boot}, {"$setOnInsert": row}, upsert=True)

    async def save(self, boot: str, wall: int, wrong: bool) -> None:
        """Note up to when something may have been stored."""
        change = {"$max": {"last": wall}, "$set": {"wrong": wrong}}
        with translated(self._where):
            await self._rows.update_one({"_id": boot}, change)

    async def step(self, boot: str, offset: int, now: Reading, leap: bool, hold: int) -> Document | None:
        """Note a step of the clock; return what is to be dated anew, to the first who asks only.

        Args:
            boot: the start of the machine.
            offset: its offset before the step.
            now: both clocks after it.
            leap: what was stored is to be dated anew.
            hold: until when, since the machine started, nothing is to be deleted.
        """
        query = {"_id": boot, "offset": {"$gte": offset - _SAME_MS, "$lte": offset + _SAME_MS}}
        by = now.offset - offset
        with translated(self._where):
            row = await self._rows.find_one(query)
            if row is None:
                return None
            change = {"id": now.wall, "from": row["since"], "to": now.wall - by, "by": by}
            since = row["since"] + by if leap else row["since"]  # it moves along with what is dated anew
            fresh = {"offset": now.offset, "since": since, "last": now.wall, "hold": hold}
            query["offset"] = row["offset"]
            done = await self._rows.update_one(
                query, {"$set": fresh, **({"$push": {"open": change}} if leap else {})}
            )
        return change if leap and done.modified_count else None

    async def open_steps(self) -> list[Document]:
        """Return the steps whose documents may not all be dated yet."""
        with translated(self._where):
            return [
                step async for row in self._rows.find({"open.0": {"$exists": True}}) for step in row["open"]
            ]

    async def close_step(self, change: Document) -> None:
        """Note that all documents of a step are dated."""
        with translated(self._where):
            await self._rows.update_many({}, {"$pull": {"open": {"id": change["id"]}}})

    async def wrong(self, but: str) -> list[Document]:
        """Return the starts, but one, whose clock could not be right and was never put right."""
        with translated(self._where):
            return [row async for row in self._rows.find({"wrong": True, "_id": {"$ne": but}})]

    async def resolve(self, boot: str) -> None:
        """Note that what was stored in that start is dated anew."""
        with translated(self._where):
            await self._rows.update_one({"_id": boot}, {"$set": {"wrong": False}})

    async def confirmed(self) -> int:
        """Return the newest time that was believed, 0 if there is none."""
        with translated(self._where):
            row = await self._rows.find_one({"_id": _CONFIRMED})
        return int(row["at"]) if row else 0

    async def confirm(self, wall: int) -> None:
        """Note that a time is believed."""
        with translated(self._where):
            await self._rows.update_one({"_id": _CONFIRMED}, {"$max": {"at": wall}}, upsert=True)
