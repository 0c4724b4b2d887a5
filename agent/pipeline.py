"""The loop that is the product, once for each camera.

newest frame -> infer -> look again -> track -> analyse -> spool

What always holds:

* Inference runs ahead on threads of its own (`agent.see.prefetch`); frames come back in order. Everything
between a
  frame's boxes and its events is plain calls on one thread. New settings, minute boundaries and camera states
  are taken up between two frames, so nothing here needs a lock.
* A frame's events are on disk before the next frame is followed. What the camera said comes after the frames
  that it gave before, and before those that it gave later.
* Each second is accounted for: watched, or blind with a reason.
* A frame that the model cannot judge is counted as dropped and its time is blind; it never ends the loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from agent import wire
from agent.boxes import Detections
from agent.budget import Budget, BudgetConfig, Reading, narrowed
from agent.config import CameraConfig, PrivacyConfig
from agent.count.analyst import FORGET_SECONDS, Analyst, Judged, Totals
from agent.count.attention import Borders, interval
from agent.deliver.spool import SpoolWorker
from agent.look.judge import open_judge
from agent.look.live import CameraLook
from agent.minute import Ledger, Minute
from agent.preview import BOXES_INTERVAL, Preview, rows
from agent.see.ailments import Ailments
from agent.see.capture import Camera, Frame, StateChange
from agent.see.gate import FASTEST, Attention, Gate
from agent.see.infer import Detector, InferenceError
from agent.see.prefetch import OrderedDetector
from agent.see.sharpness import sharpness
from agent.see.trouble import Trouble
from agent.show.departures import Departures
from agent.show.faces import Faces, Look
from agent.show.privacy import Privacy
from agent.show.showing import Showing
from agent.track.tracker import Tracks, make_tracker
from agent.watchdog import Watchdog

log = logging.getLogger("gb-agent")

TAKE_SECONDS = 0.5
BEHIND_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one turn of the loop gave."""

    events: list[wire.AnyEvent]
    live: wire.Live | None = None
    tells: bool = False  # the camera's state, or what ails it, is another one


def anchor_key(camera: str) -> str:
    """Return under which key a camera's anchor is remembered."""
    return f"anchor {camera}"


