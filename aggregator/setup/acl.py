"""Who may do what at the broker, in the words of mosquitto's dynamic-security plugin.

What always holds: everything is denied that is not named here. A box may send on its own topics, read its
own, and connect only under its own client id. So it can neither join the aggregators' shared subscription
(the plugin matches `subscribeLiteral` against the whole `$share/…` text) nor take another's place.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from agent import wire

# A user name with a dot can never be a node's name.
AGGREGATOR = "gb.aggregator"  # takes events, sends orders
PORTER = "gb.porter"  # lets joining boxes in
ADMIN = "gb.admin"  # add-node and remove-node

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWER = f"{CONTROL}/response"

BROKER_FIGURES = "$SYS/broker/#"  # what the broker says of itself
OUTSIDE = ["gb/alerts/#", "gb/json/#", "gb/ha/#", "homeassistant/#"]  # what the centre tells other programs

_HASH_ROUNDS = 101  # what mosquitto itself uses; our secrets are random and of 128 bits or more

Right = dict[str, Any]


def node_rights(node: str) -> list[Right]:
    """Return all that a joined box may do: send on four topics of its own, read three."""
    sends = [_right("publishClientSend", wire.topic(node, kind)) for kind in ("ev", "state", "rsp", "live")]
    reads = [
        _right(verb, wire.topic(node, kind))
        for kind in ("ack", "want", "cmd")
        for verb in ("subscribeLiteral", "publishClientReceive")
    ]
    return sends + reads


def joining_rights(node: str) -> list[Right]:
    """Return all that a box may do which has only its code: say its new secret."""
    return [_right("publishClientSend", wire.topic(node, "join"))]


def applying_rights() -> list[Right]:
    """Return all that a box may do which has only a code for several boxes: ask, and hear the answer."""
    return [
        _right("publishClientSend", wire.topic("+", "apply")),
        _right("subscribePattern", wire.topic("+", "applied")),
        _right("publishClientReceive", wire.topic("+", "applied")),
    ]


def clearing_rights(node: str) -> list[Right]:
    """Return the right to have the broker forget a node's state."""
    return [_right("publishClientSend", wire.topic(node, "state"))]


def aggregator_rights() -> list[Right]:
    """Return what an aggregator may do: share the events, hear the rest, tell the nodes."""
    heard = [wire.topic("+", kind) for kind in ("ev", "state", "rsp", "live")]
    told = [wire.topic("+", kind) for kind in ("ack", "want", "cmd")]
    told += OUTSIDE
    return [
        _right("subscribeLiteral", wire.SHARED_EVENTS),
        *(_right("subscribePattern", topic) for topic in heard),
        *(_right("publishClientReceive", topic) for topic in heard),
        *(_right("publishClientSend", topic) for topic in told),
        *figures_rights(),
    ]


def figures_rights() -> list[Right]:
    """Return the right to hear what the broker says of itself."""
    return [_right(verb, BROKER_FIGURES) for verb in ("subscribePattern", "publishClientReceive")]


def control_rights() -> list[Right]:
    """Return the right to change users and rights. The plugin knows no smaller part of it."""
    return [
        _right("publishClientSend", CONTROL),
        _right("subscribeLiteral", ANSWER),
        _right("publishClientReceive", ANSWER),
    ]


def porter_rights() -> list[Right]:
    """Return the right to hear boxes that join."""
    return [
        _right("subscribeLiteral", wire.SHARED_JOINS),
        _right("publishClientReceive", wire.topic("+", "join")),
        _right("subscribeLiteral", wire.SHARED_APPLICATIONS),
        _right("publishClientReceive", wire.topic("+", "apply")),
        _right("publishClientSend", wire.topic("+", "applied")),
    ]


def first_state(passwords: dict[str, str], nodes: dict[str, str]) -> dict[str, Any]:
    """Return the plugin's whole first state. Both arguments: user or node -> password."""
    roles = {
        "aggregator": aggregator_rights(),
        "porter": porter_rights(),
        "control": control_rights(),
        **{f"node-{node}": node_rights(node) for node in nodes},
    }
    users = {AGGREGATOR: ["aggregator"], PORTER: ["porter", "control"], ADMIN: ["control"]}
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            *(_client(user, passwords[user], roles) for user, roles in users.items()),
            *(_client(node, word, [f"node-{node}"], node) for node, word in nodes.items()),
        ],
        "groups": [],
        "roles": [{"rolename": name, "acls": acls} for name, acls in roles.items()],
    }


def _client(name: str, password: str, roles: Sequence[str], client_id: str = "") -> Right:
    salt = secrets.token_bytes(12)  # mosquitto 2.0 takes this length only
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS)
    return {
        "username": name,
        **({"clientid": client_id} if client_id else {}),
        "roles": [{"rolename": role} for role in roles],
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": _HASH_ROUNDS,
    }


def _right(kind: str, topic: str) -> Right:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
