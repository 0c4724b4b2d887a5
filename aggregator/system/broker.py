"""What the broker says of itself, under `$SYS/broker`.

What always holds: it is heard over a connection of its own, so a broker that refuses it, or cuts off who
asks, disturbs nothing else. Not every broker has these topics, and one may keep them from the centre:
`trouble` says so.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from agent.mqtt.client import BrokerError, BrokerSettings, RefusedError, connect
from aggregator.system.rates import Rates
from aggregator.system.schemas import BrokerUse

_PREFIX = "$SYS/broker/"
_LEVELS = {"clients/connected": "clients", "heap/current": "memory_bytes"}
_TOTALS = {
    "messages/received": "messages_received_per_second",
    "messages/sent": "messages_sent_per_second",
    "bytes/received": "bytes_received_per_second",
    "bytes/sent": "bytes_sent_per_second",
    "publish/messages/dropped": "dropped_per_second",
}
_PAUSE = 30.0
_REFUSED_PAUSE = 600.0
_STALE = 120.0  # seconds; mosquitto tells what has changed each 10 s


class BrokerReport:
    """Listens to one broker."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._levels: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._rates = Rates()
        self._heard = 0.0
        self.trouble = "the broker has told nothing of itself yet"

    def use(self, now: float) -> BrokerUse | None:
        """Return what the broker said last, at `now`, monotonic seconds; None where it says nothing."""
        if self.trouble:
            return None
        if now - self._heard > _STALE:
            self.trouble = "the broker tells nothing of itself any more ($SYS/broker)"
            return None
        rates = {name: self._rates.take(name, total, now) for name, total in self._totals.items()}
        return msgspec.convert({**self._levels, **rates}, BrokerUse)

    async def run(self) -> None:
        """Listen, for ever."""
        while True:
            try:
                await self._listen()
            except RefusedError as error:
                self.trouble = f"let the centre subscribe to the broker's figures ($SYS/broker/#): {error}"
                await asyncio.sleep(_REFUSED_PAUSE)
            except BrokerError as error:
                self.trouble = f"the broker's figures ($SYS/broker) cannot be read: {error}"
                await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        async with connect(self._settings) as client:
            for name in (*_LEVELS, *_TOTALS):
                await client.subscribe(_PREFIX + name, qos=0)
            async for message in client.messages:
                self.take(message.topic.removeprefix(_PREFIX), message.payload, time.monotonic())

    def take(self, name: str, payload: bytes, now: float) -> None:
        """Take one figure at `now`, monotonic seconds; what is no number is left aside."""
        try:
            value = int(payload)
        except ValueError:
            return
        self._heard = now
        self.trouble = ""
        if name in _LEVELS:
            self._levels[_LEVELS[name]] = value
        elif name in _TOTALS:
            self._totals[_TOTALS[name]] = value
