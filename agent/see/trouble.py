"""A model that cannot judge: one frame is dropped; three in a row and the camera has failed, until one is
judged.

Invariants: a model ends neither its camera nor another; each change is told, and told again after fifty in a
row.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.see.flaps import Flaps

FAILED_AFTER = 3  # frames in a row
HOPELESS_AFTER = 50


class Trouble:
    """Count a model's failures in a row, and say what they make of the camera: `reason` is empty while it
    judges. `note`: what is to be told beside a camera that is ok.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self.reason = ""
        self.note = ""
        self.since: float | None = None  # the camera's seconds of the first frame in this row
        self._row = 0
        self._flaps = Flaps(tell)

    def judged(self, now: float) -> None:
        """A frame was judged at `now`, monotonic seconds."""
        self.since = None
        self._row = 0
        if self.reason:
            self.reason = ""
            self._flaps.become("ok", self.note, now)

    @property
    def is_hopeless(self) -> bool:
        """True while so many frames in a row were not judged that waiting helps no more."""
        return self._row >= HOPELESS_AFTER

    def failed(self, error: str, seconds: float, now: float) -> bool:
        """A frame of the camera's `seconds` was not judged; return whether that is worth a line in the
        log.
        """
        self.since = seconds if self.since is None else self.since
        self._row += 1
        if self._row < FAILED_AFTER:
            return self._row == 1
        if self._row == FAILED_AFTER:
            self.reason = f"the model cannot judge the pictures: {error}"
        elif self._row == HOPELESS_AFTER:
            advice = "choose another model, or the one before"
            self.reason = f"the model has failed {HOPELESS_AFTER} times in a row ({error}); {advice}"
        self._flaps.become("failed", self.reason, now)
        return self._row == HOPELESS_AFTER
