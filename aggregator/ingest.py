"""Ingest: batches from the broker -> checked -> stored -> acknowledged.

What always holds:

* A node's batch is acknowledged on `gb/1/<node>/ack` only after the journaled write that marks it stored.
* The queue is bounded. When it is full nothing more is taken, and the broker holds the rest; what the broker
  drops then, the nodes send again. Nothing is ever discarded here.
* Poison never blocks its neighbours: a message that cannot be opened goes to quarantine unacknowledged
  (its number cannot be trusted); a bad event among good ones goes there alone, and its batch is acknowledged.
* While the database is away nothing is acknowledged and the same group is tried again, with back-off.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent import wire
from agent.broker import Message
from aggregator import documents
from aggregator.calendar import now
from aggregator.counts import Marks
from aggregator.failures import StoreError
from aggregator.metrics import Metrics
from aggregator.store import Claim, Poison, Store

_LOG = logging.getLogger(__name__)
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)
_STUCK_SECONDS = 30.0

_Item = tuple[str, bytes, float, str]  # topic, payload, when it came, why it is refused already
Acknowledge = Callable[[str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One stored event."""

    node: str
    id: str
    event: wire.AnyEvent


@dataclass(slots=True)
class Parcel:
    """One batch, opened: its good events by place, and its poison."""

    node: str
    epoch: int
    seq: int
    sum: bytes
    payload: bytes
    came: float
    good: list[tuple[int, wire.AnyEvent]] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    rows: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """`node:epoch:seq`."""
        return documents.batch_id(self.node, self.epoch, self.seq)

    def claim(self) -> Claim:
        """Return what names this batch in the store."""
        return Claim(self.id, self.sum, len(self.good), len(self.poison))


def unpack(topic: str, payload: bytes, came: float, refused: str = "") -> Parcel | Poison:
    """Open a message; a Poison if it is no batch of a node, or if it was `refused` before."""
    try:
        node, _ = wire.parse_topic(topic)
    except wire.WireError as error:
        return _refuse("", topic, payload, str(error))
    if refused:
        return _refuse(node, topic, payload, refused)
    try:
        batch = wire.decode_batch(payload)
        raws = wire.batch_events(batch)
    except wire.WireError as error:
        return _refuse(node, topic, payload, str(error))
    parcel = Parcel(node, batch.epoch, batch.seq, batch.sum, payload, came)
    for place, raw in enumerate(raws):
        try:
            parcel.good.append((place, wire.decode_event(raw, batch.base)))
        except wire.WireError as error:
            parcel.poison.append(Poison(f"{parcel.id}:{place}", node, str(error), bytes(raw), False))
    return parcel


def _refuse(node: str, topic: str, payload: bytes, reason: str) -> Poison:
    digest = hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=12).hexdigest()
    return Poison(f"{node}:{digest}", node, reason, payload, True)


def address(parcel: Parcel, stored_at: datetime) -> None:
    """Fill the parcel's documents by collection; what the database cannot hold becomes poison."""
    parcel.rows = defaultdict(list)
    samples: list[tuple[int, wire.Resources]] = []
    keep: list[tuple[int, wire.AnyEvent]] = []
    for place, event in parcel.good:
        try:
            if isinstance(event, wire.Resources):
                documents.check_sample(event)
                samples.append((place, event))
            else:
                home = documents.HOME.get(type(event), documents.EVENTS)
                row = documents.encode(parcel.node, f"{parcel.id}:{place}", event, stored_at)
                parcel.rows[home].append(row)
            keep.append((place, event))
        except documents.Unstorable as error:
            raw = wire.encode_event(event, 0)
            parcel.poison.append(Poison(f"{parcel.id}:{place}", parcel.node, str(error), raw, False))
    parcel.good = keep
    if samples:
        row = documents.encode_samples(parcel.node, parcel.id, samples, stored_at)
        parcel.rows[documents.RESOURCES].append(row)


