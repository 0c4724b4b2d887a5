"""The broker's answers that are waited for: to publishes with QoS 1, and to subscriptions.

What always holds: a broker that answers pings and nothing else is found out: `silent` grows while somebody
waits and no answer comes to anyone. On a slow road answers come late, but they come.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any


class Answers:
    """Who waits for which answer, by kind and message id."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}
        self._heard = 0.0  # when an answer came last, or when, after none was due, one began to be

    @property
    def silent(self) -> float:
        """Seconds for which answers were waited for and none came."""
        return time.monotonic() - self._heard if self._waiting else 0.0

    async def wait(self, kind: str, mid: int) -> list[Any]:
        """Return the reason codes of an answer; raise what `fail` was given."""
        if not self._waiting:
            self._heard = time.monotonic()
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting[kind, mid] = future
        try:
            return await future
        finally:
            self._waiting.pop((kind, mid), None)

    def resolve(self, kind: str, mid: int, codes: list[Any]) -> None:
        """Take an answer; one that nobody waits for is ignored."""
        self._heard = time.monotonic()
        future = self._waiting.get((kind, mid))
        if future is not None and not future.done():
            future.set_result(codes)

    def fail(self, why: Exception) -> None:
        """No answer will come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(why)
                future.exception()  # nobody may be waiting any more
