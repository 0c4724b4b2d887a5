"""Stored events and samples as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent import wire
from aggregator.ingest import Fact
from aggregator.store import codec
from aggregator.store.store import Store

ALL_KINDS = tuple(kind for kind in wire.EVENT_NAMES if kind is not wire.Resources)


async def resources(store: Store, node: str, since: int, until: int, limit: int) -> list[dict[str, object]]:
    """Return the newest samples in [since, until), oldest first."""
    found = []
    for row in await store.archive.resources(node, since, until, limit):
        found += [wire.event_dict(e) for _, e in codec.decode_samples(row) if since <= e.at < until]
    found.sort(key=lambda sample: sample["at"])
    return found[-limit:]


async def events(
    store: Store, node: str, kinds: Sequence[type], since: int, until: int, limit: int
) -> list[dict[str, object]]:
    """Return a node's events in [since, until), newest first."""
    found = [
        codec.fact(node, one.id, one.event) | ({} if one.told is None else {"told_at": one.told})
        for one in await store.archive.newest(node, kinds, since, until, limit)
    ]
    if wire.Resources in kinds:
        for row in await store.archive.resources(node, since, until, limit):
            found += [
                codec.fact(node, id_, sample)
                for id_, sample in codec.decode_samples(row)
                if since <= sample.at < until
            ]
        found.sort(key=lambda fact: (fact["at"], fact["id"]), reverse=True)
    return found[:limit]


async def events_after(store: Store, id_: str, kinds: Iterable[type], node: str, limit: int) -> list[Fact]:
    """Return what was stored after an event, in that order."""
    return [Fact(*one[:3]) for one in await store.archive.after(id_, kinds, node, limit)]
