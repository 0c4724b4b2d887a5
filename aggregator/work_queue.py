"""Work that waits for its turn, one piece after the other, and a look at the database where nothing waits.

What always holds: a piece that fails with one of the errors it may fail with is done again, behind what waits
already; so each piece must be such that it can be done twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_LOG = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class WorkQueue:
    """The work of one owner.

    Args:
        name: whose work it is, for the log.
        look: what is done after `seconds` without work: notice what other aggregators have decided.
        errors: what work may fail with, for a while: the database or the broker is away.
        seconds: between two looks, and after a failure.
    """

    def __init__(
        self, name: str, look: Work, errors: tuple[type[Exception], ...], seconds: float = 2.0
    ) -> None:
        self._name = name
        self._look = look
        self._errors = errors
        self._seconds = seconds
        self._waiting: asyncio.Queue[Work] = asyncio.Queue()

    def put(self, work: Work) -> None:
        """Have something done soon."""
        self._waiting.put_nowait(work)

    async def run(self) -> None:
        """Do what waits, for ever."""
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    work = await self._waiting.get()
            except TimeoutError:
                work = self._look
            try:
                await work()
            except self._errors as error:
                _LOG.warning("%s: it is tried again: %s", self._name, error)
                if work != self._look:
                    self.put(work)
                await asyncio.sleep(self._seconds)
