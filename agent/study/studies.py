"""Orders that take minutes: `calibrate`, and `run-model` (another model of the box beside the one that runs).

What always holds: one at a time; what comes meanwhile is refused and told until when. They only look on: the
counts of the camera are the same with and without. A camera that begins anew meanwhile, or is given another
model, ends the order with that reason. What studies is loaded when it is ordered: that is rare, and takes
memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from agent import wire
from agent.cameras import Cameras
from agent.command import Refused, check_labels
from agent.named_models import NamedModels
from agent.pipeline import Pipeline
from agent.turn import Witness

SECONDS = 60.0  # where an order does not say for how long
LOOK_SECONDS = 0.25

Answer = Callable[[wire.Response], Awaitable[None]]


class Studies:
    """Does them. `models`: the box's models by name."""

    def __init__(self, cameras: Cameras, models: NamedModels) -> None:
        self._cameras = cameras
        self._models = models
        self._busy = ""  # what runs and until when, in words
        self._waiting: asyncio.Queue[wire.Command] = asyncio.Queue()
        self._doing = {"calibrate": self._calibrate, "run-model": self._run_model}

    @property
    def verbs(self) -> set[str]:
        """What can be ordered here."""
        return set(self._doing)

    def put(self, command: wire.Command) -> wire.Response | None:
        """Take an order; return a refusal while another one runs."""
        if self._busy:
            return wire.Response(command.id, False, f"{self._busy}; order it again then")
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + _seconds(command)))
        self._busy = f"{command.verb} runs until {until} by the box's clock"
        self._waiting.put_nowait(command)
        return None

    async def run(self, answer: Answer) -> None:
        """Do what is ordered, for ever."""
        while True:
            command = await self._waiting.get()
            try:
                lines = await self._doing[command.verb](command)
                response = wire.Response(command.id, True, text="\n".join(lines))
            except Refused as refusal:
                response = wire.Response(command.id, False, str(refusal))
            self._busy = ""
            await answer(response)

    async def _calibrate(self, command: wire.Command) -> list[str]:
        from agent.study.calibrate import Calibration

        pipeline = self._pipeline(command)
        settings = pipeline.follower.settings
        calibration = Calibration(pipeline.detector.names, settings.confidence, settings.labels)
        await self._witnessed(pipeline, calibration, _seconds(command))
        head = f"{pipeline.name}: {_seconds(command):.0f} s, model {pipeline.detector.path.stem}"
        if not calibration.looks:
            raise Refused(f"{head}: no picture was looked at; {_why(pipeline)}")
        return [head, *calibration.report()]

    async def _run_model(self, command: wire.Command) -> list[str]:
        from agent.study.aside import Aside
        from agent.study.beside import Beside

        pipeline = self._pipeline(command)
        name = command.what.get("model", "")
        if not name:
            raise Refused("name the model that is to run beside")
        detector = await asyncio.to_thread(self._models.borrow, pipeline.name, name)
        if detector.sha256 == pipeline.detector.sha256:
            raise Refused(f"{pipeline.name} runs with {name} itself; name another model")
        settings = pipeline.follower.settings
        check_labels(pipeline.name, settings, list(detector.names.values()))
        own = Aside(pipeline.name, settings, pipeline.detector)
        beside = Beside(own, Aside(pipeline.name, settings, detector), lambda: pipeline.budget.level > 0)
        try:
            await self._witnessed(pipeline, beside, _seconds(command))
            head = f"{pipeline.name}: {_seconds(command):.0f} s"
            if not beside.judged:
                raise Refused(f"{head}: no picture was judged by both; {beside.failed or _why(pipeline)}")
            return [f"{head}, by the first look alone", *await asyncio.to_thread(beside.report), _NOTHING]
        finally:
            await asyncio.to_thread(beside.close)

    def _pipeline(self, command: wire.Command) -> Pipeline:
        """Return the camera that an order is about: the one that it names, or the only one."""
        pipelines = self._cameras.pipelines
        if not command.camera and len(pipelines) == 1:
            return next(iter(pipelines.values()))
        if command.camera not in pipelines:
            raise Refused(f"this box has no camera {command.camera[:48]!r}; it has {', '.join(pipelines)}")
        return pipelines[command.camera]

    async def _witnessed(self, pipeline: Pipeline, witness: Witness, seconds: float) -> None:
        """Let somebody look on for a while; raise Refused if the camera is another one meanwhile."""
        detector = pipeline.detector
        end = time.monotonic() + seconds
        pipeline.witnesses = (*pipeline.witnesses, witness)
        try:
            while time.monotonic() < end:
                await asyncio.sleep(LOOK_SECONDS)
                if pipeline.ending:
                    raise Refused(f"{pipeline.name} has ended or restarts; order it again")
                if pipeline.detector is not detector:
                    raise Refused(f"{pipeline.name} was given another model meanwhile; order it again")
        finally:
            pipeline.witnesses = tuple(one for one in pipeline.witnesses if one is not witness)


_NOTHING = "Nothing of this is in the counts."


def _seconds(command: wire.Command) -> float:
    return command.seconds or SECONDS


def _why(pipeline: Pipeline) -> str:
    """Return in words why no picture may have come."""
    report = pipeline.report()
    reason = f" ({report.reason})" if report.reason else ""
    return f"the camera is {report.state}{reason}"
