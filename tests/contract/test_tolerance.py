"""An older reader and a newer writer, for every message and in both directions."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from agent import wire

from .test_wire import BASE, DOCUMENT, DOCUMENT_2, EPOCH, EVENTS, EVENTS_2, LIVE, STATE, batch, events_of

GOLDEN = Path(__file__).parent / "golden"
NEWER = {"added": [1, {"by": "a newer writer"}]}
FULL = msgspec.structs.replace(
    STATE, config=wire.ConfigReport(5, "", DOCUMENT_2), warnings=["The disk is full"]
)
COMMAND = wire.Command("12345678", "watch", 1, "viewer", "cam0", 5.0, True)

Place = Callable[[Any], Any]


def places(value: Any, shape: inspect.Type, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every object and array of fixed length: there a newer writer may add something."""
    if isinstance(shape, inspect.UnionType):
        shape = next((t for t in shape.types if isinstance(t, inspect.StructType)), shape)
    if isinstance(shape, inspect.StructType) and value is not None:
        yield way
        tag = int(shape.array_like and shape.tag is not None)
        for n, each in enumerate(shape.fields):
            key = n + tag if shape.array_like else each.encode_name
            if key in value if isinstance(value, dict) else key < len(value):
                yield from places(value[key], each.type, (*way, key))
    elif isinstance(shape, inspect.TupleType):
        yield way
    elif isinstance(shape, inspect.ListType | inspect.VarTupleType):
        for n, item in enumerate(value):
            yield from places(item, shape.item_type, (*way, n))
    elif isinstance(shape, inspect.DictType):
        for key, item in value.items():
            yield from places(item, shape.value_type, (*way, key))


def grown(value: Any, way: tuple[Any, ...]) -> Any:
    """Return a copy with something new at one place."""
    made = copy.deepcopy(value)
    spot = made
    for key in way:
        spot = spot[key]
    if isinstance(spot, dict):
        spot["added"] = NEWER
    else:
        spot.append(NEWER)
    return made


def ack_of(payload: bytes) -> Any:
    return wire.decode_ack(payload)


MESSAGES: dict[str, tuple[bytes, type, Any, Callable[[bytes], Any]]] = {
    "ack": (wire.encode_ack({EPOCH: [1, 2, 3, 7], 1: [9]}), wire.Ack, msgspec.msgpack, ack_of),
    "live": (wire.encode_live(LIVE), wire.Live, msgspec.msgpack, wire.decode_live),
    "state": (
        msgspec.json.encode(FULL), wire.State, msgspec.json, lambda p: wire.decode_json(p, wire.State)
    ),
    "command": (
        msgspec.json.encode(COMMAND), wire.Command, msgspec.json, lambda p: wire.decode_json(p, wire.Command)
    ),
    "response": (
        msgspec.json.encode(wire.Response("12345678", True)), wire.Response, msgspec.json,
        lambda p: wire.decode_json(p, wire.Response),
    ),
}  # fmt: skip
for number, sample in enumerate([*EVENTS, *EVENTS_2, wire.Lost(BASE, "", "unknown", 3, "damaged", True)]):
    MESSAGES[f"event {number} {type(sample).__name__}"] = (
        wire.encode_event(sample, BASE), type(sample), msgspec.msgpack, lambda p: wire.decode_event(p, BASE)
    )  # fmt: skip


def without_unread(value: Any) -> Any:
    """Return what was read, but for the reader's own note of what it left out."""
    if isinstance(value, wire.State):
        return msgspec.structs.replace(value, config=msgspec.structs.replace(value.config, unread=[]))
    return value


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_something_new_anywhere_in_a_message_is_ignored(name: str) -> None:
    """A key more in any object, an element in any array of fixed length: an older reader reads the same."""
    payload, kind, protocol, decode = MESSAGES[name]
    message = protocol.decode(payload)
    ways = list(places(message, inspect.type_info(kind)))
    assert ways
    for way in ways:
        newer = protocol.encode(grown(message, way))
        assert without_unread(decode(newer)) == decode(payload), way


def test_each_place_of_a_state_was_tried() -> None:
    """The walk reaches lines, zones, their points: where settings are added."""
    message = json.loads(msgspec.json.encode(STATE))
    ways = {"/".join(map(str, way)) for way in places(message, inspect.type_info(wire.State))}
    camera = "config/document/cameras/cam0"
    assert {"", "cameras/0", "cameras/0/size", "config", "config/document", camera} <= ways
    assert {f"{camera}/lines/main", f"{camera}/zones/kerb/points/2"} <= ways


