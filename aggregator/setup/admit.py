"""The running centre lets joining boxes in: `take_joins`, on a connection of its own, as the porter.

What always holds: who holds a code that has expired gets nothing, and loses its user; a database that is away
refuses nobody for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, connect
from aggregator.config import Config
from aggregator.setup import acl
from aggregator.setup.control import (
    Answer,
    EnrolError,
    as_user,
    check,
    control,
    folder,
)
from aggregator.setup.enrol import WAITS, description
from aggregator.store.errors import StoreError

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 3.0

Apply = Callable[[BrokerSettings, str, wire.Application], Awaitable[wire.Applied]]


async def take_joins(config: Config, apply: Apply | None = None) -> None:
    """Let joining boxes in, for ever; a lost broker is tried again. Returns at once without secrets.

    `apply`: answers boxes that have a code for several; None: nobody does.
    """
    if not (folder(config) / "porter").exists():
        return
    broker = as_user(config, acl.PORTER, "porter")
    while True:
        try:
            async with connect(broker) as client:
                await client.subscribe(wire.SHARED_JOINS)
                if apply is not None:
                    await client.subscribe(wire.SHARED_APPLICATIONS)
                async for message in client.messages:
                    if message.topic.endswith("/apply") and apply is not None:
                        await _hear(broker, client, message, apply)
                    else:
                        await _welcome(broker, message)
        except BrokerError as error:
            _LOG.warning("joining boxes have to wait: %s", error)
        await asyncio.sleep(_RETRY_SECONDS)


async def _hear(broker: BrokerSettings, client: Client, message: Message, apply: Apply) -> None:
    """Answer a box that has a code for several boxes."""
    try:
        node, _ = wire.parse_topic(message.topic)
        application: wire.Application = wire.decode_json(message.payload, wire.Application)
    except wire.WireError as error:
        _LOG.warning("a box asked to be let in with a malformed message: %s", error)
        return
    try:
        answer = await apply(broker, node, application)
    except StoreError as error:
        answer = wire.Applied(False, f"the centre's database does not answer, try again: {error}")
    if not answer.ok:
        _LOG.warning("%s was not let in: %s", node, answer.error)
    await client.publish(wire.topic(node, "applied"), msgspec.json.encode(answer), qos=1)


async def _welcome(broker: BrokerSettings, message: Message) -> None:
    """Give a box the secret that it asked for, and a node's rights."""
    with contextlib.suppress(wire.WireError):
        node, _ = wire.parse_topic(message.topic)
        try:
            join: wire.Join = wire.decode_json(message.payload, wire.Join)
        except wire.WireError:
            _LOG.warning("%s tried to join with a malformed message", node)
            return
        try:
            await _admit(broker, node, join.secret)
        except EnrolError as error:
            _LOG.warning("%s could not join: %s", node, error)


async def _admit(broker: BrokerSettings, node: str, secret: str) -> None:
    change: Answer = {
        "command": "modifyClient",
        "username": node,
        "password": secret,
        "textdescription": f"joined {time.time():.0f}",
        "roles": [{"rolename": f"node-{node}"}],
    }
    async with control(broker) as ask:
        found = (await ask({"command": "getClient", "username": node}))[0]
        if _expired(found):
            await ask({"command": "deleteClient", "username": node})
            raise EnrolError("its code has expired; add it again")
        answer = (await ask(change))[0]
    check({change["command"]: answer["error"]} if "error" in answer else {})
    _LOG.info("%s has joined", node)


def _expired(answer: Answer) -> bool:
    """True unless the client that the broker described may still use its code."""
    until = description(answer).removeprefix(WAITS)
    return not until.isdigit() or time.time() > int(until)
