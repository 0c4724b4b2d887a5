"""The spool on a thread of its own, for the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from agent import wire
from agent.deliver.spool_queue import Spool
from agent.deliver.spool_values import Now, Sealed, this_moment

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class SpoolWorker:
    """The spool on its one thread, for the event loop. An async context manager; closes the spool.

    `ready` is set whenever there may be something to send, or to wait for. `problem`: what is wrong with the
    disk, empty while nothing is; `on_problem` is called when that changes.
    """

    def __init__(self, spool: Spool, clock: Callable[[], Now] = this_moment) -> None:
        self.ready = asyncio.Event()
        self.on_problem: Callable[[], None] = lambda: None
        self.problem = ""
        self.in_memory = 0
        self._told_damaged = 0
        self._spool = spool
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "spool")

    @property
    def epoch(self) -> int:
        """The epoch that events now belong to."""
        return self._spool.epoch

    @property
    def moves(self) -> int:
        """How often positions have begun anew."""
        return self._spool.place.moves

    @property
    def damaged(self) -> int:
        """How many times since the start the file was damaged and was set aside."""
        return self._spool.place.damaged

    async def __aenter__(self) -> SpoolWorker:
        self._tell_problem()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._call(lambda: self._spool.close_due(self._clock()))  # what waits in memory, if it can
        await self._call(self._spool.close)
        self._thread.shutdown(wait=True)

    async def append(self, events: Sequence[wire.AnyEvent], state: Mapping[str, bytes] | None = None) -> bool:
        """Put events and state on disk; see `Spool.append`. Cancelling does not undo it."""
        stored = await self._call(lambda: self._spool.append(events, self._clock(), state))
        if not stored or self.in_memory:
            self.in_memory = await self._call(lambda: self._spool.in_memory)
        self.ready.set()
        return stored

    async def remember(self, key: str, value: bytes) -> bool:
        """Keep a small value over restarts."""
        return await self.append([], {key: value})

    async def recall(self, key: str) -> bytes | None:
        """Return what was remembered."""
        return await self._call(lambda: self._spool.recall(key))

    async def close_due(self) -> float | None:
        """Close the open batch if it is due; return the seconds until something next is."""

        def close() -> float | None:
            now = self._clock()
            due = self._spool.close_due(now)
            return None if due is None else max(0, due - now.mono) / 1000

        return await self._call(close)

    async def close_batch(self) -> None:
        """Close the open batch now."""
        await self._call(self._spool.close_batch)
        self.ready.set()

    async def take(self, after: int, limit: int) -> list[Sealed]:
        """Return closed batches behind a position, sealed."""
        return await self._call(lambda: self._spool.take(after, limit, self._clock()))

    async def acknowledge(self, epoch: int, ranges: Sequence[tuple[int, int]]) -> int:
        """Forget what the aggregator has stored."""
        return await self._call(lambda: self._spool.acknowledge(epoch, ranges, self._clock()))

    async def status(self) -> dict[str, Any]:
        """Return the account."""
        return await self._call(self._spool.status)

    async def _call(self, work: Callable[[], T]) -> T:
        future: Future[T] = self._thread.submit(work)
        # A cancelled caller must not take back work that is queued: events would be lost unseen.
        done = await asyncio.shield(asyncio.wrap_future(future))
        self._tell_problem()
        return done

    def _tell_problem(self) -> None:
        """Log what is wrong with the disk when that changes, and tell who wants to know."""
        if self._told_damaged != self.damaged:
            self._told_damaged = self.damaged
            self.on_problem()
        if self._spool.place.problem == self.problem:
            return
        self.problem = self._spool.place.problem
        if self.problem:
            _LOG.warning("%s", self.problem)
        else:
            _LOG.info("the disk can be written again; what was in memory is on it")
        self.on_problem()
