"""The contract between a node and the centre: events, batches, states, commands, topics.

What always holds:

* A batch `(node, epoch, seq)` is immutable. Its checksum covers every byte of its events, so a resend
  is byte-identical and a cloned box is recognised.
* Events travel as MessagePack *arrays*: the first element is the event's number, the second its time as
  milliseconds after the batch's `base`. A reader ignores elements it does not know; new fields go last
  and have defaults.
* A reader ignores what it does not know, keys as well as elements, in every message but one: the desired
  document, which a node applies whole or refuses with the path of what it does not know.
* Every event is decoded on its own: one bad event never takes its neighbours with it.
* Coordinates are fractions of the frame, 0..1 from the top left; on the wire they are 16-bit steps.

This module costs msgspec only.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from agent import tolerance

PREFIX = "gb/1"
NODE_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{2,31}$")

BATCH_EVENTS = 100
BATCH_BYTES = 32 * 1024
URGENT_SECONDS = 1.0
RELAXED_SECONDS = 60.0
MAX_PAYLOAD = 256 * 1024
MAX_GATES = 32

_YEAR_2200 = 7_258_118_400_000
_STEP = 65535.0
_POINT = struct.Struct("<IHH")  # centiseconds after the first point, x, y
_BOX = struct.Struct("<4H")
_ROW = struct.Struct("<H4HBB")  # track, x1, y1, x2, y2, class, score: the 12-byte row of `live`

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,47}$")]
Label = Annotated[str, Meta(min_length=1, max_length=48)]
CameraName = Annotated[str, Meta(max_length=48)]  # empty where an event is the box's, not a camera's
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Metre = Annotated[float, Meta(ge=-10_000.0, le=10_000.0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Direction = Literal["AB", "BA"]
Anchor = Literal["bottom", "center"]
CameraStatus = Literal["ok", "absent", "stalled", "frozen", "degraded", "failed", "ended"]


class WireError(ValueError):
    """A message that this contract refuses; the text says why."""


# ── topics ────────────────────────────────────────────────────────────────────────────────────────


def topic(node: str, kind: str) -> str:
    """Return the topic of `kind` (ev, ack, state, want, cmd, rsp, live) of a node."""
    return f"{PREFIX}/{node}/{kind}"


def parse_topic(name: str) -> tuple[str, str]:
    """Split a topic into (node, kind); raise WireError for a foreign one."""
    parts = name.split("/")
    if len(parts) != 4 or "/".join(parts[:2]) != PREFIX or not NODE_NAME.match(parts[2]):
        raise WireError(f"foreign topic {name[:80]!r}")
    return parts[2], parts[3]


def valid_node(name: str) -> str:
    """Return `name` if it can be a node's name, else raise WireError saying what one looks like."""
    if not NODE_NAME.match(name):
        raise WireError(f"{name!r} is no node name: 3 to 32 of a-z, 0-9 and '-', not starting with '-'")
    return name


# ── events ────────────────────────────────────────────────────────────────────────────────────────


class Event(Struct, array_like=True, frozen=True):
    """What every event has. `at`: Unix milliseconds (on the wire: after the batch's base)."""

    at: int
    camera: CameraName


class Detection(Event, tag=1, frozen=True):
    """An object's label settled, or changed. `box`: 4 x uint16, see `pack_box`."""

    track: Count
    label: Label
    score: Percent
    box: bytes


class Gate(Struct, array_like=True, frozen=True):
    """A line that an object passed (AB, BA) or a zone it entered (in), `after` ms since its first sight."""

    name: Label
    kind: Literal["AB", "BA", "in"]
    after: Count


