"""Messages on their way out: kept in the store, sent in order by outlet, tried again, given up aloud.

What always holds: what waits survives a restart, and an outlet that is down holds back no other. A message
is marked only after it was taken; a process that is killed in between sends it again, under the same id.
One that is asked to end finishes the attempt that it is in. What could not be sent for `try_hours`, or finds
more than 1,000 before it, is given up: the log and the history say so, and never again silently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from aggregator.alerts.outlets import NamedOutlet, NotSent, Sender
from aggregator.metrics import Metrics
from aggregator.store.alert_book import AlertBook
from aggregator.store.errors import StoreError

_LOG = logging.getLogger(__name__)
BACK_OFF = (1, 5, 30, 120, 600)  # seconds, the last one for ever
_LOOK_SECONDS = 1.0
_FINISH_SECONDS = 3.0
_AT_ONCE = 50  # messages of one outlet before others are looked at again

Document = dict[str, Any]


class Delivery:
    """Sends what waits in the outbox. `clock`: Unix ms."""

    def __init__(
        self, book: AlertBook, sender: Sender, metrics: Metrics, try_hours: int, clock: Callable[[], int]
    ) -> None:
        self._book = book
        self._sender = sender
        self._metrics = metrics
        self._try_ms = try_hours * 3_600_000
        self._clock = clock
        self._due: dict[str, int] = {}  # outlet -> when it is tried next
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send for as long as this aggregator holds the lease; ends by being cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self._finish()

    async def _look(self) -> None:
        """Start what is due."""
        for name, task in list(self._busy.items()):
            if task.done():
                del self._busy[name]
                task.result()
        try:
            for name in await self._book.outbox.waiting():
                if name not in self._busy and self._due.get(name, 0) <= self._clock():
                    self._busy[name] = asyncio.create_task(self._serve(name), name=f"outlet {name}")
        except StoreError as error:
            _LOG.debug("messages are sent later: %s", error)

    async def _finish(self) -> None:
        """Let attempts that are under way come to their end."""
        if self._busy:
            _, late = await asyncio.wait(self._busy.values(), timeout=_FINISH_SECONDS)
            for task in late:
                task.cancel()
        await self._sender.close()

    async def _serve(self, name: str) -> None:
        """Send an outlet's messages, one after the other, until one fails."""
        try:
            if dropped := await self._book.outbox.drop_oldest(name, "too many messages waited"):
                self._give_up(name, dropped, "too many messages wait for it")
            found = await self._book.one("alert_outlets", name)
            outlet = msgspec.convert(found, NamedOutlet) if found else None
            for _ in range(_AT_ONCE):
                message = await self._book.outbox.next(name)
                if message is None or not await self._attempt(name, outlet, message):
                    return
        except StoreError as error:
            _LOG.debug("messages are sent later: %s", error)

    async def _attempt(self, name: str, outlet: NamedOutlet | None, message: Document) -> bool:
        """Try one message; return whether the next may follow."""
        at = self._clock()
        id_ = message["id"]
        attempts = int(message["attempts"]) + 1
        try:
            if outlet is None:
                raise NotSent("there is no such outlet any more", for_good=True)
            await self._sender.send(outlet.outlet, id_, msgspec.json.decode(message["payload"]))
        except NotSent as error:
            if error.for_good or at - int(message["made"]) > self._try_ms:
                await self._book.outbox.mark(
                    id_, {"state": "given up", "error": str(error), "attempts": attempts}
                )
                self._give_up(name, 1, str(error))
                return True
            pause = BACK_OFF[min(attempts, len(BACK_OFF)) - 1]
            self._due[name] = at + pause * 1000
            await self._book.outbox.mark(id_, {"error": str(error), "attempts": attempts})
            if attempts == 1:
                _LOG.warning("alerts: outlet %s: %s; it is tried again for hours", name, error)
            return False
        self._due.pop(name, None)
        self._metrics.alerts_sent.inc()
        await self._book.outbox.mark(
            id_, {"state": "sent", "error": "", "attempts": attempts, "sent": self._clock()}
        )
        return True

    def _give_up(self, name: str, amount: int, why: str) -> None:
        self._metrics.alerts_given_up.inc(amount)
        _LOG.error("alerts: gave up on %d messages to outlet %s: %s", amount, name, why)
