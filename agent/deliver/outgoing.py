"""Batches on their way out: the window is kept full; each batch that is due is sent by a task of its own.

What always holds: what the broker says of a batch decides nothing but when it goes again; only an
acknowledgement of the centre takes it out of the window (`agent.deliver.window`). The tasks that send belong
to the one that looks what is due: with a connection that is lost it ends first, and begins no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agent import wire
from agent.deliver.spool import SpoolWorker
from agent.deliver.standing import ConnectionRecord
from agent.deliver.window import RESEND_CAP, Flight, Window
from agent.mqtt.client import BrokerError, Client, RefusedError
from agent.tasks import first_error, wait_at_most

_NOBODY = "no aggregator listens at the broker; start one. Everything is kept here until then"


class Outgoing:
    """What sends a node's batches over one connection after another.

    `turn_seconds`: it looks at least this often; `alive` is called at each look.
    """

    def __init__(
        self,
        node: str,
        spool: SpoolWorker,
        window: Window,
        record: ConnectionRecord,
        *,
        turn_seconds: float,
        alive: Callable[[], None],
    ) -> None:
        self._node = node
        self._spool = spool
        self._window = window
        self._record = record
        self._turn_seconds = turn_seconds
        self._alive = alive

    async def run(self, client: Client) -> None:
        """Keep the window full, and send what is due, until the connection is lost; raise BrokerError."""
        with first_error(BrokerError):
            async with asyncio.TaskGroup() as group:
                await self._send_what_is_due(client, group)

    async def _send_what_is_due(self, client: Client, group: asyncio.TaskGroup) -> None:
        while True:
            self._alive()
            self._spool.ready.clear()
            wait = await self._spool.close_due()
            await self._window.fill()
            now = time.monotonic()
            for flight in self._window.due(now):
                flight.sending = True
                group.create_task(self._send(client, flight), name="publish-batch")
            pause = self._window.next_send() - now
            pause = min(pause, self._turn_seconds, RESEND_CAP if wait is None else wait)
            await wait_at_most(self._spool.ready, pause)

    async def _send(self, client: Client, flight: Flight) -> None:
        self._window.sends(flight)
        try:
            heard = await client.publish(wire.topic(self._node, "ev"), flight.batch.payload)
            if heard:
                self._window.heard()
            else:
                self._window.not_heard(flight)
            self._record.say("" if heard else _NOBODY)
        except RefusedError as error:
            self._record.refused(str(error))
        finally:
            flight.sending = False
            self._spool.ready.set()