class Track(Event, tag=2, frozen=True):
    """An object's life, when it ends (`ended`) or each minute of a long one.

    `age`: milliseconds from first to last sight (`at` is the last). `path`: see `pack_path`.
    `votes`: label -> share of the votes in percent, when more than one label was seen.
    `gates`: what it passed, in order, the first MAX_GATES; only on the last part, and only two or more.
    """

    track: Count
    label: Label
    score: Percent
    age: Count
    frames: Count
    path: bytes
    ended: bool = True
    votes: dict[str, Percent] = {}
    gates: Annotated[list[Gate], Meta(max_length=MAX_GATES)] = []


class Crossing(Event, tag=3, frozen=True):
    """A confirmed track changed the side of a line; `total` is the running total of that row.

    `speed`: tenths of km/h, where the camera has a road plane and the object was on it long enough.
    """

    line: Label
    version: Count
    direction: Direction
    label: Label
    track: Count
    total: Count
    score: Percent = 0
    speed: Count | None = None


class Stay(Event, tag=4, frozen=True):
    """A track left a zone (`at`) after `dwell` milliseconds in it."""

    zone: Label
    version: Count
    label: Label
    track: Count
    dwell: Count


class LineTotal(Struct, array_like=True, frozen=True):
    """The running total of one (line, version, direction, label)."""

    line: Label
    version: Count
    direction: Direction
    label: Label
    total: Count


class ZoneTotal(Struct, array_like=True, frozen=True):
    """The running totals of one (zone, version, label): objects that came in, and that went out."""

    zone: Label
    version: Count
    label: Label
    entered: Count
    left: Count


class ZoneMinute(Struct, array_like=True, frozen=True):
    """How full a zone was in a minute's watched time: time-weighted mean, peak, and as the minute ended.

    A mean is in hundredths of an object. `queue_`: the same of those that stood still.
    """

    zone: Label
    version: Count
    mean: Count
    peak: Count
    now: Count
    queue_mean: Count
    queue_peak: Count
    queue_now: Count


class TripTotal(Struct, array_like=True, frozen=True):
    """The running total of ended objects by first and last gate, each written `line:AB` or `zone`."""

    origin: Annotated[str, Meta(min_length=1, max_length=64)]
    destination: Annotated[str, Meta(min_length=1, max_length=64)]
    label: Label
    total: Count


class Tally(Event, tag=5, frozen=True):
    """One camera's minute, `at` its start. `totals`, `objects`, `zones` and `trips` are running totals.

    `watched`, `blind`: milliseconds of this minute, `blind` by reason (a camera status or "off").
    `captured`, `inferred`, `dropped`: frames of this minute. `p50`, `p95`: capture to event, ms.
    `occupancy`: of the zones that exist now, in this minute.
    """

    watched: Count
    blind: dict[str, Count]
    totals: list[LineTotal]
    objects: dict[str, Count]
    captured: Count
    inferred: Count
    dropped: Count
    p50: Count
    p95: Count
    zones: list[ZoneTotal] = []
    occupancy: list[ZoneMinute] = []
    trips: list[TripTotal] = []


class Resources(Event, tag=6, frozen=True):
    """One sample of the box; `camera` is empty. Whole numbers, because 8,640 of them travel each day."""

    cpu_percent: Count  # of all cores
    agent_cpu_percent: Count  # of one core
    memory_bytes: Count  # of the agent
    memory_percent: Percent  # of the box
    disk_percent: Percent
    temperature: int | None  # degrees Celsius; None: the box cannot tell
    sent_bytes: Count  # by the box since the sample before
    received_bytes: Count
    throttled: bool
    fps_tenths: dict[CameraName, Count]  # camera -> inferred frames a second, times ten
    level: Count = 0  # of the compute budget, 0 = nothing held back


class CameraState(Event, tag=7, frozen=True):
    """A camera changed its state; `reason` is a sentence for a person."""

    state: CameraStatus
    reason: str = ""


class Lost(Event, tag=8, frozen=True):
    """What the node had accepted and then dropped: `count` events of `kind`, and why.

    `unknown`: more than those may be gone; how many cannot be known.
    """

    kind: str
    count: Count
    reason: str
    unknown: bool = False


