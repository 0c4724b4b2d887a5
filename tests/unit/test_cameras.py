"""The cameras of a box while it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent import config as configuration
from agent import startup
from agent.cameras import Cameras
from agent.command import Desired
from agent.deliver.spool import Spool, SpoolWorker
from agent.named_models import NamedModels
from agent.pipeline import Pipeline
from agent.set_cameras import Change
from agent.show.departures import Departures
from agent.tasks import lasting


async def test_a_change_that_is_ordered_while_the_box_ends_is_not_made(tmp_path: Path) -> None:
    """It is kept already, and there at the next start; nothing is opened or closed a second time."""
    path = tmp_path / "agent.toml"
    path.write_text(f'node = "box-1"\nstate_dir = "{tmp_path}"\n[camera.cam0]\nsource = "scene:"\n')
    config = configuration.load(path)
    models = NamedModels(config, startup.load_models(config))
    desired = Desired(config.document(), None, models.owned())
    closed: list[str] = []

    async def watch(pipeline: Pipeline) -> None:
        while not pipeline.ending:  # noqa: ASYNC110 - as a camera's own loop does
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        closed.append(pipeline.name)

    async def changed() -> None:
        raise AssertionError("a change was made")

    async with SpoolWorker(Spool.open(tmp_path / "spool.db", 8 << 20)) as spool, asyncio.TaskGroup() as group:
        cameras = Cameras(config, spool, desired, models, Departures())
        await cameras.make()
        cameras.start(group, watch)
        changes = group.create_task(lasting(cameras.changes(group, watch, changed), "changes"))
        ending = group.create_task(cameras.end())
        await asyncio.sleep(0.02)
        cameras.change(Change("cam0", config.camera["cam0"], models.detector("cam0", ""), ""))
        await ending
        await asyncio.sleep(0.1)
        assert not changes.done()
        assert (closed, list(cameras.pipelines)) == (["cam0"], ["cam0"])
        changes.cancel()
