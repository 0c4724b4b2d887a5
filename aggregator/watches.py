"""Which cameras somebody has open, and the orders to their nodes.

What always holds: a node publishes boxes only while somebody has its camera open; `Watches` says so to it,
and says it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from agent import wire
from agent.mqtt.client import BrokerError

WATCH_SECONDS = 20.0
_RENEW_SECONDS = 8.0
Tell = Callable[[str, wire.Command], Awaitable[None]]
Looks = list[tuple[bool, str, str]]  # of those who have a camera open: with pictures?, role, user
Share = Callable[[str, str, Looks], Awaitable[Looks]]


class Watches:
    """Which cameras somebody has open, and the orders to their nodes.

    `share`: tells other aggregators who has a camera open here, and returns who has it open there. So each
    order says what all of them together want.
    """

    def __init__(self, tell: Tell, share: Share) -> None:
        self._tell = tell
        self._share = share
        self._open: Counter[tuple[str, str, bool, str, str]] = Counter()  # node, camera, picture, role, user

    @asynccontextmanager
    async def watching(
        self, node: str, camera: str, picture: bool, role: str, user: str = ""
    ) -> AsyncIterator[None]:
        """Have a node publish a camera's boxes (and pictures) while this is open."""
        key = (node, camera, picture, role, user)
        self._open[key] += 1
        try:
            await self._order(node, camera)
            yield
        finally:
            self._open[key] -= 1
            self._open += Counter()  # drops what is zero
            await self._order(node, camera)

    async def run(self) -> None:
        """Say it again before it lapses, for ever."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            for node, camera in {key[:2] for key in self._open}:
                await self._order(node, camera)

    async def _order(self, node: str, camera: str) -> None:
        here = [key[2:] for key in self._open if key[:2] == (node, camera)]
        open_ = here + await self._share(node, camera, here)
        pictures = [look for look in open_ if look[0]]
        command = wire.Command(
            id=secrets.token_hex(8),
            verb="watch" if open_ else "unwatch",
            expires=int((time.time() + WATCH_SECONDS) * 1000),
            role=(pictures or open_ or [(False, "viewer", "")])[0][1],
            camera=camera,
            seconds=WATCH_SECONDS if open_ else 0.0,
            picture=bool(pictures),
            user=", ".join(sorted({user for _, _, user in pictures if user}))[:200],
        )
        with contextlib.suppress(BrokerError):  # it is said again in a moment
            await self._tell(node, command)
