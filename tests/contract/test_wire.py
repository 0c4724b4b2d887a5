"""The wire as it was released: what is in `golden/` decodes to the same values for ever."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire

GOLDEN = Path(__file__).parent / "golden"
BASE = 1_763_000_000_000
EPOCH = 0xABCDEF012345
SEQ = 7
MONO = 123_456

EVENTS: list[wire.AnyEvent] = [
    wire.Detection(BASE + 40, "cam0", 3, "car", 81, wire.pack_box(0.25, 0.5, 0.5, 0.75)),
    wire.Track(
        BASE + 9000, "cam0", 3, "car", 84, 8960, 131,
        wire.pack_path([(0.0, 0.25, 0.5), (4.5, 0.5, 0.5), (8.96, 0.75, 0.625)]), False,
        {"car": 97, "bus": 3},
    ),
    wire.Crossing(BASE + 5000, "cam0", "main", 2, "AB", "car", 3, 41, 84),
    wire.Stay(BASE + 7000, "cam0", "kerb", 1, "person", 9, 31_000),
    wire.Tally(
        BASE - 60_000, "cam0", 58_000, {"stalled": 2000}, [wire.LineTotal("main", 2, "AB", "car", 41)],
        {"car": 52, "person": 7}, 900, 880, 20, 31, 55,
    ),
    wire.Resources(BASE, "", 37, 61, 310_000_000, 44, 12, 58, 1200, 300, False, {"cam0": 149}, 1),
    wire.CameraState(BASE + 1, "cam0", "stalled", "no frame for 3 s"),
    wire.Lost(BASE + 2, "", "detection", 120, "the spool has reached its limit"),
]  # fmt: skip

EVENTS_2: list[wire.AnyEvent] = [
    wire.Track(
        BASE + 9000, "cam0", 3, "car", 84, 8960, 131, wire.pack_path([(0.0, 0.25, 0.5), (8.96, 0.75, 0.625)]),
        True, {}, [wire.Gate("main", "AB", 4960), wire.Gate("kerb", "in", 7100)],
    ),
    wire.Crossing(BASE + 5000, "cam0", "main", 2, "AB", "car", 3, 41, 84, 487),
    wire.Tally(
        BASE - 60_000, "cam0", 58_000, {"stalled": 2000}, [wire.LineTotal("main", 2, "AB", "car", 41)],
        {"car": 52}, 900, 880, 20, 31, 55, [wire.ZoneTotal("kerb", 1, "car", 17, 16)],
        [wire.ZoneMinute("kerb", 1, 142, 4, 1, 58, 3, 0)], [wire.TripTotal("main:AB", "kerb", "car", 12)],
    ),
]  # fmt: skip

DOCUMENT = wire.Document(
    4,
    {
        "cam0": wire.CameraSettings(
            0.3, ["car"], {"main": wire.Line([(0.0, 0.6), (1.0, 0.6)], "bottom", [], 4)},
            {"kerb": wire.Zone([(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)], "center", ["person"], 1)},
        )
    },
)  # fmt: skip
DOCUMENT_2 = wire.Document(
    5,
    {
        "cam0": wire.CameraSettings(
            plane=wire.Plane(
                [(0.25, 0.5), (0.75, 0.5), (1.0, 1.0), (0.0, 1.0)],
                [(0.0, 30.0), (7.5, 30.0), (7.5, 0.0), (0.0, 0.0)],
            )
        )
    },
)  # fmt: skip
STATE = wire.State(
    "gate-07", True, BASE, MONO, EPOCH, "0.1.0",
    [wire.CameraReport("cam0", "ok", BASE - 5, "", "traffic", "00ff", ["car"], (960, 540), True)],
    wire.ConfigReport(4, "", DOCUMENT),
)  # fmt: skip
STATE_3 = msgspec.structs.replace(STATE, warnings=["The disk with /var/lib/gb-agent is full"])
STATE_6 = msgspec.structs.replace(
    STATE,
    cameras=[
        msgspec.structs.replace(
            STATE.cameras[0],
            health=[wire.Ailment("moved", BASE - 9, "moved by 2 %", 0.02, (0.02, -0.001), ["main", "kerb"])],
        )
    ],
)
STATE_7 = msgspec.structs.replace(
    STATE,
    cameras=[msgspec.structs.replace(STATE.cameras[0], source="rtsp://***@camera:554/1", from_centre=True)],
    before=EPOCH - 7,
    allows=["cameras"],
)
EVENTS_3: list[wire.AnyEvent] = [wire.Lost(BASE + 2, "", "unknown", 3, "the spool was damaged", True)]
EVENTS_4: list[wire.AnyEvent] = [
    wire.Tally(
        BASE - 60_000, "cam0", 60_000, {}, [wire.LineTotal("main", 2, "AB", "car", 41)],
        {"car": 52}, 900, 38, 0, 31, 55, skipped=850, level=2, held=12,
    ),
]  # fmt: skip
EVENTS_5: list[wire.AnyEvent] = [
    wire.Tally(
        BASE - 60_000, "cam0", 60_000, {}, [wire.LineTotal("main", 2, "AB", "car", 41)],
        {"car": 52}, 900, 880, 20, 31, 55, looked=440, oldest=2900,
    ),
]  # fmt: skip
EVENTS_8: list[wire.AnyEvent] = [
    wire.Resources(BASE, "", 37, 61, 310_000_000, 44, 12, 58, 1200, 300, False, {"cam0": 149}, 1, 83)
]
EVENTS_9: list[wire.AnyEvent] = [
    wire.Resources(
        BASE, "", 37, 61, 310_000_000, 44, 12, 58, 1200, 300, False, {"cam0": 149}, 1, None,
        wire.Power(8420, True, 315),
    )
]  # fmt: skip
LIVE = wire.Live(BASE, "cam0", wire.pack_rows([(70_000, 0.0, 0.25, 0.5, 1.0, 2, 88)]))


def batch(events: list[wire.AnyEvent] = EVENTS) -> bytes:
    return wire.encode_batch(EPOCH, SEQ, BASE, MONO, [wire.encode_event(event, BASE) for event in events])


def events_of(payload: bytes) -> list[wire.AnyEvent]:
    decoded = wire.decode_batch(payload)
    return [wire.decode_event(raw, decoded.base) for raw in wire.batch_events(decoded)]


ENCODED = {
    "v5-batch.msgpack": lambda: batch(EVENTS_5),
    "v9-batch.msgpack": lambda: batch(EVENTS_9),
    "v9-batch.json": lambda: wire.to_json(batch(EVENTS_9)),
    "v5-batch.json": lambda: wire.to_json(batch(EVENTS_5)),
    "v2-want.json": lambda: msgspec.json.encode(DOCUMENT_2),
    "v3-batch.msgpack": lambda: batch(EVENTS_3),
    "v3-batch.json": lambda: wire.to_json(batch(EVENTS_3)),
    "v3-state.json": lambda: msgspec.json.encode(STATE_3),
    "v6-state.json": lambda: msgspec.json.encode(STATE_6),
    "v7-state.json": lambda: msgspec.json.encode(STATE_7),
    "v1-ack.msgpack": lambda: wire.encode_ack({EPOCH: [1, 2, 3, 7], 1: [9]}),
    "v1-live.msgpack": lambda: wire.encode_live(LIVE),
    "v1-state.json": lambda: msgspec.json.encode(STATE),
    "v1-want.json": lambda: msgspec.json.encode(DOCUMENT),
}


@pytest.mark.parametrize("name", sorted(ENCODED))
def test_what_is_sent_is_what_was_released(name: str) -> None:
    """Any change of the bytes shows here; a new form gets a new file, and the old file stays."""
    assert ENCODED[name]() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("form", ["msgpack", "json"])
@pytest.mark.parametrize(
    ("version", "events"),
    [(1, EVENTS), (2, EVENTS_2), (3, EVENTS_3), (4, EVENTS_4), (5, EVENTS_5), (8, EVENTS_8), (9, EVENTS_9)],
)
def test_both_forms_of_a_released_batch_decode_to_the_same_events(
    version: int, events: list[wire.AnyEvent], form: str
) -> None:
    """Both forms of each version carry the same events, times absolute again."""
    payload = (GOLDEN / f"v{version}-batch.{form}").read_bytes()
    assert events_of(payload) == events
    decoded = wire.decode_batch(payload)
    assert (decoded.epoch, decoded.seq, decoded.base, decoded.mono) == (EPOCH, SEQ, BASE, MONO)


def test_a_later_agent_may_tell_more_of_its_power() -> None:
    """Elements behind those that are known are ignored, within the power as in the sample."""
    (sample,) = EVENTS_9
    later = msgspec.msgpack.decode(wire.encode_event(sample, BASE))
    later[-1].append("measured at the plug")
    assert wire.decode_event(msgspec.msgpack.encode([*later, 7]), BASE) == sample


def test_the_other_released_messages_decode() -> None:
    """Acks, live frames, states and documents of the first version are read for ever."""
    ack = wire.decode_ack((GOLDEN / "v1-ack.msgpack").read_bytes())
    assert ack.stored == {EPOCH: [(1, 3), (7, 7)], 1: [(9, 9)]}
    live = wire.decode_live((GOLDEN / "v1-live.msgpack").read_bytes())
    assert wire.unpack_rows(live.rows) == [[70_000 - 65_536, 0.0, pytest.approx(0.25, abs=1e-4),
                                            pytest.approx(0.5, abs=1e-4), 1.0, 2, 88]]  # fmt: skip
    assert wire.decode_json((GOLDEN / "v1-state.json").read_bytes(), wire.State) == STATE
    assert wire.decode_json((GOLDEN / "v3-state.json").read_bytes(), wire.State) == STATE_3
    assert wire.decode_json((GOLDEN / "v6-state.json").read_bytes(), wire.State) == STATE_6
    assert wire.decode_json((GOLDEN / "v7-state.json").read_bytes(), wire.State) == STATE_7
    assert wire.decode_document((GOLDEN / "v1-want.json").read_bytes()) == DOCUMENT
    assert wire.decode_document((GOLDEN / "v2-want.json").read_bytes()) == DOCUMENT_2


def test_new_fields_read_well() -> None:
    """The readable form shows rows by name, speeds in km/h and means in objects."""
    track, crossing, tally = map(wire.event_dict, EVENTS_2)
    assert track["gates"][0] == {"name": "main", "kind": "AB", "after": 4960}
    assert crossing["speed"] == 48.7
    assert wire.event_dict(EVENTS[2])["speed"] is None
    assert tally["zones"] == [{"zone": "kerb", "version": 1, "label": "car", "entered": 17, "left": 16}]
    assert tally["trips"] == [{"origin": "main:AB", "destination": "kerb", "label": "car", "total": 12}]
    (row,) = tally["occupancy"]
    assert (row["mean"], row["peak"], row["queue_mean"], row["queue_peak"]) == (1.42, 4, 0.58, 3)


SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]


@pytest.mark.parametrize(
    ("corners", "why"),
    [
        ([(0.2, 0.2), (0.5, 0.5), (0.8, 0.8), (0.2, 0.8)], "on a line"),
        ([(0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8)], "outline"),
        ([(0.2, 0.2), (0.8, 0.2), (0.3, 0.3), (0.2, 0.8)], "outline"),
        ([(0.2, 0.2), (0.2, 0.2), (0.8, 0.8), (0.2, 0.8)], "same"),
    ],
)
def test_what_is_no_plane_is_refused(corners: list[tuple[float, float]], why: str) -> None:
    """Three points on a line, a crossed order, a dent and twins give no map of the road, in either list."""
    wide = [(x * 20, y * 20) for x, y in corners]
    wire.Plane(SQUARE, SQUARE[::-1])
    for points, metres in ((corners, SQUARE), (SQUARE, wide)):
        with pytest.raises(ValueError, match=why):
            wire.Plane(points, metres)
    text = msgspec.json.encode({"cameras": {"cam0": {"plane": {"points": corners, "metres": SQUARE}}}})
    with pytest.raises(wire.WireError, match=why):
        wire.decode_document(text)


def test_old_readers_are_spared_what_is_not_used() -> None:
    """A document without a plane says nothing of planes: boxes that do not know them would refuse it."""
    assert b"plane" not in msgspec.json.encode(DOCUMENT)
    assert msgspec.to_builtins(wire.CameraSettings()) == {
        "confidence": 0.25, "labels": [], "lines": {}, "zones": {}
    }  # fmt: skip


def test_a_reader_ignores_what_a_newer_writer_adds() -> None:
    """Fields appended to events, batches, acks, and keys added to states, do not disturb."""
    newer = msgspec.msgpack.encode([*msgspec.msgpack.decode(wire.encode_event(EVENTS[2], BASE)), "new"])
    assert wire.decode_event(newer, BASE) == EVENTS[2]
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(batch()), {"new": 1}])
    raw = wire.decode_batch(batch()).events
    assert bytes(raw) in longer
    assert wire.decode_batch(longer).sum == wire.decode_batch(batch()).sum
    assert wire.decode_ack(msgspec.msgpack.encode([{1: [[1, 2]]}, 5])).stored == {1: [(1, 2)]}
    state = json.loads(msgspec.json.encode(STATE)) | {"new": [1]}
    assert wire.decode_json(json.dumps(state).encode(), wire.State) == STATE


def test_a_document_is_strict() -> None:
    """A node must not run half of what a server meant: unknown keys are refused with their path."""
    wrong = msgspec.json.encode(DOCUMENT).replace(b'"anchor"', b'"ancor"', 1)
    with pytest.raises(wire.WireError, match="ancor"):
        wire.decode_document(wrong)


@pytest.mark.parametrize(
    ("event", "most"),
    [(EVENTS[0], 40), (EVENTS[2], 40), (EVENTS[5], 48)],
    ids=["detection", "crossing", "resources"],
)
def test_events_are_small(event: wire.AnyEvent, most: int) -> None:
    """A detection takes at most 40 bytes, a crossing too."""
    assert len(wire.encode_event(event, BASE)) <= most


def test_an_altered_batch_is_noticed() -> None:
    """Each byte of the events is covered by the checksum."""
    payload = bytearray(batch())
    start = payload.index(b"cam0")
    for position in range(start, len(payload)):
        altered = bytes(payload[:position]) + bytes([payload[position] ^ 1]) + bytes(payload[position + 1 :])
        with pytest.raises(wire.WireError):
            wire.decode_batch(altered)


def test_one_bad_event_leaves_its_neighbours_alone() -> None:
    """Every event is decoded on its own."""
    bad = msgspec.msgpack.encode([3, 0, "cam0", "main", -1, "XY"])
    good = wire.encode_event(EVENTS[2], BASE)
    decoded = wire.decode_batch(wire.encode_batch(1, 1, BASE, 0, [good, bad, good]))
    raws = wire.batch_events(decoded)
    assert [wire.decode_event(raws[i], BASE) for i in (0, 2)] == [EVENTS[2]] * 2
    with pytest.raises(wire.WireError, match="bad event"):
        wire.decode_event(raws[1], BASE)


DECODERS = [
    wire.decode_batch,
    wire.decode_ack,
    wire.decode_live,
    wire.decode_document,
    lambda payload: wire.decode_event(payload, BASE),
    lambda payload: wire.decode_json(payload, wire.State),
    lambda payload: wire.decode_json(payload, wire.Command),
    lambda payload: [wire.decode_event(raw, 0) for raw in wire.batch_events(wire.decode_batch(payload))],
]
SEEDS = [path.read_bytes() for path in sorted(GOLDEN.iterdir())]


@settings(deadline=None)
@given(st.data())
def test_no_bytes_make_a_decoder_fail_otherwise_than_with_a_reason(data: st.DataObject) -> None:
    """Foreign and damaged payloads raise WireError and nothing else."""
    if data.draw(st.booleans()):
        payload = data.draw(st.binary(max_size=200))
    else:
        whole = bytearray(data.draw(st.sampled_from(SEEDS)))
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        payload = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    for decode in DECODERS:
        with contextlib.suppress(wire.WireError):
            decode(payload)


@given(st.sets(st.integers(0, 300)))
def test_ranges_name_exactly_the_numbers_given(numbers: set[int]) -> None:
    """Folding into ranges loses no number and adds none."""
    pairs = wire.ranges(numbers)
    assert {n for one, two in pairs for n in range(one, two + 1)} == numbers
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(pairs))


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5))
def test_packed_boxes_come_back_within_a_step(boxes: list[tuple[float, float, float, float]]) -> None:
    """Sixteen bits are finer than any pixel."""
    for box in boxes:
        assert wire.unpack_box(wire.pack_box(*box)) == pytest.approx(list(box), abs=1e-4)


@pytest.mark.parametrize(
    "name", ["gb/1/gate-07", "gb/2/gate-07/ev", "gb/1/Gate/ev", "gb/1/a/b/ev", "", "gb/1//ev"]
)
def test_foreign_topics_are_refused(name: str) -> None:
    """Only topics of this version with a valid node's name are ours."""
    with pytest.raises(wire.WireError):
        wire.parse_topic(name)
    assert wire.parse_topic(wire.topic("gate-07", "ev")) == ("gate-07", "ev")


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_an_altered_envelope_is_refused(place: int) -> None:
    """Number, epoch and times are under the checksum, like the events: none can be altered unseen."""
    parts = msgspec.msgpack.decode(batch(), type=list[msgspec.Raw])
    parts[place] = msgspec.Raw(msgspec.msgpack.encode(msgspec.msgpack.decode(parts[place]) + 1))
    with pytest.raises(wire.WireError, match="checksum"):
        wire.decode_batch(msgspec.msgpack.encode(parts))
