"""Requests about boxes that come and go."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from aiohttp import web
from msgspec import Meta, Struct

from agent import wire
from aggregator.auth import Refused
from aggregator.joining.renaming import CannotRename
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, node_of, record
from aggregator.places import documents
from aggregator.schemas import Nothing
from aggregator.setup.control import EnrolError, NoRightsError

T = TypeVar("T")


class InvitationBody(Struct, forbid_unknown_fields=True):
    """A code for several boxes: how many, for how long, where they will stand.

    `approval`: each waits for an administrator's word.
    """

    boxes: Annotated[int, Meta(ge=1, le=10_000)]
    minutes: Annotated[int, Meta(ge=1, le=43_200)] = 1440
    site: str = ""
    groups: list[str] = []
    labels: list[documents.Tag] = []
    approval: bool = False


class InvitationRow(Struct):
    """An invitation. `left`: how many boxes it still lets in; `line`: only in the answer that made it."""

    id: str
    boxes: int
    left: int
    until: int
    approval: bool
    by: str
    place: documents.Place
    line: str = ""


class InvitationList(Struct):
    """All invitations, the newest first."""

    invitations: list[InvitationRow]


class WaitingBox(Struct):
    """A box that waits for an administrator's word."""

    node: str
    invitation: str
    since: int


class WaitingBoxes(Struct):
    """Who waits, the oldest first."""

    waiting: list[WaitingBox]


class NewNode(Struct, forbid_unknown_fields=True):
    """The name of a box that is to join."""

    node: str


class JoinLine(Struct):
    """The line to run on a box, once, and until when it is good (Unix ms)."""

    node: str
    line: str
    until: int


class RenameBody(Struct, forbid_unknown_fields=True):
    """Another name for a node."""

    to: str


class RenameRow(Struct):
    """A rename: from which name to which, how far it is (asked, moving, refused), and why it was refused."""

    was: str
    node: str
    at: int
    by: str
    state: str
    reason: str


class RenameList(Struct):
    """Renames, the oldest first. One that is done is no more in it: the node has its new name then."""

    renames: list[RenameRow]


async def _by_the_broker(work: Awaitable[T]) -> T:
    """Do what the broker has a say in; raise Refused in its words."""
    try:
        return await work
    except NoRightsError as error:
        raise Refused(409, "no_rights", f"this centre's broker gives no rights: {error}") from None
    except EnrolError as error:
        raise Refused(409, "not_done", str(error)) from None


# ── a dozen ───────────────────────────────────────────────────────────────────────────────────────


async def invite(request: web.Request) -> web.Response:
    """Make a code that lets in several boxes."""
    body = await body_of(request, InvitationBody)
    centre = request.app[CENTRE]
    centre.places.check(body.site, body.groups)
    place = documents.Place(body.site, sorted(set(body.groups)), sorted(set(body.labels)))
    by = request[IDENTITY].user
    fields = {"approval": body.approval, "by": by}
    made = await _by_the_broker(centre.joining.invite(body.boxes, body.minutes, place, fields))
    await record(request, "invite boxes", what=f"{body.boxes} by {made.id}")
    until = round(made.until.timestamp() * 1000)
    row = InvitationRow(made.id, body.boxes, body.boxes, until, body.approval, by, place, made.line)
    return answer(row, 201)


async def invitations(request: web.Request) -> web.Response:
    """Show the invitations, never their codes."""
    rows = await request.app[CENTRE].store.joins.all()
    found = [
        InvitationRow(
            id=row["_id"],
            boxes=row["boxes"],
            left=max(row["left"], 0),
            until=round(row["until"].timestamp() * 1000),
            approval=bool(row.get("approval")),
            by=row.get("by", ""),
            place=documents.Place(**row["place"]),
        )
        for row in rows
    ]
    return answer(InvitationList(found))


async def withdraw(request: web.Request) -> web.Response:
    """Make an invitation's code worth nothing; who has joined with it stays."""
    id_ = request.match_info["invitation"]
    if not await _by_the_broker(request.app[CENTRE].joining.withdraw(id_)):
        raise Refused(404, "no_invitation", "there is no such invitation")
    await record(request, "withdraw invitation", what=id_)
    return answer(Nothing())


