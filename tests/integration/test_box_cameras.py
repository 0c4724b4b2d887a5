"""Cameras and models of a box set from the centre, with a real agent: tried, changed, refused, taken away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from agent import wire
from aggregator.centre import Centre
from deploy.stack import Stack

from .box import until
from .test_agent import running, write_config
from .test_api import get, scene
from .test_people import call, code

SECRET = "rtsp://anna:hunter2@127.0.0.1:9/street?token=abc"


def allowing(folder: Path, mqtt_url: str, node: str) -> Path:
    """Write the config of a box whose owner lets the centre set cameras."""
    folder.mkdir(exist_ok=True)
    path = write_config(folder, mqtt_url, node, {"cam0": {"source": "scene:?seed=7", "pace": "real"}})
    path.write_text(
        path.read_text().replace("[camera.cam0]", "[camera]\nallow_from_centre = true\n[camera.cam0]")
    )
    return path


async def answer(client: ClientSession, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Give an order and return what became of it."""
    status, made = await call(client, method, path, body)
    assert status == 202, made
    node = path.split("/")[2]
    async with asyncio.timeout(60):
        while (order := await get(client, f"/nodes/{node}/commands/{made['id']}"))["state"] == "sent":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return dict(order)


def cameras(centre: Centre, node: str) -> dict[str, wire.CameraReport]:
    """Return the cameras as the node tells of them."""
    state = centre.fleet.state(node) if centre.fleet.known(node) else None
    return {report.camera: report for report in state.cameras} if state else {}


def epoch(centre: Centre, node: str) -> int:
    """Return the start of the agent that the node tells of."""
    state = centre.fleet.state(node)
    assert state is not None
    return state.epoch


async def test_a_camera_is_added_from_the_page_and_its_model_changed_while_it_counts(
    stack: Stack, tmp_path: Path
) -> None:
    """Tried first, kept on the box alone; lines and another model are set without a restart; then it goes."""
    name = "lend-1"
    path = f"/nodes/{name}/cameras/cam1"
    async with scene(stack, "lend-x") as (centre, _, client):
        with running(allowing(tmp_path / "box", stack.mqtt_url, name)):
            await until(lambda: "cam0" in cameras(centre, name), 60)
            began = epoch(centre, name)
            shown = await get(client, f"/nodes/{name}")
            assert shown["allows"] == ["cameras"]
            assert [(one["source"], one["from_centre"]) for one in shown["cameras"]] == [
                ("scene:?seed=7", False)
            ]
            refused = await answer(client, "PUT", path, {"source": SECRET})
            assert refused["state"] == "refused"
            assert "connection refused" in refused["reason"]
            done = await answer(client, "PUT", path, {"source": "scene:?seed=3"})
            assert (done["state"], done["text"].startswith("cam1 gives ")) == ("done", True)
            await until(lambda: "cam1" in cameras(centre, name), 60)
            line = {"points": [[0.05, 0.62], [0.95, 0.62]]}
            assert (await call(client, "PUT", f"{path}/lines/gate", line))[0] == 202
            await until(lambda: "gate" in centre.wants.report(name).document.cameras["cam1"].lines, 30)

            settings = (await get(client, f"{path}/settings"))["settings"]
            assert (await call(client, "PUT", f"{path}/settings", {**settings, "model": "mask"}))[0] == 202
            await until(lambda: cameras(centre, name)["cam1"].model == "gb-yolo-n-mask", 60)
            assert cameras(centre, name)["cam0"].model == "gb-yolo-n-traffic"
            assert "with_mask" in cameras(centre, name)["cam1"].labels
            assert (await call(client, "PUT", f"{path}/settings", {**settings, "model": "nosuch"}))[0] == 202
            await until(lambda: "no model 'nosuch'" in centre.wants.report(name).error, 30)
            (row,) = (await get(client, "/drift", q=name))["rows"]
            assert row["why"].startswith("cam1, model: this box has no model 'nosuch'; it has mask")
            assert cameras(centre, name)["cam1"].model == "gb-yolo-n-mask"
            assert (await call(client, "PUT", f"{path}/settings", settings))[0] == 202
            await until(lambda: cameras(centre, name)["cam1"].model == "gb-yolo-n-traffic", 60)

            assert (await answer(client, "DELETE", path))["state"] == "done"
            await until(lambda: list(cameras(centre, name)) == ["cam0"], 60)
            assert (await call(client, "PUT", f"/nodes/{name}/cameras/cam0/lines/gate", line))[0] == 202
            await until(lambda: "gate" in centre.wants.report(name).document.cameras["cam0"].lines, 30)
            assert (await answer(client, "DELETE", f"/nodes/{name}/cameras/cam0"))["reason"].endswith(
                "only its owner takes it away"
            )
            assert epoch(centre, name) == began, "the agent itself never began anew"
        kept = [str(row) async for row in centre.store._database.orders.find()]
        kept += [str(row) async for row in centre.store._database.audit.find()]
        kept += [str(row) async for row in centre.store._database.nodes.find()]
        assert not [row for row in kept if "hunter2" in row or "anna" in row or "token=abc" in row]
        entries = (await get(client, "/audit", action="put camera"))["entries"]
        assert {entry["what"] for entry in entries} == {
            "cam1: an rtsp address", "cam1: a device, file or scene of the box"
        }  # fmt: skip


async def test_what_the_owner_has_not_allowed_is_refused_at_once(stack: Stack) -> None:
    """With what to write where; so is an operator, and a new camera without a source."""
    async with scene(stack, "keep-1") as (running_centre, node, client):
        path = "/nodes/keep-1/cameras/cam1"
        status, told = await call(client, "PUT", path, {"source": "0"})
        assert (status, told["error"]["code"]) == (409, "not_allowed_there")
        assert "allow_from_centre = true" in told["error"]["message"]
        assert node.commands == []
        await node.state(allows=["cameras"])
        await until(lambda: (state := running_centre.fleet.state("keep-1")) and state.allows == ["cameras"])
        assert await code(client, "PUT", path, {"model": "mask"}) == (400, "bad_request")
        assert await code(client, "PUT", path, {"source": "0", "preview": "unblurred"}) == (
            400,
            "bad_request",
        )
        assert await code(client, "PUT", path, {"source": "0", "model": "../x"}) == (400, "bad_request")
        operator = (await call(client, "POST", "/tokens", {"name": "o", "role": "operator"}))[1]["token"]
        assert (await code(client, "PUT", path, {"source": "0"}, Authorization=f"Bearer {operator}"))[
            0
        ] == 403
