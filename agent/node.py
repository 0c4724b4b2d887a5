"""A box's life: start what is downstream first, run, and stop what is upstream first.

    start:  models -> spool -> delivery -> cameras        stop:  cameras -> delivery -> spool

What always holds: a model that cannot be used ends the start before anything is opened; a camera that is not
there does not. When asked to stop, every open track and minute is on disk before the connection goes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import psutil

from agent import budget, cpu_quota, inquiry, memory, wire
from agent.camera_loop import run_camera
from agent.cameras import Cameras, ungated
from agent.command import Commands, Desired
from agent.config import Config
from agent.deliver.alone import Alone, Centre
from agent.deliver.publish import Delivery
from agent.deliver.spool import SpoolWorker
from agent.mqtt.settings import BrokerSettings
from agent.named_models import NamedModels
from agent.node_report import NodeReport
from agent.orders import Orders
from agent.page.wishes import Wishes
from agent.pipeline import Pipeline
from agent.power import Power
from agent.resources import Sampler, temperature
from agent.see import arena
from agent.see.infer import Detector
from agent.show.departures import Departures
from agent.starts import Starts
from agent.startup import broker, load_models, meet_models, open_spool
from agent.study.studies import Studies
from agent.taken import Taken
from agent.tasks import lasting
from agent.watchdog import Watchdog, notify

_LOG = logging.getLogger(__name__)

SAMPLE_SECONDS = 10.0


class _Stopped(Exception):
    """Asked to stop."""


async def run(config: Config, stop: asyncio.Event, restart: Callable[[], None] | None = None) -> None:
    """Run until `stop` is set; raise NodeError or ConfigError if the box cannot start.

    `restart`: begins anew in the same process, when the centre orders it.
    """
    broker_settings = broker(config)
    detectors = load_models(config)
    meet_models(config, detectors)
    async with SpoolWorker(open_spool(config)) as spool:
        node = await Node.restore(config, detectors, spool, restart)
        await node.serve(broker_settings, stop)


class Node:
    """What runs between the spool and the cameras."""

    def __init__(
        self,
        cameras: Cameras,
        spool: SpoolWorker,
        desired: Desired,
        models: NamedModels,
        departures: Departures,
        restart: Callable[[], None] | None,
        starts: Starts,
        taken: Taken,
    ) -> None:
        self._cameras = cameras
        self._config = cameras.config  # of the box itself; what it says of cameras may be old
        self._spool = spool
        self._desired = desired
        self._models = models
        self._pipelines = cameras.pipelines
        self._watchdog = Watchdog()
        self._departures = departures
        self._wishes = Wishes()
        self._report = NodeReport(cameras, spool, desired, departures, self._wishes, starts)
        self._orders = Orders(cameras, restart)
        self._studies = Studies(cameras, models)
        self._starts = starts
        self._taken = taken
        self._power = Power()

    @classmethod
    async def restore(
        cls,
        config: Config,
        detectors: dict[str, Detector],
        spool: SpoolWorker,
        restart: Callable[[], None] | None = None,
    ) -> Node:
        """Make a node that goes on where the last one stopped: its document and its totals."""
        models = NamedModels(config, detectors)
        remembered = await spool.recall("document")
        desired = Desired(
            config.document(), remembered, models.owned(), ungated(config.camera), models.labels
        )
        await spool.remember("document", desired.remember())
        departures = Departures(Path(config.state_dir) / "pictures.json")
        cameras = Cameras(config, spool, desired, models, departures)
        await cameras.make()
        starts = await Starts.restore(spool)
        taken = await Taken.restore(spool)
        return cls(cameras, spool, desired, models, departures, restart, starts, taken)

    def _centre(self, broker_settings: BrokerSettings | None) -> Centre:
        """Return what joins this box to its centre, or stands for it where there is none."""

        def alive(seconds: float) -> None:
            self._watchdog.progress("delivery", seconds)

        if broker_settings is None:
            return Alone(self._spool, alive)
        delivery = Delivery(
            self._spool,
            broker_settings,
            self._config.node,
            state=self._report.state,
            on_want=lambda payload: self._want(payload, delivery),
            on_command=lambda payload: self._command(payload, commands, delivery),
            alive=alive,
        )

        def aside(epoch: int) -> bool:
            mine = epoch == self._spool.epoch
            if mine:
                delivery.stand_aside()
            return mine

        commands = Commands(self._cameras.pictures, self._watch, self._order, aside, self._taken)
        return delivery

    async def serve(self, broker_settings: BrokerSettings | None, stop: asyncio.Event) -> None:
        """Deliver, watch the cameras, and end in the other order."""
        delivery = self._centre(broker_settings)
        self._spool.on_problem = delivery.state_changed
        loop = asyncio.get_running_loop()
        self._departures.changed = partial(loop.call_soon_threadsafe, delivery.state_changed)
        told = inquiry.answering(Path(self._config.state_dir), lambda: self._report.answer(delivery))
        async with told, asyncio.TaskGroup() as downstream:
            work = lasting(delivery.run(), "delivery", asked=stop.is_set)
            downstream.create_task(work, name="delivery lasts")
            try:
                await self._watch_cameras(delivery, stop)
            finally:
                delivery.stop()

    async def _watch_cameras(self, delivery: Centre, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as upstream:
                watch = partial(self._watch_one, delivery)
                self._cameras.start(upstream, watch)
                others = {
                    "resources": self._sample(delivery),
                    "watchdog": self._watchdog.run(),
                    "orders": self._orders.run(partial(_respond, delivery)),
                    "studies": self._studies.run(partial(_respond, delivery)),
                    "budget": self._keep_budget(delivery),
                    "changes": self._cameras.changes(upstream, watch, partial(self._changed, delivery)),
                    "memory": memory.stay_small(arena.empty),
                }
                for name, work in others.items():
                    upstream.create_task(lasting(work, name), name=f"{name} lasts")
                if self._config.page.listen:
                    page = lasting(self._serve_page(delivery), "page")
                    upstream.create_task(page, name="page lasts")
                notify("READY=1")
                await stop.wait()
                await self._cameras.end()
                raise _Stopped
        except* _Stopped:
            _LOG.info("the cameras are closed; sending what waits")

    async def _watch_one(self, delivery: Centre, pipeline: Pipeline) -> None:
        def show(live: wire.Live) -> None:
            delivery.publish_live(wire.encode_live(live))

        await run_camera(pipeline, self._spool, self._watchdog, show, delivery.state_changed)

    async def _sample(self, delivery: Centre) -> None:
        """Put a resource sample on disk every ten seconds; at once on the wire while somebody watches."""
        sampler = Sampler(Path(self._config.state_dir))
        self._watchdog.progress("spool")
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            fps = {name: pipeline.minutes.fps for name, pipeline in self._pipelines.items()}
            level = max((pipeline.budget.level for pipeline in self._pipelines.values()), default=0)
            if self._report.read_board():
                delivery.state_changed()
            throttled = self._report.board.throttled
            self._power.sample(time.monotonic())
            power = self._power.told(self._cameras.passed)
            await self._starts.keep(self._spool)
            sample = sampler.sample(round(time.time() * 1000), fps, level, throttled, power)
            await self._spool.append([sample])
            self._watchdog.progress("spool")
            if any(pipeline.watched for pipeline in self._pipelines.values()):
                await self._spool.close_batch()

    async def _keep_budget(self, delivery: Centre) -> None:
        """Let each camera keep to its limits; what is held back is told in the state."""
        process = psutil.Process()
        process.cpu_percent(None)
        while True:
            await asyncio.sleep(budget.SAMPLE_SECONDS)
            used = process.cpu_percent(None) / cpu_quota.usable()
            heat = temperature()
            if any([pipeline.hold(used, heat) for pipeline in self._pipelines.values()]):
                delivery.state_changed()

    async def _want(self, payload: bytes, delivery: Centre) -> None:
        """Apply a desired document: on disk first, then on the cameras."""
        await asyncio.to_thread(self._models.prepare, payload)
        if self._desired.want(payload):
            await self._apply()
            _LOG.info("applied document %d", self._desired.document.version)
        elif self._desired.error:
            _LOG.warning("refused a document: %s", self._desired.error)
        delivery.state_changed()

    async def _changed(self, delivery: Centre) -> None:
        """A camera is another one: tell it, and look again at what was refused with the cameras before."""
        if self._desired.refused:
            await self._want(self._desired.refused, delivery)
        delivery.state_changed()

    async def _apply(self) -> None:
        """Let the document run: on disk first, then on the cameras."""
        await self._spool.remember("document", self._desired.remember())
        for name, pipeline in self._pipelines.items():
            settings = self._desired.settings(name)
            pipeline.apply(settings, self._models.detector(name, settings.model))
        self._models.keep(self._desired.document)

    async def _serve_page(self, delivery: Centre) -> None:
        """Serve the box's own page, for ever; aiohttp is loaded here."""
        from agent.page.box import LocalBox
        from agent.page.server import keep_serving

        box = LocalBox(
            self._cameras,
            self._desired,
            self._wishes,
            self._departures,
            self._spool,
            delivery,
            self._power,
            self._apply,
        )
        await keep_serving(box, Path(self._config.state_dir), self._config.page.listen)

    async def _command(self, payload: bytes, commands: Commands, delivery: Centre) -> None:
        response = commands.execute(payload, round(time.time() * 1000))
        await self._taken.keep(self._spool)
        if response is not None:
            await _respond(delivery, response)

    def _order(self, command: wire.Command) -> wire.Response | None:
        """Have an order done; return a refusal."""
        if command.verb in self._studies.verbs:
            return self._studies.put(command)
        return self._orders.put(command)

    def _watch(self, command: wire.Command) -> None:
        seconds = command.seconds if command.verb == "watch" else 0.0
        self._pipelines[command.camera].watch(seconds, command.picture, command.user, command.role)


async def _respond(delivery: Centre, response: wire.Response) -> None:
    await delivery.respond(msgspec.json.encode(response))
