"""A mirror of what is stored as JSON over MQTT, an event a message, for Node-RED and whoever else reads it.

What always holds: each aggregator tells what it stored itself, so nothing is told twice while all live. What
waits is bounded; what finds no room, or is refused by the broker, is counted and told in the log. Each event
has its id, so a reader can drop what comes again and see what is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, RefusedError
from aggregator.ingest import Fact
from aggregator.metrics import Metrics
from aggregator.store import codec

_LOG = logging.getLogger(__name__)
_MOST = 10_000
_RETRY_SECONDS = 1.0

Publish = Callable[[str, bytes], Awaitable[None]]


class Mirror:
    """Events on their way out. `topic`: below it each node has its own."""

    def __init__(self, topic: str, publish: Publish, metrics: Metrics) -> None:
        self._topic = topic
        self._publish = publish
        self._metrics = metrics
        self._waiting: deque[Fact] = deque()
        self._any = asyncio.Event()
        self._complained = ""

    def see(self, facts: Sequence[Fact]) -> None:
        """Take what this aggregator stored just now."""
        room = _MOST - len(self._waiting)
        self._waiting.extend(facts[:room])
        if len(facts) > room:
            self._drop(len(facts) - room, "too much waits for the broker")
        self._any.set()

    def _drop(self, amount: int, why: str) -> None:
        self._metrics.mirror_dropped.inc(amount)
        if why != self._complained:
            _LOG.warning("the mirror over MQTT leaves events out: %s", why)
            self._complained = why

    async def run(self) -> None:
        """Publish what waits, for ever."""
        while True:
            await self._any.wait()
            self._any.clear()
            while self._waiting:
                fact = self._waiting[0]
                try:
                    await self._publish(self._topic_of(fact), msgspec.json.encode(_readable(fact)))
                    self._complained = ""
                except RefusedError as error:
                    self._drop(1, str(error))
                except BrokerError as error:
                    _LOG.debug("the mirror over MQTT goes on later: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self._waiting.popleft()

    def _topic_of(self, fact: Fact) -> str:
        return f"{self._topic}/{fact.node}/{wire.EVENT_NAMES[type(fact.event)]}"


def _readable(fact: Fact) -> dict[str, object]:
    return codec.fact(fact.node, fact.id, fact.event)
