"""Both looks as one detector, so that whatever judges a model judges it with the second look too."""

from __future__ import annotations

from pathlib import Path

from agent.boxes import Detections, Uint8
from agent.look import SecondLook
from agent.see.infer import Detector


class Twice(Detector):
    """A detector that looks twice at each picture; `judge` is the path of a judge of faces, or None."""

    def __init__(self, path: str | Path, confidence: float, judge: Path | None = None) -> None:
        super().__init__(path, confidence)
        self._look = SecondLook(Detector(path, confidence), judge)

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what both looks see in a picture (H,W,3) BGR, best first."""
        return self._look.detect(image_bgr)
