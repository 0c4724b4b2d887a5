"""A true rename: a real box learns its new name, everything stored follows, and the old name is free."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from agent import config as configuration
from agent import wire
from agent.mqtt.client import connect
from aggregator.centre import open_centre
from aggregator.store.errors import StoreError
from deploy.stack import Stack

from .box import DOCUMENT, Box, batch, crossing, until
from .test_agent import running as agent_running
from .test_api import get, scene
from .test_clones import counted
from .test_joining import Prepared, prepared, run_line, running
from .test_people import call, code

__all__ = ["prepared"]


async def join(client: ClientSession, folder: Path, name: str) -> Path:
    """Let a box join that watches the built-in street; return its config."""
    await asyncio.to_thread((folder / "state").mkdir, parents=True)
    text = f'node = "box"\nstate_dir = "{folder / "state"}"\n[camera.cam0]\nsource = "scene:?seed=7"\n'
    (folder / "agent.toml").write_text(text + "[camera.cam0.lines.main]\npoints = [[0.0, 0.6], [1.0, 0.6]]\n")
    made = (await call(client, "POST", "/nodes", {"node": name}))[1]
    assert await run_line(made["line"], folder) == name
    return folder / "agent.toml"


async def told_before(prepared: Prepared, folder: Path, name: str) -> None:
    """Send three crossings as the box, before its agent runs."""
    broker = prepared.broker(name, (folder / "secret").read_text(), name)
    async with connect(broker) as client:
        await client.subscribe(wire.topic(name, "ack"))
        node = Box(name, client)
        listening = asyncio.create_task(node.listen(), name="listens")
        await node.state(epoch=7, config=wire.ConfigReport(0, "", DOCUMENT))
        minute = wire.Tally(1, "cam0", 1, {}, [], {}, 1, 1, 0, 1, 1)
        at = crossing(1).at
        events: list[wire.AnyEvent] = [msgspec.structs.replace(minute, at=at - at % 60_000 - 60_000)]
        await node.send(batch(7, 1, [*events, *(crossing(total) for total in (1, 2, 3))]))
        await until(lambda: (7, 1) in node.acked)
        listening.cancel()


async def test_a_box_takes_another_name_with_all_that_is_known_of_it(
    prepared: Prepared, tmp_path: Path
) -> None:
    """Counts, events, lines, place and alerts stand under the new name; the box runs on; the old is free."""
    async with running(prepared) as (centre, client):
        config = await join(client, tmp_path / "box", "old-1")
        await told_before(prepared, tmp_path / "box", "old-1")
        assert (await call(client, "PUT", "/sites/north", {}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/old-1/place", {"site": "north", "labels": ["a"]}))[
            0
        ] == 200
        rule = {"name": "gone", "condition": {"kind": "offline"}, "scope": {"nodes": ["old-1"]}}
        assert (await call(client, "POST", "/alerts", rule))[0] == 201
        with agent_running(config):
            await until(
                lambda: centre.fleet.known("old-1") and centre.fleet.standing("old-1") == "online", 60
            )
            line = {"points": [[0.1, 0.5], [0.9, 0.5]]}
            assert (await call(client, "PUT", "/nodes/old-1/cameras/cam0/lines/gate", line))[0] == 202

            def running_line() -> bool:
                state = centre.fleet.state("old-1")
                return state is not None and "gate" in state.config.document.cameras["cam0"].lines

            await until(running_line, 30)
            state: Any = centre.fleet.state("old-1")
            assert await counted(client, "old-1") >= 3
            assert (await call(client, "POST", "/nodes/old-1/rename", {"to": "new-1"}))[0] == 202
            await until(lambda: centre.fleet.known("new-1"), 60)
            await until(lambda: centre.fleet.standing("new-1") == "online", 60)
            after: Any = centre.fleet.state("new-1")
            assert after.before == state.epoch
            assert "gate" in after.config.document.cameras["cam0"].lines
            assert configuration.load(config).node == "new-1"
        assert await counted(client, "new-1") >= 3
        found = (await get(client, "/nodes/new-1/events", type="crossing", limit="1000"))["events"]
        assert {f"new-1:7:1:{place}" for place in (1, 2, 3)} <= {each["id"] for each in found}
        place = await get(client, "/nodes/new-1/place")
        assert (place["site"], place["labels"]) == ("north", ["a"])
        assert (await get(client, "/alerts"))["rules"][0]["scope"]["nodes"] == ["new-1"]
        assert len((await get(client, "/nodes/new-1/documents"))["documents"]) == 1
        assert await code(client, "GET", "/nodes/old-1") == (404, "no_node")
        assert (await get(client, "/renames"))["renames"] == []
        assert (await call(client, "POST", "/nodes", {"node": "old-1"}))[0] == 201
        entries = (await get(client, "/audit", action="rename node"))["entries"]
        assert [(entry["node"], entry["what"]) for entry in entries] == [("old-1", "new-1")]


async def test_what_the_box_sends_again_under_its_new_name_is_known(stack: Stack) -> None:
    """A batch whose answer was lost is stored once; what comes before the history has followed waits."""
    async with scene(stack, "again-1") as (centre, node, client):
        payload = batch(7, 1, [crossing(1), crossing(2)])
        await node.state(epoch=7)
        await node.send(payload)
        await until(lambda: (7, 1) in node.acked)
        assert (await call(client, "POST", "/nodes/again-1/rename", {"to": "again-2"}))[0] == 202
        await until(lambda: node.commands)
        command = node.commands[0]
        assert (command.verb, command.role, command.what["name"]) == ("rename", "admin", "again-2")
        await node.client.subscribe(wire.topic("again-2", "ack"))
        other = Box("again-2", node.client)
        await other.send(payload)
        await node.send(msgspec.json.encode(wire.Response(command.id, True)), "rsp")
        await other.state(epoch=8, before=7)
        await until(lambda: centre.fleet.known("again-2"))
        await other.send(payload)
        await until(lambda: node.acked.count((7, 1)) == 2)
        found = (await get(client, "/nodes/again-2/events", type="crossing"))["events"]
        assert sorted(each["id"] for each in found) == ["again-2:7:1:0", "again-2:7:1:1"]
        assert (await get(client, "/nodes/again-2/delivery"))["epochs"][0]["stored"] == 2


async def renamed(node: Box, client: ClientSession, old: str, new: str) -> Box:
    """Have a box take another name, as an agent does, and return it under that name."""
    assert (await call(client, "POST", f"/nodes/{old}/rename", {"to": new}))[0] == 202
    await until(lambda: node.commands)
    for kind in ("ack", "want"):
        await node.client.subscribe(wire.topic(new, kind))
    await node.send(msgspec.json.encode(wire.Response(node.commands[0].id, True)), "rsp")
    await node.state(online=False)
    other = Box(new, node.client)
    await other.state(epoch=8, before=7)
    return other


async def test_who_saves_late_what_was_heard_under_the_old_name_brings_nobody_back(stack: Stack) -> None:
    """Another aggregator, or this one: the box stands under its new name alone, also after a restart."""
    async with scene(stack, "late-1") as (running_centre, node, client):
        saved = running_centre.fleet.view("late-1")
        await renamed(node, client, "late-1", "late-2")
        await until(lambda: running_centre.fleet.known("late-2"))
        state = msgspec.json.encode(saved.state).decode()
        registry = running_centre.store.registry
        async with asyncio.timeout(15):
            while "late-2" not in [row["_id"] for row in await registry.nodes()]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        fields = {"state": state, "online": False, "since": 1, "heard": 1, "first": []}
        await running_centre.store.renames.move("late-1", "late-2")  # as after a cut
        await registry.save_nodes({"late-1": fields})
        async with open_centre(running_centre.config, 10.0) as later:
            await later.fleet.load()
            assert (later.fleet.known("late-1"), later.fleet.known("late-2")) == (False, True)
        assert await code(client, "GET", "/nodes/late-1") == (404, "no_node")
        assert await running_centre.store.renames.is_free("late-1")


async def test_a_database_that_goes_in_the_last_step_of_a_rename_leaves_nothing_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the box is wanted to do is published under its new name, and its state is taken."""
    async with scene(stack, "last-1") as (running_centre, node, client):
        line = {"points": [[0.1, 0.5], [0.9, 0.5]]}
        assert (await call(client, "PUT", "/nodes/last-1/cameras/cam0/lines/gate", line))[0] == 202
        await until(lambda: node.wants)
        load = running_centre.places.load
        failed: list[bool] = []

        async def load_badly() -> None:
            if running_centre.renaming.all() and not failed:
                failed.append(True)
                raise StoreError("the database is away")
            await load()

        monkeypatch.setattr(running_centre.places, "load", load_badly)
        await renamed(node, client, "last-1", "last-2")
        await until(lambda: len(node.wants) > 1 and "gate" in node.wants[-1].cameras["cam0"].lines)
        await until(lambda: running_centre.renaming.all() == [])
        assert failed
        now: Any = running_centre.fleet.state("last-2")
        assert now.epoch == 8


