"""A simulated fleet: many nodes on some connections, each a batch an interval, spread evenly.

What always holds: all that a node says goes over MQTT as a box says it, and what is not acknowledged comes
again. Nodes share connections, so that thousands fit into one process; as many connections as nodes give each
its own. A lost connection comes back by itself, with full jitter.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from agent import wire
from agent.mqtt.client import BrokerError, BrokerSettings, Client, RefusedError, connect
from aggregator.config import Config
from aggregator.simulate.figures import Figures
from aggregator.simulate.node import SimulatedNode

_TICK_SECONDS = 0.25
_TOLD_SECONDS = 5.0
_LONGEST_PAUSE = 5.0
_OPEN_AT_ONCE = 32  # connections
_WINDOW = 50  # nodes of a connection that wait for the broker's answers together
_HOUR_MS = 3_600_000


class Plan(Struct, frozen=True):
    """What to simulate. `seconds`: 0 is until it is stopped; `crossings`: of each node and interval."""

    nodes: int
    connections: int
    interval: float
    crossings: int
    seconds: float
    prefix: str


async def simulate(config: Config, plan: Plan) -> Figures:
    """Run a fleet for a while; print its figures now and then; raise BrokerError if the broker refuses it."""
    figures = Figures()
    epoch = round(time.time() * 1000)
    width = len(str(plan.nodes))
    nodes = [
        SimulatedNode(wire.valid_node(f"{plan.prefix}-{number:0{width}d}"), number, epoch, figures)
        for number in range(1, plan.nodes + 1)
    ]
    opening = asyncio.Semaphore(_OPEN_AT_ONCE)
    try:
        async with asyncio.timeout(plan.seconds or None), asyncio.TaskGroup() as group:
            for number in range(plan.connections):
                part = _Part(config, plan, nodes[number :: plan.connections], figures, opening)
                group.create_task(part.run(), name=f"simulated-{number}")
            group.create_task(_tell(figures, plan.nodes), name="simulated-figures")
    except TimeoutError:
        pass  # as long as was asked
    except ExceptionGroup as errors:
        if errors.subgroup(RefusedError) is None:
            raise
        raise BrokerError(
            "the broker lets this user not be any node, as a real centre's should not: simulate at a centre "
            "whose broker asks for no password, such as that of `make demo`"
        ) from None
    return figures


async def _tell(figures: Figures, nodes: int) -> None:
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        print(figures.text(nodes), flush=True)


class _Part:
    """The nodes of one connection."""

    def __init__(
        self,
        config: Config,
        plan: Plan,
        nodes: Sequence[SimulatedNode],
        figures: Figures,
        opening: asyncio.Semaphore,
    ) -> None:
        name = nodes[0].name if plan.connections == plan.nodes else f"simulated-{secrets.token_hex(4)}"
        self._broker: BrokerSettings = msgspec.structs.replace(config.broker_settings(), client_id=name)
        self._plan = plan
        self._nodes = {node.name: node for node in nodes}
        self._figures = figures
        self._opening = opening
        spread = random.Random(nodes[0].name)
        now = time.monotonic()
        self._due = {node.name: now + spread.uniform(0, plan.interval) for node in nodes}

    async def run(self) -> None:
        """Stay connected for ever; raise RefusedError if the broker does not let these nodes in."""
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    async with self._opening:
                        client = await stack.enter_async_context(connect(self._broker))
                        await self._open(client)
                    self._figures.connections += 1
                    stack.callback(self._closed)
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._hear(client), name="simulated-hears")
                        group.create_task(self._say(client), name="simulated-says")
            except* RefusedError:
                raise
            except* BrokerError:
                self._figures.lost_connections += 1
            await asyncio.sleep(random.uniform(0.1, _LONGEST_PAUSE))

    def _closed(self) -> None:
        self._figures.connections -= 1

    async def _open(self, client: Client) -> None:
        """Say of every node that it is there, a window of nodes at once; raise an ExceptionGroup."""
        nodes = list(self._nodes.values())
        for first in range(0, len(nodes), _WINDOW):
            async with asyncio.TaskGroup() as group:
                for node in nodes[first : first + _WINDOW]:
                    group.create_task(self._come(client, node), name=f"{node.name}-comes")

    async def _come(self, client: Client, node: SimulatedNode) -> None:
        await client.subscribe(wire.topic(node.name, "ack"), qos=0)
        await client.publish(wire.topic(node.name, "state"), node.state(*self._clock()), qos=1, retain=True)

    def _clock(self) -> tuple[int, int]:
        """Return Unix ms, and ms since the start of its box, an hour before this machine's."""
        return round(time.time() * 1000), round(time.monotonic() * 1000) + _HOUR_MS

    async def _hear(self, client: Client) -> None:
        async for message in client.messages:
            with contextlib.suppress(wire.WireError):
                name, _ = wire.parse_topic(message.topic)
                self._nodes[name].acknowledged(message.payload, time.monotonic())

    async def _say(self, client: Client) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            async with asyncio.TaskGroup() as group:  # the client has a window of its own
                for name, node in self._nodes.items():
                    for payload in self._payloads(node):
                        group.create_task(
                            client.publish(wire.topic(name, "ev"), payload), name=f"{name}-says"
                        )

    def _payloads(self, node: SimulatedNode) -> list[bytes]:
        """Return what a node has to send now."""
        now = time.monotonic()
        payloads = node.again(now)
        if self._due[node.name] <= now:
            self._due[node.name] += self._plan.interval
            payloads.append(node.batch(*self._clock(), self._plan.crossings, now))
        return payloads
