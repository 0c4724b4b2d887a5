"""Crossings to a webhook, at least once: signed batches, read from the store, from where they were left.

What always holds: the queue is the store itself, so it survives restarts and holds back nothing. Where it is
is kept after each batch that was taken. A write may become visible late, so the last `_OVERLAP_MS` are looked
through again, without what was sent. A receiver that is away for longer than `keep_hours` misses the older
ones: the log and a metric say so. Every crossing has its id, so what comes twice can be dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import ClientSession

from agent import wire
from agent.tasks import alone
from aggregator.alerts.outlets import NotSent, Webhook, post
from aggregator.metrics import Metrics
from aggregator.site_time import now
from aggregator.store import codec
from aggregator.store.archive import Archive
from aggregator.store.detail import Stored
from aggregator.store.errors import StoreError
from aggregator.store.leases import Leases
from aggregator.store.outside import OutsideStore
from aggregator.store.parcel import Fact

_LOG = logging.getLogger(__name__)
_LEASE = "crossings"
_LEASE_SECONDS = 30.0
_STEP_SECONDS = 1.0
_PAUSES = (1, 5, 30, 120)  # seconds after failures, the last one for ever
_OVERLAP_MS = 30_000
_STILL_MS = 3_600_000  # so long without a crossing: go on from a younger event, before that one expires
_FINISH_SECONDS = 3.0
_BATCH = 100
_PAGE = 2000
_NAME = "crossings"


class Place(msgspec.Struct):
    """Where it is: an event of any kind, its time of storing (Unix ms), and what came later and is sent.

    All that was stored before that event is sent. `id` empty: nothing was stored since that time.
    """

    at: int
    id: str = ""
    sent: set[str] = set()


class CrossingHook:
    """Sends crossings for as long as this aggregator holds the lease."""

    def __init__(
        self,
        hook: Webhook,
        keep_hours: int,
        archive: Archive,
        store: OutsideStore,
        leases: Leases,
        metrics: Metrics,
    ) -> None:
        self._hook = hook
        self._keep_ms = keep_hours * 3_600_000
        self._archive = archive
        self._store = store
        self._leases = leases
        self._metrics = metrics
        self._place = Place(0)
        self._failures = 0
        self._due = 0.0  # when it is tried next, monotonic seconds

    async def run(self) -> None:
        """Send for ever."""
        while True:
            try:
                if await self._leases.take(_LEASE, _LEASE_SECONDS):
                    await alone(self._hold(), "crossings sent")
            except StoreError as error:
                _LOG.debug("crossings are sent later: %s", error)
            await asyncio.sleep(_STEP_SECONDS)

    async def _hold(self) -> None:
        kept = (await self._store.all(_NAME)).get("")
        self._place = msgspec.json.decode(kept, type=Place) if kept else Place(_ms(now()))
        if not kept:
            await self._keep_place()
        try:
            async with ClientSession() as session:
                while await self._leases.take(_LEASE, _LEASE_SECONDS):
                    if time.monotonic() >= self._due:
                        await self._step(session)
                        self._due = time.monotonic() + self._pause()
                    await asyncio.sleep(_STEP_SECONDS)
        finally:
            await self._leases.give_back(_LEASE)

    def _pause(self) -> float:
        return _PAUSES[min(self._failures, len(_PAUSES)) - 1] if self._failures else 0.0

    async def _step(self, session: ClientSession) -> None:
        """Send what is stored and not sent, as far as the receiver takes it; raise StoreError."""
        began = _ms(now())
        await self._leave_the_oldest(began)
        place = self._place
        rows = await self._first() if not place.id else []
        anchor = place.id or (rows[0].id if rows else "")
        while anchor:
            page = await self._archive.after(anchor, [wire.Crossing], "", _PAGE)
            for start in range(0, len(rows + page), _BATCH):
                some = (rows + page)[start : start + _BATCH]
                fresh = [Fact(*one[:3]) for one in some if _is_due(one, place)]
                if fresh and not await _to_its_end(self._send(session, fresh)):
                    self._metrics.crossings_behind.set((began - place.at) / 1000)
                    return
            self._metrics.crossings_behind.set(0)
            old = [one for one in rows + page if _ms(one.stored_at) <= began - _OVERLAP_MS]
            if not old and not page and began - place.at > _STILL_MS:
                old = await self._archive.stored_since(_moment(began - 2 * _OVERLAP_MS), 1)
            if old:
                await self._move(old[-1], {one.id for one in page})
            if len(page) < _PAGE:
                return
            anchor = page[-1].id
            rows = []

    async def _first(self) -> list[Stored]:
        """Return the first event that was stored since the place's time, if there is one."""
        return await self._archive.stored_since(_moment(self._place.at), 1)

    async def _move(self, reached: Stored, after: set[str]) -> None:
        """Go on from an event; `after`: what was seen since then and before."""
        self._place.id = reached.id
        self._place.at = _ms(reached.stored_at)
        self._place.sent &= after
        await self._keep_place()

    async def _leave_the_oldest(self, began: int) -> None:
        oldest = began - self._keep_ms
        if self._failures and self._place.at < oldest:
            gap = (oldest - self._place.at) / 3_600_000
            _LOG.error("crossings of %.1f h are not sent: the receiver was away for too long", gap)
            self._metrics.crossings_left_out.inc()
            self._place = Place(oldest)
            await self._keep_place()

    async def _send(self, session: ClientSession, facts: Sequence[Fact]) -> bool:
        """Send one batch; return whether it was taken."""
        rows = [codec.fact(fact.node, fact.id, fact.event) for fact in facts]
        ids = [fact.id for fact in facts]
        name = hashlib.blake2b("\n".join(ids).encode(), digest_size=16).hexdigest()
        stamp = now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        content = {"type": "crossings", "timestamp": stamp, "data": {"crossings": rows}}
        try:
            await post(session, self._hook, name, content)
        except NotSent as error:
            self._failures += 1
            if self._failures == 1:
                _LOG.warning("crossings were not accepted: %s; they are sent again", error)
            return False
        self._failures = 0
        self._place.sent |= set(ids)
        await self._keep_place()
        return True

    async def _keep_place(self) -> None:
        await self._store.put(_NAME, msgspec.json.encode(self._place).decode())


async def _to_its_end(attempt: Coroutine[Any, Any, bool]) -> bool:
    """Return what an attempt returns; if we are to end meanwhile, see it through first."""
    task = asyncio.create_task(attempt, name="crossings attempt")
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_FINISH_SECONDS)
        task.cancel()
        raise
    return task.result()


def _is_due(one: Stored, place: Place) -> bool:
    return isinstance(one.event, wire.Crossing) and one.id not in place.sent


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
