"""Who may hold a connection to the box's page: strangers few of them, and not for long.

What always holds: a connection on which nobody has shown the token lives `STRANGER_SECONDS` at most, however
slowly bytes come, and there are `STRANGERS` of them at most: the oldest gives way. So nobody can take the
file handles that cameras, the spool and the broker need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

STRANGERS = 32
STRANGER_SECONDS = 20.0


class Door:
    """A protocol factory round one of aiohttp's servers: `serve` makes what speaks HTTP."""

    def __init__(self, serve: Callable[[], asyncio.Protocol]) -> None:
        self._serve = serve
        self._strangers: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # oldest first

    def __call__(self) -> asyncio.Protocol:
        """Let a connection in."""
        while len(self._strangers) >= STRANGERS:
            self._cut(next(iter(self._strangers)))
        protocol = self._serve()
        clock = asyncio.get_running_loop().call_later(STRANGER_SECONDS, self._cut, protocol)
        self._strangers[protocol] = clock
        return protocol

    def know(self, request: web.Request) -> None:
        """Somebody has shown the token on a connection: it may stay."""
        clock = self._strangers.pop(request.protocol, None)
        if clock is not None:
            clock.cancel()

    def close(self) -> None:
        """Wait for nobody any more."""
        for clock in self._strangers.values():
            clock.cancel()
        self._strangers.clear()

    def _cut(self, protocol: asyncio.BaseProtocol) -> None:
        self._strangers.pop(protocol).cancel()
        transport = getattr(protocol, "transport", None)
        if transport is not None:  # else it has ended already
            transport.abort()
