"""Another name for a joined box, in the words of the broker's rights.

What always holds: the new name has a user of its own, with a one-time code, before the old loses anything.
"""

from __future__ import annotations

import secrets
import time

from agent import wire
from aggregator.config import Config
from aggregator.setup import acl, enrol
from aggregator.setup.control import Answer, EnrolError, as_user, check, order


async def let_join(config: Config, name: str) -> str:
    """Let a box join under a name, from within the running centre; return its code. Raise EnrolError."""
    code = secrets.token_hex(16)
    until = round(time.time() + config.enrol.code_minutes * 60)
    commands: list[Answer] = [
        {"command": "createRole", "rolename": f"join-{name}", "acls": acl.joining_rights(name)},
        {"command": "createRole", "rolename": f"node-{name}", "acls": acl.node_rights(name)},
        {
            "command": "createClient", "username": name, "clientid": name, "password": code,
            "textdescription": f"{enrol.WAITS}{until}", "roles": [{"rolename": f"join-{name}"}],
        },
    ]  # fmt: skip
    errors = await order(as_user(config, acl.ADMIN, "admin"), *commands)
    if "already" in errors.get("createClient", ""):
        raise EnrolError(f"the broker has a node {name} already, joined or waiting: remove it first")
    check({key: text for key, text in errors.items() if "already" not in text})
    return code


def valid(name: str) -> str:
    """Return a name that a node can have; raise EnrolError."""
    try:
        return wire.valid_node(name)
    except wire.WireError as error:
        raise EnrolError(str(error)) from None