async def waiting(request: web.Request) -> web.Response:
    """Show who waits for a word."""
    rows = await request.app[CENTRE].store.joins.waiting()
    return answer(WaitingBoxes([WaitingBox(*row[:2], round(row[2].timestamp() * 1000)) for row in rows]))


async def approve(request: web.Request) -> web.Response:
    """Let a box in that waits."""
    return await _decide(
        request, "approve box", request.app[CENTRE].joining.approve(request.match_info["box"])
    )


async def refuse(request: web.Request) -> web.Response:
    """Turn a box away that waits."""
    joining = request.app[CENTRE].joining
    return await _decide(request, "refuse box", joining.refuse(request.match_info["box"]))


async def _decide(request: web.Request, action: str, work: Awaitable[bool]) -> web.Response:
    box = request.match_info["box"]
    if not await _by_the_broker(work):
        raise Refused(404, "not_waiting", f"{box[:40]!r} does not wait to join")
    await record(request, action, node=box)
    return answer(Nothing())


# ── one ───────────────────────────────────────────────────────────────────────────────────────────


async def add_node(request: web.Request) -> web.Response:
    """Let one box join."""
    body = await body_of(request, NewNode)
    try:
        wire.valid_node(body.node)
    except wire.WireError as error:
        raise bad(f"node: {error}") from None
    line, until = await _by_the_broker(request.app[CENTRE].joining.add(body.node))
    await record(request, "add node", node=body.node)
    return answer(JoinLine(body.node, line, until), 201)


async def replace_node(request: web.Request) -> web.Response:
    """Let a new box take a node's name, lines, place and history; the old one is cut off."""
    node = node_of(request)
    line, until = await _by_the_broker(request.app[CENTRE].joining.replace(node))
    await request.app[CENTRE].clones.forget(node)
    await record(request, "replace node", node=node)
    return answer(JoinLine(node, line, until), 201)


async def rename_node(request: web.Request) -> web.Response:
    """Give a node another name: the box learns it, and everything that is stored of it follows."""
    node = node_of(request)
    body = await body_of(request, RenameBody)
    try:
        work = request.app[CENTRE].renaming.ask(node, body.to, request[IDENTITY].user)
        found = await _by_the_broker(work)
    except CannotRename as error:
        raise Refused(409, error.code, str(error)) from None
    await record(request, "rename node", node=node, what=body.to)
    return answer(RenameRow(*found), 202)


async def renames(request: web.Request) -> web.Response:
    """Show the renames that are on their way, and those that were refused lately."""
    return answer(RenameList([RenameRow(*row) for row in request.app[CENTRE].renaming.all()]))


async def remove_node(request: web.Request) -> web.Response:
    """Take a node away; what it sent stays stored."""
    node = node_of(request)
    await _by_the_broker(request.app[CENTRE].joining.remove(node))
    await request.app[CENTRE].clones.forget(node)
    await record(request, "remove node", node=node)
    return answer(Nothing())


ROUTES = (
    Route("GET", "/invitations", invitations, "Codes for several boxes", "admin", InvitationList, whole=True),
    Route("POST", "/invitations", invite, "Make a code for several boxes", "admin", InvitationRow,
          InvitationBody, status=201, whole=True),
    Route("DELETE", "/invitations/{invitation}", withdraw, "Withdraw a code", "admin", Nothing, whole=True),
    Route("GET", "/waiting", waiting, "Boxes that wait for a word", "admin", WaitingBoxes, whole=True),
    Route("POST", "/waiting/{box}", approve, "Let a box in", "admin", Nothing, whole=True),
    Route("DELETE", "/waiting/{box}", refuse, "Turn a box away", "admin", Nothing, whole=True),
    Route("POST", "/nodes", add_node, "Let one box join", "admin", JoinLine, NewNode, status=201, whole=True),
    Route("POST", "/nodes/{node}/replacement", replace_node, "Put a new box in a node's place", "admin",
          JoinLine, status=201, whole=True),
    Route("POST", "/nodes/{node}/rename", rename_node, "Give a node another name", "admin", RenameRow,
          RenameBody, status=202, whole=True),
    Route("GET", "/renames", renames, "Renames on their way", "admin", RenameList, whole=True),
    Route("DELETE", "/nodes/{node}", remove_node, "Take a node away", "admin", Nothing, whole=True),
)  # fmt: skip