async def test_a_rename_is_refused_with_the_reason(stack: Stack) -> None:
    """A name that is taken or none, a box that is away, and an agent that cannot."""
    async with scene(stack, "stay-1") as (_, node, client):
        path = "/nodes/stay-1/rename"
        assert await code(client, "POST", path, {"to": "stay-1"}) == (409, "taken")
        assert await code(client, "POST", path, {"to": "No Name"}) == (409, "not_done")
        assert (await call(client, "POST", path, {"to": "stay-2"}))[0] == 202
        assert await code(client, "POST", path, {"to": "stay-2"}) == (409, "taken")
        await until(lambda: node.commands)
        refusal = wire.Response(node.commands[0].id, False, "unknown command 'rename'")
        await node.send(msgspec.json.encode(refusal), "rsp")
        async with asyncio.timeout(15):
            while (row := (await get(client, "/renames"))["renames"][0])["state"] != "refused":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (row["was"], row["node"], row["reason"]) == ("stay-1", "stay-2", "unknown command 'rename'")
        assert (await call(client, "POST", path, {"to": "stay-2"}))[0] == 202
        await node.state(online=False)
        async with asyncio.timeout(15):
            while (await get(client, "/nodes/stay-1"))["state"] != "offline":  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.05)
        assert await code(client, "POST", path, {"to": "stay-3"}) == (409, "node_away")
