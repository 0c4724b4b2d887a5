"""What the database spends, and samples of what every part does: kept as long as details, see `retention`.

What always holds: a sample a minute of each aggregator, those of the shared parts of one of them only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from pymongo.errors import OperationFailure

from aggregator.store.errors import translated

_NO_RIGHT = 13
# `metrics` is asked for though nothing of it is used: MongoDB 6.0 leaves out `mem` with it.
_LEFT_OUT = ("repl", "locks", "tcmalloc", "transportSecurity", "mirroredReads", "wiredTiger")
_OPERATIONS = ("insert", "query", "update", "delete", "getmore", "command")
PARTS = ("broker", "database", "nodes")

Document = dict[str, Any]


class Status(NamedTuple):
    """What the database's process says: resident bytes, connections, operations and CPU since its start."""

    memory_bytes: int | None
    connections: int
    operations: int
    cpu_seconds: float | None


class Measured(NamedTuple):
    """Bytes of data and indexes on disk, bytes free there if known, what the process says if we may ask."""

    bytes: int
    free_bytes: int | None
    status: Status | None


class SystemStore:
    """Samples. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._samples = database.system_samples
        self._where = where

    async def prepare(self) -> None:
        """Make the index."""
        await self._samples.create_index("at")

    async def measure(self) -> Measured:
        """Ask the database what it spends; raise StoreError."""
        with translated(self._where):
            stats = await self._database.command("dbStats")
            status = await self._status()
        size = int(stats["storageSize"] + stats["indexSize"])
        total = stats.get("fsTotalSize")  # of each machine for itself where it is sharded
        return Measured(size, int(total - stats["fsUsedSize"]) if total else None, status)

    async def _status(self) -> Status | None:
        """Return what the process says; None where our user may not ask."""
        try:
            found = await self._database.command({"serverStatus": 1, **dict.fromkeys(_LEFT_OUT, 0)})
        except OperationFailure as error:
            if error.code != _NO_RIGHT:
                raise
            return None
        resident = found.get("mem", {}).get("resident")  # MiB
        info = found.get("extra_info", {})
        cpu = info["user_time_us"] + info["system_time_us"] if "user_time_us" in info else None
        return Status(
            int(resident) << 20 if resident else None,
            int(found["connections"]["current"]),
            sum(int(found["opcounters"][name]) for name in _OPERATIONS),
            None if cpu is None else cpu / 1e6,
        )

    async def write(self, by: str, at: int, parts: Document, stored_at: datetime) -> None:
        """Keep one aggregator's sample. `parts`: part -> its figures; raise StoreError."""
        row = {"_id": f"{by}:{at}", "by": by, "at": at, "stored_at": stored_at, **parts}
        with translated(self._where):
            await self._samples.insert_one(row)

    async def read(self, since: int, until: int, step: int) -> list[Document]:
        """Return samples from `since` to before `until`, Unix ms: the last of each step and aggregator."""
        group = {
            "start": {"$subtract": ["$at", {"$mod": ["$at", step]}]},
            "by": "$by",
        }
        stages: list[Document] = [
            {"$match": {"at": {"$gte": since, "$lt": until}}},
            {"$sort": {"at": 1}},
            {"$group": {"_id": group, "row": {"$last": "$$ROOT"}}},
            {"$sort": {"_id.start": 1, "_id.by": 1}},
        ]
        with translated(self._where):
            found = self._samples.aggregate(stages, allowDiskUse=True)
            return [{**_plain(row["row"]), "start": int(row["_id"]["start"])} async for row in found]

    async def sizes(self, since: int) -> tuple[Document | None, Document | None]:
        """Return the first and the last sample since a moment (Unix ms) that know the database's size."""
        query = {"at": {"$gte": since}, "database.bytes": {"$exists": True}}
        with translated(self._where):
            ends = [await self._samples.find_one(query, sort=[("at", order)]) for order in (1, -1)]
        first, last = (_plain(row) if row else None for row in ends)
        return first, last


def _plain(row: Document) -> Document:
    """Return a sample with numbers of Python's own, where the database gives its own kind."""
    parts = {name: row[name] for name in ("aggregators", *PARTS) if row.get(name) is not None}
    plain = {
        part: {name: int(value) if isinstance(value, int) else value for name, value in figures.items()}
        for part, figures in parts.items()
    }
    return {"at": int(row["at"]), **plain}
