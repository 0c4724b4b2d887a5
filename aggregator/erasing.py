"""Erasing what a node told, on the command line and by the API, with a receipt in the audit log."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from aggregator import schemas
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, bad, body_of, node_of, record
from aggregator.store.store import Store
from aggregator.today import Day


async def erase(store: Store, node: str, since: int | None, until: int | None) -> schemas.Receipt:
    """Erase everything that a node told, or its single events of a period; raise StoreError."""
    if since is None or until is None:
        done = await store.erase.all_of(node)
    else:
        done = await store.erase.period(node, since, until)
    store.archive.forget_first(node)
    return schemas.Receipt(node, int(time.time() * 1000), since, until, done.erased, done.left)


def entry_of(receipt: schemas.Receipt) -> dict[str, Any]:
    """Return what the audit log keeps of it."""
    return {"erased": msgspec.structs.asdict(receipt)}


async def erase_node(request: web.Request) -> web.Response:
    """Erase what a node told."""
    node = node_of(request)
    body = await body_of(request, schemas.EraseBody)
    if body.node != node:
        raise bad(f"node: write {node!r} to erase what it told")
    if (body.since is None) != (body.until is None) or (body.until or 1) <= (body.since or 0):
        raise bad("since, until: give both, the end after the beginning, or neither for everything")
    centre = request.app[CENTRE]
    receipt = await erase(centre.store, node, body.since, body.until)
    centre.fleet.view(node).day = Day()
    centre.fleet.show_again(node)
    await record(request, "erase", node=node, **entry_of(receipt))
    return answer(receipt)


ROUTES = (
    Route("POST", "/nodes/{node}/erase", erase_node, "Erase what a node told", "admin", schemas.Receipt,
          schemas.EraseBody, whole=True),
)  # fmt: skip
