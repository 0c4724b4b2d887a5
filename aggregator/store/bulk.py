"""Many writes as one, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.errors import BulkWriteError

from aggregator.store.errors import AWAY, StoreError

DUPLICATE = 11000  # MongoDB's code: a document of this id is there


async def write(collection: Any, changes: Sequence[Any], where: str) -> dict[int, tuple[int, str]]:
    """Do all of them in any order; return place -> (code, reason) of what was refused.

    Args:
        collection: what is written to.
        changes: pymongo's operations.
        where: the database's address, for the words of an error.

    Raises:
        StoreError: a replica set changes its primary; all may be tried again.
        BulkWriteError: what was written is not yet with the majority.
    """
    try:
        await collection.bulk_write(changes, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        if details.get("writeConcernErrors"):
            raise
        if any(row["code"] in AWAY for row in details["writeErrors"]):
            raise StoreError(f"MongoDB at {where} changes its primary; it is tried again") from None
        return {row["index"]: (row["code"], row["errmsg"][:200]) for row in details["writeErrors"]}
    return {}
