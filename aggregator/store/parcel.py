"""A batch as it arrives, opened: its good events, its poison, and the documents that they become.

What always holds: whatever the bytes are, opening ends in a `Parcel` or in one `Poison`, and costs time in
proportion to the message's length. What takes long is done in slices: between two of them the caller may let
others work. Of a batch with many bad events the first are kept, the rest are counted.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from agent import wire
from aggregator.store import codec, detail
from aggregator.store.box_clock import BoxClock, corrected, has_clocks

_WATCHED_ONLY = (wire.Detection, wire.Track)
KEPT_OF_BATCH = wire.BATCH_EVENTS  # bad events of one batch that are kept; of an agent's batch all
_SHORTEST = 7  # bytes of the shortest event: an array of number, time, camera and one field more
_SLICE = 200  # events that are worked on before others may have their turn


class Poison(NamedTuple):
    """Something refused. `whole`: a message that could not be opened, not one event among others."""

    id: str
    node: str
    reason: str
    raw: bytes
    whole: bool


class Claim(NamedTuple):
    """A batch about to be stored: its id, checksum, and how many events are good and bad.

    `base`, `mono`: when it was begun by its box's two clocks; 0 where the box told no `mono`. `detail`: its
    events, see `detail`; None where they are documents of their own.
    """

    id: str
    sum: bytes
    good: int
    bad: int
    base: int = 0
    mono: int = 0
    detail: dict[str, Any] | None = None

    def clock(self) -> dict[str, int]:
        """Return both as they are stored: the one since the box's start, and what the other is above it."""
        return {"m": self.mono, "o": self.base - self.mono} if self.mono else {}

    def row(self, stored_at: datetime) -> dict[str, Any]:
        """Return the batch's document."""
        row: dict[str, Any] = {"_id": self.id, "s": self.sum, "g": self.good, "q": self.bad}
        row |= {"stored_at": stored_at, **self.clock()}
        return row if self.detail is None else {**row, "n": self.id.partition(":")[0], **self.detail}


class Fact(NamedTuple):
    """One stored event."""

    node: str
    id: str
    event: wire.AnyEvent


@dataclass(slots=True)
class Parcel:
    """One batch: its good events by place, and its poison; `more_poison` was counted and not kept."""

    node: str
    batch: wire.Batch
    payload: bytes
    came: float  # monotonic seconds
    events: int  # how many it says it has
    good: list[tuple[int, wire.AnyEvent]] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    more_poison: int = 0
    rows: dict[str, list[Any]] = field(default_factory=dict)
    detail: dict[str, Any] | None = None  # its events, for the batch's own document
    told: dict[int, int] = field(default_factory=dict)  # place -> the wrong time that the box told
    true: int | None = None  # the offset by which its times were judged
    was_read: bool = False

    @property
    def epoch(self) -> int:
        """The start of the agent that it is from."""
        return self.batch.epoch

    @property
    def seq(self) -> int:
        """Its number within the epoch."""
        return self.batch.seq

    @property
    def sum(self) -> bytes:
        """Its checksum."""
        return self.batch.sum

    @property
    def id(self) -> str:
        """`node:epoch:seq`."""
        return codec.batch_id(self.node, self.epoch, self.seq)

    @property
    def bad(self) -> int:
        """How many of its events are refused."""
        return len(self.poison) + self.more_poison

    @property
    def is_plain(self) -> bool:
        """True if all of it is good, lies near each other, and belongs into the batch's own document."""
        if not self.good or len(self.good) != self.events:
            return False
        kinds = {type(event) for _, event in self.good}
        return kinds.isdisjoint(codec.HOME) and detail.is_short([event for _, event in self.good])

    def claim(self) -> Claim:
        """Return what names this batch in the store."""
        clocks = (self.batch.base, self.batch.mono) if has_clocks(self.batch) else (0, 0)
        return Claim(self.id, self.sum, len(self.good), self.bad, *clocks, self.detail)

    def as_told(self) -> dict[int, wire.AnyEvent]:
        """Return place -> its good events, with the times that the box told."""
        return {
            place: msgspec.structs.replace(event, at=self.told[place]) if place in self.told else event
            for place, event in self.good
        }

    def facts(self, every: bool = True) -> list[Fact]:
        """Return its good events with their ids; without `every` not those that only watchers look at."""
        id_ = self.id
        node = self.node
        good = self.good if every else [one for one in self.good if not isinstance(one[1], _WATCHED_ONLY)]
        return [Fact(node, f"{id_}:{place}", event) for place, event in good]

    def read(self) -> Iterator[None]:
        """Decode its events, once, in slices."""
        if self.was_read:
            return
        self.was_read = True
        if self.events <= _SLICE and len(self.payload) <= wire.BATCH_BYTES:  # as agents send them
            events = wire.decode_events(self.batch.events, self.batch.base)
            if events is not None:
                self.good = list(enumerate(events))
                return
        for place, raw in enumerate(wire.batch_events(self.batch)):
            size = len(memoryview(raw))
            if not _SHORTEST <= size <= wire.BATCH_BYTES:
                self.refuse(place, f"bad event: {size} bytes are too many or too few for one", raw)
            else:
                try:
                    self.good.append((place, wire.decode_event(raw, self.batch.base)))
                except wire.WireError as error:
                    self.refuse(place, str(error), raw)
            if place % _SLICE == _SLICE - 1:
                yield

    def put_right(self, clock: BoxClock) -> None:
        """Put the times of its events right, as far as its box's clock is known."""
        right = corrected(self.good, self.batch, clock)
        self.told = {}
        self.true = clock.true
        if right:
            self.told = {place: event.at for place, event in self.good if place in right}
            self.good = [
                (place, msgspec.structs.replace(event, at=right[place]) if place in right else event)
                for place, event in self.good
            ]

    def refuse(self, place: int, reason: str, raw: bytes | msgspec.Raw) -> None:
        """Note that one event is poison."""
        if len(self.poison) < KEPT_OF_BATCH:
            self.poison.append(Poison(f"{self.id}:{place}", self.node, reason, bytes(raw), False))
        else:
            self.more_poison += 1


