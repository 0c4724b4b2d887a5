"""What people draw on a camera's picture: lines, zones, the road plane; as requests, and as changes.

What always holds: what makes no sense is refused with the contract's own words before anything changes. A
change takes the whole desired document and gives a whole one; it touches one drawing of one camera.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from agent import wire
from aggregator import answers
from aggregator.auth import Refused
from aggregator.openapi import answer
from aggregator.request import CENTRE, IDENTITY, bad, body_of, name_of, node_of
from aggregator.wanted import Change, NotWanted

T = TypeVar("T")

# ── requests ──────────────────────────────────────────────────────────────────────────────────────


async def put_line(request: web.Request) -> web.Response:
    """Draw or move a line."""
    body = await body_of(request, answers.LineBody)
    with _sense("points"):
        wire.Line(body.points, body.anchor, body.labels)
    camera, line = name_of(request, "camera"), name_of(request, "line")
    return await _change(request, f"put line {camera}/{line}", set_line(camera, line, body))


async def delete_line(request: web.Request) -> web.Response:
    """Delete a line."""
    camera, line = name_of(request, "camera"), name_of(request, "line")
    return await _change(request, f"delete line {camera}/{line}", drop_line(camera, line))


async def put_zone(request: web.Request) -> web.Response:
    """Draw or move a zone."""
    body = await body_of(request, answers.ZoneBody)
    with _sense("points"):
        wire.Zone(body.points, body.anchor, body.labels)
    camera, zone = name_of(request, "camera"), name_of(request, "zone")
    return await _change(request, f"put zone {camera}/{zone}", set_zone(camera, zone, body))


async def delete_zone(request: web.Request) -> web.Response:
    """Delete a zone."""
    camera, zone = name_of(request, "camera"), name_of(request, "zone")
    return await _change(request, f"delete zone {camera}/{zone}", drop_zone(camera, zone))


async def put_plane(request: web.Request) -> web.Response:
    """Say where the road lies in the picture."""
    body, camera = await body_of(request, answers.PlaneBody), name_of(request, "camera")
    with _sense("plane"):
        plane = wire.Plane(body.points, body.metres)
    return await _change(request, f"put plane {camera}", set_plane(camera, plane))


async def delete_plane(request: web.Request) -> web.Response:
    """Take the road plane away."""
    camera = name_of(request, "camera")
    return await _change(request, f"delete plane {camera}", set_plane(camera, None))


@contextlib.contextmanager
def _sense(what: str) -> Iterator[None]:
    """Refuse a drawing that makes no sense, with the contract's own words."""
    try:
        yield
    except ValueError as error:
        raise bad(f"{what}: {error}") from None


async def _change(request: web.Request, action: str, change: Change) -> web.Response:
    name, centre = node_of(request), request.app[CENTRE]
    if centre.fleet.state(name) is None:
        raise Refused(409, "no_state", f"{name} has not said yet which cameras it has")
    try:
        version = await centre.wants.change(name, request[IDENTITY].user, action, change)
    except NotWanted as error:
        raise Refused(409 if error.code == "busy" else 404, error.code, str(error)) from None
    return answer(answers.Version(version), 202)


# ── changes ───────────────────────────────────────────────────────────────────────────────────────


def set_line(camera: str, name: str, body: answers.LineBody) -> Change:
    """Return the change that draws or moves a line."""

    def change(document: wire.Document, version: int) -> wire.Document:
        line = wire.Line(body.points, body.anchor, body.labels, version)
        lines = {**_settings(document, camera).lines, name: line}
        return _with(document, version, camera, lines=lines)

    return change


def drop_line(camera: str, name: str) -> Change:
    """Return the change that deletes a line."""

    def change(document: wire.Document, version: int) -> wire.Document:
        lines = _without(_settings(document, camera).lines, "line", camera, name)
        return _with(document, version, camera, lines=lines)

    return change


def set_zone(camera: str, name: str, body: answers.ZoneBody) -> Change:
    """Return the change that draws or moves a zone."""

    def change(document: wire.Document, version: int) -> wire.Document:
        zone = wire.Zone(body.points, body.anchor, body.labels, version)
        zones = {**_settings(document, camera).zones, name: zone}
        return _with(document, version, camera, zones=zones)

    return change


def drop_zone(camera: str, name: str) -> Change:
    """Return the change that deletes a zone."""

    def change(document: wire.Document, version: int) -> wire.Document:
        zones = _without(_settings(document, camera).zones, "zone", camera, name)
        return _with(document, version, camera, zones=zones)

    return change


def set_plane(camera: str, plane: wire.Plane | None) -> Change:
    """Return the change that sets the road plane, or with None takes it away."""

    def change(document: wire.Document, version: int) -> wire.Document:
        if plane is None and _settings(document, camera).plane is None:
            raise NotWanted("no_plane", f"camera {camera!r} has no road plane")
        return _with(document, version, camera, plane=plane)

    return change


def _settings(document: wire.Document, camera: str) -> wire.CameraSettings:
    settings = document.cameras.get(camera)
    if settings is None:
        raise NotWanted("no_camera", f"the node has no camera {camera!r}")
    return settings


def _without(drawn: Mapping[str, T], kind: str, camera: str, name: str) -> dict[str, T]:
    if name not in drawn:
        raise NotWanted(f"no_{kind}", f"camera {camera!r} has no {kind} {name!r}")
    return {other: shape for other, shape in drawn.items() if other != name}


def _with(document: wire.Document, version: int, camera: str, **fields: Any) -> wire.Document:
    settings = msgspec.structs.replace(_settings(document, camera), **fields)
    return wire.Document(version, {**document.cameras, camera: settings})
