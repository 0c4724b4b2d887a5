"""What a centre may order a real box to do, and which pictures left it, as the centre keeps that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from deploy.stack import Stack

from .box import now_ms, until
from .test_agent import gb_agent, node_name, running, write_config
from .test_api import get, scene

SECRET = "hunter2secret"


class Listener:
    """Gives orders to one node and keeps what it says."""

    def __init__(self, client: Client, node: str) -> None:
        self.answers: dict[str, wire.Response] = {}
        self.states: list[wire.State] = []
        self._client = client
        self._last = b""
        self._node = node

    async def listen(self) -> None:
        """Take what the node says, for ever."""
        async for message in self._client.messages:
            kind = message.topic.rpartition("/")[2]
            if kind == "rsp":
                answer: wire.Response = wire.decode_json(message.payload, wire.Response)
                self.answers[answer.id] = answer
            elif kind == "state" and message.payload:
                self.states.append(wire.decode_state(message.payload))

    async def order(
        self, verb: str, camera: str = "", role: str = "admin", seconds: float = 0.0, model: str = ""
    ) -> wire.Response:
        """Give an order and return the answer."""
        id_ = f"order-{time.monotonic_ns()}"
        expires = round(time.time() * 1000) + 60_000
        what = {"model": model} if model else {}
        command = wire.Command(id_, verb, expires, role, camera, seconds, user="ada", what=what)
        self._last = msgspec.json.encode(command)
        await self._client.publish(wire.topic(self._node, "cmd"), self._last)
        await until(lambda: id_ in self.answers, 60)
        return self.answers[id_]

    async def replay(self) -> wire.Response:
        """Give the last order once more, byte for byte, and return the answer."""
        id_ = json.loads(self._last)["id"]
        del self.answers[id_]
        await self._client.publish(wire.topic(self._node, "cmd"), self._last)
        await until(lambda: id_ in self.answers, 60)
        return self.answers[id_]


@contextlib.asynccontextmanager
async def listening(url: str, node: str) -> AsyncIterator[Listener]:
    """Listen to a node while this is open."""
    async with connect(BrokerSettings.parse(url)) as client:
        for kind in ("rsp", "state"):
            await client.subscribe(wire.topic(node, kind))
        listener = Listener(client, node)
        task = asyncio.create_task(listener.listen(), name="listen")
        try:
            yield listener
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_orders_are_answered_without_secrets_and_pictures_are_logged(
    tmp_path: Path, stack: Stack
) -> None:
    """Each order is answered once, and who may not is refused; a snapshot is in the log of the box and in its
    state; after `restart` the same process begins anew, and a copy of that order is refused.
    """
    node = node_name()
    cameras: dict[str, dict[str, object]] = {
        "cam0": {"source": "scene:?seed=7"},
        "gone": {"source": f"rtsp://root:{SECRET}@127.0.0.1:9/1?key={SECRET}", "preview": "off"},
    }
    path = write_config(tmp_path, stack.mqtt_url, node, cameras)
    async with listening(stack.mqtt_url, node) as box:
        with running(path) as agent:
            await until(
                lambda: any(state.cameras[0].state == "ok" for state in box.states if state.cameras), 90
            )
            assert (await box.order("snapshot", "cam0")).jpeg.startswith(b"\xff\xd8\xff")
            test = (await box.order("self-test", role="operator")).text
            assert "ok    cam0 model gives its stored answer" in test
            assert "FAIL  gone camera absent" in test
            said = (await box.order("logs")).text
            assert "watching cam0" in said
            assert SECRET not in test + said
            assert "watch the camera's pictures for" in (await box.order("empty", "cam0")).error
            refused = [
                ("logs", "", "operator", "only admin may order logs"),
                ("restart", "", "operator", "only admin may order restart"),
                ("snapshot", "cam0", "viewer", "only operator or admin may order snapshot"),
                ("snapshot", "gone", "admin", "the box's owner lets no picture leave"),
                ("snapshot", "none", "admin", "this box has no camera 'none'"),
                ("explode", "", "admin", "unknown command 'explode'"),
                ("calibrate", "cam0", "viewer", "only operator or admin may order calibrate"),
                ("calibrate", "", "operator", "this box has no camera ''; it has cam0, gone"),
                ("run-model", "cam0", "operator", "only admin may order run-model"),
                ("run-model", "cam0", "admin", "name the model that is to run beside"),
            ]
            for verb, camera, role, why in refused:
                assert why in (await box.order(verb, camera, role)).error
            await _studied(box)
            await until(lambda: box.states[-1].departures, 20)
            assert box.states[-1].departures[-1].who == "ada"
            assert (await box.order("restart")).ok
            await until(lambda: len({state.epoch for state in box.states if state.online}) == 2, 60)
            assert agent.poll() is None
            again = await box.replay()
            assert (again.ok, again.error) == (False, "this command was executed already")
    (left,) = json.loads((tmp_path / "state" / "pictures.json").read_text())
    assert (left["who"], left["way"], left["pictures"], left["manner"]) == ("ada", "snapshot", 1, "drawn")
    assert SECRET not in gb_agent("logs", "--config", str(path)).stdout


async def _studied(box: Listener) -> None:
    """Calibrate, and run another model of the box beside: answered after their seconds, one at a time;
    what cannot be says why.
    """
    first = asyncio.create_task(box.order("calibrate", "cam0", "operator", 4.0), name="first")
    await asyncio.sleep(0)
    busy = await box.order("run-model", "cam0", model="mask")
    assert busy.error.startswith("calibrate runs until ")
    said = (await first).text.splitlines()
    assert said[0] == "cam0: 4 s, model gb-yolo-n-traffic"
    assert [line.split()[0] for line in said[2:6]] == ["confidence", "boxes", "followed", "objects"]
    beside = (await box.order("run-model", "cam0", seconds=4.0, model="mask")).text.splitlines()
    assert beside[0] == "cam0: 4 s, by the first look alone"
    assert beside[2].split() == ["gb-yolo-n-traffic", "gb-yolo-n-mask"]
    assert [len(line.split()) for line in beside if line.startswith("milliseconds")] == [5]
    assert beside[-1] == "Nothing of this is in the counts."
    assert (
        "this box has no model 'nosuch'; it has "
        in (await box.order("run-model", "cam0", model="nosuch")).error
    )
    assert "runs with traffic itself" in (await box.order("run-model", "cam0", model="traffic")).error
    assert (
        "gone: 1 s, model gb-yolo-n-traffic: no picture was looked at; the camera is absent"
        in (await box.order("calibrate", "gone", seconds=1.0)).error
    )


async def test_the_centre_keeps_which_pictures_left_a_box(stack: Stack) -> None:
    """Each series once, however often the state says it; a series that grows grows; the newest first."""
    async with scene(stack, "left-1") as (_running, node, client):
        first = wire.Departure(
            now_ms() - 9000, now_ms() - 8000, "cam0", "preview", "ada", "operator", 5, "blurred"
        )
        await node.state(departures=[first])
        grown = msgspec.structs.replace(first, end=first.end + 1000, pictures=10)
        second = wire.Departure(now_ms(), now_ms(), "cam0", "snapshot", "bob", "admin", 1, "blurred")
        await node.state(departures=[grown, second])
        await node.state(departures=[grown, second])
        rows: list[Any] = []
        deadline = time.monotonic() + 10
        while [row["pictures"] for row in rows] != [1, 10] and time.monotonic() < deadline:
            rows = (await get(client, "/nodes/left-1/pictures"))["rows"]
        assert [(row["who"], row["pictures"]) for row in rows] == [("bob", 1), ("ada", 10)]


async def test_a_line_drawn_at_a_box_becomes_the_centres(stack: Stack) -> None:
    """A wish in the state makes one new document, however often it is said, and a wish to remove one more."""
    async with scene(stack, "wish-1") as (_running, node, client):
        points = [(0.1, 0.4), (0.9, 0.4)]
        wish = wire.Wish("cam0", "gate", points)
        await node.state(wishes=[wish])
        await until(lambda: node.wants)
        assert node.wants[0].cameras["cam0"].lines["gate"].points == points
        assert set(node.wants[0].cameras["cam0"].lines) == {"gate", "main"}
        await node.state(wishes=[wish])
        await node.state(wishes=[wire.Wish("none", "x", points), wire.Wish("cam0", "gate")])
        await until(lambda: len(node.wants) == 2)
        assert set(node.wants[1].cameras["cam0"].lines) == {"main"}
        entry = (await get(client, "/audit", action="delete line cam0/gate"))["entries"][0]
        assert entry["user"] == "the box's page"
