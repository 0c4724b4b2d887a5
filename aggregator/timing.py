"""Boxes' clocks as batches and states come: what they say, and what is put right because of it.

What always holds: while this machine's own clock cannot be right, nothing is concluded from it. What is
stored already is put right by a task of its own; batches that are being stored meanwhile are looked at again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from agent import wire
from aggregator.lateness import Lateness
from aggregator.store.box_clock import FRESH_MS, LATE_MS, BoxClock, has_clocks
from aggregator.store.errors import StoreError
from aggregator.store.parcel import Parcel
from aggregator.store.redate import Epoch
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_AHEAD_MS = 60_000

_REMEMBERED = 20_000  # epochs
_TOGETHER = 200  # states that are learnt from in one question
_SETTLE_SECONDS = 0.5  # what looks late is judged when a sign that we are late has shown itself


class _Moment(NamedTuple):
    """A box's newest state: its offset, the bound that it gives, and when it came (monotonic seconds)."""

    offset: int
    bound: int
    came: float

    @property
    def looks_late(self) -> bool:
        """True if it came late by its box's clock, but not later than we may be."""
        return FRESH_MS < self.bound - self.offset <= LATE_MS


class Timing:
    """What is known of boxes' clocks.

    Args:
        store: where it is kept.
        stamp: the time of what is stored now.
        believed: whether our own clock may be right.
        lateness: whether we may have taken a state late.
        on_clock: told a node and by how many ms its clock is ahead.
        on_right: told a node, by how many ms its times were wrong, and how many documents were stored.
    """

    def __init__(
        self,
        store: Store,
        stamp: Callable[[], datetime],
        believed: Callable[[], bool],
        lateness: Lateness,
        on_clock: Callable[[str, int], None] = lambda node, off: None,
        on_right: Callable[[str, int, int], None] = lambda node, off, amount: None,
    ) -> None:
        self._store = store
        self._stamp = stamp
        self._believed = believed
        self._lateness = lateness
        self._on_clock = on_clock
        self._on_right = on_right
        self._clocks: dict[Epoch, BoxClock] = {}
        self._states: dict[Epoch, _Moment] = {}
        self._due: set[Epoch] = set()
        self._wake = asyncio.Event()

    def shift(self, by: int) -> None:
        """Our own clock was set by some ms."""
        for epoch, clock in self._clocks.items():
            was_off = any(map(clock.off, clock.offsets))
            clock.shift(by)
            if was_off or any(map(clock.off, clock.offsets)):
                self._due.add(epoch)
        self._wake.set()

    def state(self, node: str, state: wire.State, came: float) -> None:
        """Take a state that a node has sent, and when it came (monotonic seconds)."""
        if state.mono > 0 and state.epoch and self._believed():
            moment = _Moment(state.at - state.mono, _wall(came) - state.mono, came)
            self._lateness.state(came, moment.looks_late)
            self._states[node, state.epoch] = moment
            if len(self._states) > _REMEMBERED:  # the database is away: the newest are looked at first
                del self._states[next(iter(self._states))]
                _LOG.debug("too many clocks wait to be learnt; the oldest is, when its node says it again")
            self._wake.set()

    async def judge(self, parcels: Sequence[Parcel]) -> None:
        """Learn from batches, and put their times right before they are stored; raise StoreError."""
        if not self._believed():
            return
        timed = [parcel for parcel in parcels if has_clocks(parcel.batch)]
        await self._know((parcel.node, parcel.epoch) for parcel in timed)
        news: set[Epoch] = set()
        for parcel in timed:
            batch = parcel.batch
            epoch = (parcel.node, parcel.epoch)
            if self._hear(epoch, batch.base - batch.mono, _wall(parcel.came) - batch.mono, False):
                news.add(epoch)
        await self._store.redate.save({epoch: self._clocks[epoch] for epoch in news}, self._stamp())
        for parcel in timed:
            clock = self._clocks[parcel.node, parcel.epoch]
            parcel.put_right(clock)
            if parcel.told:
                off = clock.off(parcel.batch.base - parcel.batch.mono)
                self._on_right(parcel.node, off, len(parcel.told))
        for parcel in parcels:
            self._tell(parcel, _wall(parcel.came))

    def stored(self, parcels: Sequence[Parcel]) -> None:
        """Look again at batches that were being stored while their box's clock became known."""
        for parcel in parcels:
            clock = self._clocks.get((parcel.node, parcel.epoch))
            if clock is not None and clock.true != parcel.true and has_clocks(parcel.batch):
                self._put_right_soon((parcel.node, parcel.epoch))

    def _put_right_soon(self, epoch: Epoch) -> None:
        clock = self._clocks[epoch]
        if any(map(clock.off, clock.offsets)):
            self._due.add(epoch)
            self._wake.set()

    def _tell(self, parcel: Parcel, came: int) -> None:
        """Tell how far the box's clock is off now, if this batch says so."""
        base = parcel.batch.base
        mono = parcel.batch.mono
        clock = self._clocks.get((parcel.node, parcel.epoch)) if has_clocks(parcel.batch) else None
        if clock is not None and mono < clock.newest:
            return
        if clock is not None:
            clock.newest = mono
        if clock is not None and clock.true is not None:
            self._on_clock(parcel.node, clock.off(base - mono))
        elif base > came + _AHEAD_MS:
            self._on_clock(parcel.node, base - came)
        elif base > came - LATE_MS:
            self._on_clock(parcel.node, 0)

    async def _know(self, epochs: Iterable[Epoch]) -> None:
        """Read back what the store knows of the clocks of these epochs."""
        unknown = {epoch for epoch in epochs if epoch not in self._clocks}
        if not unknown:
            return
        found = await self._store.redate.clocks(unknown)
        for epoch, clock in found.items():
            self._clocks.setdefault(epoch, clock)
        too_many = len(self._clocks) - _REMEMBERED - len(unknown)
        for epoch in list(islice(self._clocks, max(0, too_many))):
            del self._clocks[epoch]

    def _hear(self, epoch: Epoch, offset: int, bound: int, fresh: bool) -> bool:
        """Take a moment by both clocks of a box; return if it says anything new."""
        clock = self._clocks[epoch]
        before = clock.true
        news = clock.hear(offset, bound, fresh)
        if news and clock.true != before:
            self._put_right_soon(epoch)
        return news

    async def run(self) -> None:
        """Learn from states, and put right what is stored, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
                if self._states:
                    await asyncio.sleep(_SETTLE_SECONDS)
                    self._wake.set()
            except StoreError as error:
                _LOG.debug("times are put right later: %s", error)
                self._wake.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _work(self) -> None:
        while moments := dict(islice(self._ripe(), _TOGETHER)):
            await self._know(moments)
            news = [
                epoch
                for epoch, moment in moments.items()
                if self._hear(epoch, moment.offset, moment.bound, self._is_fresh(moment))
            ]
            await self._store.redate.save({epoch: self._clocks[epoch] for epoch in news}, self._stamp())
            for epoch, moment in moments.items():
                if self._states.get(epoch) == moment:
                    del self._states[epoch]
        while self._due:
            epoch = next(iter(self._due))
            self._due.discard(epoch)
            try:
                await self._put_right(epoch)
            except StoreError:
                self._due.add(epoch)
                raise

    def _ripe(self) -> Iterator[tuple[Epoch, _Moment]]:
        """Iterate over the states that can be judged now."""
        until = time.monotonic() - _SETTLE_SECONDS
        return ((epoch, one) for epoch, one in self._states.items() if not one.looks_late or one.came < until)

    def _is_fresh(self, moment: _Moment) -> bool:
        """True if a state came as soon as it was sent; False if it looks late, and we may have made it so."""
        return not (moment.looks_late and self._lateness.covers(moment.came))

    async def _put_right(self, epoch: Epoch) -> None:
        await self._know([epoch])
        clock = self._clocks[epoch]
        await self._store.redate.save({epoch: clock}, self._stamp())
        amount = await self._store.redate.put_right(*epoch, clock, self._stamp())
        if amount:
            off = max((clock.off(offset) for offset in clock.offsets), key=abs)
            _LOG.warning("%s: its clock was wrong; the times of %d documents are put right", epoch[0], amount)
            self._on_right(epoch[0], off, amount)


def _wall(came: float) -> int:
    """Return by our wall's clock when something came."""
    return int((time.time() - (time.monotonic() - came)) * 1000)