class Pipeline:
    """One camera's loop: `run` lasts until `end`."""

    def __init__(
        self,
        name: str,
        camera: CameraConfig,
        detector: Detector,
        settings: wire.CameraSettings,
        totals: Totals,
        *,
        workers: int = 1,
        anchor: bytes | None = None,
        departures: Departures | None = None,
        faces: Look | None = None,
        limits: BudgetConfig | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.config = camera
        self.detector = detector
        self._gate = Gate() if camera.gate else None
        self._borders = Borders(settings)
        self._ailments = Ailments(name, settings, anchor)
        self._ailing_changed = False
        self._limits = limits or BudgetConfig()
        self.budget = Budget(narrowed(self._limits, settings.budget))
        self._ages: list[float] = []
        self.camera = Camera(
            name,
            camera.source,
            pace=camera.pace,
            loop=camera.loop,
            on_state=self._state_changed,
            wish=camera.wish,
            gate=self._gate,
        )
        self._workers = camera.workers or workers
        owner = list(camera.privacy.values())
        privacy = Privacy(camera.manner, owner, detector.names, faces or Faces(PrivacyConfig().model_path))
        privacy.add_zones(list(settings.privacy.values()))
        self.showing = Showing(name, privacy, departures or Departures(), monotonic)
        self.preview = Preview(name, monotonic)
        self.showing.add(self.preview)
        self._next_boxes = 0.0
        self.fps = 0.0
        self.since_ms = round(wall() * 1000)
        self._wall = wall
        self._monotonic = monotonic
        self._settings = settings
        self._pending: wire.CameraSettings | None = None
        self._next_detector = detector
        self._model = detector.path.stem if settings.model else camera.model_path.stem
        self._totals = totals
        self._look_with(detector)
        self._watch = Ledger()
        self._minute = Minute(self._minute_start())
        self._changes: deque[tuple[int, StateChange]] = deque(maxlen=1000)
        self._trouble = Trouble(self._model_changed)
        self._model_events: list[wire.AnyEvent] = []
        self._ending = False
        self._pass = 0
        self.seen = self._captured = self._dropped = self._skipped = self._held = 0
        self._size = (0, 0)
        self._tick = monotonic()
        self._rate = (self._tick, 0)

    def _look_with(self, detector: Detector) -> None:
        """Make all that depends on the model; running totals are none of it."""
        camera = self.config
        settings = self._settings
        self.detector = detector
        judge = open_judge(camera.judge, list(detector.names.values()))
        self._second = CameraLook(detector, camera.look_of(settings), judge, threads=camera.threads)
        self._ahead = OrderedDetector(self.camera, detector.detect, self._workers, TAKE_SECONDS)
        self._analyst = Analyst(self.name, settings, detector.names, self._totals)
        self._tracker = make_tracker(
            settings.confidence, detector.names, about_state=self._analyst.wants_sharpness
        )

    # ── what others may ask or tell, from the event loop ──

    def apply(self, settings: wire.CameraSettings, detector: Detector | None = None) -> None:
        """Take new lines and thresholds from the next frame on, and another model; nothing is zeroed."""
        self._next_detector = detector or self.detector
        self._pending = settings
        self.budget.limits = narrowed(self._limits, settings.budget)

    def watch(self, seconds: float, picture: bool, who: str = "", role: str = "operator") -> None:
        """Give live boxes (and pictures, where its owner allows) for so many seconds."""
        self.preview.watch(seconds, picture and self.config.pictures_may_leave, who, role)

    def hold(self, cpu_percent: float, temperature: float | None) -> bool:
        """Keep to the budget; return whether its level has changed."""
        ages = self._ages
        self._ages = []
        age = float(np.percentile(ages, 95)) * 1000 if ages else None
        changed = self.budget.update(Reading(cpu_percent, temperature, age), self._monotonic())
        if self._gate is not None:
            self._gate.pace = self.budget.interval
        self._minute.level = max(self._minute.level, self.budget.level)
        if changed:
            log.warning("%s: %s", self.name, self.budget.warning or "nothing is held back any more")
        return changed

    @property
    def watched(self) -> bool:
        """True while somebody watches."""
        return self.preview.watched

    def report(self) -> wire.CameraReport:
        """Return the camera as the node's state shows it."""
        failed = self._trouble.reason if self.camera.state == "ok" else ""
        return wire.CameraReport(
            camera=self.name,
            state="failed" if failed else self.camera.state,
            since=self.since_ms,
            reason=failed or self.camera.reason,
            model=self._model,
            model_sha256=self.detector.sha256,
            labels=[self.detector.names[key] for key in sorted(self.detector.names)],
            size=self._size,
            preview=self.config.pictures_may_leave,
            health=self._ailments.told,
        )

    def end(self) -> None:
        """Ask `run` to finish the frame at hand, close, and return."""
        self._ending = True

    @property
    def is_behind(self) -> bool:
        """True while what is judged is older than `BEHIND_SECONDS`: showing has to wait."""
        latest = self._minute.latencies[-5:]
        return bool(latest) and min(latest) > BEHIND_SECONDS

    @property
    def running_totals(self) -> Totals:
        """The running totals, as they grow."""
        return self._totals

    def totals(self) -> bytes:
        """Return the running totals as they are to be remembered."""
        return self._totals.snapshot()

    # ── the loop ──

    async def run(
        self,
        spool: SpoolWorker,
        watchdog: Watchdog,
        show: Callable[[wire.Live], None],
        changed: Callable[[], None],
    ) -> None:
        """Look at frames until `end`; then close what is open and store it."""
        loop = asyncio.get_running_loop()
        self.preview.send = lambda live: loop.call_soon_threadsafe(show, live)
        with ThreadPoolExecutor(1, f"follow {self.name}") as worker:
            await self._store(spool, [self._baseline()])
            self.camera.start()
            try:
                while not self._ending:
                    step = await loop.run_in_executor(worker, self.step)
                    watchdog.progress(f"infer {self.name}")
                    await self._store(spool, step.events)
                    if step.live:
                        show(step.live)
                    if self._ailments.unsaved:
                        await spool.remember(anchor_key(self.name), self._ailments.keep())
                    if step.tells:
                        changed()
                watchdog.forget(f"infer {self.name}")
                await self._store(spool, await loop.run_in_executor(worker, self.close))
            finally:
                await loop.run_in_executor(worker, self._stop)  # a dead address may hold it for seconds

    async def _store(self, spool: SpoolWorker, events: Sequence[wire.AnyEvent]) -> None:
        """Put events and the totals that they imply on disk, in one transaction."""
        if events:
            await spool.append(events, state={f"totals {self.name}": self.totals()})

    def step(self) -> Step:
        """Do one turn: at most one frame, and whatever the clock and the camera say."""
        if self._gate is not None:
            self._gate.open = self.watched or self.showing.wanted
        changed = self._take_model()
        sight = self._ahead.next()
        self._take_settings()
        events = changed + self._camera_events(sight.after)
        live = None
        if sight.frame is None:
            events += self._idle()
        else:
            tracks, seen = self._follow(sight.frame, sight.found)
            events += seen
            live = self._live(sight.frame, tracks)
            if tracks is not None and isinstance(sight.found, Detections):
                self.showing.offer(sight.frame, sight.found, tracks)
        self._tick = self._monotonic()
        tells = self._ailing_changed or any(isinstance(event, wire.CameraState) for event in events)
        self._ailing_changed = False
        ended = any(isinstance(event, wire.CameraState) and event.state == "ended" for event in events)
        # The end itself goes last: it is urgent, and takes the totals before it along at once.
        return Step(self._finish() + events if ended else events + self._minute_events(), live, tells)

    def close(self) -> list[wire.AnyEvent]:
        """Follow what was taken; end all tracks and the minute that runs; return their events."""
        return self._drained() + self._camera_events() + self._finish()

    def _stop(self) -> None:
        self.camera.stop()
        self._ahead.stop()
        self.showing.stop()

    def _finish(self) -> list[wire.AnyEvent]:
        """Nothing more will come: close what is open."""
        return [*self._analyst.close(self._now_ms()), self._tally()]

    def look(self, frame: Frame) -> tuple[Tracks | None, list[wire.AnyEvent]]:
        """Judge one frame that did not come from the camera."""
        changed = self._take_model()
        self._take_settings()
        tracks, events = self._follow(frame, self._ahead.judge(frame))
        return tracks, changed + events

    def _follow(
        self, frame: Frame, found: Detections | InferenceError
    ) -> tuple[Tracks | None, list[wire.AnyEvent]]:
        """Take one frame from its boxes to its events."""
        events = self._seam(frame)
        height, width = frame.image.shape[:2]
        self._size = (width, height)
        self._watch.calm(frame.calm)
        if not isinstance(found, InferenceError):
            found = self._second.refine(frame.image, found, frame.seconds)
        if isinstance(found, InferenceError):
            return None, events + self._unjudged(frame, found)
        self._watch.frame(frame.seconds)
        self._trouble.judged(self._monotonic())
        events += self._take_model_events()
        tracks = self._tracker.update(found[self._wanted(found.class_id)], frame.seconds, self._size)
        wall_ms = round(frame.wall * 1000)
        sharp = sharpness(frame.image, tracks.xyxy) if self._analyst.wants_sharpness else None
        said = self._second.judge(frame.image, tracks, sharp, self._analyst.undecided)
        judged = None if said is None else Judged(*said)
        events += self._analyst.update(
            tracks, tracks.ended, self._size, frame.seconds, wall_ms, sharp, judged
        )
        self._tell_gate(frame, self._attention(found))
        if self.camera.moving and self._ailments.look(frame.image, frame.seconds, wall_ms):
            self._ailing_changed = True
        self._minute.inferred += 1
        self.seen += 1
        age = max(self._wall() - frame.wall, 0.0)
        self._minute.latencies.append(age)
        self._ages.append(age)
        return tracks, events

    def _attention(self, found: Detections) -> Attention:
        """Return what the last look asks of the next."""
        width, height = self._size
        followed = len(self._tracker) + len(self._analyst)
        boxes = np.asarray(found.xyxy / np.array([width, height, width, height], np.float32), np.float32)
        return Attention(interval(self._tracker.motions(), self._borders, self._size), not followed, boxes)

    def _tell_gate(self, frame: Frame, attention: Attention) -> None:
        if self._gate is not None and frame.look:
            self._gate.tell(frame.look, attention)

    def _unjudged(self, frame: Frame, error: InferenceError) -> list[wire.AnyEvent]:
        """Drop a frame that the model could not judge; its time is blind, and what was followed ends soon."""
        self._tell_gate(frame, Attention(FASTEST, empty=False))
        self._watch.frame(frame.seconds, blind="model")
        self._minute.dropped += 1
        if self._trouble.failed(str(error), frame.seconds, self._monotonic()):
            log.warning("%s: frame %d dropped: %s", self.name, frame.number, error)
        events = self._take_model_events()
        since = self._trouble.since
        if since is not None and frame.seconds - since > FORGET_SECONDS and len(self._analyst):
            events += self._forget(round(frame.wall * 1000))
        return events

    def _model_changed(self, state: str, reason: str) -> None:
        """Tell what the model's failures make of the camera."""
        self.since_ms = self._now_ms()
        log.log(logging.WARNING if reason else logging.INFO, "%s: %s: %s", self.name, state, reason)
        told: wire.CameraStatus = "failed" if state == "failed" else "ok"
        self._model_events.append(wire.CameraState(self.since_ms, self.name, told, reason[:200]))

    def _take_model_events(self) -> list[wire.AnyEvent]:
        events = self._model_events
        self._model_events = []
        return events

    def _wanted(self, class_id: np.ndarray) -> np.ndarray:
        """Return which detections the settings let through. (N,) -> (N,) bool."""
        if not self._settings.labels:
            return np.ones(len(class_id), np.bool_)
        ids = [key for key, label in self.detector.names.items() if label in self._settings.labels]
        return np.isin(class_id, ids)

    def _seam(self, frame: Frame) -> list[wire.AnyEvent]:
        """A looped file begins again: what was in the picture is gone."""
        if frame.pass_ == self._pass:
            return []
        self._pass = frame.pass_
        return self._forget(round(frame.wall * 1000))

    def _take_model(self) -> list[wire.AnyEvent]:
        """Look with another model from the next frame on; return the events of what the old one followed.

        The camera stays open. What was in the picture ends, and is counted by what it was until then.
        """
        if self._next_detector is self.detector:
            return []
        events = self._drained()
        events += self._forget(self._now_ms())
        model = self._next_detector.path.stem
        log.info("%s: model %s in the place of %s", self.name, model, self._model)
        self._model = model
        self._look_with(self._next_detector)
        self.showing.privacy.know(self.detector.names)
        self._ailing_changed = True  # the state tells of the model
        return events

    def _drained(self) -> list[wire.AnyEvent]:
        """Follow what was taken and take no more; return its events."""
        events: list[wire.AnyEvent] = []
        for sight in self._ahead.rest():
            events += self._camera_events(sight.after)
            if sight.frame is not None:
                events += self._follow(sight.frame, sight.found)[1]
        return events

    def _take_settings(self) -> None:
        if self._next_detector is not self.detector:
            return  # they are for the other model
        settings = self._pending
        self._pending = None
        if settings is not None:
            self._settings = settings
            self.showing.privacy.add_zones(list(settings.privacy.values()))
            self._borders = Borders(settings)
            self._ailing_changed |= self._ailments.apply(settings)
            self._tracker.confident = settings.confidence
            self._second.allow(self.config.look_of(settings))
            self._analyst.apply(settings)

    # ── time, states, minutes ──

    def _now_ms(self) -> int:
        return round(self._wall() * 1000)

    def _minute_start(self) -> int:
        now = self._now_ms()
        return now - now % 60_000

    def _state_changed(self, change: StateChange) -> None:
        """Called from the capture thread."""
        self._changes.append((self.camera.captured, change))

    def _camera_events(self, until: float = math.inf) -> list[wire.AnyEvent]:
        """Return what the camera said before it had captured more than `until` frames."""
        events: list[wire.AnyEvent] = []
        while self._changes and self._changes[0][0] <= until:
            _, change = self._changes.popleft()
            self.since_ms = round(change.wall * 1000)
            log.info("%s: %s%s", self.name, change.state, f": {change.reason}" if change.reason else "")
            failed = self._trouble.reason if change.state == "ok" else ""  # it is back, but still not judged
            state: wire.CameraStatus = "failed" if failed else change.state
            reason = (failed or change.reason)[:200]
            events.append(wire.CameraState(self.since_ms, self.name, state, reason))
        return events

    def _idle(self) -> list[wire.AnyEvent]:
        """No frame came: book the time; end what was in the picture when it cannot be followed any more."""
        seconds = self._monotonic() - self._tick
        calm = self.camera.take_calm()
        if calm:
            self._watch.calm(calm)
        elif self.camera.state == "ok":
            self._watch.waited(seconds)
        else:
            self._watch.missed(self.camera.state, seconds)
        if self._watch.silent <= FORGET_SECONDS or not len(self._analyst):
            return []
        return self._forget(self._now_ms())

    def _forget(self, wall_ms: int) -> list[wire.AnyEvent]:
        """End everything that was followed; return its events."""
        self._tracker.clear()
        self._second.clear()
        return self._analyst.close(wall_ms)

    def _minute_events(self) -> list[wire.AnyEvent]:
        now = self._tick
        since, seen = self._rate
        if now - since >= 2.0:
            self.fps = (self.seen - seen) / (now - since)
            self._rate = (now, self.seen)
        return [self._tally()] if self._minute_start() != self._minute.start_ms else []

    def _baseline(self) -> wire.Tally:
        """Say, as of the minute before, from which totals this start goes on."""
        before = self._minute.start_ms - 60_000
        return self._analyst.tally(
            before, watched=0, blind={}, captured=0, inferred=0, dropped=0, p50=0, p95=0
        )

    def _tally(self) -> wire.Tally:
        """Close the minute that runs."""
        minute = self._minute
        self._minute = Minute(self._minute_start())
        captured = self.camera.captured
        dropped = self.camera.dropped
        skipped = self.camera.skipped
        held = self._gate.held if self._gate is not None else 0
        watched, blind = self._watch.take()
        looked = self._second.take()
        p50, p95 = np.percentile(minute.latencies or [0.0], [50, 95]) * 1000
        tally = self._analyst.tally(
            minute.start_ms,
            watched=watched,
            blind=blind,
            captured=captured - self._captured,
            inferred=minute.inferred,
            dropped=dropped - self._dropped + minute.dropped,
            p50=round(p50),
            p95=round(p95),
            skipped=skipped - self._skipped,
            level=minute.level,
            held=held - self._held,
            looked=looked.regions,
            oldest=round(looked.oldest * 1000),
        )
        self._held = held
        self._minute.level = self.budget.level
        self._skipped = skipped
        self._captured = captured
        self._dropped = dropped
        return tally

    # ── what a viewer sees ──

    def _live(self, frame: Frame, tracks: Tracks | None) -> wire.Live | None:
        """Return this frame's boxes if somebody watches and it is time for some."""
        now = self._monotonic()
        if tracks is None or not self.watched or now < self._next_boxes:
            return None
        self._next_boxes = now + BOXES_INTERVAL
        return wire.Live(round(frame.wall * 1000), self.name, rows(tracks, self._size))
