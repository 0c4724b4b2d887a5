"""Ingest: batches from the broker -> checked -> stored -> acknowledged.

What always holds:

* A node's batch is acknowledged on `gb/1/<node>/ack` only after the journaled write that marks it stored.
* What waits is bounded. When the fast lane is full nothing more is taken, and the broker holds the rest; what
  the broker drops then, the nodes send again. No honest batch is ever discarded here.
* Nobody waits for another's poison. A message that cannot be opened goes to quarantine unacknowledged (its
  number cannot be trusted); a bad event among good ones goes there alone, and its batch is acknowledged.
  Nodes that send poison, and batches larger than any agent's, go through a lane of their own.
* A group is bounded in bytes and takes a batch of each node in turn; what is computed and written for it is
  done in slices, so that no message holds the event loop or the database. Between two of its writes the slow
  lane lets the fast one go first.
* A group costs much the same whether it is small or large. So after a group the next one waits `_CALM` times
  as long for company, unless it is large already: who comes alone is stored at once, a busy centre writes
  less often.
* While the database is away nothing is acknowledged and the same group is tried again, with back-off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from agent import wire
from agent.mqtt.client import Message
from aggregator.durable_write import DurableWrite
from aggregator.lanes import Lane
from aggregator.metrics import Metrics
from aggregator.refusals import Refusals
from aggregator.site_time import now
from aggregator.slices import each_in_turn, slices
from aggregator.store.errors import StoreError
from aggregator.store.parcel import Fact, Parcel, Poison, address, open_batch, refusal, unpack
from aggregator.store.store import Store
from aggregator.timing import Timing

__all__ = ["Fact", "Ingest", "Parcel", "address", "unpack"]

_LOG = logging.getLogger(__name__)
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)
_STUCK_SECONDS = 30.0
_CALM = 12  # times the linger, from one group to the next
_GROUP_BYTES = 128 * 1024  # taken at once, so that a write is short whoever sends
_HEAVY_BYTES = 48 * 1024  # an agent's batch is smaller, and has fewer events
_HEAVY_EVENTS = 10 * wire.BATCH_EVENTS
_SUSPECT_SECONDS = 60.0  # after its last poison a node is trusted again
_SUSPECTS = 10_000
_WAY_SECONDS = 0.1  # the longest that the slow lane lets the fast one go first, between two slices
_WAY_STEP = 0.005
_SAID_SECONDS = 60.0

Acknowledge = Callable[[str, bytes], Awaitable[None]]


class Ingest:
    """What waits between the broker and the database, and the tasks that write it."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        acknowledge: Acknowledge,
        on_stored: Callable[[Sequence[Fact]], None],
        *,
        stamp: Callable[[], datetime] = now,
        timing: Timing | None = None,
        on_batches: Callable[[Sequence[Parcel]], None] = lambda parcels: None,
        queue_batches: int = 500,
        group_batches: int = 250,
        linger: float = 0.02,
    ) -> None:
        self._durable = DurableWrite(store, stamp, self._conflict)
        self._metrics = metrics
        self._acknowledge = acknowledge
        self._on_stored = on_stored
        self._on_batches = on_batches
        self._timing = timing
        self._group_batches = group_batches
        self._linger = linger
        self._fast = Lane(queue_batches)
        self._slow = Lane(queue_batches)
        self._refusals = Refusals(store.kept, metrics)
        self._suspects: dict[str, float] = {}  # node -> until (monotonic seconds)
        self._said: dict[str, float] = {}
        self._busy: dict[Lane, float] = {}  # since when a lane writes a group
        self.trouble = ""
        self.is_apart: Callable[[str, int], bool] = lambda node, epoch: False  # a copy's, left with it
        self.is_watched: Callable[[], bool] = lambda: True  # if not, nobody is told detections and tracks

    # ── what comes in ──

    async def put(self, message: Message) -> None:
        """Take a message; waits while too much waits already."""
        found = open_batch(message.topic, message.payload, message.came)
        if isinstance(found, Poison):
            self._refuse(found)
        elif not self._is_slow(found):
            await self._fast.put(found)
        elif not self._slow.offer(found):
            self._metrics.put_off.inc()
            self._say(f"{found.node}: too much of it waits to be stored; what comes now has to come again")
        self._metrics.waiting.set(len(self._fast) + len(self._slow))

    def refuse(self, message: Message, reason: str) -> None:
        """Send a message of another kind to quarantine."""
        try:
            node, _ = wire.parse_topic(message.topic)
        except wire.WireError:
            node = ""
        self._refuse(refusal(node, message.topic, message.payload, reason))

    def _refuse(self, poison: Poison) -> None:
        self._suspect(poison.node)
        self._refusals.add(poison)

    def _suspect(self, node: str) -> None:
        at = time.monotonic()
        self._suspects[node] = at + _SUSPECT_SECONDS
        if len(self._suspects) > _SUSPECTS:
            self._suspects = {name: until for name, until in self._suspects.items() if until > at}

    def _is_slow(self, parcel: Parcel) -> bool:
        """True if others must not wait for this batch."""
        heavy = len(parcel.payload) > _HEAVY_BYTES or parcel.events > _HEAVY_EVENTS
        return heavy or self._suspects.get(parcel.node, 0.0) > parcel.came

    def stuck(self) -> str:
        """Return why nothing moves, or an empty text."""
        if time.monotonic() - min(self._busy.values(), default=time.monotonic()) < _STUCK_SECONDS:
            return ""
        return self.trouble or f"a write has taken more than {_STUCK_SECONDS:.0f} s"

    # ── what goes on ──

    async def run(self) -> None:
        """Write groups for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(self._fast), name="ingest-fast")
            group.create_task(self._serve(self._slow), name="ingest-slow")
            group.create_task(self._refusals.run(), name="ingest-refusals")

    async def _serve(self, lane: Lane) -> None:
        taken = 0.0
        while True:
            await lane.wait()
            await self._gather(lane, taken + _CALM * self._linger)
            parcels = lane.take(self._group_batches, _GROUP_BYTES)
            taken = time.monotonic()
            self._busy[lane] = taken
            await self._write(lane, parcels)
            del self._busy[lane]
            self._metrics.waiting.set(len(self._fast) + len(self._slow))

    async def _gather(self, lane: Lane, until: float) -> None:
        """Let a group come together, for the linger at least, until some monotonic second, or it is large."""
        until = max(until, time.monotonic() + self._linger)
        while len(lane) < self._group_batches and lane.size < _GROUP_BYTES:
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, self._linger))

    async def _give_way(self, lane: Lane) -> None:
        """Let others have their turn; in the slow lane let the fast one do what it has, for a while."""
        await asyncio.sleep(0)
        end = time.monotonic() + _WAY_SECONDS
        while lane is self._slow and (len(self._fast) or self._fast in self._busy):
            await asyncio.sleep(_WAY_STEP)
            if time.monotonic() > end:
                return

    async def _write(self, lane: Lane, parcels: list[Parcel]) -> None:
        """Store one group, trying again until the database has it, then acknowledge it."""
        parcels = self._without_copies(parcels)
        if not parcels:
            return
        for parcel in parcels:
            await each_in_turn(parcel.read())
        attempt = 0
        judged = self._timing is None
        while True:
            try:
                if self._timing is not None and not judged:
                    await self._timing.judge(parcels)
                    judged = True
                fresh = await self._durable.write(parcels, lambda: self._give_way(lane))
                break
            except StoreError as error:
                if str(error) != self.trouble:
                    _LOG.warning("nothing is acknowledged now: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(_BACK_OFF[min(attempt, len(_BACK_OFF) - 1)])
                attempt += 1
        if self.trouble:
            _LOG.warning("the database is back; storing goes on")
        self.trouble = ""
        for parcel in fresh:
            if parcel.bad:
                self._suspect(parcel.node)
        self._count(fresh)
        await self._answer(parcels)
        self._on_batches(fresh)
        if self._timing is not None:
            self._timing.stored(fresh)
        every = self.is_watched()
        for facts in slices([fact for parcel in fresh for fact in parcel.facts(every)]):
            self._on_stored(facts)
            await self._give_way(lane)

    def _without_copies(self, parcels: list[Parcel]) -> list[Parcel]:
        """Leave with it what a copy of a box sends: it is neither stored nor acknowledged."""
        kept = [parcel for parcel in parcels if not self.is_apart(parcel.node, parcel.epoch)]
        if len(kept) < len(parcels):
            nodes = sorted({parcel.node for parcel in parcels} - {parcel.node for parcel in kept})
            self._say(f"batches of a copy of {', '.join(nodes) or 'a box'} are left with it")
        return kept

    def _conflict(self, parcels: Sequence[Parcel]) -> None:
        self._metrics.conflicts.inc(len(parcels))
        for node in dict.fromkeys(parcel.node for parcel in parcels):
            self._say(f"{node}: a batch came again with another content; is the box a copy?")

    async def _answer(self, stored: Sequence[Parcel]) -> None:
        """Tell each node which of its batches are stored."""
        by_node: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for parcel in stored:
            by_node[parcel.node][parcel.epoch].append(parcel.seq)
            self._metrics.seconds_to_store.observe(time.monotonic() - parcel.came)
        for node, epochs in by_node.items():
            await self._acknowledge(node, wire.encode_ack({e: list(seqs) for e, seqs in epochs.items()}))

    def _count(self, fresh: Sequence[Parcel]) -> None:
        self._metrics.batches.inc(len(fresh))
        self._metrics.events.inc(sum(len(parcel.good) for parcel in fresh))
        self._metrics.quarantined.inc(sum(parcel.bad for parcel in fresh))

    def _say(self, text: str) -> None:
        """Log a warning, each text once a minute."""
        at = time.monotonic()
        if at - self._said.get(text, -_SAID_SECONDS) >= _SAID_SECONDS:
            self._said = {said: when for said, when in self._said.items() if at - when < _SAID_SECONDS}
            self._said[text] = at
            _LOG.warning("%s", text)
