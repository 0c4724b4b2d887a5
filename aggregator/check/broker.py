"""What the centre needs of a broker, whichever it is: each is tried with real connections.

The trials use a node of their own, `check-…`. Where `gb-aggregator init` made the rights, it is added for the
trial and removed after it; at a broker without them any client may be it, a fault of its own.
What always holds: nothing of the trial stays, and no real node hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, RefusedError, connect
from aggregator.check.trial import Trial
from aggregator.config import Config
from aggregator.setup import enrol

_SECONDS = 5.0
_LARGE = 500_000  # bytes; a wanted document may become as large
_MANY = 40
_WAITING = 1500
_AT_ONCE = 20  # that a busy client lets come
_SENDS = ("ev", "state", "rsp", "live")
_READS = ("ack", "want", "cmd")


async def trials(config: Config) -> list[Trial]:
    """Try everything; return how it came out."""
    centre = config.broker_settings()
    try:
        async with connect(_named(centre)):
            pass
    except BrokerError as error:
        return [Trial("a broker that speaks MQTT 5 and lets the centre in", str(error))]
    found = [Trial("a broker that speaks MQTT 5 and lets the centre in")]
    async with _node(config, centre) as node:
        for needed, trial in (
            ("shared subscriptions: each event to one of several aggregators", _shared),
            ("a retained state reaches who subscribes later", _retained),
            ("a last will when a connection breaks", _will),
            (f"messages of {_LARGE // 1000} kB", _large),
            (f"{_WAITING:,} messages wait for who is busy, as the states of a fleet do", _waiting),
            ("a node may do what nodes do, and nothing else", _rights),
        ):
            found.append(Trial(needed, await _fault(trial(centre, node))))
    return found


async def _fault(trial: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(4 * _SECONDS):
            return await trial
    except TimeoutError:
        return f"nothing came within {4 * _SECONDS:.0f} s"
    except BrokerError as error:
        return str(error)


@asynccontextmanager
async def _node(config: Config, centre: BrokerSettings) -> AsyncIterator[BrokerSettings]:
    """Give the settings of a node for the trial."""
    name = f"check-{secrets.token_hex(4)}"
    if not enrol.has_rights(config):
        yield msgspec.structs.replace(centre, client_id=name)
        return
    password = secrets.token_hex(16)
    await enrol.add_for_a_while(config, name, password)
    try:
        yield msgspec.structs.replace(
            centre, username=name, password=password, password_file="", client_id=name
        )
    finally:
        await asyncio.to_thread(enrol.remove_node, config, name)


def _named(centre: BrokerSettings) -> BrokerSettings:
    """Return the centre's settings under a name of its own: not every broker makes one up."""
    return msgspec.structs.replace(centre, client_id=f"check-{secrets.token_hex(4)}")


async def _heard(client: Client, amount: int) -> list[Message]:
    """Return the next messages, fewer if no more come for a while."""
    found: list[Message] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            async for message in client.messages:
                found.append(message)
                if len(found) == amount:
                    break
    return found


async def _shared(centre: BrokerSettings, node: BrokerSettings) -> str:
    own = wire.topic(node.client_id, "ev")
    async with connect(_named(centre)) as first, connect(_named(centre)) as second, connect(node) as sender:
        for client in (first, second):
            await client.subscribe(wire.SHARED_EVENTS)
        for _ in range(_MANY):
            await sender.publish(own, b"check", qos=1)
        heard = await asyncio.gather(_heard(first, _MANY), _heard(second, _MANY))
    amounts = [sum(message.topic == own for message in each) for each in heard]
    if sum(amounts) > _MANY or 0 in amounts:
        return f"of {_MANY} messages {amounts[0]} and {amounts[1]} came: they are not divided"
    return ""


async def _retained(centre: BrokerSettings, node: BrokerSettings) -> str:
    own = wire.topic(node.client_id, "state")
    async with connect(node) as sender:
        await sender.publish(own, b"check", qos=1, retain=True)
        async with connect(_named(centre)) as client:
            await client.subscribe(wire.topic("+", "state"))
            found = any(
                message.topic == own and message.retain for message in await _heard(client, 1_000_000)
            )
        await sender.publish(own, b"", qos=1, retain=True)
    return "" if found else "it did not: persistence of retained messages is needed"


async def _will(centre: BrokerSettings, node: BrokerSettings) -> str:
    own = wire.topic(node.client_id, "rsp")
    async with connect(_named(centre)) as client:
        await client.subscribe(wire.topic("+", "rsp"))
        with contextlib.suppress(_BreakError):
            async with connect(node, Message(own, b"gone", 1, False)):
                raise _BreakError
        heard = [message.topic for message in await _heard(client, 1)]
    return "" if own in heard else "it was not sent"


class _BreakError(Exception):
    """A connection that ends without a goodbye."""


async def _large(centre: BrokerSettings, node: BrokerSettings) -> str:
    own = wire.topic(node.client_id, "rsp")
    async with connect(_named(centre)) as client:
        await client.subscribe(wire.topic("+", "rsp"))
        async with connect(node) as sender:
            await sender.publish(own, bytes(_LARGE), qos=1)
        heard = [len(message.payload) for message in await _heard(client, 1)]
    return "" if _LARGE in heard else "it did not arrive: allow packets of 1 MB"


async def _waiting(centre: BrokerSettings, node: BrokerSettings) -> str:
    own = wire.topic(node.client_id, "rsp")
    async with connect(_named(centre), receive_maximum=_AT_ONCE) as client:
        await client.subscribe(wire.topic("+", "rsp"))
        async with connect(node) as sender, asyncio.TaskGroup() as group:
            for _ in range(_WAITING):
                group.create_task(sender.publish(own, b"check", qos=1), name="check-waits")
        heard = await _heard(client, _WAITING)
    amount = sum(message.topic == own for message in heard)
    if amount == _WAITING:
        return ""
    return f"{amount:,} of {_WAITING:,} came: let more be queued (mosquitto: max_queued_messages 100000)"


async def _rights(centre: BrokerSettings, node: BrokerSettings) -> str:
    """Try each cell of verb and topic, of the node's own and of another's."""
    wrong = []
    async with connect(node) as client:
        for verb, topic, expected in _cells(node.client_id):
            if await _may(client, verb, topic) != expected:
                wrong.append(f"{verb} {topic} is {'refused' if expected else 'allowed'}")
    if not wrong:
        return ""
    return f"{len(wrong)} of its rights are others, as: {'; '.join(wrong[:3])}"


def _cells(node: str) -> Iterator[tuple[str, str, bool]]:
    for name in (node, "check-another"):
        own = name == node
        for kind in (*_SENDS, *_READS, "join"):
            yield "publish", wire.topic(name, kind), own and kind in _SENDS
            yield "subscribe", wire.topic(name, kind), own and kind in _READS
    others = wire.SHARED_EVENTS.replace("/gb/", "/other/", 1)  # the same events, shared under another name
    for filter_ in ("#", "gb/#", wire.topic("+", "ev"), wire.SHARED_EVENTS, others, "$SYS/#"):
        yield "subscribe", filter_, False


async def _may(client: Client, verb: str, topic: str) -> bool:
    try:
        if verb == "publish":
            await client.publish(topic, b"", qos=1)
        else:
            await client.subscribe(topic)
    except RefusedError:
        return False
    return True
