"""Writes the bounds of running totals, see `running_totals`.

What always holds: whether a document is there is only guessed, and what is guessed wrong costs time, no
count: an insert that finds the document becomes an update, an update that finds none makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import InsertOne, UpdateOne

from aggregator.store import bulk
from aggregator.store.errors import StoreError
from aggregator.store.running_totals import Bounds

_REMEMBERED = 50_000  # documents twice, some 10 MB


class CountStore:
    """Remembers which documents are there. `where`: the database's address, for the words of an error."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._seen: set[bytes] = set()
        self._seen_before: set[bytes] = set()

    async def widen(self, counts: Any, rows: Sequence[Bounds]) -> None:
        """Write bounds into a collection; raise StoreError.

        A document that is not there is inserted: to the database that is a tenth of the work of an upsert.
        """
        written = [row.id for row in rows]
        known = await self._known(counts, rows)
        changes: list[Any] = [_update(row) if row.id in known else InsertOne(row.document()) for row in rows]
        while changes:
            failed = await bulk.write(counts, changes, self._where)  # two writers making the same document
            if any(code != bulk.DUPLICATE for code, _ in failed.values()):
                raise StoreError(f"MongoDB at {self._where}: {next(iter(failed.values()))[1]}")
            rows = [rows[place] for place in failed]
            changes = [_update(row) for row in rows]
        self._remember(written)

    async def _known(self, counts: Any, rows: Sequence[Bounds]) -> set[bytes]:
        """Return which documents are there, as far as is known; ask for those never seen."""
        ids = {row.id for row in rows}
        known = ids & self._seen | ids & self._seen_before
        new = [row for row in rows if row.id not in known]
        if new:
            nodes = list({row.key.node for row in new})
            query = {"n": {"$in": nodes}, "_id": {"$in": [row.id for row in new]}}
            known |= {row["_id"] async for row in counts.find(query, {"_id": 1}).hint([("_id", 1)])}
        return known

    def _remember(self, ids: Sequence[bytes]) -> None:
        self._seen.update(ids)
        if len(self._seen) > _REMEMBERED:
            self._seen_before = self._seen
            self._seen = set()


def _update(row: Bounds) -> UpdateOne:
    return UpdateOne(*row.update(), upsert=True)
