"""The two answers that do not end: server-sent events, and pictures.

What always holds: a watcher that comes back with `Last-Event-ID` gets what was stored since then, so nothing
between two connections is missing. A watcher who has gone is noticed at the next ping at the latest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import msgspec
from aiohttp import web

from agent import wire
from aggregator.auth import Identity, Refused
from aggregator.centre import Centre
from aggregator.live import Picture, Watcher, fact_event, sse
from aggregator.params import CENTRE, IDENTITY, bad, kinds_of, node_of, record
from aggregator.store import codec, queries
from aggregator.store.errors import StoreError

_PAGE = 1000
_MOST_NODES = 500
STILL_SECONDS = 5.0  # between two looks whether who watches is still let in
_BOUNDARY = "gb-frame"


async def stream(request: web.Request) -> web.StreamResponse:
    """Send what happens, as server-sent events."""
    name = request.query.get("node", "")
    camera = request.query.get("camera", "")
    kinds = kinds_of(request.query.get("types", ""))
    chosen = (
        frozenset(wire.EVENT_NAMES[kind] for kind in kinds) if request.query.get("types") else frozenset()
    )
    centre = request.app[CENTRE]
    last = request.headers.get("Last-Event-ID", "") or request.query.get("last_event_id", "")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    identity = request[IDENTITY]

    def sees(node: str) -> bool:
        return centre.places.sees(identity.reach, node)

    only = frozenset(filter(None, request.query.get("nodes", "").split(",")))
    if len(only) > _MOST_NODES:
        raise bad(f"nodes: at most {_MOST_NODES}")
    with centre.hub.open(Watcher(name, camera if name else "", chosen, sees, only)) as watcher:
        greeting = await _greeting(centre, watcher)
        with contextlib.suppress(ConnectionError, StoreError):  # the client has gone, or comes back
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n" + greeting)
            async for chunk in _missed(centre, watcher, last, kinds):
                await response.write(chunk)
            if watcher.camera and name in centre.fleet.names and sees(name):
                async with centre.watches.watching(name, camera, False, identity.role):
                    await _pour(response, watcher, centre, identity)
            else:
                await _pour(response, watcher, centre, identity)
    return response


async def _greeting(centre: Centre, watcher: Watcher) -> bytes:
    """Return what a new watcher has to know at once: the centre's health and the nodes.

    Of more than `_MOST_NODES` the nodes are left out: who shows so many asks for them page by page.
    """
    name = watcher.node
    names = [one for one in centre.fleet.names if watcher.is_about(one)]
    chunks = [
        sse("centre", msgspec.json.encode(centre.health)),
        sse("alerts", msgspec.json.encode(centre.alerts.board(watcher.sees))),
    ]
    if len(names) <= _MOST_NODES:
        chunks += [sse("node", msgspec.json.encode(one)) for one in await centre.fleet.entries(names)]
    if name in names:
        config = {"node": name, **msgspec.to_builtins(await centre.wants.config(name))}
        chunks.append(sse("config", msgspec.json.encode(config)))
    return b"".join(chunks)


async def _missed(centre: Centre, watcher: Watcher, last: str, kinds: Sequence[type]) -> AsyncIterator[bytes]:
    """Iterate over the facts that were stored since the last one that this watcher saw."""
    try:
        codec.split_id(last)
    except ValueError:
        return
    while facts := await queries.events_after(centre.store, last, kinds, watcher.node, _PAGE):
        yield b"".join(fact_event(fact) for fact in facts if watcher.is_about(fact.node))
        if len(facts) < _PAGE:
            return
        last = facts[-1].id


async def _pour(response: web.StreamResponse, watcher: Watcher, centre: Centre, identity: Identity) -> None:
    """Send what comes, for as long as the one who watches is let in."""
    asked = time.monotonic()
    async for chunk in watcher.chunks():
        if time.monotonic() - asked > STILL_SECONDS:
            if not await centre.auth.still_in(identity):
                return
            asked = time.monotonic()
        await response.write(chunk)


async def preview(request: web.Request) -> web.StreamResponse:
    """Send pictures of one camera, where its owner lets them leave the box."""
    name = node_of(request)
    camera = request.match_info["camera"]
    centre = request.app[CENTRE]
    state = centre.fleet.state(name)
    if not any(report.camera == camera and report.preview for report in (state.cameras if state else [])):
        raise Refused(404, "no_picture", f"{name} sends no pictures of {camera[:48]!r}")
    kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    response = web.StreamResponse(
        headers={"Content-Type": kind, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    identity = request[IDENTITY]
    await record(request, f"watch pictures of {camera}", node=name)
    asked = time.monotonic()
    with (
        centre.hub.open_picture(Picture(name, camera)) as picture,
        contextlib.suppress(ConnectionError),  # the client has gone
    ):
        await response.prepare(request)
        async with centre.watches.watching(name, camera, True, identity.role, identity.user):
            while not picture.closed and request.transport and not request.transport.is_closing():
                if time.monotonic() - asked > STILL_SECONDS:
                    asked = time.monotonic()
                    if not await centre.auth.still_in(identity):
                        break
                if jpeg := await picture.take():
                    await response.write(_part(jpeg))
    return response


def _part(jpeg: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"
