"""One camera of a box begins anew, comes or goes, and the others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agent import centre_cameras, set_cameras, startup, wire
from agent import config as configuration
from agent.cameras import Cameras, ungated
from agent.command import Desired
from agent.deliver.spool import SpoolWorker
from agent.named_models import NamedModels
from agent.pipeline import Pipeline
from agent.show.departures import Departures

from .box import until

OWN = """node = "box-1"
state_dir = "{folder}"
[camera]
allow_from_centre = true
[camera.cam0]
source = "scene:?seed=7"
gate = false
lines.gate = {{points = [[0.0, 0.6], [1.0, 0.6]]}}
[camera.cam1]
source = "scene:?seed=3"
gate = false
lines.gate = {{points = [[0.0, 0.6], [1.0, 0.6]]}}
"""


class Box:
    """What of an agent the cameras need. `told`: how often a change was told of; `events`: of all cameras."""

    def __init__(self, cameras: Cameras, desired: Desired, group: asyncio.TaskGroup) -> None:
        self.cameras = cameras
        self.desired = desired
        self.events: list[wire.AnyEvent] = []
        self.told = 0
        self._group = group

    async def watch(self, pipeline: Pipeline) -> None:
        """Run a camera, and keep its events here."""
        pipeline.camera.start()
        try:
            while not pipeline.ending:
                self.events += (await asyncio.to_thread(pipeline.step)).events
            self.events += await asyncio.to_thread(pipeline.close)
        finally:
            await asyncio.to_thread(pipeline.stop)

    async def _tell(self) -> None:
        self.told += 1

    async def put(self, camera: str, text: str) -> None:
        """Set a camera as an order does, and wait until that is told."""
        await self._change(await asyncio.to_thread(set_cameras.put, self.cameras.config, camera, text))

    async def remove(self, camera: str) -> None:
        """Take a camera away as an order does, and wait until that is told."""
        await self._change(await asyncio.to_thread(set_cameras.remove, self.cameras.config, camera))

    async def _change(self, change: set_cameras.Change) -> None:
        before = self.told
        self.cameras.change(change)
        await until(lambda: self.told > before, 60)

    def run(self) -> asyncio.Task[None]:
        """Let the cameras run, and changes be made; return the task that makes them."""
        self.cameras.start(self._group, self.watch)
        return self._group.create_task(self.cameras.changes(self._group, self.watch, self._tell))


@contextlib.asynccontextmanager
async def box(folder: Path) -> AsyncIterator[Box]:
    """Run a box of two cameras."""
    path = folder / "agent.toml"
    path.write_text(OWN.format(folder=folder))
    config = configuration.load(path)
    models = NamedModels(config, startup.load_models(config))
    desired = Desired(config.document(), None, models.owned(), ungated(config.camera), models.labels)
    async with SpoolWorker(startup.open_spool(config)) as spool, asyncio.TaskGroup() as group:
        cameras = Cameras(config, spool, desired, models, Departures())
        await cameras.make()
        running = Box(cameras, desired, group)
        changes = running.run()
        try:
            yield running
        finally:
            await cameras.end()
            changes.cancel()


async def seen(pipeline: Pipeline, more: int) -> None:
    """Wait until a camera has judged so many frames more."""
    goal = pipeline.minutes.seen + more
    await until(lambda: pipeline.minutes.seen >= goal, 60)


async def test_another_camera_goes_on_without_a_gap(tmp_path: Path) -> None:
    """Set, added, taken away: the other is the same loop on the same thread, and its picture was never away;
    the camera that is set goes on from its own totals.
    """
    async with box(tmp_path) as running:
        cameras = running.cameras
        other = cameras.pipelines["cam0"]
        before = cameras.pipelines["cam1"]
        await seen(other, 5)
        thread = other.camera._thread
        captured = other.camera.captured
        states = [event for event in running.events if isinstance(event, wire.CameraState)]
        assert [event.state for event in states if event.camera == "cam0"] == ["ok"]

        await running.put("cam1", '{"source": "scene:?seed=4"}')
        anew = cameras.pipelines["cam1"]
        assert anew is not before
        assert anew.config.source == "scene:?seed=4"
        await seen(anew, 3)
        assert anew.running_totals is before.running_totals
        await running.put("cam2", '{"source": "scene:?seed=5"}')
        await seen(cameras.pipelines["cam2"], 3)
        assert set(running.desired.document.cameras) == {"cam0", "cam1", "cam2"}
        assert cameras.pictures == {"cam0": True, "cam1": True, "cam2": True}
        await running.remove("cam2")
        assert set(cameras.pipelines) == set(running.desired.document.cameras) == {"cam0", "cam1"}
        await running.remove("cam1")
        assert cameras.pipelines["cam1"].config.source == "scene:?seed=3"

        assert cameras.pipelines["cam0"] is other
        assert other.camera._thread is thread
        assert thread.is_alive()
        assert other.camera.captured > captured
        await seen(other, 3)
    of_it = [event for event in running.events if getattr(event, "camera", "") == "cam0"]
    assert [event.state for event in of_it if isinstance(event, wire.CameraState)] == ["ok"]
    tallies = [event for event in running.events if isinstance(event, wire.Tally)]
    closed = [event for event in tallies if event.camera == "cam2"]
    assert closed, "a camera that goes tells its last minute"


async def test_what_was_refused_for_want_of_a_camera_runs_once_it_is_there(tmp_path: Path) -> None:
    """A document that names a camera to come is refused whole, kept, and taken when the camera has come."""
    async with box(tmp_path) as running:
        document = running.desired.document
        line = wire.Line([(0.0, 0.5), (1.0, 0.5)], version=7)
        coming = {**document.cameras, "cam2": wire.CameraSettings(lines={"new": line})}
        payload = msgspec.json.encode(wire.Document(7, coming))
        assert not running.desired.want(payload)
        assert "no camera 'cam2'" in running.desired.error
        await running.put("cam2", '{"source": "scene:?seed=5"}')
        assert running.desired.refused == payload
        assert running.desired.want(running.desired.refused)
        assert set(running.desired.settings("cam2").lines) == {"new"}


async def test_an_end_waits_for_the_change_that_is_being_made(tmp_path: Path) -> None:
    """A box that is stopped meanwhile closes every camera, the new one too."""
    async with box(tmp_path) as running:
        running.cameras.change(set_cameras.put(running.cameras.config, "cam1", '{"source": "scene:?seed=4"}'))
        await asyncio.sleep(0)
    for pipeline in running.cameras.pipelines.values():
        assert pipeline.ending
        assert not pipeline.camera._thread.is_alive()


def test_a_box_keeps_one_camera(tmp_path: Path) -> None:
    """The only one is not taken away."""
    path = tmp_path / "agent.toml"
    path.write_text(OWN.format(folder=tmp_path).partition("[camera.cam0]")[0])
    state = {"cam9": {"source": "scene:"}}
    centre_cameras.write(tmp_path, state)
    with pytest.raises(set_cameras.Refused, match="the only camera"):
        set_cameras.remove(configuration.load(path), "cam9")
