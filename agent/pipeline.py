"""The loop that is the product, once for each camera.

newest frame -> infer -> look again -> track -> analyse

What always holds:

* Inference runs ahead on threads of its own (`agent.see.prefetch`); frames come back in order. Everything
  between a frame's boxes and its events is plain calls on one thread (`agent.follow`). New settings, minute
  boundaries and camera states are taken up between two frames, so nothing here needs a lock.
* Nothing here waits for a disk or a network: `agent.camera_loop` stores what a turn gave.
* What the camera said comes after the frames that it gave before, and before those that it gave later.
* Each second is accounted for (`agent.minute`): watched, or blind with a reason.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from agent import wire
from agent.boxes import Detections
from agent.budget import Budget, BudgetConfig, Reading, narrowed
from agent.camera_states import CameraStates
from agent.config import CameraConfig, PrivacyConfig
from agent.count.analyst import FORGET_SECONDS, Totals
from agent.follow import Follower
from agent.minute import Minutes
from agent.model_choice import ModelChoice
from agent.preview import Preview
from agent.see.ailments import Ailments
from agent.see.capture import Camera
from agent.see.gate import Gate
from agent.see.infer import Detector, InferenceError
from agent.see.prefetch import OrderedDetector
from agent.see.slot import Frame
from agent.show.departures import Departures
from agent.show.faces import Faces, Look
from agent.show.privacy import Privacy
from agent.show.showing import Showing
from agent.track.tracker import Tracks
from agent.turn import Step, Witness

_LOG = logging.getLogger(__name__)

TAKE_SECONDS = 0.5


class Pipeline:
    """One camera's loop, a turn at a time; `agent.camera_loop` runs it.

    Args:
        name: the camera's name on this box.
        camera: what its owner has configured.
        detector: the model.
        settings: what is counted, until `apply`.
        totals: the running totals as they were; they grow.
        workers: how many frames are judged at a time where the config does not say.
        anchor: where the camera looked before the start.
        departures, faces: the log of pictures that leave, and what finds faces to cover in them.
        limits: what the looks of the box may cost.
        wall, monotonic: Unix seconds of now; seconds of a clock that only grows.
    """

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
        self.running_totals = totals
        self._wall = wall
        self._monotonic = monotonic
        self._limits = limits or BudgetConfig()
        self.budget = Budget(narrowed(self._limits, settings.budget))
        self._states = CameraStates(name, wall)
        self._gate = Gate() if camera.gate else None
        self.camera = _open_camera(name, camera, self._gate, self._states)
        self.minutes = Minutes(self.camera, self._gate, wall, monotonic)
        self._ailments = Ailments(name, settings, anchor)
        self._ailing_changed = False
        owner = list(camera.privacy.values())
        privacy = Privacy(camera.manner, owner, detector.names, faces or Faces(PrivacyConfig().model_path))
        privacy.add_zones(list(settings.privacy.values()))
        self.showing = Showing(name, privacy, departures or Departures(), monotonic)
        self.preview = Preview(name, monotonic)
        self.showing.add(self.preview)
        self._workers = camera.workers or workers
        self._pending: deque[wire.CameraSettings] = deque(maxlen=1)  # for the camera's thread to take
        self._choice = ModelChoice(detector, self._states.trouble)
        self._model = detector.path.stem if settings.model else camera.model_path.stem
        self._look_with(detector, settings)
        self.witnesses: tuple[Witness, ...] = ()
        self.ending = False
        self._tick = monotonic()

    def _look_with(self, detector: Detector, settings: wire.CameraSettings) -> None:
        """Make all that depends on the model; running totals are none of it."""
        self.detector = detector
        self._ahead = OrderedDetector(self.camera, detector.detect, self._workers, TAKE_SECONDS)
        self.follower = Follower(
            self.name,
            self.config,
            settings,
            detector,
            self.running_totals,
            self._gate,
            self.minutes,
            self._states,
            self._monotonic,
        )

    # ── what others may ask or tell, from the event loop ──

    def apply(self, settings: wire.CameraSettings, detector: Detector | None = None) -> None:
        """Take new lines and thresholds from the next frame on, and another model; nothing is zeroed."""
        self._choice.want(detector)
        self._pending.append(settings)
        self.budget.limits = narrowed(self._limits, settings.budget)

    def watch(self, seconds: float, picture: bool, who: str = "", role: str = "operator") -> None:
        """Give live boxes (and pictures, where its owner allows) for so many seconds."""
        self.preview.watch(seconds, picture and self.config.pictures_may_leave, who, role)

    def hold(self, cpu_percent: float, temperature: float | None) -> bool:
        """Keep to the budget; return whether its level has changed."""
        reading = Reading(cpu_percent, temperature, self.minutes.take_age_ms())
        changed = self.budget.update(reading, self._monotonic())
        if self._gate is not None:
            self._gate.pace = self.budget.interval
        self.minutes.held_back(self.budget.level)
        if changed:
            _LOG.warning("%s: %s", self.name, self.budget.warning or "nothing is held back any more")
        return changed

    @property
    def watched(self) -> bool:
        """True while somebody watches."""
        return self.preview.watched

    def report(self) -> wire.CameraReport:
        """Return the camera as the node's state shows it."""
        state, reason = self._states.shown(self.camera.state, self.camera.reason)
        return wire.CameraReport(
            camera=self.name,
            state=state,
            since=self._states.since_ms,
            reason=reason,
            model=self._model,
            model_sha256=self.detector.sha256,
            labels=[self.detector.names[key] for key in sorted(self.detector.names)],
            size=self.follower.size,
            preview=self.config.pictures_may_leave,
            health=self._ailments.told,
        )

    def take_anchor(self) -> bytes | None:
        """Return what is to be remembered of where the camera looks, None while it is."""
        return self._ailments.keep() if self._ailments.unsaved else None

    def end(self) -> None:
        """Ask for an end: the frame at hand is finished, and all that is open is closed."""
        self.ending = True

    def step(self) -> Step:
        """Do one turn: at most one frame, and whatever the clock and the camera say."""
        if self._gate is not None:
            self._gate.open = self.watched or self.showing.wanted
        changed = self._take_model()
        sight = self._ahead.next()
        self._take_settings()
        events = changed + self._states.of_camera(sight.after)
        live = None
        if sight.frame is None:
            events += self._idle()
        else:
            tracks, seen = self._follow(sight.frame, sight.found)
            events += seen
            if tracks is not None and isinstance(sight.found, Detections):
                live = self.preview.boxes(sight.frame, tracks, self.follower.size)
                self.showing.offer(sight.frame, sight.found, tracks)
        self._tick = self._monotonic()
        tells = self._ailing_changed or any(isinstance(event, wire.CameraState) for event in events)
        self._ailing_changed = False
        # The end itself goes last: it is urgent, and takes the totals before it along at once.
        if any(isinstance(event, wire.CameraState) and event.state == "ended" for event in events):
            return Step(self._finish() + events, live, tells)
        minute = [self.tally()] if self.minutes.is_over(self._tick) else []
        return Step([*events, *minute], live, tells)

    def close(self) -> list[wire.AnyEvent]:
        """Follow what was taken; end all tracks and the minute that runs; return their events."""
        return self._drained() + self._states.of_camera() + self._finish()

    def look(self, frame: Frame) -> tuple[Tracks | None, list[wire.AnyEvent]]:
        """Judge one frame that did not come from the camera."""
        changed = self._take_model()
        self._take_settings()
        tracks, events = self._follow(frame, self._ahead.judge(frame))
        return tracks, changed + events

    def tally(self) -> wire.Tally:
        """Close the minute that runs."""
        told = self.minutes.close(self.follower.analyst, self.follower.take_looked())
        self.minutes.held_back(self.budget.level)
        return told

    def _follow(
        self, frame: Frame, found: Detections | InferenceError
    ) -> tuple[Tracks | None, list[wire.AnyEvent]]:
        """Take one frame from its boxes to its events, and see what ails the camera."""
        tracks, events = self.follower.follow(frame, found)
        self._choice.saw(self.detector, judged=tracks is not None)
        if tracks is not None and isinstance(found, Detections):
            for witness in self.witnesses:
                witness.saw(frame, found, tracks)
        is_looked_at = tracks is not None and self.camera.moving
        if is_looked_at and self._ailments.look(frame.image, frame.seconds, round(frame.wall * 1000)):
            self._ailing_changed = True
        return tracks, events

    def stop(self) -> None:
        """Close the camera, end the workers, and let nobody watch any more."""
        self.camera.stop()
        self._ahead.stop()
        self.showing.stop()

    def _finish(self) -> list[wire.AnyEvent]:
        """Nothing more will come: close what is open."""
        return [*self.follower.analyst.close(round(self._wall() * 1000)), self.tally()]

    def _take_model(self) -> list[wire.AnyEvent]:
        """Look with another model from the next frame on; return the events of what the old one followed.

        The camera stays open. What was in the picture ends, and is counted by what it was until then.
        """
        chosen = self._choice.next
        if chosen is self.detector:
            return []
        events = self._drained()
        events += self.follower.forget(round(self._wall() * 1000))
        model = chosen.path.stem
        _LOG.info("%s: model %s replaces %s", self.name, model, self._model)
        self._model = model
        self._look_with(chosen, self.follower.settings)
        self.showing.privacy.know(self.detector.names)
        self._ailing_changed = True  # the state tells of the model
        return events

    def _drained(self) -> list[wire.AnyEvent]:
        """Follow what was taken and take no more; return its events."""
        events: list[wire.AnyEvent] = []
        for sight in self._ahead.rest():
            events += self._states.of_camera(sight.after)
            if sight.frame is not None:
                events += self._follow(sight.frame, sight.found)[1]
        return events

    def _take_settings(self) -> None:
        if self._choice.next is not self.detector:
            return  # they are for the other model
        if self._pending:
            settings = self._pending.pop()
            self.showing.privacy.add_zones(list(settings.privacy.values()))
            self._ailing_changed |= self._ailments.apply(settings)
            self.follower.apply(settings)

    def _idle(self) -> list[wire.AnyEvent]:
        """No frame came: book the time; end what was in the picture when it cannot be followed any more."""
        silent = self.minutes.idle(self._monotonic() - self._tick)
        if silent <= FORGET_SECONDS or not len(self.follower.analyst):
            return []
        return self.follower.forget(round(self._wall() * 1000))


def _open_camera(name: str, config: CameraConfig, gate: Gate | None, states: CameraStates) -> Camera:
    return Camera(
        name,
        config.source,
        pace=config.pace,
        loop=config.loop,
        on_state=states.changed,
        wish=config.wish,
        gate=gate,
    )
