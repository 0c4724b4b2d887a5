"""Joining by the dozen: a code that is good for several boxes, and what the broker is told for it.

What always holds: who has only such a code can ask to be let in under a name that nobody has, and hear the
answer; nothing else. It cannot touch a box that joins with a code of its own: the topics are others.
"""

from __future__ import annotations

import logging

from agent import wire
from agent.mqtt.client import BrokerSettings
from aggregator.config import Config
from aggregator.setup import acl
from aggregator.setup.control import Answer, as_user, check, control, order
from aggregator.setup.enrol import join_line

_LOG = logging.getLogger(__name__)


def line(config: Config, id_: str, secret: str) -> str:
    """Return the line that installs and joins each box of an invitation; raise EnrolError."""
    return join_line(config, wire.OWN_NAME, wire.group_code(id_, secret))


async def open_group(config: Config, id_: str, secret: str) -> None:
    """Let boxes with this code ask to be let in; raise EnrolError."""
    name = wire.group_user(id_)
    errors = await order(
        as_user(config, acl.ADMIN, "admin"),
        {"command": "createRole", "rolename": name, "acls": acl.applying_rights()},
        {"command": "createClient", "username": name, "password": secret, "roles": [{"rolename": name}]},
    )
    check(errors)


async def close_group(config: Config, id_: str) -> None:
    """Make an invitation's code worth nothing; raise EnrolError."""
    name = wire.group_user(id_)
    errors = await order(
        as_user(config, acl.ADMIN, "admin"),
        {"command": "deleteClient", "username": name},
        {"command": "deleteRole", "rolename": name},
    )
    check({key: text for key, text in errors.items() if "not found" not in text})


async def admit(broker: BrokerSettings, node: str, secret: str, *, waits: bool) -> str:
    """Make a box's user at the broker; return why not, empty if it is made. `waits`: it is locked out yet."""
    commands: list[Answer] = [
        {"command": "createRole", "rolename": f"node-{node}", "acls": acl.node_rights(node)},
        {
            "command": "createClient",
            "username": node,
            "clientid": node,
            "password": secret,
            "roles": [{"rolename": f"node-{node}"}],
        },
    ]
    if waits:
        commands.append({"command": "disableClient", "username": node})
    errors = await order(broker, *commands)
    if "already" in errors.get("createClient", ""):
        return f"the name {node} is taken: give the box another one with --node"
    check({key: text for key, text in errors.items() if "already" not in text})
    return ""


async def approve(config: Config, node: str) -> None:
    """Let a box connect that waits for it; raise EnrolError."""
    check(await order(as_user(config, acl.ADMIN, "admin"), {"command": "enableClient", "username": node}))


async def widen(config: Config) -> None:
    """Give the users of an older centre the rights that came with this version; raise EnrolError."""
    wanted = {"porter": acl.porter_rights(), "aggregator": acl.figures_rights()}
    async with control(as_user(config, acl.ADMIN, "admin")) as ask:
        for role, rights in wanted.items():
            found = (await ask({"command": "getRole", "rolename": role}))[0]
            acls = found.get("data", {}).get("role", {}).get("acls", [])
            has = {(each["acltype"], each["topic"]) for each in acls}
            lacking = [each for each in rights if (each["acltype"], each["topic"]) not in has]
            for right in lacking:
                await ask({"command": "addRoleACL", "rolename": role, **right})
            if lacking:
                _LOG.info("the %s was granted %d rights that are new in this version", role, len(lacking))
