"""A minute's account: each second is watched, or blind with a reason; each frame judged, or dropped."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.count.analyst import GAP_SECONDS


class Ledger:
    """Where a minute's time went. `frame` takes the camera's time, the other methods durations by the
    wall's clock.
    """

    def __init__(self) -> None:
        self.watched = 0.0
        self.blind: dict[str, float] = {}
        self.silent = 0.0  # seconds without a frame until now
        self._waited = 0.0  # the part of it that is not booked: the camera may be merely slow
        self._last: float | None = None

    def frame(self, seconds: float, blind: str = "") -> None:
        """A frame came: the time since the one before was watched, unless it was a gap, or nobody could judge
        it.

        `seconds`: its time; `blind`: why it was not judged.
        """
        gap = 0.0 if self._last is None else seconds - self._last
        if gap > GAP_SECONDS:
            self._book("stalled", gap)
        elif blind:
            self._book(blind, gap)
        else:
            self.watched += gap
        self.silent = 0.0
        self._waited = 0.0
        self._last = seconds

    def calm(self, seconds: float) -> None:
        """For so long pictures came that were not worth a look: that was watched."""
        self.watched += seconds
        if self._last is not None:
            self._last += seconds
        if seconds:
            self.silent = 0.0
            self._waited = 0.0

    def waited(self, seconds: float) -> None:
        """No frame came, and nothing is known to be wrong."""
        self.silent += seconds
        self._waited += seconds

    def missed(self, reason: str, seconds: float) -> None:
        """The camera gave nothing, and this is why; so it was with what was waited before."""
        self.silent += seconds
        self._book(reason, self._waited + seconds)
        self._waited = 0.0
        self._last = None

    def _book(self, reason: str, seconds: float) -> None:
        self.blind[reason] = self.blind.get(reason, 0.0) + seconds

    def take(self) -> tuple[int, dict[str, int]]:
        """Return (watched, blind by reason) in milliseconds and begin anew."""
        watched = round(self.watched * 1000)
        blind = {why: round(seconds * 1000) for why, seconds in self.blind.items()}
        self.watched = 0.0
        self.blind = {}
        return watched, blind


@dataclass(slots=True)
class Minute:
    """The counters of the minute that runs."""

    start_ms: int
    captured: int = 0
    inferred: int = 0
    dropped: int = 0
    level: int = 0
    latencies: list[float] = field(default_factory=list)
