"""Count aside: what one model's boxes come to, by a tracker and totals that nobody keeps."""

from __future__ import annotations

from collections import Counter

import numpy as np

from agent import wire
from agent.boxes import Detections
from agent.count.analyst import Analyst, Totals
from agent.see.infer import Detector
from agent.see.sharpness import sharpness
from agent.see.slot import Frame
from agent.track.tracker import make_tracker


class Aside:
    """One model's counts on a camera's settings. `detector`: whose boxes they are."""

    def __init__(self, camera: str, settings: wire.CameraSettings, detector: Detector) -> None:
        self.detector = detector
        self.boxes: Counter[str] = Counter()
        self.totals = Totals()
        self._settings = settings
        self._analyst = Analyst(camera, settings, detector.names, self.totals)
        self._tracker = make_tracker(
            settings.confidence, detector.names, about_state=self._analyst.wants_sharpness
        )
        wanted = settings.labels or detector.names.values()
        self._ids = np.asarray([key for key, label in detector.names.items() if label in wanted], np.int64)
        self._pass = 0

    @property
    def labels(self) -> set[str]:
        """What this model can tell."""
        return set(self.detector.names.values())

    def follow(self, frame: Frame, found: Detections) -> None:
        """Take one frame's boxes, as the camera's own loop would."""
        if frame.pass_ != self._pass:
            self._pass = frame.pass_
            self.close(frame.wall)
        height, width = frame.image.shape[:2]
        found = found[np.isin(found.class_id, self._ids)]
        sure = found.class_id[found.confidence >= self._settings.confidence]
        self.boxes.update(self.detector.names[kind] for kind in sure.tolist())
        tracks = self._tracker.update(found, frame.seconds, (width, height))
        sharp = sharpness(frame.image, tracks.xyxy) if self._analyst.wants_sharpness else None
        wall_ms = round(frame.wall * 1000)
        self._analyst.update(tracks, tracks.ended, (width, height), frame.seconds, wall_ms, sharp)

    def close(self, wall: float) -> None:
        """End what is followed. `wall`: Unix seconds."""
        self._tracker.clear()
        self._analyst.close(round(wall * 1000))

    def crossings(self) -> Counter[tuple[str, str, str]]:
        """Return how many crossed, by line, direction and label."""
        found: Counter[tuple[str, str, str]] = Counter()
        for (line, _version, direction, label), count in self.totals.rows.items():
            found[line, direction, label] += count
        return found
