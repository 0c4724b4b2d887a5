"""The retained state of a node, and how a reader of any version reads it."""

from __future__ import annotations

from typing import get_args

import msgspec
from msgspec import Struct, field

from agent.wire import tolerance
from agent.wire.document import Document
from agent.wire.terms import DECODE_ERRORS, CameraStatus, Count, LinePoints, Name, WireError


class Ailment(Struct, frozen=True, omit_defaults=True):
    """What is wrong with what a camera shows, though it can be counted on it; not blind.

    Attributes:
        kind: moved, dark, unfocused, dirty or flickering; a newer node may tell of others, in its text.
        since: Unix ms.
        text: a sentence for people.
        amount: by how much it has moved, in widths of the picture; 0: not known, or no matter of that.
        shift: where what was at a point is now: to the right and down, in widths of the picture.
        off: lines and zones that are not where they were drawn any more.
    """

    kind: str
    since: int
    text: str
    amount: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    off: list[str] = []


class CameraReport(Struct, frozen=True, omit_defaults=True):
    """A camera as its node sees it now.

    `since`: Unix ms of the last change of state; `size`: width, height of the frames, pixels; `preview`:
    pictures may be asked for. Defaults are written as `State` says. Where the box's owner lets the centre
    set cameras: `source`, where it is, without secrets and names of files; `from_centre`: it was added there.
    """

    camera: str
    state: CameraStatus
    since: int
    reason: str = field(default_factory=lambda: "")
    model: str = field(default_factory=lambda: "")
    model_sha256: str = field(default_factory=lambda: "")
    labels: list[str] = field(default_factory=lambda: [])
    size: tuple[int, int] = field(default_factory=lambda: (0, 0))
    preview: bool = field(default_factory=lambda: False)
    health: list[Ailment] = []
    source: str = ""
    from_centre: bool = False


class Departure(Struct, frozen=True):
    """Pictures that left a box one after the other: by which way, for whom, how many, and how changed.

    `start`, `end`: Unix ms of the first and the last. `way`: preview, page, rtsp or empty (the picture that
    shows nobody). `manner`: blurred, unblurred, or drawn where the source shows nobody real.
    """

    start: int
    end: int
    camera: str
    way: str
    who: str
    role: str
    pictures: Count
    manner: str


class Wish(Struct, frozen=True):
    """A line drawn at the box itself, for the centre to put into its document; `points` None: taken away."""

    camera: str
    line: Name
    points: LinePoints | None = None


class ConfigReport(Struct, frozen=True, omit_defaults=True):
    """Which document runs, or why the newest one does not.

    `unread`: what of the document its reader does not know and has left out; the reader fills that in. A
    document with something unread must never be the base of another one.

    `knows`: the settings of a camera that this node understands; empty: those of version 0.3. `refused`: what
    of the running document has no effect on this box -> why, by path (`cam0.model`).
    """

    applied: Count = field(default_factory=lambda: 0)
    error: str = field(default_factory=lambda: "")
    document: Document = field(default_factory=lambda: Document())
    unread: list[str] = []
    knows: list[str] = []
    refused: dict[str, str] = {}


class State(Struct, frozen=True, omit_defaults=True):
    """The retained `state` of a node; the last will is the same with `online` false.

    `before`: the start of the agent before this one, by the box's own disk; 0: there was none, or it is not
    known. `warnings`: what is wrong with the box itself, a sentence each, for a person. As in
    `CameraSettings`, defaults that are made by a call are always written, and what came later is left out
    where it is not used.
    """

    node: str
    online: bool
    at: int  # Unix ms
    mono: int = field(default_factory=lambda: 0)
    epoch: int = field(default_factory=lambda: 0)
    version: str = field(default_factory=lambda: "")
    cameras: list[CameraReport] = field(default_factory=lambda: [])
    config: ConfigReport = field(default_factory=lambda: ConfigReport())
    warnings: list[str] = []
    departures: list[Departure] = []  # the last ones, oldest first
    wishes: list[Wish] = []  # what the document does not say yet
    before: int = 0
    allows: list[str] = []  # what the box's owner lets the centre do: "cameras"


_state_decoder = msgspec.json.Decoder(State)


def decode_state(payload: bytes) -> State:
    """Decode a node's state; raise WireError with what is wrong.

    A newer node's state is never refused for what is new in it: a camera whose status is not known here is
    told as absent, in words; a document that is not understood here is left out, and named in `unread`.
    """
    state: State
    try:
        state, dropped = tolerance.decode(_state_decoder, payload, State)
    except msgspec.ValidationError as error:
        state, dropped = _older_view(payload, error)
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from None
    unread = [path.removeprefix(_DOCUMENT) for path in dropped if path.startswith(_DOCUMENT)]
    config = msgspec.structs.replace(state.config, unread=unread[:10]) if unread else state.config
    return msgspec.structs.replace(state, config=config)


_DOCUMENT = "config.document."


def _older_view(payload: bytes, error: msgspec.ValidationError) -> tuple[State, list[str]]:
    """Read a state with values that this reader does not know; raise WireError if it is wrong otherwise."""
    try:
        message, dropped = tolerance.prune(msgspec.json.decode(payload), State)
        for camera in message.get("cameras", []):
            if camera.get("state") not in get_args(CameraStatus) and isinstance(camera.get("state"), str):
                camera["reason"] = (
                    f"it says {camera['state'][:40]!r}, which is not known here: upgrade the centre"
                )
                camera["state"] = "absent"
        try:
            return msgspec.convert(message, State), dropped
        except msgspec.ValidationError:
            message["config"]["document"] = {}
            return msgspec.convert(message, State), [*dropped, f"{_DOCUMENT}cameras"]
    except (msgspec.ValidationError, AttributeError, KeyError, TypeError):
        raise WireError(str(error)) from None