AnyEvent = Detection | Track | Crossing | Stay | Tally | Resources | CameraState | Lost
EVENT_NAMES: dict[type, str] = {
    Detection: "detection", Track: "track", Crossing: "crossing", Stay: "stay",
    Tally: "tally", Resources: "resources", CameraState: "camera", Lost: "lost",
}  # fmt: skip
URGENT = (Detection, Crossing, CameraState)

_encoder = msgspec.msgpack.Encoder()
_event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


def encode_event(event: AnyEvent, base: int) -> bytes:
    """Encode one event with its time relative to `base` (Unix ms)."""
    return _encoder.encode(msgspec.structs.replace(event, at=event.at - base))


def decode_event(raw: bytes | msgspec.Raw, base: int) -> AnyEvent:
    """Decode one event, its time absolute again; raise WireError with the reason."""
    try:
        event = _event_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad event: {error}") from None
    at = event.at + base
    if not 0 <= at < _YEAR_2200:
        raise WireError(f"bad event: time {at} lies outside 1970 to 2200")
    if isinstance(event, Detection) and len(event.box) != _BOX.size:
        raise WireError(f"bad event: a box of {len(event.box)} bytes; {_BOX.size} are expected")
    if isinstance(event, Track) and len(event.path) % _POINT.size:
        raise WireError(f"bad event: a path of {len(event.path)} bytes is no whole points of {_POINT.size}")
    return msgspec.structs.replace(event, at=at)


def event_dict(event: AnyEvent) -> dict[str, Any]:
    """Return the readable form: `type` beside the fields, boxes and paths as fractions, speeds in km/h."""
    fields = {"type": EVENT_NAMES[type(event)], **msgspec.structs.asdict(event)}
    if isinstance(event, Detection):
        fields["box"] = unpack_box(event.box)
    elif isinstance(event, Track):
        fields["path"] = unpack_path(event.path)
        fields["gates"] = _rows(event.gates)
    elif isinstance(event, Crossing):
        fields["speed"] = None if event.speed is None else event.speed / 10
    elif isinstance(event, Tally):
        fields |= {name: _rows(getattr(event, name)) for name in ("totals", "zones", "occupancy", "trips")}
        for row in fields["occupancy"]:
            row["mean"], row["queue_mean"] = row["mean"] / 100, row["queue_mean"] / 100
    elif isinstance(event, Resources):
        fields["fps"] = {camera: tenths / 10 for camera, tenths in fields.pop("fps_tenths").items()}
    return fields


def _rows(parts: Sequence[Struct]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(part) for part in parts]


# ── batches ───────────────────────────────────────────────────────────────────────────────────────


class Batch(Struct, array_like=True, frozen=True):
    """The unit of delivery. `base`: Unix ms; `mono`: the node's monotonic ms at the same moment."""

    epoch: Count
    seq: Count
    base: int
    mono: int
    sum: bytes
    events: msgspec.Raw  # a MessagePack array of events


_batch_decoder = msgspec.msgpack.Decoder(Batch)
_raw_list_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])


def checksum(epoch: int, seq: int, base: int, mono: int, events: bytes | memoryview) -> bytes:
    """Return the 8 bytes that name a batch's content, numbers and times included (BLAKE2b)."""
    digest = hashlib.blake2b(f"{epoch}:{seq}:{base}:{mono}:".encode(), digest_size=8)
    digest.update(events)
    return digest.digest()


