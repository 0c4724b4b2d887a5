"""What many nodes counted and saw in a few spans of time, in few questions: for the rules of alerts.

What always holds: numbers come from the running totals, as those of the API do, but a total before a span is
looked for in the hour before it only. So what a box tells after a long gap is not counted to the moment at
which it came back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from aggregator.store.codec import TALLIES
from aggregator.store.errors import translated
from aggregator.store.running_totals import HOUR, Row, increments, of_kind

Span = tuple[int, int]  # Unix ms: from, included, and to, not included
Document = dict[str, Any]
_SLICE = 50  # nodes that are computed before others have their turn


class Camera(NamedTuple):
    """A camera of a node."""

    node: str
    camera: str


class Seen(NamedTuple):
    """How long a camera saw something, and was blind, ms."""

    watched: int
    blind: int


class Many:
    """Questions about many nodes. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def counted(
        self, kind: str, nodes: Collection[str], spans: Sequence[Span]
    ) -> dict[tuple[str, Row], list[int]]:
        """Return (node, row) -> how often it was counted in each span; a row that is not there is all 0.

        Args:
            kind: Of row: "line", "zone", "trip" or "object".
            nodes: Which ones; all others are left out.
            spans: Each as Unix ms; they may overlap.
        """
        hours = sorted({hour for span in spans for hour in _hours(span)})
        query = {"n": {"$in": list(nodes)}, "h": {"$in": hours}, **of_kind(kind)}
        of_node: dict[str, list[Document]] = defaultdict(list)
        with translated(self._where):
            async for row in self._database.counts.find(query):
                of_node[row["n"]].append(row)
        found: dict[tuple[str, Row], list[int]] = {}
        for number, (node, rows) in enumerate(of_node.items()):
            for place, span in enumerate(spans):
                wanted = set(_hours(span))
                near = [row for row in rows if int(row["h"]) in wanted]
                for step in increments(near):
                    if step.row.kind == kind and span[0] <= step.minute < span[1]:
                        found.setdefault((node, step.row), [0] * len(spans))[place] += step.amount
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        return found

    async def seen(self, nodes: Collection[str], span: Span) -> dict[Camera, Seen]:
        """Return how long the cameras of nodes saw something in a span, as far as they have told."""
        query = {"n": {"$in": list(nodes)}, "a": {"$gte": span[0], "$lt": span[1]}}
        blind = {"$sum": {"$map": {"input": {"$objectToArray": "$x"}, "in": "$$this.v"}}}
        group = {"_id": {"n": "$n", "c": "$c"}, "w": {"$sum": "$w"}, "b": {"$sum": blind}}
        with translated(self._where):
            rows = self._database[TALLIES].aggregate([{"$match": query}, {"$group": group}])
            return {
                Camera(row["_id"]["n"], row["_id"]["c"]): Seen(int(row["w"]), int(row["b"]))
                async for row in rows
            }


def _hours(span: Span) -> range:
    """Return the hours (of UTC) that a span touches, and the one before it."""
    return range((span[0] // HOUR - 1) * HOUR, span[1], HOUR)
