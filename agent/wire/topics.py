"""Topics: where each message goes, and who a node is."""

from __future__ import annotations

import re

from agent.wire.terms import WireError

PREFIX = "gb/1"
NODE_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{2,31}$")


def topic(node: str, kind: str) -> str:
    """Return the topic of `kind` (ev, ack, state, want, cmd, rsp, live, join, apply, applied) of a node."""
    return f"{PREFIX}/{node}/{kind}"


def parse_topic(name: str) -> tuple[str, str]:
    """Split a topic into (node, kind); raise WireError for a foreign one."""
    parts = name.split("/")
    if len(parts) != 4 or "/".join(parts[:2]) != PREFIX or not NODE_NAME.match(parts[2]):
        raise WireError(f"foreign topic {name[:80]!r}")
    return parts[2], parts[3]


def valid_node(name: str) -> str:
    """Return `name` if it can be a node's name, else raise WireError saying what one looks like."""
    if not NODE_NAME.match(name):
        raise WireError(f"{name!r} is no node name: 3 to 32 of a-z, 0-9 and '-', not starting with '-'")
    return name


# What aggregators subscribe to together, so that each message goes to one of them. The broker's rights name
# these texts whole.
SHARED_EVENTS = f"$share/gb/{topic('+', 'ev')}"
SHARED_JOINS = f"$share/gb-join/{topic('+', 'join')}"
SHARED_APPLICATIONS = f"$share/gb-join/{topic('+', 'apply')}"
