"""Broker settings -> a connected client: a thin asyncio face of paho-mqtt on MQTT 5.

What always holds:

* A `Client` is one connection. When it ends, everything that waits on it raises `BrokerError` and the
  object is spent; a reconnect makes a fresh paho client, so no old queue, message id or oversized
  message lives on.
* A publish with QoS 1 returns when the broker has taken it and raises when it refuses: reason codes are
  never swallowed.
* Nothing is acknowledged and then discarded: see `inbox`. What finds no room is counted in `dropped`.
* A half-open connection is noticed within 1.5 x `keepalive`, and so is a broker that answers pings alone.

paho's socket is served by the event loop itself (`socket_loop`), not by a thread of paho's: every callback
then runs where its data lives, without locks, and a batch costs no switch of threads. Only the connecting
(name, TCP, TLS) blocks, and runs on a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.mqtt.answers import Answers
from agent.mqtt.dial import dial, make_client, ping_seconds
from agent.mqtt.inbox import Inbox, Message
from agent.mqtt.settings import (
    BrokerError,
    BrokerSettings,
    NotAdmittedError,
    RefusedError,
    hung_up,
    refused,
)
from agent.mqtt.socket_loop import SocketLoop

__all__ = [
    "BrokerError",
    "BrokerSettings",
    "Client",
    "Message",
    "NotAdmittedError",
    "RefusedError",
    "connect",
]

_UNSENT_BYTES = 1024 * 1024  # QoS 0 waiting for the socket; beyond this, frames are dropped
_IN_FLIGHT = 100  # publishes with QoS 1 that wait for their PUBACK, or what the broker allows if less
_DISCONNECT_WITH_WILL = 0x04
_NO_SUBSCRIBERS = 0x10


class Client:
    """One live connection; made by `connect`."""

    def __init__(self, broker: BrokerSettings, receive_maximum: int, manual_ack: bool) -> None:
        self.broker = broker
        self.dropped = 0  # QoS 0 messages, incoming and outgoing, that found no room
        self.on_dropped: Callable[[], None] = lambda: None
        self.on_refused: Callable[[], None] = lambda: None  # a publish that the broker refused
        self._receive_maximum = receive_maximum
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(receive_maximum, manual_ack, self._drop, self._why)
        self._answers = Answers()
        self._unsent: dict[int, int] = {}
        self._unsent_bytes = 0
        self._max_packet = 0
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._over: BrokerError | None = None
        self._paho = make_client(broker)
        self._listen_to(self._paho)
        self._socket = SocketLoop(
            self._paho,
            lambda error: self._end(BrokerError(f"{broker} sent what is no MQTT ({type(error).__name__})")),
        )

    # ── what users call ──

    async def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> bool:
        """Publish; with QoS 1 wait until the broker has taken it. Raise BrokerError if it is refused.

        False if the broker says that nobody has subscribed to it.
        """
        async with self._in_flight:
            self._check(len(topic) + len(payload))
            info = self._paho.publish(topic, payload, qos=qos, retain=retain)
            if info.rc != paho.MQTT_ERR_SUCCESS:
                raise self._over or BrokerError(f"publish on {topic}: {paho.error_string(info.rc)}")
            code = (await self._answers.wait("publish", info.mid))[0] if qos else None
        if code is not None and code.is_failure:
            self.on_refused()
            raise RefusedError(refused(self.broker, code, f"publish on {topic}"))
        return code is None or code.value != _NO_SUBSCRIBERS

    def publish_now(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0 if the socket keeps up; else drop it, count it, return False."""
        too_big = 0 < self._max_packet < len(payload) + len(topic) + 16
        if self._over or too_big or self._unsent_bytes > _UNSENT_BYTES:
            self._drop()
            return False
        info = self._paho.publish(topic, payload, qos=0)
        if info.rc == paho.MQTT_ERR_SUCCESS and self._paho.want_write():
            self._unsent[info.mid] = len(payload)
            self._unsent_bytes += len(payload)
        return bool(info.rc == paho.MQTT_ERR_SUCCESS)

    async def subscribe(self, filter_: str, qos: int = 1) -> None:
        """Subscribe; raise BrokerError if the broker refuses."""
        self._check(len(filter_))
        _, mid = self._paho.subscribe(filter_, options=SubscribeOptions(qos=qos))
        if mid is None:
            raise self._over or BrokerError(f"subscribe to {filter_}: not connected")
        for code in await self._answers.wait("subscribe", mid):
            if code.is_failure:
                raise RefusedError(refused(self.broker, code, f"subscribe to {filter_}"))

    @property
    def waiting(self) -> int:
        """How many messages with QoS 1 have arrived and wait for who iterates over `messages`."""
        return self._inbox.waiting

    @property
    def messages(self) -> AsyncIterator[Message]:
        """Iterate over what arrives; raise BrokerError when the connection ends."""
        return self._inbox.messages()

    # ── the life of the connection ──

    async def open(self, will: Message | None, seconds: float) -> None:
        """Connect and wait for the broker's word; raise BrokerError."""
        if self.broker.username:
            self._paho.username_pw_set(self.broker.username, self.broker.secret())
        if self.broker.tls:
            self._paho.tls_set_context(self.broker.tls_context())
        if will is not None:
            self._paho.will_set(will.topic, will.payload, will.qos, will.retain)
        self._paho.connect_timeout = seconds
        await dial(self._paho, self.broker, self._receive_maximum)
        if not self._socket.serve():
            raise BrokerError(hung_up(self.broker))
        try:
            async with asyncio.timeout(seconds):
                await self._connected
        except TimeoutError:
            raise BrokerError(f"{self.broker} does not answer: is that an MQTT broker?") from None

    async def run(self) -> None:
        """Send pings and notice a dead connection; returns when the connection has ended."""
        patience = 1.4 * self.broker.keepalive  # a look each 0.035 x keepalive
        while self._over is None:
            self._paho.loop_misc()
            if self._answers.silent > patience:
                text = f"{self.broker} answers pings and nothing else for {patience:.0f} s; it is tried again"
                self._end(BrokerError(text))
            await asyncio.sleep(ping_seconds(self.broker) / 20)

    def close(self, *, gently: bool) -> None:
        """Say goodbye and close the socket. Not gently: the broker publishes the last will."""
        if self._over is None:
            reason = None if gently else ReasonCode(PacketTypes.DISCONNECT, identifier=_DISCONNECT_WITH_WILL)
            self._paho.disconnect(reason)
            self._socket.write()
        self._end(BrokerError(f"the connection to {self.broker} is closed"))

    # ── inside ──

    def _listen_to(self, client: paho.Client) -> None:
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        if self._connected.done():
            return
        if code.is_failure:
            self._connected.set_exception(NotAdmittedError(refused(self.broker, code, "connect")))
            return
        self._max_packet = getattr(properties, "MaximumPacketSize", 0)
        self._in_flight = asyncio.Semaphore(min(getattr(properties, "ReceiveMaximum", 65535), _IN_FLIGHT))
        self._connected.set_result(None)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(BrokerError(refused(self.broker, code, "stay connected")))
        elif not self._connected.done():
            self._end(BrokerError(hung_up(self.broker)))
        else:
            self._end(BrokerError(f"the connection to {self.broker} was lost; it is tried again"))

    def _on_message(self, _client: paho.Client, _data: Any, got: paho.MQTTMessage) -> None:
        try:
            topic = got.topic
        except UnicodeDecodeError:
            self.acknowledge(got.mid, got.qos)
            self._drop()
            return
        message = Message(topic, bytes(got.payload), got.qos, got.retain, self, got.mid)
        if not self._inbox.offer(message):
            self._end(BrokerError(f"{self.broker} sends more at once than it was told that it may"))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, code: ReasonCode, _properties: Any
    ) -> None:
        if mid in self._unsent:
            self._unsent_bytes -= self._unsent.pop(mid)
        else:
            self._answers.resolve("publish", mid, [code])

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        self._answers.resolve("subscribe", mid, codes)

    def acknowledge(self, mid: int, qos: int) -> None:
        """Tell the broker that a message is dealt with; see `Message.acknowledge`."""
        if self._over is None:
            self._paho.ack(mid, qos)

    def _why(self) -> BrokerError:
        return self._over or BrokerError("not connected")

    def _drop(self) -> None:
        self.dropped += 1
        self.on_dropped()

    def _check(self, size: int) -> None:
        if self._over is not None:
            raise self._over
        if 0 < self._max_packet < size + 16:
            raise RefusedError(f"a message of {size} bytes; {self.broker} takes {self._max_packet} at most")

    def _end(self, why: BrokerError) -> None:
        """Close the socket and wake everybody who waits, once."""
        if self._over is not None:
            return
        self._over = why
        self._socket.close()
        self._answers.fail(why)
        if not self._connected.done():
            self._connected.set_exception(why)
            self._connected.exception()  # nobody may be waiting any more
        self._inbox.end()


@contextlib.asynccontextmanager
async def connect(
    broker: BrokerSettings,
    will: Message | None = None,
    *,
    receive_maximum: int = 100,
    manual_ack: bool = False,
    patience: float = 5.0,
) -> AsyncIterator[Client]:
    """Connect; raise BrokerError if that fails. Leaving by an exception makes the broker send the will.

    `receive_maximum`: messages with QoS 1 that may wait unacknowledged. `manual_ack`: the reader calls
    `message.acknowledge()`; else a message is acknowledged when the next one is asked for. `patience`:
    seconds for each step of connecting.
    """
    client = Client(broker, receive_maximum, manual_ack)
    with contextlib.ExitStack() as undo:
        undo.callback(client.close, gently=True)
        await client.open(will, patience)
        undo.pop_all()
    pulse = asyncio.get_running_loop().create_task(client.run(), name="broker-pulse")
    # Without its pulse a connection would die unnoticed: whatever ends the one ends the other.
    pulse.add_done_callback(lambda _: client.close(gently=False))
    left_well = False
    try:
        yield client
        left_well = True
    finally:
        client.close(gently=left_well)
        pulse.cancel()
        await asyncio.wait([pulse])
        if not pulse.cancelled():
            pulse.result()
