"""What is stored of batches that come again under their numbers with less in them.

A box whose disk lost the end of its spool's log does not know any more how far a batch had grown, nor that it
was sent. What is left of it goes again, under the number that it had. All of that is stored then, and the box
itself tells that it lost something: no sign of a copy of the box, which goes on with other events.

What always holds: what one batch costs is bounded by what an agent puts into one, and a group of them costs
the same few questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agent import wire
from aggregator.store.codec import BATCHES, EVENTS, LOSSES, RESOURCES, TALLIES, node_of
from aggregator.store.detail import Stored, events_of, samples_of

Events = Mapping[int, wire.AnyEvent]  # place -> an event, its time as the box told it


async def longer(database: Any, batches: Mapping[str, Events]) -> set[str]:
    """Return which of these batches are stored with all these events, and with more of them."""
    wanted = {"_id": {"$in": list(batches)}, "g": {"$lte": wire.BATCH_EVENTS}}
    rows = {row["_id"]: row async for row in database[BATCHES].find(wanted)}
    left = {
        id_: events for id_, events in batches.items() if id_ in rows and 0 < len(events) < rows[id_]["g"]
    }
    if not left:
        return set()
    nodes = list({node_of(id_) for id_ in left})  # the shards' key
    stored = [one for id_ in left for one in events_of(rows[id_])]
    async for row in _named(database[RESOURCES], nodes, list(left)):
        stored += samples_of(row)
    ids = [f"{id_}:{place}" for id_, events in left.items() for place in events]
    for name in (EVENTS, TALLIES, LOSSES):
        stored += [one async for row in _named(database[name], nodes, ids) for one in events_of(row)]
    held = {one.id: _as_told(one) for one in stored}
    return {
        id_
        for id_, events in left.items()
        if all(_plain(event) == held.get(f"{id_}:{place}") for place, event in events.items())
    }


def _named(collection: Any, nodes: list[str], ids: list[str]) -> Any:
    """Return a cursor over documents of these nodes by their ids."""
    return collection.find({"n": {"$in": nodes}, "_id": {"$in": ids}}).hint([("_id", 1)])


def _as_told(one: Stored) -> wire.AnyEvent:
    """Return an event with the time that its box told."""
    event = one.event if one.told is None else msgspec.structs.replace(one.event, at=one.told)
    return _plain(event)


def _plain(event: wire.AnyEvent) -> wire.AnyEvent:
    """Return what can be compared: of samples it is not kept what time each was told with."""
    return msgspec.structs.replace(event, at=0) if isinstance(event, wire.Resources) else event
