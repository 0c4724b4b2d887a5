"""The page's way out: one camera's annotated picture, to each browser that has it open; the newest wins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from agent.boxes import Uint8
from agent.preview import picture
from agent.show.showing import Shown

OWNER = "owner"  # who has the page's token
MOST = 8  # browsers at once


class Viewer:
    """One open picture."""

    def __init__(self, who: str) -> None:
        self.who = who
        self._jpeg = b""
        self._wake = asyncio.Event()

    def offer(self, jpeg: bytes) -> None:
        """Replace the picture that waits."""
        self._jpeg = jpeg
        self._wake.set()

    async def take(self) -> bytes:
        """Return the newest picture that was not taken yet."""
        await self._wake.wait()
        self._wake.clear()
        return self._jpeg


class PageWay:
    """Sends one camera's pictures to open browsers. `draw`: makes a copy with boxes and lines."""

    name = "page"
    every = 0.2

    def __init__(self, draw: Callable[[Shown], Uint8]) -> None:
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._viewers: list[Viewer] = []

    @contextlib.contextmanager
    def open(self, who: str) -> Iterator[Viewer]:
        """Let a browser in for a while; raise OverflowError if too many are there."""
        if len(self._viewers) >= MOST:
            raise OverflowError(f"{MOST} pictures are open already")
        viewer = Viewer(who)
        self._viewers = [*self._viewers, viewer]
        try:
            yield viewer
        finally:
            self._viewers = [other for other in self._viewers if other is not viewer]

    def watchers(self) -> list[tuple[str, str]]:
        """Return each address that looks."""
        return [(who, OWNER) for who in sorted({viewer.who for viewer in self._viewers})]

    def take(self, shown: Shown) -> None:
        """Annotate a picture and send it to all who look."""
        jpeg = picture(self._draw(shown))
        for viewer in self._viewers:
            self._loop.call_soon_threadsafe(viewer.offer, jpeg)
