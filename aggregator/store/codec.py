"""Events as documents of the database, and back.

What always holds: `_id` is the event's id `node:epoch:seq:i`; `n` its node, `t` its wire tag, `a` its time in
Unix milliseconds, `stored_at` the server's time (by which it expires), `was` the time that its box told,
where that was wrong. The other names are short, because each is stored with every document; `_KEYS` is their
list. What came later to a kind (`_LATER`) is left out where it says nothing, so it costs nothing there, and
documents from before it still read. Resource samples share one document a batch, one array a field.

Everything is encoded to BSON here, event by event, so what BSON cannot hold is found before any write.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import bson
import msgspec
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from agent import wire

_KEYS: dict[type, tuple[str, ...]] = {
    wire.Detection: ("a", "c", "k", "l", "s", "b"),
    wire.Track: ("a", "c", "k", "l", "s", "g", "f", "p", "e", "v", "j"),
    wire.Crossing: ("a", "c", "i", "r", "d", "l", "k", "o", "s", "u"),
    wire.Stay: ("a", "c", "z", "r", "l", "k", "w"),
    wire.Tally: tuple("acwxoqfghpuzyjivdke"),
    wire.CameraState: ("a", "c", "y", "m"),
    wire.Lost: ("a", "c", "y", "o", "m", "u"),
}
_LATER: dict[type, dict[str, Any]] = {
    wire.Track: {"j": []},
    wire.Crossing: {"u": None},
    wire.Lost: {"u": False},
    wire.Tally: {"z": [], "y": [], "j": [], **dict.fromkeys("ivdke", 0)},
}
_ROWS: dict[type, dict[str, Any]] = {
    wire.Tally: {"o": wire.LineTotal, "z": wire.ZoneTotal, "y": wire.ZoneMinute, "j": wire.TripTotal}
}  # lists of rows: an array each
_SAMPLE = (
    "at", "cpu", "own", "mem", "memp", "disk", "temp", "sent", "recv", "thr", "fps", "lvl", "gpu", "pow",
)  # fmt: skip
_SAMPLE_LATER = ("gpu", "pow")  # left out where no sample of the batch tells

NAMED: dict[str, type] = {name: kind for kind, name in wire.EVENT_NAMES.items()}

EVENTS = "events"
BATCHES = "batches"
TALLIES = "tallies"
LOSSES = "losses"
RESOURCES = "resources"
UNKNOWN_LOSSES = "unknown losses"  # those of LOSSES that tell no number
HOME: dict[type, str] = {
    wire.Tally: TALLIES,
    wire.Lost: LOSSES,
    wire.Resources: RESOURCES,
}  # every other kind lives in `events`


class Unstorable(ValueError):
    """An event that the database cannot hold; the text says why."""


def batch_id(node: str, epoch: int, seq: int) -> str:
    """Return the id of a batch."""
    return f"{node}:{epoch}:{seq}"


def node_of(batch: str) -> str:
    """Return the node of a batch by its id."""
    return batch.partition(":")[0]


def split_id(text: str) -> tuple[str, int, int, int]:
    """Split an event's id into node, epoch, seq and i; raise ValueError for anything else."""
    node, epoch, seq, i = text.split(":")
    return wire.valid_node(node), int(epoch), int(seq), int(i)


def encode(
    node: str, id_: str, event: wire.AnyEvent, stored_at: datetime, told: int | None = None
) -> RawBSONDocument:
    """Return the document of one event (not of a resource sample); raise Unstorable.

    `told`: the time that a box with a wrong clock gave, where the event's was put right.
    """
    kind = type(event)
    document: dict[str, Any] = {"_id": id_, "n": node, "t": wire.EVENT_TAGS[kind]}
    document.update(zip(_KEYS[kind], msgspec.structs.astuple(event), strict=True))
    for key, nothing in _LATER.get(kind, {}).items():
        if document[key] == nothing:
            del document[key]
    for key in _ROWS.get(kind, {}):
        if key in document:
            document[key] = [msgspec.structs.astuple(row) for row in document[key]]
    if isinstance(event, wire.Track) and event.gates:
        document["j"] = [part for gate in event.gates for part in (gate.text, gate.after)]
    document["stored_at"] = stored_at
    if told is not None:
        document["was"] = told
    return _pack(document)


def decode(document: dict[str, Any]) -> tuple[str, wire.AnyEvent]:
    """Return the id and the event of a document."""
    kind = wire.EVENT_TYPES[document["t"]]
    later = _LATER.get(kind, {})
    fields = {
        key: _plain(document[key] if key in document or key not in later else later[key])
        for key in _KEYS[kind]
    }
    for key, row in _ROWS.get(kind, {}).items():
        fields[key] = [row(*parts) for parts in fields[key]]
    if kind is wire.Track:
        flat = fields["j"]
        fields["j"] = [
            wire.parse_gate(text, after) for text, after in zip(flat[::2], flat[1::2], strict=True)
        ]
    return document["_id"], kind(*fields.values())


def encode_samples(
    node: str,
    id_: str,
    samples: list[tuple[int, wire.Resources]],
    stored_at: datetime,
    told: int | None = None,
) -> RawBSONDocument:
    """Return the one document of a batch's resource samples; raise Unstorable. `told`: of the first one."""
    rows = [(at, *rest) for at, _camera, *rest in (msgspec.structs.astuple(sample) for _, sample in samples)]
    document: dict[str, Any] = {"_id": id_, "n": node, "a": rows[0][0], "i": [i for i, _ in samples]}
    document.update((key, [row[place] for row in rows]) for place, key in enumerate(_SAMPLE))
    document["pow"] = [None if one is None else msgspec.structs.astuple(one) for one in document["pow"]]
    for key in _SAMPLE_LATER:
        if not any(one is not None for one in document[key]):
            del document[key]
    document["stored_at"] = stored_at
    if told is not None:
        document["was"] = told
    return _pack(document)


def decode_samples(document: dict[str, Any]) -> list[tuple[str, wire.Resources]]:
    """Return the ids and samples of one batch."""
    unknown = [None] * len(document["at"])
    told = dict.fromkeys(_SAMPLE_LATER, unknown) | document
    told["pow"] = [None if one is None else wire.Power(*_plain(one)) for one in told["pow"]]
    columns = [_plain(told[key]) for key in _SAMPLE]
    samples = [wire.Resources(at, "", *rest) for at, *rest in zip(*columns, strict=True)]
    return [(f"{document['_id']}:{i}", sample) for i, sample in zip(document["i"], samples, strict=True)]


def fact(node: str, id_: str, event: wire.AnyEvent) -> dict[str, Any]:
    """Return the readable form that the API and the live stream show."""
    return {"node": node, "id": id_, **wire.event_dict(event)}


def _plain(value: Any) -> Any:
    """Turn BSON's own numbers into Python's."""
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def check_sample(sample: wire.Resources) -> None:
    """Raise Unstorable if the database cannot hold a resource sample."""
    power = None if sample.power is None else msgspec.structs.astuple(sample.power)
    _pack(msgspec.structs.asdict(sample) | {"power": power})


def _pack(document: dict[str, Any]) -> RawBSONDocument:
    try:
        return RawBSONDocument(bson.encode(document))
    except (OverflowError, InvalidDocument) as error:
        raise Unstorable(f"not storable: {str(error)[:200]}") from None
