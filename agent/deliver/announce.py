"""The node's retained `state`: published while connected, and anew whenever it has changed.

What always holds: between two states there is a pause, so that a burst of changes is one message. What says
"offline" is the same message with `online` false: as the last will, and when the node says goodbye.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from agent import wire
from agent.deliver.standing import ConnectionRecord
from agent.mqtt.client import Client, Message, RefusedError

_PAUSE_SECONDS = 0.2  # at least, between two states


class Announcement:
    """The state of a node at the broker; `state()` gives it as it is now."""

    def __init__(self, node: str, state: Callable[[], wire.State], record: ConnectionRecord) -> None:
        self._node = node
        self._state = state
        self._record = record
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Have the state published anew, soon."""
        self._changed.set()

    async def run(self, client: Client) -> None:
        """Publish the state now, and again whenever it has changed."""
        while True:
            self._changed.clear()
            await self.publish(client, online=True)
            await self._changed.wait()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def publish(self, client: Client, *, online: bool) -> None:
        """Publish the state; a refusal is counted and told."""
        message = self.message(online=online)
        try:
            await client.publish(message.topic, message.payload, qos=1, retain=True)
        except RefusedError as error:
            self._record.refused(str(error))

    def message(self, *, online: bool) -> Message:
        """Return the state as a retained message."""
        state = msgspec.structs.replace(self._state(), online=online)
        return Message(wire.topic(self._node, "state"), msgspec.json.encode(state), qos=1, retain=True)
