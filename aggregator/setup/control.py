"""The broker's control channel: orders to mosquitto's dynamic-security plugin, and its answers.

What always holds: an order is answered or raises within seconds; answers to others' orders are not taken for
ours. Each connection is made for one piece of work and ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, connect
from aggregator.config import Config
from aggregator.setup import acl

_PATIENCE = 10.0

Answer = dict[str, Any]
Ask = Callable[..., Awaitable[list[Answer]]]


class EnrolError(Exception):
    """A node that cannot be added or removed; the text says why and what to do."""


class NoSuchNodeError(EnrolError):
    """The broker has no node of this name."""


class NoRightsError(EnrolError):
    """This centre has none of the secrets that `gb-aggregator init` makes: its broker gives no rights."""


def folder(config: Config) -> Path:
    return config.path(config.enrol.dir or ".")


def as_user(config: Config, user: str, secret: str) -> BrokerSettings:
    """Return the broker's settings for one of the users that have the control right."""
    broker = msgspec.structs.replace(
        config.broker_settings(), username=user, password="", password_file=str(folder(config) / secret)
    )
    if not Path(broker.password_file).exists():
        raise NoRightsError(f"{broker.password_file} is missing. Run `gb-aggregator init` first")
    return broker


def check(errors: dict[str, str]) -> None:
    for command, text in errors.items():
        raise EnrolError(f"the broker refused {command}: {text}")


@contextlib.asynccontextmanager
async def control(broker: BrokerSettings) -> AsyncIterator[Ask]:
    """Connect to the plugin and give a function that sends commands and returns their answers."""
    try:
        async with asyncio.timeout(_PATIENCE), connect(broker) as client:
            await client.subscribe(acl.ANSWER)
            yield partial(_ask, client, client.messages)
    except BrokerError as error:
        raise EnrolError(str(error)) from None
    except TimeoutError:
        raise EnrolError(f"{broker} does not answer on its control topic: is its plugin loaded?") from None


async def _ask(client: Client, messages: AsyncIterator[Message], *commands: Answer) -> list[Answer]:
    mark = secrets.token_hex(8)
    marked = [{**command, "correlationData": mark} for command in commands]
    await client.publish(acl.CONTROL, json.dumps({"commands": marked}).encode())
    found: list[Answer] = []
    async for message in messages:
        answers = json.loads(message.payload).get("responses", [])
        found += [answer for answer in answers if answer.get("correlationData") == mark]
        if len(found) >= len(commands):
            break
    return found


async def order(broker: BrokerSettings, *commands: Answer) -> dict[str, str]:
    """Give orders; return command -> error for those that the broker refused."""
    async with control(broker) as ask:
        answers = await ask(*commands)
    return {answer["command"]: answer["error"] for answer in answers if "error" in answer}
