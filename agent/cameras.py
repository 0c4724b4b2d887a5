"""The cameras of one box: each has a loop of its own, and begins anew by itself while the others go on.

What always holds: a camera that is set, added or taken away is closed in order first (its open tracks and its
minute are on disk), and goes on from its own totals; no other camera is touched. Changes are made one after
the other, and never while the box is ending.

    set_cameras ─ Change ─▶ change ─▶ [waiting] ─▶ changes: close ─▶ document ─▶ open
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agent import cpu_quota
from agent.camera_loop import anchor_key
from agent.command import Desired
from agent.config import CameraConfig, Config
from agent.count.totals import Totals
from agent.deliver.spool import SpoolWorker
from agent.marks import Marks
from agent.named_models import NamedModels
from agent.pipeline import Pipeline
from agent.set_cameras import Change
from agent.show.departures import Departures
from agent.show.faces import Faces
from agent.show.rtsp import RtspOut
from agent.startup import totals_of
from agent.tasks import lasting
from agent.today import Today

_LOG = logging.getLogger(__name__)

Watch = Callable[[Pipeline], Coroutine[Any, Any, None]]


class Cameras:
    """What runs on one box, by camera.

    Args:
        config: what the box's owner has configured.
        spool: where totals and anchors are remembered.
        desired: the document that the box runs.
        models: the models by name.
        departures: the log of pictures that leave.

    `config`, `pipelines`, `totals` and `pictures` (whether a camera's pictures may leave) are of now: they
    change where a camera does.
    """

    def __init__(
        self,
        config: Config,
        spool: SpoolWorker,
        desired: Desired,
        models: NamedModels,
        departures: Departures,
    ) -> None:
        self.config = config
        self.pipelines: dict[str, Pipeline] = {}
        self.totals: dict[str, Totals] = {}
        self.pictures: dict[str, bool] = {}
        self.today = Today(Path(config.state_dir), self.totals)
        self.marks = Marks(self.pipelines, desired, self.today)
        self._spool = spool
        self._desired = desired
        self._models = models
        self._departures = departures
        self._faces = Faces(config.privacy.model_path)
        self._pushes: dict[str, RtspOut] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: asyncio.Queue[Change] = asyncio.Queue()
        self._changing = asyncio.Lock()
        self._ended = False

    async def make(self) -> None:
        """Make every camera's loop as its config and the document say; nothing is opened yet."""
        for name in self.config.camera:
            await self._make(name)

    async def _make(self, name: str) -> None:
        camera = self.config.camera[name]
        totals = self.totals.get(name) or await totals_of(self._spool, name)
        anchor = await self._spool.recall(anchor_key(name))
        settings = self._desired.settings(name)  # after all waits, so that the newest document counts
        pipeline = Pipeline(
            name,
            camera,
            self._models.detector(name, settings.model),
            settings,
            totals,
            workers=cpu_quota.share(len(self.config.camera), camera.threads),
            anchor=anchor,
            departures=self._departures,
            faces=self._faces,
            limits=self.config.budget,
        )
        self.pipelines[name] = pipeline
        self.totals[name] = totals
        self.pictures[name] = camera.pictures_may_leave
        if camera.rtsp_out:
            draw = partial(self.marks.draw, name)
            push = RtspOut(name, camera.rtsp_out, draw, lambda: pipeline.minutes.is_behind)
            pipeline.showing.add(push)
            self._pushes[name] = push

    @property
    def passed(self) -> int:
        """How many objects have crossed lines since the start."""
        return sum(pipeline.running_totals.passed for pipeline in self.pipelines.values())

    def start(self, group: asyncio.TaskGroup, watch: Watch) -> None:
        """Let every camera run in `group`. `watch`: runs one until it is asked to end."""
        for name in self.pipelines:
            self._start(name, group, watch)
        _LOG.info("watching %s", ", ".join(self.pipelines))

    def _start(self, name: str, group: asyncio.TaskGroup, watch: Watch) -> None:
        pipeline = self.pipelines[name]
        work = lasting(watch(pipeline), f"camera {name}", asked=lambda: pipeline.ending)
        self._tasks[name] = group.create_task(work, name=f"camera {name} lasts")
        if name in self._pushes:
            self._pushes[name].start()

    async def end(self) -> None:
        """Close every camera, after the change that is being made."""
        async with self._changing:
            self._ended = True
            for pipeline in self.pipelines.values():
                pipeline.end()
            for name in list(self._tasks):
                await self._close(name)

    async def _close(self, name: str) -> None:
        """Close a camera in order: what is open is stored."""
        self.pipelines[name].end()
        await asyncio.wait([self._tasks.pop(name)])
        if name in self._pushes:
            await asyncio.to_thread(self._pushes.pop(name).stop)

    def change(self, change: Change) -> None:
        """Have a camera changed, added or taken away, in its turn."""
        self._waiting.put_nowait(change)

    async def changes(
        self, group: asyncio.TaskGroup, watch: Watch, changed: Callable[[], Awaitable[None]]
    ) -> None:
        """Make one change after the other, for ever. `changed`: called after each."""
        while True:
            change = await self._waiting.get()
            async with self._changing:
                if self._ended:
                    continue
                await self._make_change(change)
                if change.camera is not None:
                    self._start(change.name, group, watch)
            await changed()

    async def _make_change(self, change: Change) -> None:
        """Close the camera if it runs, and make it anew if it is to run."""
        name = change.name
        if name in self.pipelines:
            await self._close(name)
            del self.pipelines[name]
            del self.pictures[name]
        cameras = {**self.config.camera, name: change.camera}
        kept = {other: camera for other, camera in cameras.items() if camera is not None}
        self.config = msgspec.structs.replace(self.config, camera=kept)
        self._models.renew(self.config, name, change.detector)
        await asyncio.to_thread(self._models.open_all, self._desired.document)
        self._desired.renew(self.config.document(), self._models.owned(), ungated(kept))
        await self._spool.remember("document", self._desired.remember())
        if change.camera is None:
            self.totals.pop(name, None)
            _LOG.info("%s is removed", name)
            return
        await self._make(name)
        _LOG.info("%s restarts", name)


def ungated(cameras: dict[str, CameraConfig]) -> list[str]:
    """Return the cameras at which nothing holds looks back."""
    return [name for name, camera in cameras.items() if not camera.gate]
