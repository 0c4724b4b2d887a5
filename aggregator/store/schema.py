"""The schema's version, the collections, and the indexes that the hot questions need.

What always holds: what an earlier version wrote is read as it is; what a newer one wrote is refused. Several
aggregators may do all of this at the same moment.
"""

from __future__ import annotations

import contextlib
from typing import Any

from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES
from aggregator.store.errors import StoreError

SCHEMA = 2
_ZSTD = {"wiredTiger": {"configString": "block_compressor=zstd"}}
_MADE = (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "days", BATCHES, "quarantine", "conflicts")
_NAMESPACE_EXISTS = 48
_DAY = 86_400  # seconds


async def check(database: Any, where: str) -> None:
    """Compare the version, or note it in a new database; raise StoreError for a newer one."""
    meta = database.meta
    found = await meta.find_one({"_id": "schema"})
    if found is None:
        with contextlib.suppress(DuplicateKeyError):
            await meta.insert_one({"_id": "schema", "version": SCHEMA})
    elif found["version"] < SCHEMA:  # what lies there is read as it is
        await meta.update_one({"_id": "schema"}, {"$max": {"version": SCHEMA}})
    elif found["version"] > SCHEMA:
        raise StoreError(
            f"the database {database.name!r} at {where} was written by a newer version "
            f"(schema {found['version']}, this one knows {SCHEMA}): upgrade, or name another database"
        )


async def make(database: Any) -> None:
    """Make the collections and indexes that are not there."""
    for name in _MADE:
        await _make(database, name)
    await database[EVENTS].create_index([("n", 1), ("t", 1), ("a", 1)])
    with_events = {"e": {"$exists": True}}
    await database[BATCHES].create_index([("n", 1), ("t", 1), ("a", 1)], partialFilterExpression=with_events)
    for name in (TALLIES, RESOURCES):
        await database[name].create_index([("n", 1), ("a", 1)])
    await database.counts.create_index([("n", 1), ("h", 1)])
    for name in (LOSSES, "quarantine", "conflicts"):
        await database[name].create_index("n")
    await database.audit.create_index("at")
    await database.apart.create_index([("n", 1), ("y", 1)])
    await database.wanted.create_index([("n", 1), ("version", -1)])
    await database.nodes.create_index("removed", sparse=True)
    await database.aggregators.create_index("at", expireAfterSeconds=_DAY)


async def _make(database: Any, name: str) -> None:
    """Make a collection that may be there, or be made by another aggregator at this moment."""
    try:
        await database.create_collection(name, storageEngine=_ZSTD)
    except CollectionInvalid:
        pass
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
