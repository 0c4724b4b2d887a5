"""The API of the fleet as it stands: all nodes, a page of them, one node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import msgspec
from aiohttp import web

from aggregator import fleet_page, schemas
from aggregator.openapi import answer
from aggregator.params import CENTRE, IDENTITY, bad, limit_of, node_of
from aggregator.places.choice import choice_of, chosen

QUERY = ("sort", "limit", "offset", "after")


async def fleet(request: web.Request) -> web.Response:
    """Show the nodes that are asked for, all of them or a page."""
    centre = request.app[CENTRE]
    at = int(time.time() * 1000)
    ranks = centre.fleet.ranks
    all_ = chosen(request, choice_of(request))
    sort = request.query.get("sort", "name")
    if sort.removeprefix("-") not in fleet_page.SORTS:
        raise bad(f"sort: one of {', '.join(fleet_page.SORTS)}, downwards with a - before it")
    names = ranks.ordered(all_, sort, at)
    summary = ranks.summary(all_, at)  # before anything is waited for: a node may go meanwhile
    first = _first(request, names)
    amount = limit_of(request, 1) if "limit" in request.query else len(names)
    page = names[first : first + amount]
    end = first + len(page)
    nodes, waiting = await asyncio.gather(centre.fleet.entries(page), _waiting(request))
    return answer(
        schemas.Fleet(
            at,
            nodes,
            centre.config.site.join,
            waiting,
            summary,
            first,
            page[-1] if page and end < len(names) else "",
        )
    )


def _first(request: web.Request, names: Sequence[str]) -> int:
    """Return where the page begins: at `offset`, or behind the node `after`; raise Refused."""
    after = request.query.get("after", "")
    if after:
        if after not in names:
            raise bad(
                f"after: {after[:40]!r} is not among the nodes asked for: start again with the first page"
            )
        return names.index(after) + 1
    text = request.query.get("offset", "0")
    if not text.isdecimal() or len(text) > 9:
        raise bad("offset: a number from 0 on")
    return int(text)


async def _waiting(request: web.Request) -> list[schemas.Waiting]:
    """Return who was added and has not come yet."""
    centre = request.app[CENTRE]
    sees = partial(centre.places.sees, request[IDENTITY].reach)
    expected = await centre.store.registry.expected()
    return [
        schemas.Waiting(name, until)
        for name, until in sorted(expected.items())
        if not centre.fleet.known(name) and sees(name)
    ]


async def node(request: web.Request) -> web.Response:
    """Show one node and its configuration."""
    name = node_of(request)
    centre = request.app[CENTRE]
    entry = await centre.fleet.entry(name)
    config = await centre.wants.config(name)
    return answer(schemas.NodeDetail(**msgspec.structs.asdict(entry), config=config))
