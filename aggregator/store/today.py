"""What many nodes did on a day, in one question each for all of them.

What always holds: what is returned for a node is what `Archive` returns for it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from aggregator.store.codec import TALLIES
from aggregator.store.errors import translated

_CHUNK = 5000  # rows of one answer

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

    async def watch(
        self, nodes: Sequence[str], since: int, split: int, until: int
    ) -> dict[str, tuple[list[Watch], list[Watch]]]:
        """Return node -> what its cameras watched in [since, split), and in [split, until)."""
        blind = {"$sum": {"$map": {"input": {"$objectToArray": "$x"}, "in": "$$this.v"}}}
        last = {"$cond": [{"$gt": ["$g", 0]}, {"a": "$a", "u": "$u"}, None]}
        late = {"$gte": ["$a", split]}
        stages: list[Document] = [
            {"$match": {"n": {"$in": list(nodes)}, "a": {"$gte": since, "$lt": until}}},
            {
                "$group": {
                    "_id": {"n": "$n", "c": "$c", "l": late},
                    "w": {"$sum": "$w"}, "x": {"$sum": blind}, "u": {"$max": last},
                }
            },
        ]  # fmt: skip
        found: dict[str, tuple[list[Watch], list[Watch]]] = defaultdict(lambda: ([], []))
        with translated(self._where):
            rows = self._database[TALLIES].aggregate(stages, batchSize=_CHUNK)
            for row in await rows.to_list(None):
                p95 = int(row["u"]["u"]) if row["u"] else None
                watch = Watch(row["_id"]["c"], int(row["w"]), int(row["x"]), p95)
                found[row["_id"]["n"]][row["_id"]["l"]].append(watch)
        return found