class Ingest:
    """The queue between the broker and the database, and the task that writes it."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        acknowledge: Acknowledge,
        on_stored: Callable[[Sequence[Fact]], None],
        *,
        queue_batches: int = 500,
        group_batches: int = 250,
        linger: float = 0.02,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._acknowledge = acknowledge
        self._on_stored = on_stored
        self._group_batches = group_batches
        self._linger = linger
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(queue_batches)
        self._busy_since: float | None = None
        self.trouble = ""

    async def put(self, message: Message) -> None:
        """Take a message; waits while the queue is full."""
        await self._queue.put((message.topic, message.payload, time.monotonic(), ""))
        self._metrics.waiting.set(self._queue.qsize())

    def refuse(self, message: Message, reason: str) -> None:
        """Send a message of another kind to quarantine; while the queue is full it is only counted."""
        try:
            self._queue.put_nowait((message.topic, message.payload, time.monotonic(), reason))
        except asyncio.QueueFull:
            self._metrics.quarantined.inc()

    def stuck(self) -> str:
        """Return why nothing moves, or an empty text."""
        if self._busy_since is None or time.monotonic() - self._busy_since < _STUCK_SECONDS:
            return ""
        return self.trouble or f"a write has taken more than {_STUCK_SECONDS:.0f} s"

    async def run(self) -> None:
        """Write groups for ever."""
        while True:
            group = [await self._queue.get()]
            if self._queue.qsize() < self._group_batches:
                await asyncio.sleep(self._linger)
            while len(group) < self._group_batches and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._write(group)
            self._metrics.waiting.set(self._queue.qsize())

    async def _write(self, group: list[_Item]) -> None:
        """Store one group, trying again until the database has it, then acknowledge it."""
        opened = [unpack(*item) for item in group]
        parcels = [item for item in opened if isinstance(item, Parcel)]
        refused = [item for item in opened if isinstance(item, Poison)]
        self._busy_since = time.monotonic()
        attempt = 0
        while True:
            try:
                fresh, stored = await self._store_group(parcels, refused)
                break
            except StoreError as error:
                if str(error) != self.trouble:
                    _LOG.warning("nothing is acknowledged now: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(_BACK_OFF[min(attempt, len(_BACK_OFF) - 1)])
                attempt += 1
        if self.trouble:
            _LOG.warning("the database is back; storing goes on")
        self.trouble, self._busy_since = "", None
        self._count(fresh, refused)
        await self._answer(stored)
        self._on_stored(
            [
                Fact(parcel.node, f"{parcel.id}:{place}", event)
                for parcel in fresh
                for place, event in parcel.good
            ]
        )

    async def _store_group(
        self, parcels: list[Parcel], refused: list[Poison]
    ) -> tuple[list[Parcel], list[Parcel]]:
        """Take the durable order once; return what was new and all that may be acknowledged."""
        stored_at = now()
        for poison in refused:
            await self._store.quarantine(poison)
        unique = list({(parcel.id, parcel.sum): parcel for parcel in parcels}.values())
        for parcel in unique:
            address(parcel, stored_at)
        # Of two contents under one number in the same group, only the first can be claimed.
        first = list({parcel.id: parcel for parcel in reversed(unique)}.values())[::-1]
        verdicts = dict(
            zip(map(id, first), await self._store.claim([p.claim() for p in first], stored_at), strict=True)
        ) if first else {}  # fmt: skip
        verdict = {id(parcel): verdicts.get(id(parcel), "conflict") for parcel in unique}
        for parcel in unique:
            if verdict[id(parcel)] == "conflict":
                await self._keep_conflict(parcel)
        fresh = [parcel for parcel in unique if verdict[id(parcel)] in ("new", "known")]
        if fresh:
            await self._insert(fresh, stored_at)
        return fresh, parcels

    async def _insert(self, fresh: list[Parcel], stored_at: datetime) -> None:
        marks = Marks()
        rows: dict[str, list[Any]] = defaultdict(list)
        for parcel in fresh:
            for poison in parcel.poison:
                await self._store.quarantine(poison)
            for name, some in parcel.rows.items():
                rows[name] += some
            for _, event in parcel.good:
                marks.add(parcel.node, parcel.epoch, event)
        for name, some in rows.items():
            for place, reason in (await self._store.insert(name, some)).items():
                row = some[place]
                await self._store.quarantine(Poison(row["_id"], row["n"], reason, bytes(row.raw), False))
        await self._store.raise_counts(marks, stored_at)
        await self._store.mark_stored([parcel.id for parcel in fresh])

    async def _keep_conflict(self, parcel: Parcel) -> None:
        await self._store.keep_conflict(parcel.id, parcel.node, parcel.sum, parcel.payload)
        self._metrics.conflicts.inc()
        _LOG.warning("%s: batch %s came with another content; is the box a copy?", parcel.node, parcel.id)

    async def _answer(self, stored: Sequence[Parcel]) -> None:
        """Tell each node which of its batches are stored."""
        by_node: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for parcel in stored:
            by_node[parcel.node][parcel.epoch].append(parcel.seq)
            self._metrics.seconds_to_store.observe(time.monotonic() - parcel.came)
        for node, epochs in by_node.items():
            await self._acknowledge(node, wire.encode_ack({e: list(seqs) for e, seqs in epochs.items()}))

    def _count(self, fresh: Sequence[Parcel], refused: Sequence[Poison]) -> None:
        self._metrics.batches.inc(len(fresh))
        self._metrics.events.inc(sum(len(parcel.good) for parcel in fresh))
        self._metrics.quarantined.inc(len(refused) + sum(len(parcel.poison) for parcel in fresh))