def open_batch(topic: str, payload: bytes, came: float) -> Parcel | Poison:
    """Open a message's envelope; a Poison if it is no batch of a node."""
    try:
        node, _ = wire.parse_topic(topic)
    except wire.WireError as error:
        return refusal("", topic, payload, str(error))
    try:
        batch = wire.decode_batch(payload)
        events = len(wire.batch_events(batch))
    except wire.WireError as error:
        return refusal(node, topic, payload, str(error))
    return Parcel(node, batch, payload, came, events)


def refusal(node: str, topic: str, payload: bytes, reason: str) -> Poison:
    """Return a whole message as poison; the same message has the same id."""
    digest = hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=12).hexdigest()
    return Poison(f"{node}:{digest}", node, reason, payload, True)


def unpack(topic: str, payload: bytes, came: float) -> Parcel | Poison:
    """Open a message and decode its events at one go."""
    found = open_batch(topic, payload, came)
    if isinstance(found, Parcel):
        exhaust(found.read())
    return found


def address(parcel: Parcel, stored_at: datetime) -> None:
    """Fill the parcel's documents at one go."""
    exhaust(addressing(parcel, stored_at))


def addressing(parcel: Parcel, stored_at: datetime) -> Iterator[None]:
    """Fill the parcel's documents by collection, in slices; what the database cannot hold becomes poison."""
    parcel.rows = defaultdict(list)
    if parcel.is_plain and not parcel.told:
        parcel.detail = detail.whole(parcel.good, parcel.batch)
        return
    samples: list[tuple[int, wire.Resources]] = []
    plain: list[tuple[int, wire.AnyEvent]] = []
    bad: set[int] = set()
    for number, (place, event) in enumerate(parcel.good):
        try:
            if isinstance(event, wire.Resources):
                codec.check_sample(event)
                samples.append((place, event))
            elif type(event) in codec.HOME:
                parcel.rows[codec.HOME[type(event)]].append(_alone(parcel, place, event, stored_at))
            else:
                plain.append((place, event))
        except codec.Unstorable as error:
            parcel.refuse(place, str(error), wire.encode_event(event, 0))
            bad.add(place)
        if number % _SLICE == _SLICE - 1:
            yield
    parcel.good = [one for one in parcel.good if one[0] not in bad]
    if samples:
        told = parcel.told.get(samples[0][0])
        row = codec.encode_samples(parcel.node, parcel.id, samples, stored_at, told)
        parcel.rows[codec.RESOURCES].append(row)
    parcel.detail = None
    if plain and detail.is_short([event for _, event in plain]):
        raws = dict(enumerate(wire.batch_events(parcel.batch)))
        parcel.detail = detail.fields(plain, raws, parcel.batch.base, parcel.told)
    elif plain:
        for number, (place, event) in enumerate(plain):
            parcel.rows[codec.EVENTS].append(_alone(parcel, place, event, stored_at))
            if number % _SLICE == _SLICE - 1:
                yield


def _alone(parcel: Parcel, place: int, event: wire.AnyEvent, stored_at: datetime) -> Any:
    """Return an event's own document; raise Unstorable."""
    return codec.encode(parcel.node, f"{parcel.id}:{place}", event, stored_at, parcel.told.get(place))


def exhaust(slices: Iterator[None]) -> None:
    """Do all slices at one go."""
    for _ in slices:
        pass
