"""How much room the database has, and what happens when it runs out.

    enough   everything is stored and kept as long as it is said
    low      single events and samples go before their time, the oldest first, never those of the last day
    full     nothing is stored and nothing acknowledged: the boxes keep it and send it again
    unknown  the database does not say (a sharded one does not): nothing is done, and that is said

What always holds: counts, tallies, days and the names of batches are never deleted for room. A batch is
stored whole or not at all, so what is refused comes again and is stored once. Room is what is free on the
database's disk and within its own files, to which it writes next: it gives nothing back to the disk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal, NamedTuple

from aggregator.store.errors import StoreError, StoreFullError, translated

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 10.0

Level = Literal["enough", "low", "full", "unknown"]
_MB = 1 << 20


class Limits(NamedTuple):
    """Below how many MiB room is low, and is full; 0: never."""

    low_mb: int = 1024
    full_mb: int = 256


class Room:
    """The room of one database, as it was looked at last. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where
        self.limits = Limits()
        self.free: int | None = None  # bytes; None: unknown, or not looked at yet
        self.silent = False  # the database does not say it
        self.early_days: int | None = None  # details are kept so long now, since room is low

    async def look(self) -> Level:
        """Ask the database how much room it has; raise StoreError."""
        with translated(self._where):
            stats = await self._database.command({"dbStats": 1, "freeStorage": 1})
        total = stats.get("fsTotalSize")
        self.silent = not total
        self.free = int(total - stats["fsUsedSize"] + stats.get("freeStorageSize", 0)) if total else None
        return self.level

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                _LOG.debug("how much room there is is looked at later: %s", error)
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def level(self) -> Level:
        """How it stands."""
        if self.free is None:
            return "unknown"
        if self.free < self.limits.full_mb * _MB:
            return "full"
        return "low" if self.free < self.limits.low_mb * _MB else "enough"

    @property
    def trouble(self) -> str:
        """What a person should know and do; empty if there is enough."""
        if self.free is None or self.level == "enough":
            return ""
        left = f"the database's disk has {self.free // _MB} MB left"
        if self.level == "full":
            return f"{left}: nothing is stored until there is more, the boxes keep it; make room there"
        kept = "" if self.early_days is None else f", now what is older than {_days(self.early_days)}"
        return f"{left}: single events go before their time{kept}; make room there"

    def check(self) -> None:
        """Raise StoreFullError if nothing may be stored now."""
        if self.level == "full":
            raise StoreFullError(self.trouble)


def _days(number: int) -> str:
    return "a day" if number == 1 else f"{number} days"
