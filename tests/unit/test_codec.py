"""Events as documents."""

from __future__ import annotations

from datetime import UTC, datetime

import bson
import msgspec
import pytest

from agent import wire
from aggregator.store import codec
from aggregator.store.detail import events_of

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
AT = 1_767_312_000_000
EVENTS = [
    wire.Detection(AT, "cam0", 5, "car", 80, wire.pack_box(0.1, 0.2, 0.3, 0.4)),
    wire.Track(AT, "cam0", 5, "car", 80, 900, 9, wire.pack_path([(0, 0.1, 0.2)]), False, {"a.$b": 10}),
    wire.Crossing(AT, "cam0", "main", 3, "BA", "car", 5, 2**40, 80),
    wire.Stay(AT, "cam0", "stop", 3, "car", 5, 60_000),
    wire.Tally(
        AT, "cam0", 50_000, {"stalled": 10_000}, [wire.LineTotal("main", 3, "AB", "car", 7)], {"car": 2**53},
        100, 90, 10, 20, 30,
    ),
    wire.Track(
        AT, "cam0", 6, "car", 80, 900, 9, b"", True, {},
        [wire.Gate("main", "BA", 0), wire.Gate("stop", "in", 2**40)],
    ),
    wire.Crossing(AT, "cam0", "main", 3, "BA", "car", 5, 2**40, 80, 487),
    wire.Tally(
        AT, "cam0", 60_000, {}, [], {}, 1, 1, 0, 2, 3, [wire.ZoneTotal("stop", 3, "car", 7, 6)],
        [wire.ZoneMinute("stop", 3, 142, 4, 1, 58, 3, 0)], [wire.TripTotal("main:BA", "stop", "car", 2**40)],
    ),
    wire.CameraState(AT, "cam0", "stalled", "no picture for 3 s"),
    wire.Lost(AT, "", "detection", 12, "the disk is full"),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_comes_back_as_it_was(event: wire.AnyEvent) -> None:
    """Every kind of event survives the database, with plain numbers that JSON can show."""
    raw = codec.encode("box-1", "box-1:1:2:3", event, MOMENT).raw
    id_, back = codec.decode(bson.decode(raw))
    assert (id_, back) == ("box-1:1:2:3", event)
    assert codec.fact("box-1", id_, back) == {"node": "box-1", "id": id_, **wire.event_dict(event)}
    assert type(back.at) is int


@pytest.mark.parametrize(("place", "later"), [(1, {"j"}), (2, {"u"}), (4, {"z", "y", "j"})])
def test_what_says_nothing_takes_no_room(place: int, later: set[str]) -> None:
    """Fields that came later are stored only where they say something; documents without them read on."""
    held = bson.decode(codec.encode("box-1", "box-1:1:2:3", EVENTS[place], MOMENT).raw)
    assert not later & held.keys()
    full = next(e for e in EVENTS[5:] if type(e) is type(EVENTS[place]))
    assert later <= bson.decode(codec.encode("box-1", "box-1:1:2:3", full, MOMENT).raw).keys()


def test_samples_share_a_document() -> None:
    """Resource samples of a batch come back one by one, with their ids."""
    samples = [
        (i, wire.Resources(AT + i, "", 5, 6, 2**33, 8, 9, None if i else 40, 1, 2, False, {"cam0": 95}, 0))
        for i in (0, 4, 5)
    ]
    raw = codec.encode_samples("box-1", "box-1:1:2", samples, MOMENT).raw
    assert codec.decode_samples(bson.decode(raw)) == [(f"box-1:1:2:{i}", one) for i, one in samples]
    assert not {"gpu", "pow"} & bson.decode(raw).keys(), "as in documents of earlier versions"
    power = wire.Power(8420, False, 315)
    samples[1] = (4, msgspec.structs.replace(samples[1][1], gpu_percent=83, power=power))
    raw = codec.encode_samples("box-1", "box-1:1:2", samples, MOMENT).raw
    assert codec.decode_samples(bson.decode(raw)) == [(f"box-1:1:2:{i}", one) for i, one in samples]


@pytest.mark.parametrize(
    "event",
    [
        wire.Tally(AT, "cam0", 0, {"\0": 1}, [], {}, 0, 0, 0, 0, 0),
        wire.Track(AT, "cam0", 5, "car", 80, 900, 9, b"", True, {"a\0b": 1}),
    ],
)
def test_says_what_cannot_be_stored(event: wire.AnyEvent) -> None:
    """What BSON cannot hold is found before any write."""
    with pytest.raises(codec.Unstorable):
        codec.encode("box-1", "box-1:1:2:3", event, MOMENT)


def test_every_kind_has_a_home() -> None:
    """No event of the contract is forgotten here."""
    assert set(codec.NAMED) == set(wire.EVENT_NAMES.values())
    assert {type(event) for event in EVENTS} | {wire.Resources} == set(wire.EVENT_NAMES)


@pytest.mark.parametrize("text", ["", "a:1:2", "box-1:1:2:x", "BOX:1:2:3", "box-1:1:2:3:4"])
def test_foreign_ids_are_refused(text: str) -> None:
    """Only an event's id is taken for one."""
    with pytest.raises(ValueError, match=r".*"):
        codec.split_id(text)


def test_every_field_has_its_key() -> None:
    """A field that comes to an event is stored too: there is a key for each, and no two are the same."""
    for kind, keys in codec._KEYS.items():
        assert len(keys) == len(msgspec.structs.fields(kind)), kind.__name__
        assert len(set(keys)) == len(keys), kind.__name__


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_single_documents_of_earlier_versions_read(event: wire.AnyEvent) -> None:
    """What an earlier version stored event by event is read beside batches."""
    row = bson.decode(codec.encode("box-1", "box-1:1:2:3", event, MOMENT).raw)
    (one,) = events_of(row)
    assert (one.node, one.id, one.event) == ("box-1", "box-1:1:2:3", event)
    assert events_of(row, (99,)) == []
