"""Work that waits for its turn: in order, again after a failure, and a look where nothing waits."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from aggregator.work_queue import WorkQueue


class Away(Exception):
    """What the work may fail with."""


async def run_until(queue: WorkQueue, enough: asyncio.Event) -> None:
    """Let a queue work until an event is set."""
    working = asyncio.create_task(queue.run())
    try:
        async with asyncio.timeout(30):
            waited = asyncio.create_task(enough.wait())
            await asyncio.wait((working, waited), return_when=asyncio.FIRST_COMPLETED)
            waited.cancel()
        if working.done():
            working.result()
    finally:
        working.cancel()


async def test_what_fails_is_done_again_behind_the_rest() -> None:
    """The database is away once: nothing is lost, and what is done is done once."""
    done: list[str] = []
    enough = asyncio.Event()
    fails = [Away("away")]

    async def work(name: str) -> None:
        if name == "first" and fails:
            raise fails.pop()
        done.append(name)
        if len(done) == 2:
            enough.set()

    async def look() -> None:
        """Nothing to see."""

    queue = WorkQueue("test", look, (Away,), seconds=0.01)
    queue.put(partial(work, "first"))
    queue.put(partial(work, "second"))
    await run_until(queue, enough)
    assert done == ["second", "first"]


async def test_where_nothing_waits_it_looks_and_a_failed_look_is_not_queued() -> None:
    """It looks again after its time, also when the last look failed."""
    looks: list[int] = []
    enough = asyncio.Event()

    async def look() -> None:
        looks.append(len(looks))
        if len(looks) == 3:
            enough.set()
        if len(looks) < 3:
            raise Away("away")

    await run_until(WorkQueue("test", look, (Away,), seconds=0.01), enough)
    assert looks == [0, 1, 2]


async def test_what_it_may_not_fail_with_ends_it() -> None:
    """A fault of the program is no outage: it is seen by who runs the queue."""

    async def work() -> None:
        raise KeyError("broken")

    async def look() -> None:
        """Nothing to see."""

    queue = WorkQueue("test", look, (Away,), seconds=0.01)
    queue.put(work)
    with pytest.raises(KeyError):
        await run_until(queue, asyncio.Event())
