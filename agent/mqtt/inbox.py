"""What has arrived on a connection and waits for its reader.

What always holds: nothing is acknowledged and then discarded. A message with QoS 1 is acknowledged to the
broker only after the reader has dealt with it (when it asks for the next one, or, with `manual_ack`, when it
says so), and the broker holds back the rest: never more than `receive_maximum` wait here. Messages with
QoS 0 are dropped when the reader is slow, and `dropped` is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

WAITING_QOS0 = 1000  # QoS 0 waiting for the reader


class Acknowledger(Protocol):
    """What a message is acknowledged with."""

    def acknowledge(self, mid: int, qos: int) -> None:
        """Tell the broker that a message is dealt with."""


class Message:
    """One message. `acknowledge()` tells the broker that it is dealt with; doing it twice is harmless.

    `came`: when it was made or read from the socket, monotonic seconds.
    """

    __slots__ = ("_client", "_mid", "came", "payload", "qos", "retain", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        client: Acknowledger | None = None,
        mid: int = 0,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.came = time.monotonic()
        self._client = client
        self._mid = mid

    def acknowledge(self) -> None:
        """Acknowledge on the connection it came by; a no-op once that has ended."""
        client = self._client
        self._client = None
        if client is not None and self.qos:
            client.acknowledge(self._mid, self.qos)


class Inbox:
    """The messages of one connection, bounded. `why`: the error that ended the connection."""

    def __init__(
        self,
        receive_maximum: int,
        manual_ack: bool,
        dropped: Callable[[], None],
        why: Callable[[], Exception],
    ) -> None:
        self._receive_maximum = receive_maximum
        self._manual_ack = manual_ack
        self._dropped = dropped
        self._why = why
        self._arrived: asyncio.Queue[Message | None] = asyncio.Queue()
        self._handed: Message | None = None  # what the reader is dealing with
        self._waiting_qos0 = 0

    @property
    def waiting(self) -> int:
        """How many messages with QoS 1 wait for the reader."""
        return self._arrived.qsize() - self._waiting_qos0

    def offer(self, message: Message) -> bool:
        """Take a message; False if the broker sends more with QoS 1 than it was told that it may."""
        if message.qos == 0:
            if self._waiting_qos0 >= WAITING_QOS0:
                self._dropped()
                return True
            self._waiting_qos0 += 1
        elif self.waiting > self._receive_maximum:
            return False
        self._arrived.put_nowait(message)
        return True

    def end(self) -> None:
        """Wake the reader: nothing comes any more."""
        self._arrived.put_nowait(None)

    async def messages(self) -> AsyncIterator[Message]:
        """Iterate over what arrives; raise why the connection has ended when it has."""
        while True:
            if self._handed is not None and not self._manual_ack:
                self._handed.acknowledge()
            self._handed = None
            message = await self._arrived.get()
            if message is None:
                self._arrived.put_nowait(None)
                raise self._why()
            if message.qos == 0:
                self._waiting_qos0 -= 1
            self._handed = message
            yield message