def test_both_forms_of_a_newer_batch_are_read() -> None:
    """An element more in each event and in the envelope, MessagePack and JSON, under a true checksum."""
    events = [
        msgspec.msgpack.encode([*msgspec.msgpack.decode(wire.encode_event(event, BASE)), NEWER])
        for event in EVENTS
    ]
    payload = wire.encode_batch(EPOCH, 7, BASE, 0, events)
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(payload, type=list[msgspec.Raw]), NEWER])
    assert events_of(longer) == EVENTS
    readable = json.loads(wire.to_json(batch())) | NEWER
    assert events_of(json.dumps(readable).encode()) == EVENTS


def newer_state(change: Callable[[dict[str, Any]], None]) -> wire.State:
    message = json.loads(msgspec.json.encode(STATE))
    change(message)
    return wire.decode_state(json.dumps(message).encode())


def test_a_newer_nodes_setting_leaves_its_box_on_the_page_and_is_named() -> None:
    """The state is read, the rest of the document too, and what was left out is told to who would edit it."""
    camera = "cam0"
    state = newer_state(lambda m: m["config"]["document"]["cameras"][camera].update(sharpness=3))
    assert state.config.unread == ["cameras.cam0.sharpness"]
    assert without_unread(state) == STATE


@pytest.mark.parametrize(
    "change",
    [
        lambda camera: camera["lines"]["main"].update(anchor="left foot"),
        lambda camera: camera["lines"]["main"].update(points=[[0.1 * n, 0.5] for n in range(10)]),
        lambda camera: camera.update(confidence="by label"),
    ],
)
def test_a_document_that_is_not_understood_costs_only_itself(change: Place) -> None:
    """New values of known settings: the document is left out and named, the box and its cameras stay."""
    state = newer_state(lambda m: change(m["config"]["document"]["cameras"]["cam0"]))
    assert state.config.unread == ["cameras"]
    assert (state.cameras, state.online, state.config.applied) == (STATE.cameras, True, 4)
    assert state.config.document == wire.Document()


def test_a_cameras_new_status_is_told_in_words() -> None:
    """A status that this reader does not know: the camera is not "ok", and the reason says what to do."""
    state = newer_state(lambda m: m["cameras"][0].update(state="melted", new=1))
    assert state.cameras[0].state == "absent"
    assert "'melted'" in state.cameras[0].reason
    assert "upgrade" in state.cameras[0].reason
    assert state.cameras[0].labels == STATE.cameras[0].labels


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(online="yes"),
        lambda m: m.pop("node"),
        lambda m: m["cameras"][0].update(state=7),
        lambda m: m.update(cameras="none"),
        lambda m: m.update(config=5, new=1),
    ],
)
def test_what_is_wrong_in_what_is_known_is_still_refused(change: Place) -> None:
    """Tolerance is for what is new; a known field of a wrong type is a malformed message."""
    with pytest.raises(wire.WireError):
        newer_state(change)


def test_an_older_nodes_state_is_read() -> None:
    """A state of the first version has none of the later fields, and none of them is made up."""
    state = wire.decode_state((GOLDEN / "v1-state.json").read_bytes())
    assert state == STATE
    assert (state.warnings, state.config.unread) == ([], [])
    bare = wire.decode_state(b'{"node": "gate-07", "online": false, "at": 5}')
    assert bare == wire.State("gate-07", False, 5)


def test_an_older_node_refuses_a_newer_want_with_the_path() -> None:
    """What a node does not understand it does not run in part: the answer names the place."""
    message = json.loads(msgspec.json.encode(DOCUMENT))
    for way in list(places(message, inspect.type_info(wire.Document))):
        newer = json.dumps(grown(message, way)).encode()
        with pytest.raises(wire.WireError):
            wire.decode_document(newer)
        document, unread = wire.read_document(newer)
        assert document == DOCUMENT
        assert len(unread) == 1
    message["cameras"]["cam0"]["lines"]["main"]["width"] = 3
    with pytest.raises(wire.WireError, match="width"):
        wire.decode_document(json.dumps(message).encode())