def array_header(length: int) -> bytes:
    """Return MessagePack's header of an array of `length` elements."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big")


def encode_batch(epoch: int, seq: int, base: int, mono: int, events: Sequence[bytes]) -> bytes:
    """Join already encoded events into one immutable payload."""
    body = array_header(len(events)) + b"".join(events)
    sum_ = checksum(epoch, seq, base, mono, body)
    return _encoder.encode(Batch(epoch, seq, base, mono, sum_, msgspec.Raw(body)))


def decode_batch(payload: bytes) -> Batch:
    """Decode a batch's envelope, either form; raise WireError if it is malformed or altered."""
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"a batch of {len(payload)} bytes; the limit is {MAX_PAYLOAD}")
    if payload[:1] == b"{":
        payload = _from_json(payload)
    try:
        batch = _batch_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad batch: {error}") from None
    if checksum(batch.epoch, batch.seq, batch.base, batch.mono, memoryview(batch.events)) != batch.sum:
        raise WireError("bad batch: the checksum does not match its content")
    return batch


def batch_events(batch: Batch) -> list[msgspec.Raw]:
    """Split a batch into its events, each still encoded."""
    try:
        return _raw_list_decoder.decode(batch.events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad batch: {error}") from None


class _ReadableBatch(Struct):
    """The JSON form of a batch: the same arrays, with the envelope's fields by name."""

    epoch: Count
    seq: Count
    base: int
    mono: int
    sum: str
    events: list[Any]


def to_json(payload: bytes) -> bytes:
    """Return the same batch as JSON, for people who want to read the wire; binary fields as base64."""
    batch = decode_batch(payload)
    events = [_event_decoder.decode(raw) for raw in batch_events(batch)]
    rows = [msgspec.to_builtins(event) for event in events]
    head = (batch.epoch, batch.seq, batch.base, batch.mono, batch.sum.hex())
    return msgspec.json.encode(_ReadableBatch(*head, rows))


def _from_json(payload: bytes) -> bytes:
    try:
        readable = msgspec.json.decode(payload, type=_ReadableBatch)
        events = [_row_of(item) for item in readable.events]
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad batch: {error}") from None
    body = array_header(len(events)) + b"".join(_encoder.encode(event) for event in events)
    sum_ = readable.sum
    return _encoder.encode(
        Batch(readable.epoch, readable.seq, readable.base, readable.mono, _hex(sum_), msgspec.Raw(body))
    )


def _row_of(item: list[Any]) -> list[Any]:
    """Return an event's JSON row as it was before: its bytes are bytes, and no field more or less."""
    event = msgspec.convert(item, AnyEvent, builtin_types=())
    row: list[Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    return row[: len(item)] + item[len(row) :]


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WireError("bad batch: `sum` is no hexadecimal number") from None


class Ack(Struct, array_like=True, frozen=True):
    """Stored up to here: epoch -> ranges of batch numbers, both ends included."""

    stored: dict[int, list[tuple[int, int]]]


_ack_decoder = msgspec.msgpack.Decoder(Ack)


def encode_ack(stored: dict[int, Iterable[int]]) -> bytes:
    """Encode the batch numbers of each epoch as ranges."""
    return _encoder.encode(Ack({epoch: ranges(numbers) for epoch, numbers in stored.items()}))


def decode_ack(payload: bytes) -> Ack:
    """Decode an acknowledgement; raise WireError if it is malformed."""
    try:
        ack: Ack = tolerance.decode(_ack_decoder, payload, Ack, msgspec.msgpack)[0]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad ack: {error}") from None
    return ack


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Fold numbers into sorted closed ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


# ── the document that a server may set ────────────────────────────────────────────────────────────


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A counting line of 2 to 8 points, drawn P -> Q; `AB` = from the left hand to the right hand."""

    points: Annotated[list[tuple[Fraction, Fraction]], Meta(min_length=2, max_length=8)]
    anchor: Anchor = "bottom"
    labels: list[Label] = []  # empty: all
    version: Count = 0

    def __post_init__(self) -> None:
        for one, two in zip(self.points, self.points[1:], strict=False):
            if abs(one[0] - two[0]) + abs(one[1] - two[1]) < 0.005:
                raise ValueError("two neighbouring points of a line are the same")


class Zone(Struct, frozen=True, forbid_unknown_fields=True):
    """A polygon of 3 to 16 points in which stays are measured."""

    points: Annotated[list[tuple[Fraction, Fraction]], Meta(min_length=3, max_length=16)]
    anchor: Anchor = "bottom"
    labels: list[Label] = []
    version: Count = 0


class Plane(Struct, frozen=True, forbid_unknown_fields=True):
    """Four points of the picture round a patch of the road, and where they lie on it in `metres`.

    Both must go round their patch one after the other, none of them on the line of two others.
    """

    points: Annotated[list[tuple[Fraction, Fraction]], Meta(min_length=4, max_length=4)]
    metres: Annotated[list[tuple[Metre, Metre]], Meta(min_length=4, max_length=4)]

    def __post_init__(self) -> None:
        for name, corners, least in (("points", self.points, 0.01), ("metres", self.metres, 0.1)):
            if why := _no_outline(corners, least):
                raise ValueError(f"the {name} of the plane: {why}")


def _no_outline(corners: list[tuple[float, float]], least: float) -> str:
    """Return why four corners bound no patch, empty if they do; `least`: how near two of them may be."""
    sides = [(two[0] - one[0], two[1] - one[1]) for one, two in pairwise([*corners, corners[0]])]
    lengths = [math.hypot(*side) for side in sides]
    if not min(lengths) >= least:
        return "two neighbouring points are the same"
    turns = [
        (sides[n - 1][0] * sides[n][1] - sides[n - 1][1] * sides[n][0]) / (lengths[n - 1] * lengths[n])
        for n in range(4)
    ]
    if not min(map(abs, turns)) > 0.01:
        return "three of them lie on a line"
    if min(turns) < 0 < max(turns):
        return "they do not go round the outline of a patch; give them in order, clockwise or the other way"
    return ""


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a server may set on one camera.

    Defaults that are made by a call are always written. What came later is left out where it is not used:
    a reader that does not know it refuses it.
    """

    confidence: Annotated[float, Meta(gt=0.0, lt=1.0)] = field(default_factory=lambda: 0.25)
    labels: list[Label] = field(default_factory=lambda: [])  # empty: all that the model knows
    lines: dict[Name, Line] = field(default_factory=lambda: {})
    zones: dict[Name, Zone] = field(default_factory=lambda: {})
    plane: Plane | None = None


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The desired configuration: always whole; a higher version replaces a lower one."""

    version: Count = 0
    cameras: dict[Name, CameraSettings] = {}


def read_document(payload: bytes) -> tuple[Document, list[str]]:
    """Read a document that is only shown; return it and the paths of what is not known here."""
    try:
        return tolerance.decode(msgspec.json.Decoder(Document), payload, Document)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


def decode_document(payload: bytes) -> Document:
    """Decode a desired document; raise WireError with the path of what is wrong."""
    try:
        return msgspec.json.decode(payload, type=Document)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


# ── state, commands, live ─────────────────────────────────────────────────────────────────────────


class CameraReport(Struct, frozen=True):
    """A camera as its node sees it now. `since`: Unix ms of the last change of state."""

    camera: str
    state: CameraStatus
    since: int
    reason: str = ""
    model: str = ""
    model_sha256: str = ""
    labels: list[str] = []
    size: tuple[int, int] = (0, 0)  # width, height of the frames, pixels
    preview: bool = False  # pictures may be asked for


class ConfigReport(Struct, frozen=True, omit_defaults=True):
    """Which document runs, or why the newest one does not.

    `unread`: what of the document its reader does not know and has left out; the reader fills that in. A
    document with something unread must never be the base of another one.
    """

    applied: Count = field(default_factory=lambda: 0)
    error: str = field(default_factory=lambda: "")
    document: Document = field(default_factory=lambda: Document())
    unread: list[str] = []


class State(Struct, frozen=True, omit_defaults=True):
    """The retained `state` of a node; the last will is the same with `online` false.

    `warnings`: what is wrong with the box itself, a sentence each, for a person. As in `CameraSettings`,
    defaults that are made by a call are always written, and what came later is left out where it is not used.
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


class Command(Struct, frozen=True):
    """A one-shot order. `expires`: Unix ms; `verb`: "watch" or "unwatch"."""

    id: Annotated[str, Meta(min_length=8, max_length=64)]
    verb: str
    expires: int
    role: str = "viewer"
    camera: str = ""
    seconds: Annotated[float, Meta(ge=0, le=600)] = 0.0
    picture: bool = False


class Response(Struct, frozen=True):
    """The one answer to a command."""

    id: str
    ok: bool
    error: str = ""


class Live(Struct, array_like=True, frozen=True):
    """One frame's boxes while somebody watches: `rows` of 12 bytes each, `jpeg` only if asked for.

    A row's class is a place in the `labels` that the camera reports in the node's state.
    """

    at: int  # Unix ms
    camera: str
    rows: bytes
    jpeg: bytes = b""


_live_decoder = msgspec.msgpack.Decoder(Live)


def encode_live(live: Live) -> bytes:
    """Encode one live frame."""
    return _encoder.encode(live)


def decode_live(payload: bytes) -> Live:
    """Decode one live frame; raise WireError if it is malformed."""
    try:
        live: Live = tolerance.decode(_live_decoder, payload, Live, msgspec.msgpack)[0]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"bad live frame: {error}") from None
    if len(live.rows) % _ROW.size:
        raise WireError(f"bad live frame: {len(live.rows)} bytes are no whole rows of {_ROW.size}")
    return live


def decode_json(payload: bytes, kind: type[Any]) -> Any:
    """Decode a JSON message (State, Command, Response); raise WireError with what is wrong."""
    if kind is State:
        return decode_state(payload)
    try:
        return tolerance.decode(msgspec.json.Decoder(kind), payload, kind)[0]
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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


# ── packed coordinates ────────────────────────────────────────────────────────────────────────────


def _steps(fraction: float) -> int:
    return round(min(max(float(fraction), 0.0), 1.0) * _STEP)


def pack_box(x1: float, y1: float, x2: float, y2: float) -> bytes:
    """Pack a box of fractions into 8 bytes."""
    return _BOX.pack(_steps(x1), _steps(y1), _steps(x2), _steps(y2))


def unpack_box(packed: bytes) -> list[float]:
    """Return [x1, y1, x2, y2] in fractions."""
    return [round(step / _STEP, 5) for step in _BOX.unpack(packed)]


def pack_path(points: Iterable[tuple[float, float, float]]) -> bytes:
    """Pack (seconds after the first point, x, y) into 8 bytes a point."""
    return b"".join(_POINT.pack(round(seconds * 100), _steps(x), _steps(y)) for seconds, x, y in points)


def unpack_path(packed: bytes) -> list[list[float]]:
    """Return [[seconds after the first point, x, y], ...]."""
    return [[t / 100, round(x / _STEP, 5), round(y / _STEP, 5)] for t, x, y in _POINT.iter_unpack(packed)]


def pack_rows(rows: Iterable[tuple[int, float, float, float, float, int, int]]) -> bytes:
    """Pack (track, x1, y1, x2, y2, class, score percent) into 12 bytes each; the track wraps at 65536."""
    return b"".join(
        _ROW.pack(track & 0xFFFF, _steps(x1), _steps(y1), _steps(x2), _steps(y2), kind & 0xFF, score)
        for track, x1, y1, x2, y2, kind, score in rows
    )


def unpack_rows(packed: bytes) -> list[list[float]]:
    """Return [[track, x1, y1, x2, y2, class, score percent], ...], coordinates as fractions."""
    return [
        [track, *(round(step / _STEP, 5) for step in box), kind, score]
        for track, *box, kind, score in _ROW.iter_unpack(packed)
    ]
