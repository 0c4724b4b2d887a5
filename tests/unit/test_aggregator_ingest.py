"""Opening batches."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent import wire
from aggregator.ingest import Parcel, address, unpack
from aggregator.site_time import now
from aggregator.store.detail import events_of
from aggregator.store.store import Poison

AT = 1_767_312_000_000
GOOD = wire.encode_event(wire.Crossing(AT, "cam0", "main", 0, "AB", "car", 1, 1, 90), AT)
BATCH = wire.encode_batch(5, 6, AT, 0, [GOOD, GOOD])


def test_good_batch() -> None:
    """A batch opens into its events by place."""
    parcel = unpack("gb/1/box-1/ev", BATCH, 0.0)
    assert isinstance(parcel, Parcel)
    assert (parcel.id, [place for place, _ in parcel.good], parcel.poison) == ("box-1:5:6", [0, 1], [])


def test_readable_form_is_the_same_batch() -> None:
    """A batch as JSON opens into the same events under the same checksum."""
    one = unpack("gb/1/box-1/ev", BATCH, 0.0)
    two = unpack("gb/1/box-1/ev", wire.to_json(BATCH), 0.0)
    assert isinstance(one, Parcel)
    assert isinstance(two, Parcel)
    assert one.claim() == two.claim()
    assert one.good == two.good


def test_bad_event_is_alone() -> None:
    """An event that cannot be read, or has an unknown number, leaves its neighbours and their places."""
    unknown = b"\x93\x63\x00\xa4cam0"
    late = wire.encode_event(wire.CameraState(2**60, "cam0", "ok"), 0)
    parcel = unpack(
        "gb/1/box-1/ev", wire.encode_batch(5, 6, AT, 0, [GOOD, b"\x91\xc0", unknown, late, GOOD]), 0.0
    )
    assert isinstance(parcel, Parcel)
    assert [place for place, _ in parcel.good] == [0, 4]
    assert [poison.id for poison in parcel.poison] == [f"box-1:5:6:{i}" for i in (1, 2, 3)]
    assert parcel.claim().good + parcel.claim().bad == 5


def test_the_same_poison_has_the_same_id() -> None:
    """A message that comes again is known by its content and its topic."""
    ids = {unpack(topic, b"x", 0.0).id for topic in ("gb/1/box-1/ev", "gb/1/box-2/ev", "gb/1/box-1/ev")}
    assert len(ids) == 2


def test_addressing_again_changes_nothing() -> None:
    """A group that is tried again writes the same documents and the same poison."""
    big = wire.Resources(AT, "", 5, 5, 5, 5, 5, 2**63, 0, 0, False, {}, 0)
    parcel = unpack("gb/1/box-1/ev", wire.encode_batch(5, 6, AT, 0, [GOOD, wire.encode_event(big, AT)]), 0.0)
    assert isinstance(parcel, Parcel)
    for _ in range(2):
        address(parcel, now())
        assert not parcel.rows
        assert [one.id for one in events_of(parcel.claim().row(now()))] == ["box-1:5:6:0"]
        assert [poison.id for poison in parcel.poison] == ["box-1:5:6:1"]


@given(st.binary(max_size=200), st.sampled_from(["gb/1/box-1/ev", "gb/1/X/ev", "gb/2/box-1/ev", "", "/"]))
def test_nothing_makes_it_raise(payload: bytes, topic: str) -> None:
    """Whatever arrives is either a parcel or poison with a reason."""
    found = unpack(topic, payload, 0.0)
    assert isinstance(found, Parcel) or found.reason


@given(st.integers(1, 2 * len(GOOD) + 1), st.integers(1, 255))
def test_no_altered_event_is_believed(back: int, change: int) -> None:
    """A batch with any byte of its events altered is refused as a whole: it comes again."""
    altered = bytearray(BATCH)
    altered[-back] ^= change
    assert isinstance(unpack("gb/1/box-1/ev", bytes(altered), 0.0), Poison)


def test_events_at_one_go_are_those_one_by_one() -> None:
    """Reading a batch's events together gives what reading each gives, and nothing if one of them is bad."""
    box = wire.pack_box(0.1, 0.2, 0.3, 0.4)
    path = wire.pack_path([(0.0, 0.1, 0.2), (0.8, 0.3, 0.4)])
    events: list[wire.AnyEvent] = [
        wire.Detection(AT, "cam0", 1, "car", 80, box),
        wire.Track(AT + 5, "cam0", 1, "car", 80, 4000, 60, path),
        wire.Crossing(AT + 9, "cam0", "main", 1, "AB", "car", 1, 1, 80),
    ]
    bad = [
        wire.encode_event(msgspec.structs.replace(events[0], box=b"short"), AT),
        wire.encode_event(msgspec.structs.replace(events[1], path=b"odd"), AT),
        wire.encode_event(msgspec.structs.replace(events[2], at=-1), AT),
        b"\x93\x03\x01\x02",
    ]
    raws = [wire.encode_event(event, AT) for event in events]

    def together(parts: list[bytes]) -> list[wire.AnyEvent] | None:
        return wire.decode_events(msgspec.Raw(wire.array_header(len(parts)) + b"".join(parts)), AT)

    assert together(raws) == events
    for one in bad:
        assert together([*raws, one]) is None
        parcel = unpack("gb/1/box-1/ev", wire.encode_batch(5, 6, AT, 0, [*raws, one]), 0.0)
        assert isinstance(parcel, Parcel)
        assert [event for _, event in parcel.good] == events
        assert parcel.bad == 1
