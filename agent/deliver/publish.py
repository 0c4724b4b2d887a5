"""Spool -> broker: the node's one connection to the centre.

What always holds:

* A batch is forgotten only when the aggregator's `ack` names it; what the broker says decides nothing.
  Until then it is sent again, the same bytes (see `window` and `outgoing`), and after each reconnect.
* The connection comes and goes and nothing else notices: reconnects back off with full jitter, so that a
  fleet does not come back in step. A broker that refuses a publish is told in words (`problem`) and asked
  again later.
* The retained `state` says online while this runs (`announce`); the broker's copy of our last will says the
  contrary.
* A box that the centre calls a copy of another leaves the name to that one: it connects no more than once in
  `ASIDE_SECONDS`, to hear whether that still holds, and keeps what it counts on its own disk until then.
* Live frames are QoS 0, dropped and counted when the connection is down or slow.
* Each step of its life is told to `alive`, with the seconds until the next one at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

from agent import wire
from agent.deliver.announce import Announcement
from agent.deliver.outgoing import Outgoing
from agent.deliver.spool import SpoolWorker
from agent.deliver.standing import ConnectionRecord, Standing
from agent.deliver.window import Window
from agent.mqtt.client import BrokerError, BrokerSettings, Client, connect
from agent.tasks import alone, first_error, lasting, wait_at_most

WINDOW = 32  # batches; a sealed batch cannot be dropped, so this bounds what the spool must keep
RESEND_SECONDS = 10.0
_FIRST_DELAY = 0.5
_STEADY_SECONDS = 10.0  # a connection that has lived this long was a good one
_GOODBYE_SECONDS = 3.0  # for the last acknowledgements when we are asked to stop
_TURN_SECONDS = 5.0  # a connection that stands says so at least this often
_SLACK_SECONDS = 20.0  # that a step may take longer than it should
_CONNECT_SECONDS = 120.0  # to connect, at most: a resolver that does not answer is waited for that long

ASIDE_SECONDS = 600.0
_COPY = (
    "the centre says that this box is a copy of another one of its name, so nothing is sent. If it is no "
    "copy, say so on the centre's page; if it is, join it under a name of its own (gb-agent enrol)"
)

Handler = Callable[[bytes], Awaitable[None]]


class _Aside(BrokerError):
    """Told to leave the name to another box."""


class _Finished(Exception):
    """Asked to stop, and done with the goodbyes."""


class Delivery:
    """What joins a node to the centre; `run` is its life.

    `state()` gives what is published as the node's state. `on_want`, `on_command` get the payloads of
    `want` and `cmd`. `window`: batches on their way at most. `delay_cap`: seconds between two tries to
    connect, at most; 30 suits a few hundred nodes, 60 suits thousands. `alive`: called at each step with the
    seconds until the next one, at most.
    """

    def __init__(
        self,
        spool: SpoolWorker,
        broker: BrokerSettings,
        node: str,
        *,
        state: Callable[[], wire.State],
        on_want: Handler,
        on_command: Handler,
        window: int = WINDOW,
        delay_cap: float = 30.0,
        resend_seconds: float = RESEND_SECONDS,
        chance: random.Random | None = None,
        alive: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.broker = broker
        self._spool = spool
        self._node = node
        self._on_want = on_want
        self._on_command = on_command
        self._chance = chance or random.Random()
        self._delay_cap = delay_cap
        self._alive = alive
        self._record = ConnectionRecord(str(broker))
        self._window = Window(spool, window, resend_seconds, self._chance)
        self._outgoing = Outgoing(
            node, spool, self._window, self._record,
            turn_seconds=_TURN_SECONDS, alive=lambda: alive(_TURN_SECONDS + _SLACK_SECONDS),
        )  # fmt: skip
        self._announcement = Announcement(node, state, self._record)
        self._client: Client | None = None
        self._stop = asyncio.Event()
        self._aside = asyncio.Event()

    # ── what others call ──

    def standing(self) -> Standing:
        """Return how the connection stands."""
        return self._record.standing()

    @property
    def problem(self) -> str:
        """What is wrong with the connection, in one line for a person; empty while all is well."""
        return self._record.problem

    def state_changed(self) -> None:
        """Publish the state anew, soon."""
        self._announcement.changed()

    def publish_live(self, payload: bytes) -> bool:
        """Send a live frame if the connection keeps up; else drop and count it."""
        sent = self._client is not None and self._client.publish_now(wire.topic(self._node, "live"), payload)
        self._record.live_dropped += not sent
        return sent

    async def respond(self, payload: bytes) -> None:
        """Answer a command; an answer that cannot be sent now is of no use later."""
        if self._client is not None:
            try:
                await self._client.publish(wire.topic(self._node, "rsp"), payload)
            except BrokerError as error:
                self._record.say(str(error))

    def stand_aside(self) -> None:
        """Leave the name to another box for a while: disconnect, and ask again later."""
        self._aside.set()

    def stop(self) -> None:
        """Ask `run` to hand over what it can within seconds, and return. The rest stays on disk."""
        self._stop.set()

    # ── its life ──

    async def run(self) -> None:
        """Connect, deliver, reconnect, until asked to stop."""
        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            self._record.tries += 1
            self._alive(_CONNECT_SECONDS)
            try:
                await alone(self._connect_and_serve(), "connection")
            except BrokerError as error:
                self._record.say(str(error))
            if self._aside.is_set():
                await self._wait_aside()
                continue
            failures = 0 if time.monotonic() - began > _STEADY_SECONDS else failures + 1
            await self._pause(failures)
        await self._spool.close_batch()

    async def _wait_aside(self) -> None:
        """Let the other box have the name, and close what is due meanwhile; stop cuts it short."""
        end = time.monotonic() + ASIDE_SECONDS
        while not self._stop.is_set() and (left := end - time.monotonic()) > 0:
            self._alive(_TURN_SECONDS + _SLACK_SECONDS)
            await self._spool.close_due()
            await wait_at_most(self._stop, min(left, _TURN_SECONDS))
        self._aside.clear()

    async def _pause(self, failures: int) -> None:
        """Wait a random time up to a bound that doubles (full jitter); stop cuts it short."""
        bound = min(self._delay_cap, _FIRST_DELAY * 2 ** min(failures, 20))
        self._alive(bound + _SLACK_SECONDS)
        await wait_at_most(self._stop, self._chance.uniform(0, bound))

    async def _connect_and_serve(self) -> None:
        will = self._announcement.message(online=False)
        async with connect(self.broker, will) as client:
            for kind in ("ack", "want", "cmd"):
                await client.subscribe(wire.topic(self._node, kind))
            self._window.reconnected()
            self._turn(client)
            self._record.say("")
            try:
                await self._serve(client)
            finally:
                self._turn(None)

    def _turn(self, client: Client | None) -> None:
        """Note that the connection has come or gone."""
        self._client = client
        self._record.turn(connected=client is not None)

    async def _serve(self, client: Client) -> None:
        with contextlib.suppress(_Finished), first_error(BrokerError), first_error(_Finished):
            async with asyncio.TaskGroup() as group:
                for name, work in (
                    ("state", self._announcement.run(client)),
                    ("receive", self._receive(client)),
                    ("send", self._outgoing.run(client)),
                    ("goodbye", self._say_goodbye(client)),
                    ("aside", self._leave()),
                ):
                    part = lasting(work, f"publish-{name}", expected=(BrokerError, _Finished))
                    group.create_task(part, name=f"{name} lasts")

    # ── in ──

    async def _receive(self, client: Client) -> None:
        async for message in client.messages:
            match message.topic.rpartition("/")[2]:
                case "ack":
                    await self._acknowledged(message.payload)
                case "want":
                    await self._on_want(message.payload)
                case "cmd" if not message.retain:  # an order is for now; a kept one is nobody's
                    await self._on_command(message.payload)

    async def _acknowledged(self, payload: bytes) -> None:
        try:
            ack = wire.decode_ack(payload)
        except wire.WireError as error:
            self._record.say(f"the centre sent an acknowledgement that cannot be read: {error}")
            return
        for epoch, ranges in ack.stored.items():
            await self._spool.acknowledge(epoch, ranges)
            self._window.landed(epoch, ranges)
        self._spool.ready.set()

    async def _leave(self) -> None:
        """End the connection when this box is to stand aside."""
        await self._aside.wait()
        raise _Aside(_COPY)

    # ── the end ──

    async def _say_goodbye(self, client: Client) -> None:
        """When asked to stop: send what is open, wait a little for the acknowledgements, go offline."""
        await self._stop.wait()
        await self._spool.close_batch()
        deadline = time.monotonic() + _GOODBYE_SECONDS
        # The account is on disk, and nothing tells when it changes: hence the polling.
        while (await self._spool.status())["pending"]:
            if time.monotonic() > deadline or self._window.unheard:
                break
            await asyncio.sleep(0.05)
        with contextlib.suppress(TimeoutError):  # a broker that is cut off would be waited for in vain
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._announcement.publish(client, online=False)
        raise _Finished
