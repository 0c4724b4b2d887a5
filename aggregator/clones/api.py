"""Requests about boxes of which there are two: see it, and say which is the box."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from aggregator.auth import Refused
from aggregator.clones.clones import Clone
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, body_of, node_of, record


class CopyState(Struct):
    """The copies of a node: which start of an agent counts, which are kept out, since when there are two.

    `kept` 0: it never had a copy.
    """

    kept: int
    stopped: list[int]
    forked: int | None
    resolved: bool
    by: str


class CopyBody(Struct, forbid_unknown_fields=True):
    """Which start of an agent is the box."""

    keep: int


_NONE = CopyState(0, [], None, True, "")


async def get(request: web.Request) -> web.Response:
    """Show which of two boxes of a name counts."""
    clone = request.app[CENTRE].clones.of(node_of(request))
    return answer(_told(clone) if clone else _NONE)


async def keep(request: web.Request) -> web.Response:
    """Take a person's word for which one is the box; the others stay out of the counts."""
    node = node_of(request)
    body = await body_of(request, CopyBody)
    clone = await request.app[CENTRE].clones.keep(node, body.keep, request[IDENTITY].user)
    if clone is None:
        raise Refused(404, "no_copy", f"{node} has no start {body.keep} that counts or is kept out: see GET")
    await record(request, "say which is the box", node=node, what=f"start {body.keep}")
    return answer(_told(clone))


def _told(clone: Clone) -> CopyState:
    return CopyState(clone.kept, clone.stopped, clone.forked, clone.resolved, clone.by)


_PATH = "/nodes/{node}/copy"
ROUTES = (
    Route("GET", _PATH, get, "Which of two boxes of a name counts", "viewer", CopyState),
    Route("POST", _PATH, keep, "Say which of two boxes of a name is the box", "admin", CopyState, CopyBody),
)
