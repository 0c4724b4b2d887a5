"""What is drawn onto pictures that leave: the camera's lines, and what was counted at them today."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from agent.boxes import Uint8
from agent.command import Desired
from agent.pipeline import Pipeline
from agent.show.annotate import annotated
from agent.show.showing import Shown
from agent.today import Today


class Marks:
    """The drawings of one box's cameras."""

    def __init__(self, pipelines: Mapping[str, Pipeline], desired: Desired, today: Today) -> None:
        self._pipelines = pipelines
        self._desired = desired
        self._today = today

    def lines(self, camera: str) -> dict[str, list[tuple[float, float]]]:
        """Return the points of a camera's lines by name."""
        return {name: line.points for name, line in self._desired.settings(camera).lines.items()}

    def counts(self, camera: str) -> Counter[str]:
        """Return what was counted today at each line."""
        counts: Counter[str] = Counter()
        for line, _, _, number in self._today.figures(time.time())[camera].rows:
            counts[line] += number
        return counts

    def draw(self, camera: str, shown: Shown) -> Uint8:
        """Return a copy of a picture with boxes, lines and counts."""
        names = self._pipelines[camera].detector.names
        return annotated(shown, names, self.lines(camera), self.counts(camera))
