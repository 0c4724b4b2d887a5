"""What people draw on a camera's picture: lines, zones, the road plane; as requests, and as changes.

What always holds: what makes no sense is refused with the contract's own words before anything changes. A
change takes the whole desired document and gives a whole one; it touches one drawing of one camera. Who says
what they saw of it (`If-Match`: its version; `If-None-Match: *`: nothing) is told if it is another one now.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from agent import wire
from aggregator import schemas
from aggregator.auth import Refused
from aggregator.desired import Change, NotWanted
from aggregator.openapi import answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, name_of, node_of

NOTHING = -1  # the version of what is not there
Shape = wire.Line | wire.Zone | wire.Plane


class Kind(NamedTuple):
    """A kind of drawing: its name in paths and sentences, where it is kept, what is sent, what is kept."""

    name: str
    field: str  # of the camera's settings
    body: type[msgspec.Struct]
    shape: type[Shape]


LINE = Kind("line", "lines", schemas.LineBody, wire.Line)
ZONE = Kind("zone", "zones", schemas.ZoneBody, wire.Zone)
PLANE = Kind("plane", "plane", schemas.PlaneBody, wire.Plane)

# ── requests ──────────────────────────────────────────────────────────────────────────────────────


def put(kind: Kind) -> Handler:
    """Return the handler that draws or moves something."""

    async def handle(request: web.Request) -> web.Response:
        body = await body_of(request, kind.body)
        try:
            shape = kind.shape(**msgspec.structs.asdict(body))
        except ValueError as error:
            raise bad(f"{kind.name}: {error}") from None
        return await _change(request, kind, "put", shape)

    return handle


def delete(kind: Kind) -> Handler:
    """Return the handler that takes something drawn away."""

    async def handle(request: web.Request) -> web.Response:
        return await _change(request, kind, "delete", None)

    return handle


async def _change(request: web.Request, kind: Kind, action: str, shape: Shape | None) -> web.Response:
    camera = name_of(request, "camera")
    name = "" if kind is PLANE else name_of(request, kind.name)
    node = node_of(request)
    centre = request.app[CENTRE]
    if centre.fleet.state(node) is None:
        raise Refused(409, "no_state", f"{node} has not said yet which cameras it has")
    place = f"{camera}/{name}" if name else camera
    seen = seen_of(request)
    user = request[IDENTITY].user
    try:
        version = await centre.wants.change(
            node,
            user,
            f"{action} {kind.name} {place}",
            change(kind, camera, name, shape, seen if name else None),
            {camera: seen} if seen is not None and not name else {},
        )
    except NotWanted as error:
        raise refusal(error) from None
    return answer(schemas.Version(version), 202)


def seen_of(request: web.Request) -> int | None:
    """Return the version that a request's sender saw, NOTHING for none, None if they do not say."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        return NOTHING
    text = request.headers.get("If-Match", "*").strip()
    match = re.fullmatch(r'(?:W/)?"?(\d{1,15})"?', text)
    if match:
        return int(match.group(1))
    if text != "*":
        raise bad("If-Match: give the version that was read")
    return None


def refusal(error: NotWanted) -> Refused:
    """Return the answer to a change that makes no sense."""
    status = 409 if error.code in ("busy", "newer_node", "changed") else 404
    return Refused(status, error.code, str(error), error.details)


# ── changes ───────────────────────────────────────────────────────────────────────────────────────


def change(kind: Kind, camera: str, name: str, shape: Shape | None, seen: int | None = None) -> Change:
    """Return the change that draws or moves something, or with None takes it away; a plane has no name.

    `seen`: the version of it that was seen, NOTHING if it was not there; None: whatever it is.
    """

    def apply(document: wire.Document, version: int) -> wire.Document:
        settings = document.cameras.get(camera)
        if settings is None:
            raise NotWanted("no_camera", f"the node has no camera {camera!r}")
        drawn = getattr(settings, kind.field)
        if seen is not None and name:
            _check_seen(kind, drawn.get(name), name, seen)
        if shape is None and (name not in drawn if name else drawn is None):
            what = f"{kind.name} {name!r}" if name else "road plane"
            raise NotWanted(f"no_{kind.name}", f"camera {camera!r} has no {what}")
        after = _among(drawn, name, shape, version) if name else shape
        settings = msgspec.structs.replace(settings, **{kind.field: after})
        return wire.Document(version, {**document.cameras, camera: settings})

    return apply


def _check_seen(kind: Kind, now: wire.Line | wire.Zone | None, name: str, seen: int) -> None:
    """Raise NotWanted if a drawing is another one than was seen."""
    version = NOTHING if now is None else now.version
    if version == seen:
        return
    what = f"{kind.name} {name!r}"
    told = f"{what} was taken away" if now is None else f"{what} was drawn or moved by somebody else"
    details = {"version": None if now is None else version, kind.name: msgspec.to_builtins(now)}
    raise NotWanted("changed", f"{told} meanwhile; nothing was overwritten", details)


def _among(drawn: dict[str, Shape], name: str, shape: Shape | None, version: int) -> dict[str, Shape]:
    """Return the drawings with one of them set, at this version, or without it."""
    if shape is None:
        return {other: kept for other, kept in drawn.items() if other != name}
    return {**drawn, name: msgspec.structs.replace(shape, version=version)}
