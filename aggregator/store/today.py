"""What many nodes did on a day, in one question each for all of them.

What always holds: what is returned for a node is what `Archive` returns for it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from aggregator.store.codec import TALLIES
from aggregator.store.errors import translated

Document = dict[str, Any]


class Watch(NamedTuple):
    """How long a camera saw something. `p95`: ms from capture to event, in its last minute that told it."""

    camera: str
    watched_ms: int
    blind_ms: int
    p95: int | None


class Today:
    """The days of nodes in one database. `where`: its address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def hours(self, nodes: Sequence[str], since: int, until: int) -> dict[str, list[Document]]:
        """Return node -> its count documents whose hour lies in [since, until)."""
        query = {"n": {"$in": list(nodes)}, "h": {"$gte": since, "$lt": until}}
        found: dict[str, list[Document]] = defaultdict(list)
        with translated(self._where):
            async for row in self._database.counts.find(query):
                found[row["n"]].append(row)
        return found

    async def watch(self, nodes: Sequence[str], since: int, until: int) -> dict[str, list[Watch]]:
        """Return node -> what its cameras watched in [since, until)."""
        blind = {"$sum": {"$map": {"input": {"$objectToArray": "$x"}, "in": "$$this.v"}}}
        last = {"$cond": [{"$gt": ["$g", 0]}, {"a": "$a", "u": "$u"}, None]}
        stages: list[Document] = [
            {"$match": {"n": {"$in": list(nodes)}, "a": {"$gte": since, "$lt": until}}},
            {
                "$group": {
                    "_id": {"n": "$n", "c": "$c"},
                    "w": {"$sum": "$w"}, "x": {"$sum": blind}, "u": {"$max": last},
                }
            },
        ]  # fmt: skip
        found: dict[str, list[Watch]] = defaultdict(list)
        with translated(self._where):
            async for row in self._database[TALLIES].aggregate(stages):
                p95 = int(row["u"]["u"]) if row["u"] else None
                watch = Watch(row["_id"]["c"], int(row["w"]), int(row["x"]), p95)
                found[row["_id"]["n"]].append(watch)
        return found
