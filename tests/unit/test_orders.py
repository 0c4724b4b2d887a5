"""Orders while cameras come and go, or without a state folder: refused or done, never the box's end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent import wire
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.orders import Orders, Snapshot
from agent.pipeline import Pipeline
from agent.see import self_test
from agent.see.infer import Detector
from agent.show.showing import Shown
from agent.track.tracker import Tracks


def command(verb: str, camera: str = "") -> wire.Command:
    """Return an order of an administrator."""
    return wire.Command(f"order-{verb}", verb, round(time.time() * 1000) + 60_000, "admin", camera)


@contextlib.asynccontextmanager
async def doing(orders: Orders) -> Any:
    """Do orders, and yield the queue of their answers."""
    answers: asyncio.Queue[wire.Response] = asyncio.Queue()
    task = asyncio.create_task(orders.run(answers.put), name="orders")
    try:
        yield answers
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def pipeline(name: str) -> Pipeline:
    """Return a camera's loop that does not run."""
    camera = CameraConfig(source="scene:?seed=7")
    detector = Detector(camera.model_path, confidence=0.1)
    return Pipeline(name, camera, detector, camera.settings(), Totals())


@pytest.mark.parametrize("verb", ["snapshot", "empty"])
async def test_an_order_whose_camera_has_gone_while_it_waited_is_refused(verb: str) -> None:
    """It was there when the order was taken; the orders after this one are done."""
    cameras: Any = SimpleNamespace(pipelines={})
    orders = Orders(cameras, lambda: None)
    async with doing(orders) as answers:
        assert orders.put(command(verb, "cam1")) is None
        assert orders.put(command("restart")) is None
        refused = await answers.get()
        assert (refused.ok, refused.error) == (False, "this box has no camera 'cam1' now")
        assert (await answers.get()).ok


async def test_a_camera_may_come_while_the_box_tests_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test takes seconds on a thread of its own; it is of the cameras that there were at first."""
    pipelines = {"cam0": pipeline("cam0")}
    cameras: Any = SimpleNamespace(pipelines=pipelines, config=SimpleNamespace(state_dir=str(tmp_path)))

    def check(detector: Detector) -> None:
        pipelines["cam1"] = pipelines["cam0"]

    monkeypatch.setattr(self_test, "check", check)
    orders = Orders(cameras, None)
    async with doing(orders) as answers:
        orders.put(command("self-test"))
        answer = await answers.get()
    assert answer.ok
    assert [line.split()[1] for line in answer.text.splitlines()] == ["cam0", "cam0", "disk", "temperature"]


async def test_a_self_test_says_that_the_state_folder_is_gone(tmp_path: Path) -> None:
    """The box counts on in memory then, so an order must not end it."""
    config = SimpleNamespace(state_dir=str(tmp_path / "gone"))
    cameras: Any = SimpleNamespace(pipelines={}, config=config)
    orders = Orders(cameras, None)
    async with doing(orders) as answers:
        orders.put(command("self-test"))
        answer = await answers.get()
    assert answer.text.splitlines()[0] == "FAIL  disk of the state folder: No such file or directory"


def test_a_picture_that_comes_when_nobody_waits_any_more_is_let_go() -> None:
    """The order was given up while its picture was being made."""
    none = Tracks.of_boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32),
                           np.zeros(0, np.int64), 0.0)  # fmt: skip
    shown = Shown(np.zeros((36, 64, 3), np.uint8), none, (64, 36), 1)
    late = Snapshot("ada", "admin")
    assert late.watchers() == [("ada", "admin")]
    late.taken.cancel()
    late.take(shown)
    assert late.watchers() == []
    good = Snapshot("ada", "admin")
    good.take(shown)
    assert good.taken.result().startswith(b"\xff\xd8")
    assert good.watchers() == []
