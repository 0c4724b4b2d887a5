"""Which pictures left which box, as the boxes tell it: the same series once. How long is for `retention`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agent import wire
from aggregator.site_time import now
from aggregator.store.errors import translated

_OWN = {"_id": 0, "node": 0, "heard": 0}


class DepartureStore:
    """The series of one database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._departures = database.departures
        self._where = where

    async def prepare(self) -> None:
        """Make the index; raise pymongo's errors."""
        await self._departures.create_index([("node", 1), ("start", -1)])
        await self._departures.create_index("heard")

    async def keep(self, node: str, rows: Sequence[wire.Departure]) -> None:
        """Keep what a node tells; a series that has grown replaces itself, and never shrinks."""
        with translated(self._where):
            for row in rows:
                name = f"{node}:{row.start}:{row.camera}:{row.way}:{row.role}:{row.who}"
                fields = msgspec.to_builtins(row)
                grown = {"end": fields.pop("end"), "pictures": fields.pop("pictures")}
                change = {"$max": grown, "$set": {"node": node, "heard": now(), **fields}}
                await self._departures.update_one({"_id": name}, change, upsert=True)

    async def newest(self, node: str, limit: int) -> list[wire.Departure]:
        """Return a node's series, the newest first."""
        with translated(self._where):
            found = self._departures.find({"node": node}, _OWN).sort("start", -1).limit(limit)
            return [_departure(row) async for row in found]


def _departure(row: dict[str, Any]) -> wire.Departure:
    numbers = {
        name: int(row[name]) for name in ("start", "end", "pictures")
    }  # the driver's own kind otherwise
    return wire.Departure(**{**row, **numbers})
