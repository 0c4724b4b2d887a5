"""The centre's two connections to the broker: one for events, one for everything else.

What always holds: events come by the shared subscription, so several aggregators divide them; states,
answers and live frames come to each. They have a connection of their own, so that events held back while
the database is away hold back nothing else. A lost connection is tried again for ever, with full jitter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, Client, Message, RefusedError, connect
from aggregator.config import Config
from aggregator.lateness import Lateness
from aggregator.metrics import Metrics

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 2.0
_HELD_BACK = 500

HEARD = ("state", "rsp", "live")

Take = Callable[[Message], Awaitable[None]]


class Link:
    """Connects, subscribes, hands on, and tries again. `lateness`: told how many messages wait meanwhile."""

    def __init__(self, config: Config, metrics: Metrics, lateness: Lateness) -> None:
        self._config = config
        self._lateness = lateness
        self._metrics = metrics
        self._name = config.broker.client_id or f"gb-aggregator-{secrets.token_hex(4)}"
        self._control: Client | None = None
        self._events: Client | None = None
        self._troubles = dict.fromkeys(("events", "rest"), "the broker was not reached yet")
        self._tried = {name: asyncio.Event() for name in self._troubles}

    async def tried(self) -> None:
        """Wait until both connections stand, or have failed once."""
        for event in self._tried.values():
            await event.wait()

    @property
    def trouble(self) -> str:
        """Why a connection does not stand; empty if both do."""
        return next((text for text in self._troubles.values() if text), "")

    # ── to the nodes ──

    async def acknowledge(self, node: str, payload: bytes) -> None:
        """Tell a node what is stored. QoS 0: a lost answer is asked for again by a resend."""
        client = self._events or self._control
        if client is not None:
            client.publish_now(wire.topic(node, "ack"), payload)

    async def want(self, node: str, document: bytes) -> None:
        """Publish a desired document, retained; raise BrokerError."""
        await self._connected().publish(wire.topic(node, "want"), document, qos=1, retain=True)

    async def forget(self, node: str) -> None:
        """Have the broker forget what was wanted of a node, and its state where it may; raise BrokerError."""
        client = self._connected()
        await client.publish(wire.topic(node, "want"), b"", qos=1, retain=True)
        with contextlib.suppress(RefusedError):  # a broker with rights has forgotten the state before
            await client.publish(wire.topic(node, "state"), b"", qos=1, retain=True)

    async def command(self, node: str, command: wire.Command) -> None:
        """Send a one-shot order; raise BrokerError."""
        payload = msgspec.json.encode(command)
        await self._connected().publish(wire.topic(node, "cmd"), payload, qos=1)

    async def tell(self, topic: str, payload: bytes) -> None:
        """Publish for others than the nodes; raise BrokerError."""
        await self._connected().publish(topic, payload, qos=1)

    def _connected(self) -> Client:
        if self._control is None:
            raise BrokerError("the broker cannot be reached; it is sent later")
        return self._control

    # ── from the nodes ──

    async def take_events(self, take: Take) -> None:
        """Hand on batches, for ever. The message is taken for good only when `take` returns."""
        while True:
            try:
                async with self._connection("ev") as client:
                    await client.subscribe(wire.SHARED_EVENTS)
                    self._events = client
                    self._stands("events")
                    async for message in client.messages:
                        await take(message)
            except BrokerError as error:
                self._events = None
                await self._pause("events", error)

    async def take_rest(self, take: Take, on_connect: Callable[[], None]) -> None:
        """Hand on states, answers and live frames, for ever."""
        while True:
            try:
                async with self._connection("") as client:
                    for kind in HEARD:
                        await client.subscribe(wire.topic("+", kind), qos=0 if kind == "live" else 1)
                    self._control = client
                    self._stands("rest")
                    _LOG.info("connected to %s", client.broker)
                    on_connect()
                    async for message in client.messages:
                        self._lateness.took(message.came, client.waiting)
                        await take(message)
            except BrokerError as error:
                self._control = None
                await self._pause("rest", error)

    @asynccontextmanager
    async def _connection(self, suffix: str) -> AsyncIterator[Client]:
        settings = self._config.broker_settings(f"{self._name}{'-' if suffix else ''}{suffix}")
        async with connect(settings, receive_maximum=_HELD_BACK) as client:
            client.on_dropped = self._metrics.broker_dropped.inc
            client.on_refused = self._metrics.broker_refused.inc
            yield client

    def _stands(self, name: str) -> None:
        self._troubles[name] = ""
        self._tried[name].set()

    async def _pause(self, name: str, error: BrokerError) -> None:
        """Say why a connection does not stand, each reason once, and wait a moment."""
        if str(error) not in self._troubles.values():
            _LOG.warning("%s", error)
        self._troubles[name] = str(error)
        self._tried[name].set()
        await asyncio.sleep(random.uniform(0.1, _LONGEST_PAUSE))
