"""One-shot messages: a command, its response, and what a box says when it joins."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from agent.wire import tolerance
from agent.wire.state import State, decode_state
from agent.wire.terms import DECODE_ERRORS, WireError

STAND_ASIDE = "stand-aside"  # the centre's own order to a copy of a box: leave the name to the other one
CAMERAS_NOT_ALLOWED = (
    "the owner of this box does not allow it: [camera] allow_from_centre = true in its agent.toml, "
    "then sudo systemctl reload gb-agent"
)
ANSWER_LETTERS = 65_536
ANSWER_BYTES = 524_288


class Command(Struct, frozen=True):
    """A one-shot order. `expires`: Unix ms; `verb`: "watch" or "unwatch"; `user`: on whose behalf.

    `epoch`: for this start of an agent alone, where two boxes hear the same topic; 0: for whoever hears it.
    `what`: what else a verb needs; it may hold secrets, and is kept nowhere.
    """

    id: Annotated[str, Meta(min_length=8, max_length=64)]
    verb: str
    expires: int
    role: str = "viewer"
    camera: str = ""
    seconds: Annotated[float, Meta(ge=0, le=600)] = 0.0
    picture: bool = False
    user: Annotated[str, Meta(max_length=200)] = ""
    epoch: int = 0
    what: dict[str, Annotated[str, Meta(max_length=4000)]] = {}


class Response(Struct, frozen=True, omit_defaults=True):
    """The one answer to a command. `text`, `jpeg`: what was asked for, where that is words or a picture."""

    id: str
    ok: bool
    error: str = field(default_factory=lambda: "")
    text: Annotated[str, Meta(max_length=ANSWER_LETTERS)] = ""
    jpeg: Annotated[bytes, Meta(max_length=ANSWER_BYTES)] = b""  # in base64 on the wire


class Join(Struct, frozen=True):
    """What a joining box says: the secret that it will use from now on."""

    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{32,128}$")]


# ── joining with a code for several boxes ─────────────────────────────────────────────────────────

OWN_NAME = "auto"  # in a line for several boxes: each makes a name of its own


class Application(Struct, frozen=True):
    """What a box says that has a code for several boxes: the secret that it will use, and that code."""

    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{32,128}$")]
    code: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\.[0-9a-f]{32}$")]


class Applied(Struct, frozen=True):
    """The answer to an application. `waits`: an administrator's word is still needed."""

    ok: bool
    error: str = ""
    waits: bool = False


def group_user(id_: str) -> str:
    """Return the broker's user of an invitation; with a dot in it, it can never be a node's name."""
    return f"gb.group-{id_}"


def group_code(id_: str, secret: str) -> str:
    """Return the code for several boxes: the invitation's id and its secret."""
    return f"{id_}.{secret}"


def read_group_code(code: str) -> tuple[str, str]:
    """Return the id and the secret of such a code; both empty if it is a code for one box."""
    id_, dot, secret = code.partition(".")
    return (id_, secret) if dot else ("", "")


def decode_json(payload: bytes, kind: type[Any]) -> Any:
    """Decode a JSON message (State, Command, Response, Join); raise WireError with what is wrong."""
    if kind is State:
        return decode_state(payload)
    try:
        return tolerance.decode(msgspec.json.Decoder(kind), payload, kind)[0]
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from None


class _Named(Struct):
    """What there is to read of a command that cannot be read."""

    id: Annotated[str, Meta(min_length=8, max_length=64)]


def id_of(payload: bytes) -> str:
    """Return the id of a command that cannot be read, so that it can be refused; empty if it has none."""
    try:
        return msgspec.json.decode(payload, type=_Named).id
    except DECODE_ERRORS:
        return ""
