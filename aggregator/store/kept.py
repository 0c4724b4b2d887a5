"""What was refused, kept for a person to look at: bounded for each node, and written in bulk.

What always holds: of one node at most `KEPT_POISON` messages and events lie in `quarantine`, and as many
batches in `conflicts`; what comes beyond that is counted in one document, `<node>:more`. What comes again is
counted where it lies (`seen`). However much is refused at once, it costs a few questions of the database.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from aggregator.site_time import now
from aggregator.store.errors import translated
from aggregator.store.parcel import Parcel, Poison

KEPT_POISON = 1000  # quarantined messages and conflicts kept of one node; beyond this they are counted
RAW_KEPT = 64 * 1024
_DUPLICATE = 11000
_FULL_SECONDS = 60.0  # how long a node without room is believed to have none
_QUARANTINE = "quarantine"
_CONFLICTS = "conflicts"

Document = dict[str, Any]


class Kept:
    """The two collections of what was refused. `where`: the database's address, for the words of an error."""

    def __init__(self, database: Any, where: str) -> None:
        self._database = database
        self._where = where
        self._full: dict[tuple[str, str], float] = {}  # (collection, node) -> until (monotonic seconds)

    def is_full(self, node: str, name: str = _QUARANTINE) -> bool:
        """True if more of a node's poison would only be counted."""
        return self._full.get((name, node), 0.0) > time.monotonic()

    async def quarantine(
        self,
        poisons: Iterable[Poison],
        messages: Mapping[str, int] | None = None,
        events: Mapping[str, int] | None = None,
    ) -> None:
        """Keep what was refused, each once, with its reason.

        `messages`, `events`: node -> how many more were refused, which are only counted.
        """
        moment = now()
        rows = [
            {
                "_id": poison.id, "n": poison.node, "why": poison.reason, "whole": poison.whole,
                "raw": poison.raw[:RAW_KEPT], "size": len(poison.raw), "stored_at": moment,
            }
            for poison in poisons
        ]  # fmt: skip
        await self._keep(_QUARANTINE, rows, messages or {}, events or {})

    async def conflicts(self, parcels: Iterable[Parcel]) -> None:
        """Keep batches whose number another one already has."""
        moment = now()
        rows = [
            {"_id": f"{one.id}:{one.sum.hex()}", "n": one.node, "raw": one.payload, "stored_at": moment}
            for one in parcels
        ]
        await self._keep(_CONFLICTS, rows, {}, {})

    async def amounts(self) -> dict[str, dict[str, int]]:
        """Return collection -> node -> how much was refused, what was only counted included."""
        found: dict[str, dict[str, int]] = {}
        stages = [{"$sort": {"n": 1}}, {"$group": {"_id": "$n", "amount": {"$sum": 1}}}]
        with translated(self._where):
            for name in (_CONFLICTS, _QUARANTINE):
                rows = self._database[name]
                found[name] = {row["_id"]: int(row["amount"]) async for row in rows.aggregate(stages)}
                more = [_more_of(node) for node, amount in found[name].items() if amount > KEPT_POISON]
                async for row in rows.find({"_id": {"$in": more}}, {"n": 1, "seen": 1}):
                    found[name][row["n"]] += int(row["seen"]) - 1
        return found

    async def _keep(
        self, name: str, rows: Sequence[Document], messages: Mapping[str, int], events: Mapping[str, int]
    ) -> None:
        seen = Counter(row["_id"] for row in rows)
        first = {row["_id"]: row for row in rows}
        if not first and not messages and not events:
            return
        with translated(self._where):
            known = await self._known(name, first)
            room = {node: await self._room(name, node) for node in {row["n"] for row in first.values()}}
            changes = []
            more = Counter(messages) + Counter(events)
            whole = Counter(messages)
            for id_, row in first.items():
                if id_ not in known and room[row["n"]] <= 0:
                    more[row["n"]] += seen[id_]
                    whole[row["n"]] += seen[id_] if row.get("whole") else 0
                    continue
                room[row["n"]] -= id_ not in known
                changes.append(_once(row, {"seen": seen[id_]}))
            for node, amount in more.items():
                row = {"_id": _more_of(node), "n": node, "why": "more of it is only counted", "whole": True}
                changes.append(_once(row, {"seen": amount, "messages": whole[node]}))
            await self._write(name, changes)

    async def _known(self, name: str, ids: Iterable[str]) -> set[str]:
        """Return which of these lie there already."""
        found = self._database[name].find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {row["_id"] async for row in found}

    async def _room(self, name: str, node: str) -> int:
        """Return how many more of a node may be kept."""
        if self.is_full(node, name):
            return 0
        held = int(await self._database[name].count_documents({"n": node}, limit=KEPT_POISON))
        if held >= KEPT_POISON:
            self._full[name, node] = time.monotonic() + _FULL_SECONDS
        return KEPT_POISON - held

    async def _write(self, name: str, changes: list[UpdateOne]) -> None:
        while changes:
            try:
                await self._database[name].bulk_write(changes, ordered=False)
                return
            except BulkWriteError as error:  # two aggregators keep the same thing for the first time
                failed = (error.details or {}).get("writeErrors", [])
                if not failed or any(row["code"] != _DUPLICATE for row in failed):
                    raise
                changes = [changes[row["index"]] for row in failed]


def _more_of(node: str) -> str:
    return f"{node}:more"


def _once(row: Document, amounts: Document) -> UpdateOne:
    """Return the change that keeps a document if it is new, and adds to its amounts."""
    rest = {key: value for key, value in row.items() if key != "_id"}
    return UpdateOne({"_id": row["_id"]}, {"$inc": amounts, "$setOnInsert": rest}, upsert=True)
