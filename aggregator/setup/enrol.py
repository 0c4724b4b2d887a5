"""Boxes come and go: `add_node` and `remove_node` for the operator, `take_joins` for the running centre.

How a box joins. `add_node` makes a user at the broker whose password is a one-time code of 128 bits, valid
for an hour, and whose only right is to publish on `gb/1/<node>/join`. The box connects with the code and
says there which secret it will use from now on; `take_joins` sets it and swaps the rights for a node's. So:

* Only who holds the code can say that secret: the broker itself ties the topic to the user.
* The code is worth nothing afterwards; it may stay in a shell's history. An expired one removes its user.
* The box's own secret is made on the box and is never shown, printed or logged anywhere.

The plugin has one right for all of control, so two users have it: one of this command, one of the running
centre's porter. The connection that takes events from boxes has none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, connect
from aggregator.config import Config
from aggregator.setup import acl, certificates

_LOG = logging.getLogger(__name__)
_PATIENCE = 10.0
_RETRY_SECONDS = 3.0
_WAITS = "code until "  # the plugin's text of a user that has not joined yet, before Unix seconds


class EnrolError(Exception):
    """A node that cannot be added or removed; the text says why and what to do."""


class NoSuchNodeError(EnrolError):
    """The broker has no node of this name."""


# ── for the operator ──────────────────────────────────────────────────────────────────────────────


def add_node(config: Config, name: str) -> str:
    """Let a node join and return the line that installs it on a box; raise EnrolError."""
    code, until = _new_code(config)
    commands: list[Answer] = [
        {"command": "createRole", "rolename": f"join-{_valid(name)}", "acls": acl.joining_rights(name)},
        {"command": "createRole", "rolename": f"node-{name}", "acls": acl.node_rights(name)},
        {
            "command": "createClient",
            "username": name,
            "clientid": name,
            "password": code,
            "textdescription": f"{_WAITS}{until}",
            "roles": [{"rolename": f"join-{name}"}],
        },
    ]
    line = _join_line(config, name, code)
    errors = asyncio.run(_order(_as(config, acl.ADMIN, "admin"), *commands))
    if "already" in errors.get("createClient", ""):
        raise EnrolError(
            f"{name} is there already. If it waits to join, `gb-aggregator add-node {name} --again` prints a "
            f"new line; to join it anew, `gb-aggregator remove-node {name}` first"
        )
    _check({key: text for key, text in errors.items() if "already" not in text})
    return line


def renew_node(config: Config, name: str) -> str:
    """Give a node that has not joined yet a new code; return the new line, raise EnrolError."""
    code, until = _new_code(config)
    line = _join_line(config, _valid(name), code)
    change: Answer = {
        "command": "modifyClient",
        "username": name,
        "password": code,
        "textdescription": f"{_WAITS}{until}",
    }
    asyncio.run(_renew(_as(config, acl.ADMIN, "admin"), change))
    return line


async def _renew(broker: BrokerSettings, change: Answer) -> None:
    name = change["username"]
    async with _control(broker) as ask:
        found = (await ask({"command": "getClient", "username": name}))[0]
        if "error" in found:
            raise EnrolError(f"no node {name} waits to join; `gb-aggregator add-node {name}` adds it")
        if not _description(found).startswith(_WAITS):
            raise EnrolError(
                f"{name} has joined; to join it anew, `gb-aggregator remove-node {name}` and add it again"
            )
        answer = (await ask(change))[0]
    _check({change["command"]: answer["error"]} if "error" in answer else {})


def hint(config: Config, name: str) -> str:
    """Return what a person needs to know to run a node's line."""
    whence = config.enrol.repository or "REPOSITORY"
    return (
        f"Run this line on the box, in a clone of the program: git clone {whence} gb-fleet && cd gb-fleet\n"
        "Behind --source stands its first camera: 0 (a webcam), rtsp://..., http://..., a file. It looks for "
        "vehicles; --model mask looks for masks.\n"
        f"The line is good once, for {config.enrol.code_minutes} minutes. For a new one: "
        f"gb-aggregator add-node {name} --again"
    )


def _new_code(config: Config) -> tuple[str, int]:
    """Return a one-time code and until when it is good, Unix seconds."""
    return secrets.token_hex(16), round(time.time() + config.enrol.code_minutes * 60)


def remove_node(config: Config, name: str) -> None:
    """Take a node's rights, cut its connection and have the broker forget it; raise EnrolError.

    What it sent stays stored. The broker forgets the state also of a node that it does not know; then
    `NoSuchNodeError` is raised.
    """
    errors = asyncio.run(_remove(_as(config, acl.ADMIN, "admin"), _valid(name)))
    if "not found" in errors.pop("deleteClient", ""):
        raise NoSuchNodeError(f"there is no node {name}: it was removed before, or was never added")
    _check({key: text for key, text in errors.items() if "not found" not in text})


