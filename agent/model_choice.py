"""Which model looks at a camera: the wanted one, or the one before it where that cannot judge.

    wanted ──▶ looks ── fifty failures in a row ──▶ the one that judged last looks again
                 ▲                                               │
                 └─────── another one is wanted, or this anew ◀──┘   (not the same document with other lines)

What always holds: a model that has never judged a picture is returned to by nobody; a camera that has no
better one stays with what it has, and says so. It is asked on the event loop, and sees on the camera's
thread.
"""

from __future__ import annotations

import threading

from agent.see.infer import Detector
from agent.see.trouble import Trouble


class ModelChoice:
    """One camera's choice. `next`: what is to look from the next frame on."""

    def __init__(self, detector: Detector, trouble: Trouble) -> None:
        self.next = detector
        self._trouble = trouble
        self._proven: Detector | None = None
        self._failed: Detector | None = None
        self._lock = threading.Lock()

    def want(self, detector: Detector | None) -> None:
        """Take what is wanted now; None: as before. What has failed is not tried again for another line."""
        with self._lock:
            if detector is None or detector is self._failed:
                return
            self.next = detector
            self._failed = None
            self._trouble.note = ""

    def saw(self, detector: Detector, *, judged: bool) -> None:
        """Note whether a model has judged a frame; go back where it is hopeless and another one was not."""
        with self._lock:
            if self.next is detector:  # else it is on its way out
                self._saw(detector, judged)

    def _saw(self, detector: Detector, judged: bool) -> None:
        if judged:
            self._proven = detector
        elif self._trouble.is_hopeless and self._proven is not None and self._proven is not detector:
            self._failed = detector
            self.next = self._proven
            self._trouble.note = (
                f"the model {detector.path.stem} failed too often in a row: {self.next.path.stem}, which "
                "judged before, looks again; choose a model"
            )
