"""The desired document and the one-shot commands."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from agent import wire
from agent.command import Commands, Desired
from agent.taken import MOST, Taken

LABELS = {"cam0": ["car", "bus"]}
LINE = wire.Line(points=[(0.0, 0.6), (1.0, 0.6)])
FIRST = wire.Document(0, {"cam0": wire.CameraSettings(lines={"main": LINE})})
NOW = 1_700_000_000_000


def payload(version: int, camera: str = "cam0", **settings: Any) -> bytes:
    return msgspec.json.encode(wire.Document(version, {camera: wire.CameraSettings(**settings)}))


def test_newer_document_is_applied_and_survives_a_restart() -> None:
    """What the centre wanted runs, and runs again after a restart with the centre away."""
    desired = Desired(FIRST, None, LABELS)
    line = wire.Line(points=[(0.0, 0.3), (1.0, 0.3)], version=1)
    assert desired.want(payload(1, lines={"north": line}))
    again = Desired(FIRST, desired.remember(), LABELS)
    assert again.document.version == 1
    assert again.settings("cam0").lines == {"north": line}


@pytest.mark.parametrize("version", [0, 1])
def test_older_or_equal_document_changes_nothing(version: int) -> None:
    """A retained document that comes again at each connection is not applied again."""
    desired = Desired(FIRST, None, LABELS)
    desired.want(payload(1))
    before = desired.document
    assert not desired.want(payload(version, confidence=0.9))
    assert desired.document is before


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (payload(5, camera="cam9"), "this box has no camera 'cam9'; it has cam0"),
        (payload(5, labels=["cat"]), "cam0, camera: the model does not know 'cat'; it knows car, bus"),
        (
            b'{"version":5,"cameras":{"cam0":{"lines":{"a":{"points":[[0,0.5]]}}}}}',
            "a list of 2 to 8 entries",
        ),
        (b'{"version":5,"cameras":{"cam0":{"lines":{"a":{"points":[[0,0.5],[0,0.5]]}}}}}', "are the same"),
        (b"\xff{", "malformed"),
    ],
)
def test_bad_document_is_refused_whole_with_its_reason(bad: bytes, reason: str) -> None:
    """The running document goes on, and the reason is reported until a good one comes."""
    desired = Desired(FIRST, None, LABELS)
    assert not desired.want(bad)
    assert reason in desired.report().error
    assert desired.document == FIRST
    assert desired.want(payload(6))
    assert desired.report().error == ""


def test_line_edited_in_the_file_gets_a_new_version() -> None:
    """An edited line never goes on counting under the old line's version; untouched ones keep theirs."""
    other = wire.Line(points=[(0.5, 0.0), (0.5, 1.0)])
    first = wire.Document(0, {"cam0": wire.CameraSettings(lines={"main": LINE, "other": other})})
    moved = wire.Line(points=[(0.0, 0.7), (1.0, 0.7)])
    edited = wire.Document(0, {"cam0": wire.CameraSettings(lines={"main": moved, "other": other})})
    desired = Desired(edited, Desired(first, None, LABELS).remember(), LABELS)
    assert {name: line.version for name, line in desired.settings("cam0").lines.items()} == {
        "main": 1,
        "other": 0,
    }
    again = Desired(edited, desired.remember(), LABELS)
    assert again.document == desired.document


def test_edits_of_the_file_never_take_over_from_the_centre() -> None:
    """Once the centre has spoken its document runs, however often the box's file is edited after that."""
    desired = Desired(FIRST, None, LABELS)
    desired.want(payload(2, confidence=0.5))
    for edit in range(4):
        line = wire.Line(points=[(0.0, 0.1 * edit), (1.0, 0.6)])
        edited = wire.Document(0, {"cam0": wire.CameraSettings(lines={"main": line})})
        desired = Desired(edited, desired.remember(), LABELS)
        assert desired.settings("cam0").confidence == 0.5


def test_memory_that_cannot_be_read_is_none() -> None:
    """After an upgrade or a downgrade the file's document runs, and the centre's comes again."""
    desired = Desired(FIRST, b"\x93\xa3odd", LABELS)
    assert desired.document == FIRST
    assert desired.want(payload(1))


def test_another_model_that_does_not_know_a_label_is_reported() -> None:
    """A line that counts only cars under a model for masks counts nothing, and the page says why."""
    desired = Desired(FIRST, None, LABELS)
    desired.want(payload(1, lines={"main": msgspec.structs.replace(LINE, labels=["car"])}))
    again = Desired(FIRST, desired.remember(), {"cam0": ["with_mask"]})
    assert "the model does not know 'car'" in again.report().error


class Watched:
    def __init__(self) -> None:
        self.calls: list[tuple[str, float, bool]] = []

    def __call__(self, command: wire.Command) -> None:
        self.calls.append((command.camera, command.seconds, command.picture))


