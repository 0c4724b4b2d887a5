"""Tells systemd that the agent is alive, and only when it is: the ping is fed by progress.

What always holds: a ping goes out only while every part that has promised progress has made some within
its limit. A blocked event loop cannot ping; a blocked inference or disk stops the ping. So systemd
restarts the agent: after `WatchdogSec` for the loop, after the limit and `WatchdogSec` for the rest, together
30 seconds.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable

Clock = Callable[[], float]


def notify(message: str) -> None:
    """Send one sd_notify message; without systemd this does nothing. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.sendall(message.encode())


class Watchdog:
    """Collects progress and pings while all of it is recent."""

    def __init__(self, limit_seconds: float = 20.0, clock: Clock = time.monotonic) -> None:
        self._limit = limit_seconds
        self._clock = clock
        self._seen: dict[str, float] = {}

    def progress(self, part: str) -> None:
        """Note that `part` has just done a step of work. Safe from any thread."""
        self._seen[part] = self._clock()

    def forget(self, part: str) -> None:
        """`part` has ended as it should; expect nothing more from it."""
        self._seen.pop(part, None)

    def blocked(self) -> list[str]:
        """Return the parts whose last progress is older than the limit."""
        now = self._clock()
        return [part for part, seen in list(self._seen.items()) if now - seen > self._limit]

    async def run(self) -> None:
        """Ping for ever, several times in each `WATCHDOG_USEC`."""
        limit = os.environ.get("WATCHDOG_USEC", "")
        interval = int(limit or "30000000") / 1e6 / 4
        if limit:
            notify(f"WATCHDOG_USEC={limit}")  # a reload that has just ended had asked for more
        while True:
            blocked = self.blocked()
            notify(f"STATUS=blocked: {', '.join(blocked)}" if blocked else "WATCHDOG=1")
            await asyncio.sleep(interval)
