"""What only one of several aggregators may do at a time: it is claimed here, for a while.

What always holds: a task has one holder at most, by the database's clock, so a wrong clock of a machine gives
nobody a claim. A holder renews its claim by asking again; one that is killed loses it when it runs out, and
another goes on. Who does what is to happen once must still be able to do it twice: a claim may run out while
its holder is at work.
"""

from __future__ import annotations

from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from aggregator.store.errors import translated


class Leases:
    """The claims of one aggregator. `holder`: its name; `where`: the database, for the words of an error."""

    def __init__(self, database: Any, where: str, holder: str) -> None:
        self._leases = database.leases
        self._where = where
        self.holder = holder

    async def take(self, task: str, seconds: float) -> bool:
        """Claim a task, or claim it for longer; return False while another holds it. Raise StoreError."""
        free = {"$or": [{"$eq": ["$holder", self.holder]}, {"$lt": ["$until", "$$NOW"]}]}  # absent is less
        until = {"$add": ["$$NOW", round(seconds * 1000)]}
        fields = {"holder": (self.holder, "$holder"), "until": (until, "$until")}
        change = [{"$set": {name: {"$cond": [free, *values]} for name, values in fields.items()}}]
        with translated(self._where):
            try:
                found = await self._leases.find_one_and_update(
                    {"_id": task}, change, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # another has made it at this moment
                return False
        return bool(found["holder"] == self.holder)

    async def give_back(self, task: str) -> None:
        """Let others have a task at once, if it is ours. Raise StoreError."""
        with translated(self._where):
            await self._leases.delete_one({"_id": task, "holder": self.holder})
