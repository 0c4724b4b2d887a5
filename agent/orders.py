"""What a centre may order a box to do once, beside `watch`: snapshot, empty, logs, self-test, restart.

What always holds: an order never holds up what is received or counted: at most `MOST` wait, one is done at a
time, and each within `SECONDS`. What it answers has no secrets in it, and a picture has gone through
`agent.show.privacy`. Cameras come and go while an order waits and while it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

import psutil

from agent import logs, set_cameras, wire
from agent.cameras import Cameras
from agent.command import Refused
from agent.pipeline import Pipeline
from agent.preview import picture
from agent.redact import redactor_of
from agent.resources import temperature
from agent.see import self_test
from agent.see.infer import InferenceError, ModelError
from agent.show.showing import Showing, Shown

MOST = 8
SECONDS = 30.0
LINES = 1000

Answer = Callable[[wire.Response], Awaitable[None]]


class Snapshot:
    """A way out for one picture."""

    name = "snapshot"
    every = 0.0

    def __init__(self, who: str, role: str) -> None:
        self.taken: Future[bytes] = Future()
        self._who = who
        self._role = role

    def watchers(self) -> list[tuple[str, str]]:
        """Return who waits, until there is a picture."""
        return [] if self.taken.done() else [(self._who, self._role)]

    def take(self, shown: Shown) -> None:
        """Keep the picture, unless nobody waits any more."""
        if self.taken.set_running_or_notify_cancel():
            self.taken.set_result(picture(shown.image))


class Orders:
    """Does what is ordered. `restart`: begins anew; None: this agent cannot."""

    def __init__(self, cameras: Cameras, restart: Callable[[], None] | None) -> None:
        self._cameras = cameras
        self._pipelines = cameras.pipelines
        self._restart = restart
        self._waiting: asyncio.Queue[wire.Command] = asyncio.Queue(MOST)
        self._doing = {
            "snapshot": self._snapshot,
            "empty": self._empty,
            "logs": self._logs,
            "self-test": self._self_test,
            "restart": self._begin_anew,
            "rename": self._rename,
            "put-camera": self._put_camera,
            "remove-camera": self._remove_camera,
        }

    def put(self, command: wire.Command) -> wire.Response | None:
        """Take an order; return a refusal if too many wait."""
        try:
            self._waiting.put_nowait(command)
        except asyncio.QueueFull:
            return wire.Response(command.id, False, "too many orders wait; give it again later")
        return None

    async def run(self, answer: Answer) -> None:
        """Do one order after the other, for ever."""
        while True:
            command = await self._waiting.get()
            try:
                async with asyncio.timeout(SECONDS):
                    response = await self._doing[command.verb](command)
            except TimeoutError:
                response = wire.Response(command.id, False, f"not done within {SECONDS:.0f} s")
            except Refused as refusal:
                response = wire.Response(command.id, False, str(refusal))
            await answer(response)

    def _showing(self, command: wire.Command) -> Showing:
        """Return what shows the camera that an order is about; raise Refused if it is gone meanwhile."""
        pipeline = self._pipelines.get(command.camera)
        if pipeline is None:
            raise Refused(f"this box has no camera {command.camera[:48]!r} now")
        return pipeline.showing

    async def _snapshot(self, command: wire.Command) -> wire.Response:
        showing = self._showing(command)
        way = Snapshot(command.user, command.role)
        showing.add(way)
        try:
            jpeg = await asyncio.wrap_future(way.taken)
        finally:
            showing.remove(way)
        return wire.Response(command.id, True, jpeg=jpeg)

    async def _empty(self, command: wire.Command) -> wire.Response:
        """Answer with the picture that shows nobody."""
        showing = self._showing(command)
        image = showing.empty(command.user, command.role)
        if image is None:
            wait = showing.privacy.nobody.wait_seconds
            raise Refused(f"there is none yet: watch the camera's pictures for {wait:.0f} s more")
        return wire.Response(command.id, True, jpeg=picture(image))

    async def _logs(self, command: wire.Command) -> wire.Response:
        state = Path(self._cameras.config.state_dir)
        redactor = redactor_of(self._cameras.config)
        try:
            text = await asyncio.to_thread(logs.read, state, LINES, redactor, logs.MOST_LETTERS)
        except OSError as error:
            raise Refused(f"the log cannot be read: {error.strerror}") from None
        return wire.Response(command.id, True, text=text)

    async def _self_test(self, command: wire.Command) -> wire.Response:
        lines = await asyncio.to_thread(self._tests, dict(self._pipelines))
        return wire.Response(command.id, True, text="\n".join(lines))

    def _tests(self, pipelines: Mapping[str, Pipeline]) -> list[str]:
        """Return a line for each model, camera and part of the box, `ok` or `FAIL` first.

        `pipelines`: as they were when this began; it takes seconds.
        """
        lines = []
        for name, pipeline in pipelines.items():
            try:
                self_test.check(pipeline.detector)
                lines.append(f"ok    {name} model gives its stored answer")
            except (ModelError, InferenceError) as error:
                lines.append(f"FAIL  {name} model: {error}")
            report = pipeline.report()
            state = "ok   " if report.state == "ok" else "FAIL "
            lines.append(
                f"{state} {name} camera {report.state}{f': {report.reason}' if report.reason else ''}"
            )
        lines.append(self._disk())
        heat = temperature()
        lines.append("ok    temperature unknown" if heat is None else f"ok    temperature {heat} °C")
        return lines

    def _disk(self) -> str:
        try:
            full = psutil.disk_usage(self._cameras.config.state_dir).percent
        except OSError as error:
            return f"FAIL  disk of the state folder: {error.strerror}"
        return f"{'ok   ' if full < 95 else 'FAIL '} disk {full:.0f} % full"

    async def _put_camera(self, command: wire.Command) -> wire.Response:
        """Add a camera, or change where one is; it alone begins anew."""
        text = command.what.get("camera", "")
        change = await asyncio.to_thread(set_cameras.put, self._cameras.config, command.camera, text)
        self._cameras.change(change)
        return wire.Response(command.id, True, text=change.told)

    async def _remove_camera(self, command: wire.Command) -> wire.Response:
        change = await asyncio.to_thread(set_cameras.remove, self._cameras.config, command.camera)
        self._cameras.change(change)
        return wire.Response(command.id, True, text=change.told)

    async def _rename(self, command: wire.Command) -> wire.Response:
        """Join under another name with the code that came along, and begin anew with it."""
        if self._restart is None:
            raise Refused("this agent cannot restart by itself")
        from agent.enrol import EnrolError, become  # a megabyte with TOML Kit, for once in a box's life

        name = command.what.get("name", "")
        code = command.what.get("code", "")
        try:
            await become(self._cameras.config, wire.valid_node(name), code)
        except (wire.WireError, EnrolError) as error:
            raise Refused(str(error)) from None
        asyncio.get_running_loop().call_later(1.0, self._restart)  # the answer goes first
        return wire.Response(command.id, True, text=f"this box is {name} from its next start on, in a moment")

    async def _begin_anew(self, command: wire.Command) -> wire.Response:
        if self._restart is None:
            raise Refused("this agent cannot restart by itself")
        asyncio.get_running_loop().call_later(1.0, self._restart)  # the answer goes first
        return wire.Response(command.id, True, text="the agent checks its config and restarts")
