"""The broker's answers that are waited for: to publishes with QoS 1, and to subscriptions."""

from __future__ import annotations

import asyncio
from typing import Any


class Answers:
    """Who waits for which answer, by kind and message id."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}

    async def wait(self, kind: str, mid: int) -> list[Any]:
        """Return the reason codes of an answer; raise what `fail` was given."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting[kind, mid] = future
        try:
            return await future
        finally:
            self._waiting.pop((kind, mid), None)

    def resolve(self, kind: str, mid: int, codes: list[Any]) -> None:
        """Take an answer; one that nobody waits for is ignored."""
        future = self._waiting.get((kind, mid))
        if future is not None and not future.done():
            future.set_result(codes)

    def fail(self, why: Exception) -> None:
        """No answer will come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(why)
                future.exception()  # nobody may be waiting any more
