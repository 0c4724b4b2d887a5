"""Events: what a node says it has seen, one by one.

Invariants: an event is a MessagePack array: its tag, its time as milliseconds after the batch's `base`, its
camera, its fields. A reader ignores elements behind those it knows; a new field goes last and has a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent.wire.packing import BOX_BYTES, POINT_BYTES, unpack_box, unpack_path
from agent.wire.terms import (
    DECODE_ERRORS,
    DIRECTIONS,
    CameraName,
    CameraStatus,
    Count,
    Direction,
    Label,
    Percent,
    WireError,
)
from agent.wire.totals import LineTotal, TripTotal, ZoneMinute, ZoneTotal


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


MAX_GATES = 32  # of one track


class Gate(Struct, array_like=True, frozen=True):
    """A line that an object passed (AB, BA) or a zone it entered (in), `after` ms since its first sight."""

    name: Label
    kind: Literal["AB", "BA", "in"]
    after: Count

    @property
    def text(self) -> str:
        """As tallies write it: `line:AB`, or a zone's name."""
        return self.name if self.kind == "in" else f"{self.name}:{self.kind}"


def parse_gate(text: str, after: int) -> Gate:
    """Return the gate that `Gate.text` wrote."""
    for way in DIRECTIONS:
        if text.endswith(f":{way}"):
            return Gate(text[: -len(way) - 1], way, after)
    return Gate(text, "in", after)


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


class Tally(Event, tag=5, frozen=True):
    """One camera's minute, `at` its start. `totals`, `objects`, `zones` and `trips` are running totals.

    `watched`, `blind`: milliseconds of this minute, `blind` by reason (a camera status or "off").
    `captured`, `inferred`, `dropped`: frames of this minute. `p50`, `p95`: capture to event, ms.
    `occupancy`: of the zones that exist now, in this minute. `skipped`: captured frames that were not worth a
    look, because nothing moved or nothing that moved could change a count: watched, not judged. `level`: the
    budget's highest in this minute; `held`: looks that were wanted and it took away. `looked`: regions that
    the second look took in this minute, `oldest`: for how many ms the place that waits longest was not looked
    at again.
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
    skipped: Count = 0
    level: Count = 0
    held: Count = 0
    looked: Count = 0
    oldest: Count = 0


class Power(Struct, array_like=True, frozen=True):
    """What a box takes, where its board tells."""

    milliwatts: Count
    board: bool  # of the whole board; False: of the processor alone
    count_tenths: Count | None = None  # joules that a count has cost since the agent's start, times ten

    @property
    def part(self) -> Literal["board", "processor"]:
        """Of what it tells."""
        return "board" if self.board else "processor"

    @property
    def watts(self) -> float:
        """Watts."""
        return self.milliwatts / 1000

    @property
    def joules_per_count(self) -> float | None:
        """Joules for each count since the agent's start; None before the first one."""
        return None if self.count_tenths is None else self.count_tenths / 10


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
    gpu_percent: Percent | None = None  # of the busiest GPU; None: there is none that tells
    power: Power | None = None  # None: nothing tells


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


def _tag(kind: type) -> int:
    """Return an event's number on the wire."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return int(info.tag or 0)


AnyEvent = Detection | Track | Crossing | Stay | Tally | Resources | CameraState | Lost
EVENT_NAMES: dict[type, str] = {
    Detection: "detection", Track: "track", Crossing: "crossing", Stay: "stay",
    Tally: "tally", Resources: "resources", CameraState: "camera", Lost: "lost",
}  # fmt: skip
EVENT_TAGS: dict[type, int] = {kind: _tag(kind) for kind in EVENT_NAMES}
EVENT_TYPES: dict[int, type] = {tag: kind for kind, tag in EVENT_TAGS.items()}
URGENT = (Detection, Crossing, CameraState)


_YEAR_2200 = 7_258_118_400_000  # Unix ms
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_list_decoder: msgspec.msgpack.Decoder[list[AnyEvent]] = msgspec.msgpack.Decoder(list[AnyEvent])


def encode_event(event: AnyEvent, base: int) -> bytes:
    """Encode one event with its time relative to `base` (Unix ms)."""
    return _encoder.encode(msgspec.structs.replace(event, at=event.at - base))


def decode_event(raw: bytes | msgspec.Raw, base: int) -> AnyEvent:
    """Decode one event, its time absolute again; raise WireError with the reason."""
    try:
        event = _decoder.decode(raw)
    except DECODE_ERRORS as error:
        raise WireError(f"bad event: {error}") from None
    at = event.at + base
    if not 0 <= at < _YEAR_2200:
        raise WireError(f"bad event: time {at} lies outside 1970 to 2200")
    if isinstance(event, Detection) and len(event.box) != BOX_BYTES:
        raise WireError(f"bad event: a box of {len(event.box)} bytes; {BOX_BYTES} are expected")
    if isinstance(event, Track) and len(event.path) % POINT_BYTES:
        raise WireError(f"bad event: a path of {len(event.path)} bytes is no whole points of {POINT_BYTES}")
    return msgspec.structs.replace(event, at=at)


def decode_events(raws: msgspec.Raw, base: int) -> list[AnyEvent] | None:
    """Decode a MessagePack array of events at one go, times absolute; None if any of them is bad."""
    try:
        events = _list_decoder.decode(raws)
    except DECODE_ERRORS:
        return None
    for event in events:
        if not 0 <= event.at + base < _YEAR_2200 or _is_misshapen(event):
            return None
    return [msgspec.structs.replace(event, at=event.at + base) for event in events]


def _is_misshapen(event: AnyEvent) -> bool:
    if type(event) is Detection:  # asked of each event: a third of what `isinstance` takes
        return len(event.box) != BOX_BYTES
    return type(event) is Track and bool(len(event.path) % POINT_BYTES)


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
        fields |= _power(fields.pop("power"))
    return fields


def _power(power: Power | None) -> dict[str, Any]:
    if power is None:
        return {"watts": None, "power_of": None, "joules_per_count": None}
    return {"watts": power.watts, "power_of": power.part, "joules_per_count": power.joules_per_count}


def _rows(parts: Sequence[Struct]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(part) for part in parts]
