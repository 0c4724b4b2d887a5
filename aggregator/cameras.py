"""Requests about the cameras of a box: add one, change where it is, take one away.

What always holds: the box's owner has allowed it, or it is refused with what to write where. The order goes
to the box once; where a camera is, secrets and all, is kept there and nowhere here: not in the orders, not in
the audit log, not in a document. The box tries the camera first, and its answer says what became of it.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from agent import wire
from aggregator.auth import Refused
from aggregator.openapi import Route, answer
from aggregator.orders import orders
from aggregator.orders.api import OrderId
from aggregator.params import CENTRE, IDENTITY, body_of, name_of, node_of, record

_WITHIN_MS = 60_000
Side = Annotated[int, Meta(ge=0, le=16_384)]


class CameraBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be set of a camera; what is left out stays as it is, or as a new camera has it.

    `source`: as in the box's `agent.toml`. It is told to the box, and kept there alone.
    """

    source: Annotated[str, Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
    model: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | UnsetType = UNSET
    size: tuple[Side, Side] | UnsetType = UNSET
    fps: Annotated[float, Meta(ge=0, le=240)] | UnsetType = UNSET
    format: Annotated[str, Meta(pattern=r"^([A-Za-z0-9 ]{4})?$")] | UnsetType = UNSET
    pace: Literal["real", "fast"] | UnsetType = UNSET
    loop: bool | UnsetType = UNSET


async def put(request: web.Request) -> web.Response:
    """Have a box add a camera, or change where one is."""
    node, camera = _allowed(request)
    body = await body_of(request, CameraBody)
    state = request.app[CENTRE].fleet.state(node)
    known = [report.camera for report in state.cameras] if state else []
    if camera not in known and body.source is UNSET:
        raise Refused(400, "bad_request", f"source: where the new camera {camera!r} is")
    where = "" if body.source is UNSET else f": {_kind(body.source)}"
    return await _order(request, node, camera, "put-camera", msgspec.json.encode(body).decode(), where)


async def remove(request: web.Request) -> web.Response:
    """Have a box take a camera away that was added here; what it counted stays."""
    node, camera = _allowed(request)
    return await _order(request, node, camera, "remove-camera", "", "")


def _allowed(request: web.Request) -> tuple[str, str]:
    """Return node and camera of the path; raise Refused if the box's owner has not allowed this."""
    node = node_of(request)
    camera = name_of(request, "camera")
    fleet = request.app[CENTRE].fleet
    if fleet.standing(node) == "offline":
        raise Refused(409, "node_away", f"{node} is offline, and an order does not wait: give it again later")
    state = fleet.state(node)
    if state is None or "cameras" not in state.allows:
        raise Refused(409, "not_allowed_there", wire.CAMERAS_NOT_ALLOWED)
    return node, camera


async def _order(
    request: web.Request, node: str, camera: str, verb: str, text: str, where: str
) -> web.Response:
    identity = request[IDENTITY]
    what: dict[str, Any] = {"camera": text} if text else {}
    expires = round(time.time() * 1000) + _WITHIN_MS
    command = wire.Command(
        orders.new_id(), verb, expires, identity.role, camera, user=identity.user[:200], what=what
    )
    await record(request, verb.replace("-", " "), node=node, what=f"{camera}{where}")
    try:
        id_ = await request.app[CENTRE].orders.give(node, identity.user, command)
    except orders.NotSent as error:
        raise Refused(503, "not_sent", f"the order was not sent: {error}") from None
    return answer(OrderId(id_), 202)


def _kind(source: str) -> str:
    """Return what kind of source it is: no more of it is noted here."""
    kind, is_address, _ = source.partition("://")
    return (
        f"an {kind.lower()} address"
        if is_address and kind.isalpha()
        else "a device, file or scene of the box"
    )


_PATH = "/nodes/{node}/cameras/{camera}"
ROUTES = (
    Route("PUT", _PATH, put, "Add a camera to a box, or change where it is", "admin", OrderId, CameraBody,
          status=202),
    Route("DELETE", _PATH, remove, "Take a camera away that was added here", "admin", OrderId, status=202),
)  # fmt: skip
