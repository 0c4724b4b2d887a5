"""Boxes come and go, by the operator's word: `add_node`, `renew_node`, `replace_node`, `remove_node`.

How a box joins. `add_node` makes a user at the broker whose password is a one-time code of 128 bits, valid
for an hour, and whose only right is to publish on `gb/1/<node>/join`. The box connects with the code and
says there which secret it will use from now on; the running centre sets it and swaps the rights for a node's
(`aggregator.setup.admit`). So:

* Only who holds the code can say that secret: the broker itself ties the topic to the user.
* The code is worth nothing afterwards; it may stay in a shell's history. An expired one removes its user.
* The box's own secret is made on the box and is never shown, printed or logged anywhere.

The plugin has one right for all of control, so two users have it: one of this command, one of the running
centre's porter. The connection that takes events from boxes has none of it.
"""

from __future__ import annotations

import asyncio
import secrets
import time

import msgspec

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from aggregator.config import Config
from aggregator.setup import acl, certificates
from aggregator.setup.control import (
    Answer,
    EnrolError,
    NoRightsError,
    NoSuchNodeError,
    as_user,
    check,
    control,
    folder,
    order,
)

__all__ = [
    "EnrolError",
    "NoSuchNodeError",
    "add_node",
    "hint",
    "join_line",
    "remove_node",
    "renew_node",
    "replace_node",
]

WAITS = "code until "  # the plugin's text of a user that has not joined yet, before Unix seconds


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
            "textdescription": f"{WAITS}{until}",
            "roles": [{"rolename": f"join-{name}"}],
        },
    ]
    line = join_line(config, name, code)
    errors = asyncio.run(order(as_user(config, acl.ADMIN, "admin"), *commands))
    if "already" in errors.get("createClient", ""):
        raise EnrolError(
            f"{name} is there already. If it waits to join, `gb-aggregator add-node {name} --again` prints a "
            f"new command; to join it again, `gb-aggregator remove-node {name}` first"
        )
    check({key: text for key, text in errors.items() if "already" not in text})
    return line


def renew_node(config: Config, name: str) -> str:
    """Give a node that has not joined yet a new code; return the new line, raise EnrolError."""
    code, until = _new_code(config)
    line = join_line(config, _valid(name), code)
    change: Answer = {
        "command": "modifyClient",
        "username": name,
        "password": code,
        "textdescription": f"{WAITS}{until}",
    }
    asyncio.run(_renew(as_user(config, acl.ADMIN, "admin"), change))
    return line


def has_rights(config: Config) -> bool:
    """True if the broker's rights are those that `gb-aggregator init` made."""
    return (folder(config) / "admin").exists()


async def add_for_a_while(config: Config, name: str, password: str) -> None:
    """Add a joined node with a password, for a trial; `remove_node` takes it away. Raise EnrolError."""
    role = {"command": "createRole", "rolename": f"node-{_valid(name)}", "acls": acl.node_rights(name)}
    user = {
        "command": "createClient",
        "username": name,
        "clientid": name,
        "password": password,
        "roles": [{"rolename": f"node-{name}"}],
    }
    check(await order(as_user(config, acl.ADMIN, "admin"), role, user))


async def _renew(broker: BrokerSettings, change: Answer) -> None:
    name = change["username"]
    async with control(broker) as ask:
        found = (await ask({"command": "getClient", "username": name}))[0]
        if "error" in found:
            raise EnrolError(f"no node {name} waits to join; `gb-aggregator add-node {name}` adds it")
        if not description(found).startswith(WAITS):
            raise EnrolError(
                f"{name} has joined; to join it again, `gb-aggregator remove-node {name}` and add it again"
            )
        answer = (await ask(change))[0]
    check({change["command"]: answer["error"]} if "error" in answer else {})


def replace_node(config: Config, name: str) -> str:
    """Take a joined node's rights and give its name a new code; return the new line, raise EnrolError."""
    code, until = _new_code(config)
    line = join_line(config, _valid(name), code)
    asyncio.run(_replace(as_user(config, acl.ADMIN, "admin"), name, code, until))
    return line


async def _replace(broker: BrokerSettings, name: str, code: str, until: int) -> None:
    role = {"command": "createRole", "rolename": f"join-{name}", "acls": acl.joining_rights(name)}
    change: Answer = {
        "command": "modifyClient",
        "username": name,
        "password": code,
        "textdescription": f"{WAITS}{until}",
        "roles": [{"rolename": f"join-{name}"}],
    }
    errors = await order(broker, role, change)
    if "not found" in errors.get("modifyClient", ""):
        raise NoSuchNodeError(f"the broker has no node {name}; `gb-aggregator add-node {name}` adds it")
    check({key: text for key, text in errors.items() if "already" not in text})


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
    errors = asyncio.run(_remove(as_user(config, acl.ADMIN, "admin"), _valid(name)))
    if "not found" in errors.pop("deleteClient", ""):
        raise NoSuchNodeError(f"there is no node {name}: it was removed before, or was never added")
    check({key: text for key, text in errors.items() if "not found" not in text})


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
    async with control(broker) as ask:
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


def join_line(config: Config, name: str, code: str) -> str:
    place = folder(config)
    try:
        pin = certificates.fingerprint((place / "ca.crt").read_bytes())
        host = config.enrol.hosts[0] if config.enrol.hosts else (place / "address").read_text().strip()
    except OSError as error:
        raise NoRightsError(f"{error.filename}: {error.strerror}. Run `gb-aggregator init` first") from None
    host = f"[{host}]" if ":" in host else host
    return (
        f"sudo systemd/install.sh --join mqtts://{host}:{config.enrol.broker_port}"
        f" --node {name} --code {code} --fingerprint {pin} --source 0"
    )


def description(answer: Answer) -> str:
    """Return the text of a user that the broker described."""
    return str(answer.get("data", {}).get("client", {}).get("textdescription", ""))