async def _remove(broker: BrokerSettings, name: str) -> dict[str, str]:
    """Remove a node's user and roles; return command -> error for those that the broker refused.

    Its retained state is cleared by a user made for this, or whoever connects next would be told that it is
    online. (The admin cannot lend itself the right: the plugin cuts off whose roles change.)
    """
    lent = f"gb.clear-{name}"
    clearer = msgspec.structs.replace(
        broker, username=lent, password=secrets.token_hex(16), password_file="", client_id=""
    )
    user = {"command": "createClient", "username": lent, "password": clearer.password}
    away = ({"command": "deleteClient", "username": lent}, {"command": "deleteRole", "rolename": lent})
    async with _control(broker) as ask:
        answers = await ask(
            {"command": "deleteClient", "username": name},
            {"command": "deleteRole", "rolename": f"join-{name}"},
            {"command": "deleteRole", "rolename": f"node-{name}"},
        )
        await ask(*away)
        await ask(
            {"command": "createRole", "rolename": lent, "acls": acl.clearing_rights(name)},
            {**user, "roles": [{"rolename": lent}]},
        )
        try:
            async with connect(clearer) as client:
                await client.publish(wire.topic(name, "state"), b"", qos=1, retain=True)
        finally:
            await ask(*away)
    return {answer["command"]: answer["error"] for answer in answers if "error" in answer}


def _valid(name: str) -> str:
    try:
        return wire.valid_node(name)
    except wire.WireError as error:
        raise EnrolError(str(error)) from None


def _check(errors: dict[str, str]) -> None:
    for command, text in errors.items():
        raise EnrolError(f"the broker refused {command}: {text}")


def _join_line(config: Config, name: str, code: str) -> str:
    folder = _folder(config)
    try:
        pin = certificates.fingerprint((folder / "ca.crt").read_bytes())
        host = config.enrol.hosts[0] if config.enrol.hosts else (folder / "address").read_text().strip()
    except OSError as error:
        raise EnrolError(f"{error.filename}: {error.strerror}. Run `gb-aggregator init` first") from None
    host = f"[{host}]" if ":" in host else host
    return (
        f"sudo systemd/install.sh --join mqtts://{host}:{config.enrol.broker_port}"
        f" --node {name} --code {code} --fingerprint {pin} --source 0"
    )


def _folder(config: Config) -> Path:
    return config.path(config.enrol.dir or ".")


def _as(config: Config, user: str, secret: str) -> BrokerSettings:
    """Return the broker's settings for one of the users that have the control right."""
    broker = msgspec.structs.replace(
        config.broker_settings(), username=user, password="", password_file=str(_folder(config) / secret)
    )
    if not Path(broker.password_file).exists():
        raise EnrolError(f"{broker.password_file} is missing. Run `gb-aggregator init` first")
    return broker


# ── the broker's control channel ──────────────────────────────────────────────────────────────────

Answer = dict[str, Any]
Ask = Callable[..., Awaitable[list[Answer]]]


@contextlib.asynccontextmanager
async def _control(broker: BrokerSettings) -> AsyncIterator[Ask]:
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


async def _order(broker: BrokerSettings, *commands: Answer) -> dict[str, str]:
    """Give orders; return command -> error for those that the broker refused."""
    async with _control(broker) as ask:
        answers = await ask(*commands)
    return {answer["command"]: answer["error"] for answer in answers if "error" in answer}


# ── for the running centre ────────────────────────────────────────────────────────────────────────


async def take_joins(config: Config) -> None:
    """Let joining boxes in, for ever; a lost broker is tried again. Returns at once without secrets."""
    if not (_folder(config) / "porter").exists():
        return
    broker = _as(config, acl.PORTER, "porter")
    while True:
        try:
            async with connect(broker) as client:
                await client.subscribe(wire.SHARED_JOINS)
                async for message in client.messages:
                    await _welcome(broker, message)
        except BrokerError as error:
            _LOG.warning("joining boxes have to wait: %s", error)
        await asyncio.sleep(_RETRY_SECONDS)


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
    async with _control(broker) as ask:
        found = (await ask({"command": "getClient", "username": node}))[0]
        if _expired(found):
            await ask({"command": "deleteClient", "username": node})
            raise EnrolError("its code has expired; add it again")
        answer = (await ask(change))[0]
    _check({change["command"]: answer["error"]} if "error" in answer else {})
    _LOG.info("%s has joined", node)


def _expired(answer: Answer) -> bool:
    """True unless the client that the broker described may still use its code."""
    until = _description(answer).removeprefix(_WAITS)
    return not until.isdigit() or time.time() > int(until)


def _description(answer: Answer) -> str:
    return str(answer.get("data", {}).get("client", {}).get("textdescription", ""))
