"""Tallies summed by slots of time: what cameras watched, and how full zones were.

What always holds: a question reads and changes nothing, and gives values; the short names of stored
documents stay in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from aggregator.store.codec import TALLIES
from aggregator.store.errors import translated

_CHUNK = 5000  # rows of one answer
_numbers = itemgetter(*"wfghpu")

Document = dict[str, Any]


@dataclass(slots=True)
class Slot:
    """A camera's tallies of a slot: ms watched and blind, frames, the worst minute's latencies, ms."""

    node: str
    camera: str
    start: int  # Unix ms
    watched: int
    captured: int
    inferred: int
    dropped: int
    p50: int
    p95: int
    blind: dict[str, int] = field(default_factory=dict)


class ZoneSlot(NamedTuple):
    """How full a zone was in a slot: ms watched; hundredths of an object x ms inside and queued; the most."""

    node: str
    camera: str
    zone: str
    version: int
    start: int  # Unix ms
    watched: int
    inside: int
    queued: int
    most_inside: int
    most_queued: int


class Slots:
    """Reads `tallies`. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where

    async def watched(
        self, nodes: Sequence[str], camera: str, since: int, until: int, length: int
    ) -> list[Slot]:
        """Return the tallies in [since, until) summed by node, camera and slot of `length` ms, in order."""
        query = span(nodes, camera, since, until)
        slot = {"n": "$n", "c": "$c", "s": _slot(length)}
        sums: Document = {name: {"$sum": f"${name}"} for name in "wfgh"}
        sums |= {name: {"$max": f"${name}"} for name in "pu"}
        blind = [
            {"$match": {**query, "x": {"$ne": {}}}},
            {"$project": {"n": 1, "c": 1, "a": 1, "x": {"$objectToArray": "$x"}}},
            {"$unwind": "$x"},
            {"$group": {"_id": {**slot, "k": "$x.k"}, "v": {"$sum": "$x.v"}}},
        ]
        tallies = self._database[TALLIES]
        found: dict[tuple[str, str, int], Slot] = {}
        with translated(self._where):
            stages = [{"$match": query}, {"$group": {"_id": slot, **sums}}]
            for row in await tallies.aggregate(stages, batchSize=_CHUNK).to_list(None):
                key = (row["_id"]["n"], row["_id"]["c"], int(row["_id"]["s"]))
                watched, captured, inferred, dropped, p50, p95 = map(int, _numbers(row))
                found[key] = Slot(*key, watched, captured, inferred, dropped, p50, p95)
            for row in await tallies.aggregate(blind, batchSize=_CHUNK).to_list(None):
                key = (row["_id"]["n"], row["_id"]["c"], int(row["_id"]["s"]))
                found[key].blind[row["_id"]["k"]] = int(row["v"])
        return [found[key] for key in sorted(found)]

    async def filled(
        self, nodes: Sequence[str], camera: str, zone: str, since: int, until: int, length: int
    ) -> list[ZoneSlot]:
        """Return how full zones were by node, camera, zone, version and slot of `length` ms."""
        part = {name: {"$arrayElemAt": ["$y", place]} for place, name in enumerate("zrmpnqu")}
        group = {"n": "$n", "c": "$c", "z": "$z", "r": "$r", "s": _slot(length)}
        sums: Document = {name: {"$sum": {"$multiply": ["$w", f"${name}"]}} for name in "mq"}
        stages: list[Document] = [
            {"$match": {**span(nodes, camera, since, until), "y": {"$exists": True}}},
            {"$unwind": "$y"},
            {"$project": {"c": 1, "a": 1, "w": 1, **part, "n": "$n"}},
            {"$match": {"z": zone} if zone else {}},
            {"$group": {"_id": group, "w": {"$sum": "$w"}, **sums, "p": {"$max": "$p"}, "u": {"$max": "$u"}}},
        ]
        found = []
        with translated(self._where):
            for row in await self._database[TALLIES].aggregate(stages, batchSize=_CHUNK).to_list(None):
                key = row["_id"]
                numbers = (int(row[name]) for name in "wmqpu")
                found.append(ZoneSlot(key["n"], key["c"], key["z"], int(key["r"]), int(key["s"]), *numbers))
        return found


def span(nodes: Sequence[str], camera: str, since: int, until: int) -> Document:
    """Return the query for what lies in [since, until); an empty camera means all."""
    query: Document = {"n": {"$in": list(nodes)}, "a": {"$gte": since, "$lt": until}}
    return {**query, "c": camera} if camera else query


def _slot(length: int) -> Document:
    return {"$subtract": ["$a", {"$mod": ["$a", length]}]}
