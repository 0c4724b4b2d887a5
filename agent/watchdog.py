"""Tells systemd that the agent is alive, and only when it is: the ping is fed by progress.

What always holds: a ping goes out only while every part that has promised progress has made some within
its limit. A blocked event loop cannot ping; a blocked inference or disk, and a delivery that neither stands
nor tries again, stop the ping. So systemd restarts the agent: after `WatchdogSec` for the loop, after the
limit and `WatchdogSec` for the rest, together 30 seconds (more where a part has said that its next step takes
longer).
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
        self._due: dict[str, float] = {}  # part -> when its next step is due at the latest

    def progress(self, part: str, within: float | None = None) -> None:
        """Note that `part` has just done a step of work. Safe from any thread.

        `within`: seconds until its next one at the latest, where that is not the common limit.
        """
        self._due[part] = self._clock() + (self._limit if within is None else within)

    def forget(self, part: str) -> None:
        """`part` has ended as it should; expect nothing more from it."""
        self._due.pop(part, None)

    def blocked(self) -> list[str]:
        """Return the parts whose next step is overdue."""
        now = self._clock()
        return [part for part, due in list(self._due.items()) if now > due]

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
