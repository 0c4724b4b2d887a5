"""What people draw on a camera's picture: lines, zones, the road plane; as requests, and as changes.

What always holds: what makes no sense is refused with the contract's own words before anything changes. A
change takes the whole desired document and gives a whole one; it touches one drawing of one camera.
"""

from __future__ import annotations

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
    try:
        version = await centre.wants.change(
            node, request[IDENTITY].user, f"{action} {kind.name} {place}", change(kind, camera, name, shape)
        )
    except NotWanted as error:
        raise refusal(error) from None
    return answer(schemas.Version(version), 202)


def refusal(error: NotWanted) -> Refused:
    """Return the answer to a change that makes no sense."""
    status = 409 if error.code in ("busy", "newer_node", "changed") else 404
    return Refused(status, error.code, str(error), error.details)


# ── changes ───────────────────────────────────────────────────────────────────────────────────────


def change(kind: Kind, camera: str, name: str, shape: Shape | None) -> Change:
    """Return the change that draws or moves something, or with None takes it away; a plane has no name."""

    def apply(document: wire.Document, version: int) -> wire.Document:
        settings = document.cameras.get(camera)
        if settings is None:
            raise NotWanted("no_camera", f"the node has no camera {camera!r}")
        drawn = getattr(settings, kind.field)
        if shape is None and (name not in drawn if name else drawn is None):
            what = f"{kind.name} {name!r}" if name else "road plane"
            raise NotWanted(f"no_{kind.name}", f"camera {camera!r} has no {what}")
        after = _among(drawn, name, shape, version) if name else shape
        settings = msgspec.structs.replace(settings, **{kind.field: after})
        return wire.Document(version, {**document.cameras, camera: settings})

    return apply


def _among(drawn: dict[str, Shape], name: str, shape: Shape | None, version: int) -> dict[str, Shape]:
    """Return the drawings with one of them set, at this version, or without it."""
    if shape is None:
        return {other: kept for other, kept in drawn.items() if other != name}
    return {**drawn, name: msgspec.structs.replace(shape, version=version)}