def order(**changes: Any) -> bytes:
    fields = {"id": "12345678", "verb": "watch", "expires": NOW + 1000, "camera": "cam0", "seconds": 30.0}
    return msgspec.json.encode(fields | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expires": NOW - 1}, "expired"),
        ({"verb": "reboot"}, "unknown command 'reboot'"),
        ({"camera": "cam9"}, "no camera 'cam9'"),
        ({"picture": True, "role": "viewer"}, "only an operator"),
        ({"picture": True, "role": "operator"}, "lets no picture leave"),
    ],
)
def test_refused_command_says_why(changes: dict[str, Any], reason: str) -> None:
    """Expired, unknown, misaddressed and unpermitted commands are answered with the reason, not executed."""
    watched = Watched()
    response = Commands({"cam0": False}, watched).execute(order(**changes), NOW)
    assert response is not None
    assert not response.ok
    assert reason in response.error
    assert watched.calls == []


def test_command_is_executed_once() -> None:
    """A replayed command is refused."""
    watched = Watched()
    commands = Commands({"cam0": True}, watched)
    first = commands.execute(order(picture=True, role="operator"), NOW)
    second = commands.execute(order(picture=True, role="operator"), NOW)
    assert first is not None
    assert second is not None
    assert (first.ok, second.ok) == (True, False)
    assert watched.calls == [("cam0", 30.0, True)]


class KeptOrders:
    """A box's disk, as far as orders are kept there."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def remember(self, key: str, value: bytes) -> bool:
        self.values[key] = value
        return True

    async def recall(self, key: str) -> bytes | None:
        return self.values.get(key)


async def test_an_order_is_not_done_again_after_a_restart() -> None:
    """A copy of an order that comes after a restart is refused, before it expires and after."""
    disk: Any = KeptOrders()
    done: list[str] = []

    async def give(now: int, verb: str = "restart", id_: str = "restart-1") -> wire.Response | None:
        taken = await Taken.restore(disk)  # each time another start of the agent

        def do(command: wire.Command) -> None:
            done.append(command.verb)

        commands = Commands({"cam0": True}, Watched(), do, taken=taken)
        answer = commands.execute(order(verb=verb, role="admin", id=id_), now)
        await taken.keep(disk)
        return answer

    assert await give(NOW) is None
    again = await give(NOW + 900)
    late = await give(NOW + 1001)
    assert again is not None
    assert again.error == "this command was executed already"
    assert late is not None
    assert not late.ok
    assert done == ["restart"]
    assert await give(NOW, id_="restart-2") is None
    disk.values["orders"] = b"\x93 torn"
    assert await give(NOW, "logs", "logs-0001") is None
    assert done == ["restart", "restart", "logs"]


def test_no_order_is_forgotten_for_many_others() -> None:
    """Of more orders than are remembered the last are refused until others expire; none is done twice."""
    watched = Watched()
    commands = Commands({"cam0": True}, watched)
    for number in range(MOST):
        assert commands.execute(order(id=f"order-{number:04d}"), NOW) == wire.Response(
            f"order-{number:04d}", True
        )
    refused = [commands.execute(order(id=id_), NOW) for id_ in ("order-0000", "order-late")]
    assert [one.error.partition(":")[0] for one in refused if one] == [
        "this command was executed already",
        "too many commands at once",
    ]
    assert len(watched.calls) == MOST
    later = commands.execute(order(id="order-late", expires=NOW + 9000), NOW + 1001)
    assert later == wire.Response("order-late", True)


@pytest.mark.parametrize("number", range(20))
def test_an_altered_command_is_refused_with_its_reason(number: int) -> None:
    """Whatever is changed: done as it reads, refused with a reason, or, without an id, not answered."""
    chance = random.Random(number)
    right = order(picture=True, role="operator")
    for _ in range(500):
        altered = bytearray(right)
        for _ in range(chance.randint(1, 4)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        watched = Watched()
        answer = Commands({"cam0": True}, watched).execute(bytes(altered), NOW)
        if answer is None or not answer.ok:
            assert watched.calls == []
            assert answer is None or (answer.error and len(answer.id) >= 8)
        else:
            read: wire.Command = wire.decode_json(bytes(altered), wire.Command)
            assert watched.calls == [("cam0", read.seconds, read.picture)]
            assert (read.verb in ("watch", "unwatch"), read.camera, read.expires >= NOW) == (
                True,
                "cam0",
                True,
            )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seconds": 601.0}, "<= 600.0"),
        ({"expires": "tomorrow"}, "Expected `int`"),
        ({"verb": None}, "Expected `str`"),
        ({"what": ["rm"]}, "Expected `object`"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_id(changes: dict[str, Any], reason: str) -> None:
    """A command whose id can be read is answered, so that who gave it need not wait for its end."""
    watched = Watched()
    answer = Commands({"cam0": True}, watched).execute(order(**changes), NOW)
    assert answer is not None
    assert (answer.id, answer.ok) == ("12345678", False)
    assert "cannot be read" in answer.error
    assert reason in answer.error
    assert watched.calls == []


def test_garbage_is_not_answered() -> None:
    """What is no command has no id to answer to."""
    assert Commands({"cam0": True}, Watched()).execute(b"\x00garbage", NOW) is None


def test_a_budget_at_a_camera_without_a_gate_is_told_as_without_effect() -> None:
    """Where nothing holds looks back the report says why; where something does, it is obeyed."""
    for ungated, refused in (((), {}), (("cam0",), {"cam0.budget": "looks are not held back here"})):
        desired = Desired(FIRST, None, LABELS, ungated)
        assert desired.want(payload(1, budget=0.5, second_look=True))
        told = desired.report().refused
        assert {path: why.partition(":")[0] for path, why in told.items()} == refused
