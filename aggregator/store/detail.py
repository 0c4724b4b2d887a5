"""A batch's events inside the batch's own document, as they came over the wire, and back.

    {_id: "node:epoch:seq", n: node, t: the wire tags of its events, a: when its last event was, z: its first,
     b: what times count from, e: a MessagePack array of events, p: their places where they are not 0, 1, 2,
     was: places and the times that the box told for them, where these were wrong, ...}

What always holds: an event's id is the batch's and its place, `node:epoch:seq:i`. A batch that reaches over
more than `SPAN`, and what earlier versions stored, are single documents (see `codec`); `events_of` reads
both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from agent import wire
from aggregator.store import codec

SPAN = 600_000  # ms: no batch of events reaches further
NAMES = ("t", "a", "z", "b", "e", "p", "was")  # what of a batch's document tells its events
_FIXED_ARRAY = range(0x90, 0xA0)  # the first byte of a MessagePack array of up to 15 parts
_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])

Document = dict[str, Any]


class Stored(NamedTuple):
    """One event as it is stored. `told`: the wrong time that its box told, where it was put right."""

    node: str
    id: str
    event: wire.AnyEvent
    stored_at: datetime
    told: int | None = None

    @property
    def order(self) -> tuple[datetime, str, int, int, int]:
        """The order of storing."""
        return self.stored_at, *codec.split_id(self.id)


def is_short(events: Sequence[wire.AnyEvent]) -> bool:
    """True if events are near enough to each other to lie in one document."""
    moments = [event.at for event in events]
    return max(moments) - min(moments) <= SPAN


def fields(
    events: Sequence[tuple[int, wire.AnyEvent]],
    raws: Mapping[int, bytes | msgspec.Raw],
    base: int,
    told: Mapping[int, int],
) -> Document:
    """Return what a batch's document holds of its events.

    Args:
        events: their places and themselves, at least one.
        raws: place -> the event as it came, its time relative to `base`.
        base: Unix ms.
        told: place -> the time that the box told, where it was wrong; these are encoded anew.
    """
    moments = [event.at for _, event in events]
    parts = [
        wire.encode_event(event, base) if place in told else bytes(raws[place]) for place, event in events
    ]
    places = [place for place, _ in events]
    found: Document = {
        "t": sorted({wire.EVENT_TAGS[type(event)] for _, event in events}),
        "a": max(moments),
        "z": min(moments),
        "b": base,
        "e": wire.array_header(len(parts)) + b"".join(parts),
    }
    if places != list(range(len(places))):
        found["p"] = places
    wrong = [number for place in places if place in told for number in (place, told[place])]
    return found | ({"was": wrong} if wrong else {})


def whole(events: Sequence[tuple[int, wire.AnyEvent]], batch: wire.Batch) -> Document:
    """Return what a batch's document holds, where all of its events go into it as they came."""
    moments = [event.at for _, event in events]
    return {
        "t": sorted({wire.EVENT_TAGS[kind] for kind in {type(event) for _, event in events}}),
        "a": max(moments),
        "z": min(moments),
        "b": batch.base,
        "e": bytes(batch.events),
    }


def encoded(events: Iterable[tuple[int, wire.AnyEvent]], base: int) -> dict[int, bytes]:
    """Return place -> an event as it goes over the wire."""
    return {place: wire.encode_event(event, base) for place, event in events}


def events_of(row: Mapping[str, Any], tags: Collection[int] | None = None) -> list[Stored]:
    """Return the events of a document, of some wire tags or all."""
    if "t" not in row:
        return []  # a batch whose events have expired
    if not isinstance(row["t"], list):
        if tags is not None and row["t"] not in tags:
            return []
        told = int(row["was"]) if "was" in row else None
        return [Stored(row["n"], *codec.decode(dict(row)), row["stored_at"], told)]
    parts = _decoder.decode(row["e"])
    places: Iterable[int] = row.get("p") or range(len(parts))
    wrong = row.get("was", ())
    told_of = dict(zip(wrong[::2], map(int, wrong[1::2]), strict=True))
    base = int(row["b"])
    found = []
    for place, raw in zip(places, parts, strict=True):
        if tags is None or _may_be(raw, tags):
            id_ = f"{row['_id']}:{place}"
            event = wire.decode_event(raw, base)
            found.append(Stored(row["n"], id_, event, row["stored_at"], told_of.get(place)))
    return found


def samples_of(row: Document) -> list[Stored]:
    """Return the resource samples of a batch's document."""
    return [Stored(row["n"], *pair, row["stored_at"]) for pair in codec.decode_samples(row)]


def _may_be(raw: msgspec.Raw, tags: Collection[int]) -> bool:
    """True unless an encoded event is surely of none of these tags: that is read off its second byte."""
    view = memoryview(raw)
    return view[0] not in _FIXED_ARRAY or view[1] in tags
