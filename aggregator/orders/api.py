"""Requests about orders: give one, see what became of it."""

from __future__ import annotations

import time
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from agent import wire
from aggregator.auth import Refused
from aggregator.openapi import Route, answer
from aggregator.orders import orders
from aggregator.params import CENTRE, IDENTITY, body_of, limit_of, node_of, record

_REASONS = {"expired": "the node has not answered in time"}


class OrderBody(Struct, forbid_unknown_fields=True):
    """An order. `verb`: snapshot, self-test, restart, logs, watch and so on; the node knows what it can do.

    `camera`: of which camera, where it is about one. `seconds`: how long, where that matters. `model`: which
    model of the node runs beside, by its name. `within`: after so many seconds it is not executed any more.
    """

    verb: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    camera: wire.CameraName = ""
    seconds: Annotated[float, Meta(ge=0, le=600)] = 0.0
    picture: bool = False
    model: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    within: Annotated[int, Meta(ge=1, le=3600)] = 60


class OrderId(Struct):
    """The id of an order that was sent."""

    id: str


class Order(Struct):
    """An order and what became of it: sent, done, refused or expired. Times are Unix ms.

    `reason`: why it was refused or has expired. `text`: what the node answered. `picture`: there is one.
    """

    id: str
    node: str
    verb: str
    camera: str
    user: str
    at: int
    expires: int
    state: str
    reason: str
    text: str
    picture: bool


class OrderList(Struct):
    """Orders, the newest first."""

    commands: list[Order]


async def give(request: web.Request) -> web.Response:
    """Order a node to do something, once."""
    node = node_of(request)
    body = await body_of(request, OrderBody)
    identity = request[IDENTITY]
    role = orders.ROLES_OF.get(body.verb, "operator")
    if not identity.may(role):
        raise Refused(403, "not_allowed", f"the order {body.verb} needs the role {role}")
    if (body.verb == orders.RUN_MODEL) != bool(body.model):
        raise Refused(400, "bad_request", "model: run-model needs one, and no other order takes one")
    centre = request.app[CENTRE]
    standing = centre.fleet.standing(node)
    if standing == "offline":
        raise Refused(409, "node_away", f"{node} is offline, and an order does not wait: give it again later")
    command = wire.Command(
        id=orders.new_id(),
        verb=body.verb,
        expires=round(time.time() * 1000) + body.within * 1000,
        role=identity.role,
        camera=body.camera,
        seconds=body.seconds,
        picture=body.picture,
        user=identity.user[:200],
        what={"model": body.model} if body.model else {},
    )
    await record(request, f"order {body.verb}", node=node, what=f"{body.camera} {body.model}".strip())
    try:
        id_ = await centre.orders.give(node, identity.user, command)
    except orders.NotSent as error:
        raise Refused(503, "not_sent", f"the order was not sent: {error}") from None
    return answer(OrderId(id_), 202)


async def get(request: web.Request) -> web.Response:
    """Say what became of one's own order."""
    return answer(_order(await _own(request), with_answer=True))


async def picture(request: web.Request) -> web.Response:
    """Return the picture with which a node answered."""
    row = await _own(request, picture=True)
    if not row.get("jpeg"):
        raise Refused(404, "no_picture", "the node has not answered with a picture")
    return web.Response(body=bytes(row["jpeg"]), content_type="image/jpeg")


async def newest(request: web.Request) -> web.Response:
    """Show one's own orders to a node; to an administrator all, without the answers to others."""
    node = node_of(request)
    identity = request[IDENTITY]
    whose = "" if identity.may("admin") else identity.user
    rows = await request.app[CENTRE].store.orders.newest(node, whose, limit_of(request, 50))
    return answer(OrderList([_order(row, with_answer=row["user"] == identity.user) for row in rows]))


async def _own(request: web.Request, *, picture: bool = False) -> dict[str, Any]:
    """Return the order of the path; raise Refused if there is none of the one who asks."""
    store = request.app[CENTRE].store.orders
    row = await store.get(node_of(request), request.match_info["id"], picture=picture)
    if row is None or row["user"] != request[IDENTITY].user:
        raise Refused(404, "no_order", "you have given no such order")
    return row


def _order(row: dict[str, Any], *, with_answer: bool) -> Order:
    expires = int(row["expires"])  # the driver's own kind of number otherwise
    state = orders.state_of(row["state"], expires + orders.lasting_ms(row["verb"], row.get("seconds", 0.0)))
    return Order(
        id=row["_id"],
        node=row["node"],
        verb=row["verb"],
        camera=row["camera"],
        user=row["user"],
        at=round(row["at"].timestamp() * 1000),
        expires=expires,
        state=state,
        reason=row.get("reason", "") or _REASONS.get(state, ""),
        text=row.get("text", "") if with_answer else "",
        picture=bool(row.get("has_picture")) and with_answer,
    )


_ALL = "/nodes/{node}/commands"
ROUTES = (
    Route("POST", _ALL, give, "Order a node to do something", "operator", OrderId, OrderBody, status=202),
    Route("GET", _ALL, newest, "Orders to a node", "operator", OrderList, query=("limit",)),
    Route("GET", _ALL + "/{id}", get, "What became of an order", "operator", Order),
    Route("GET", _ALL + "/{id}/picture", picture, "The picture of an answer", "operator",
          media="image/jpeg"),
)  # fmt: skip
