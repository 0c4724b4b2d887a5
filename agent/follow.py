"""One frame from its boxes to its events: look again, track, analyse.

What always holds:

* Plain calls on one thread; no clock but for the log: a frame brings its own time.
* A frame that the model cannot judge is counted as dropped and its time is blind; it never ends the loop.
* Nothing is followed over a seam: where a recording begins again, what was in the picture ends.

      frame, boxes ─▶ second look ─▶ tracker ─▶ analyst ─▶ events
                                        └──▶ gate: how soon the next look is needed
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.boxes import Detections
from agent.camera_states import CameraStates
from agent.config import CameraConfig
from agent.count.analyst import FORGET_SECONDS, Analyst, Totals
from agent.count.attention import Borders, interval
from agent.count.vote import Judged
from agent.look.judge import open_judge
from agent.look.live import CameraLook
from agent.look.stage import Looked
from agent.look.still import leans
from agent.minute import Minutes
from agent.see.gate import FASTEST, Attention, Gate
from agent.see.infer import Detector, InferenceError
from agent.see.sharpness import sharpness
from agent.see.slot import Frame
from agent.track.tracker import Tracks, make_tracker

_LOG = logging.getLogger(__name__)


class Follower:
    """Follow one camera's frames.

    Args:
        name: the camera's name.
        camera: what its owner has configured.
        settings: what is counted.
        detector: the model; it also takes the second look.
        totals: the running totals; they grow.
        gate: told how soon the next look is needed; None: every frame is looked at.
        minutes: told what became of each frame.
        states: told whether the model judges.
        monotonic: the seconds by which states are told.
    """

    def __init__(
        self,
        name: str,
        camera: CameraConfig,
        settings: wire.CameraSettings,
        detector: Detector,
        totals: Totals,
        gate: Gate | None,
        minutes: Minutes,
        states: CameraStates,
        monotonic: Callable[[], float],
    ) -> None:
        self.size = (0, 0)  # width, height of the last frame in pixels
        self.analyst = Analyst(name, settings, detector.names, totals)
        self._name = name
        self._camera = camera
        self.settings = settings
        self._names = detector.names
        judge = open_judge(camera.judge, list(detector.names.values()))
        self._faces = leans(detector.names)
        budget = camera.look_of(settings, faces=self._faces)
        self._second = CameraLook(detector, budget, judge, threads=camera.threads)
        self._gate = gate
        self._minutes = minutes
        self._states = states
        self._monotonic = monotonic
        self._draw(settings)
        self._tracker = make_tracker(
            settings.confidence, detector.names, about_state=self.analyst.wants_sharpness
        )
        self._pass = 0

    def apply(self, settings: wire.CameraSettings) -> None:
        """Take new lines and thresholds from the next frame on; nothing is zeroed."""
        self.settings = settings
        self._draw(settings)
        self._tracker.confident = settings.confidence
        self._second.allow(self._camera.look_of(settings, faces=self._faces))
        self.analyst.apply(settings)

    def follow(
        self, frame: Frame, found: Detections | InferenceError
    ) -> tuple[Tracks | None, list[wire.AnyEvent]]:
        """Return a frame's tracks, None where it could not be judged, and its events."""
        events = self._seam(frame)
        height, width = frame.image.shape[:2]
        self.size = (width, height)
        self._minutes.ledger.calm(frame.calm)
        if not isinstance(found, InferenceError):
            found = self._second.refine(frame.image, found, frame.seconds)
        if isinstance(found, InferenceError):
            return None, events + self._unjudged(frame, found)
        self._minutes.ledger.frame(frame.seconds)
        self._states.trouble.judged(self._monotonic())
        events += self._states.of_model()
        tracks = self._tracker.update(found[self._is_wanted(found.class_id)], frame.seconds, self.size)
        events += self._analyse(frame, tracks)
        self._tell_gate(frame, self._attention(found))
        self._minutes.judged(frame.wall)
        return tracks, events

    def _draw(self, settings: wire.CameraSettings) -> None:
        """Take lines and zones: where a look can change a count."""
        self._borders = Borders(settings)
        if self._gate is not None and self._camera.region:
            self._gate.region = self._borders.region

    def take_looked(self) -> Looked:
        """Return what the second look did since the last call."""
        return self._second.take()

    def forget(self, wall_ms: int) -> list[wire.AnyEvent]:
        """End everything that was followed; return its events."""
        self._tracker.clear()
        self._second.clear()
        return self.analyst.close(wall_ms)

    def _analyse(self, frame: Frame, tracks: Tracks) -> list[wire.AnyEvent]:
        """Return what happened in a frame, by its tracks."""
        sharp = sharpness(frame.image, tracks.xyxy) if self.analyst.wants_sharpness else None
        said = self._second.judge(frame.image, tracks, sharp, self.analyst.undecided)
        judged = None if said is None else Judged(*said)
        wall_ms = round(frame.wall * 1000)
        return self.analyst.update(tracks, tracks.ended, self.size, frame.seconds, wall_ms, sharp, judged)

    def _attention(self, found: Detections) -> Attention:
        """Return what the last look asks of the next."""
        width, height = self.size
        followed = len(self._tracker) + len(self.analyst)
        boxes = np.asarray(found.xyxy / np.array([width, height, width, height], np.float32), np.float32)
        return Attention(interval(self._tracker.motions(), self._borders, self.size), not followed, boxes)

    def _tell_gate(self, frame: Frame, attention: Attention) -> None:
        if self._gate is not None and frame.look:
            self._gate.tell(frame.look, attention)

    def _unjudged(self, frame: Frame, error: InferenceError) -> list[wire.AnyEvent]:
        """Drop a frame that the model could not judge; its time is blind, and what was followed ends soon."""
        trouble = self._states.trouble
        self._tell_gate(frame, Attention(FASTEST, empty=False))
        self._minutes.unjudged(frame.seconds)
        if trouble.failed(str(error), frame.seconds, self._monotonic()):
            _LOG.warning("%s: frame %d dropped: %s", self._name, frame.number, error)
        events = self._states.of_model()
        if trouble.since is not None and frame.seconds - trouble.since > FORGET_SECONDS and len(self.analyst):
            events += self.forget(round(frame.wall * 1000))
        return events

    def _is_wanted(self, class_id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which detections the settings let through. (N,) -> (N,) bool."""
        if not self.settings.labels:
            return np.ones(len(class_id), np.bool_)
        ids = [key for key, label in self._names.items() if label in self.settings.labels]
        return np.isin(class_id, ids)

    def _seam(self, frame: Frame) -> list[wire.AnyEvent]:
        """A looped file begins again: what was in the picture is gone."""
        if frame.pass_ == self._pass:
            return []
        self._pass = frame.pass_
        return self.forget(round(frame.wall * 1000))
