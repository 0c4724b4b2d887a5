"""A box without a centre: what stands in the place of the connection.

What always holds: events are kept as on any box, up to the spool's limit, so a box that joins a centre later
sends what it has; what is full drops the oldest detail first, counted, and never the running totals.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from agent.deliver.spool import SpoolWorker
from agent.deliver.standing import Standing
from agent.mqtt.settings import BrokerSettings

NO_CENTRE = "no centre: this box has not joined one"
_CLOSE_SECONDS = 5.0
_SLACK_SECONDS = 20.0


class Centre(Protocol):
    """What joins a box to its centre, or stands for it."""

    @property
    def broker(self) -> BrokerSettings | None:
        """Where it connects to; None: nowhere."""

    def standing(self) -> Standing:
        """Return how the connection stands."""

    def state_changed(self) -> None:
        """Publish the state anew, soon."""

    def publish_live(self, payload: bytes) -> bool:
        """Send a live frame, or drop it and return False."""

    async def respond(self, payload: bytes) -> None:
        """Answer a command."""

    def stop(self) -> None:
        """Ask `run` to return."""

    async def run(self) -> None:
        """Deliver, until asked to stop."""


class Alone:
    """Keeps the spool's batches closing in time, and sends nothing."""

    broker = None

    def __init__(self, spool: SpoolWorker, alive: Callable[[float], None]) -> None:
        self._spool = spool
        self._alive = alive
        self._began = time.monotonic()
        self._stop = asyncio.Event()

    def standing(self) -> Standing:
        """Return that there is no connection."""
        return Standing(False, time.monotonic() - self._began, 0, NO_CENTRE)

    def state_changed(self) -> None:
        """Tell nobody."""

    def publish_live(self, payload: bytes) -> bool:
        """Send nothing."""
        return False

    async def respond(self, payload: bytes) -> None:
        """Answer nobody."""

    def stop(self) -> None:
        """Ask `run` to return."""
        self._stop.set()

    async def run(self) -> None:
        """Close batches that are due, until asked to stop."""
        while not self._stop.is_set():
            self._alive(_CLOSE_SECONDS + _SLACK_SECONDS)
            await self._spool.close_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._stop.wait()
        await self._spool.close_batch()
