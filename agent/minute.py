"""A minute's account: each second is watched, or blind with a reason; each frame judged, or dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent import wire
from agent.count.analyst import GAP_SECONDS, Analyst
from agent.look.stage import Looked
from agent.percentile import percentile
from agent.see.capture import Camera
from agent.see.gate import Gate

MINUTE_MS = 60_000
RATE_SECONDS = 2.0
BEHIND_SECONDS = 2.0


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
            self._book("stalled", min(gap, MINUTE_MS / 1000))  # of the minutes before nobody tells
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
        blind = {
            why: milliseconds
            for why, seconds in self.blind.items()
            if (milliseconds := round(seconds * 1000))
        }
        self.watched = 0.0
        self.blind = {}
        return watched, blind


@dataclass(frozen=True, slots=True)
class Frames:
    """What the camera and its gate have counted since the start."""

    captured: int = 0
    dropped: int = 0
    skipped: int = 0
    held: int = 0

    def since(self, before: Frames) -> Frames:
        """Return what came since `before`."""
        return Frames(
            self.captured - before.captured,
            self.dropped - before.dropped,
            self.skipped - before.skipped,
            self.held - before.held,
        )


@dataclass(slots=True)
class Minute:
    """The counters of the minute that runs; `ages`: seconds from a frame's capture to its events."""

    start_ms: int
    inferred: int = 0
    dropped: int = 0
    level: int = 0
    ages: list[float] = field(default_factory=list)


class Minutes:
    """One camera's account, minute by minute.

    Args:
        camera: what counts frames that came.
        gate: what counts looks that were held back, or None.
        wall: Unix seconds; minutes begin by this clock.
        monotonic: seconds by which rates are measured.
    """

    def __init__(
        self, camera: Camera, gate: Gate | None, wall: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.ledger = Ledger()
        self.seen = 0  # frames judged since the start
        self.fps = 0.0  # of them, in each of the last seconds
        self._camera = camera
        self._gate = gate
        self._wall = wall
        self._minute = Minute(self._start())
        self._before = Frames()
        self._ages: list[float] = []  # since they were asked for
        self._rate = (monotonic(), 0)

    def judged(self, captured_at: float) -> None:
        """Count a frame that was judged; `captured_at`: Unix seconds."""
        age = max(self._wall() - captured_at, 0.0)
        self._minute.inferred += 1
        self._minute.ages.append(age)
        self._ages.append(age)
        self.seen += 1

    def unjudged(self, seconds: float) -> None:
        """Count a frame that the model could not judge, at `seconds` of the camera."""
        self.ledger.frame(seconds, blind="model")
        self._minute.dropped += 1

    def idle(self, seconds: float) -> float:
        """Book so many seconds without a frame; return for how long there was none."""
        calm = self._camera.take_calm()
        if calm:
            self.ledger.calm(calm)
        elif self._camera.state == "ok":
            self.ledger.waited(seconds)
        else:
            self.ledger.missed(self._camera.state, seconds)
        return self.ledger.silent

    def held_back(self, level: int) -> None:
        """Note the budget's level; a minute tells its highest."""
        self._minute.level = max(self._minute.level, level)

    def take_age_ms(self) -> float | None:
        """Return the 95th percentile of the frames' ages since the last call, None without a frame."""
        ages = self._ages
        self._ages = []
        return percentile(ages, 95) * 1000 if ages else None

    @property
    def is_behind(self) -> bool:
        """True while what is judged is older than `BEHIND_SECONDS`."""
        latest = self._minute.ages[-5:]
        return bool(latest) and min(latest) > BEHIND_SECONDS

    def is_over(self, now: float) -> bool:
        """Measure the rate at `now`, monotonic seconds; tell whether the minute that runs is over."""
        since, seen = self._rate
        if now - since >= RATE_SECONDS:
            self.fps = (self.seen - seen) / (now - since)
            self._rate = (now, self.seen)
        return self._start() != self._minute.start_ms

    def baseline(self, analyst: Analyst) -> wire.Tally:
        """Say, as of the minute before, from which totals this start goes on."""
        before = self._minute.start_ms - MINUTE_MS
        return analyst.tally(before, watched=0, blind={}, captured=0, inferred=0, dropped=0, p50=0, p95=0)

    def close(self, analyst: Analyst, looked: Looked) -> wire.Tally:
        """Close the minute that runs; `looked`: what the second look did in it."""
        minute = self._minute
        counted = self._counted()
        came = counted.since(self._before)
        watched, blind = self.ledger.take()
        ages = minute.ages or [0.0]
        self._before = counted
        self._minute = Minute(self._start())
        return analyst.tally(
            minute.start_ms,
            watched=watched,
            blind=blind,
            captured=came.captured,
            inferred=minute.inferred,
            dropped=came.dropped + minute.dropped,
            p50=round(percentile(ages, 50) * 1000),
            p95=round(percentile(ages, 95) * 1000),
            skipped=came.skipped,
            level=minute.level,
            held=came.held,
            looked=looked.regions,
            oldest=round(looked.oldest * 1000),
        )

    def _counted(self) -> Frames:
        camera = self._camera
        held = self._gate.held if self._gate is not None else 0
        return Frames(camera.captured, camera.dropped, camera.skipped, held)

    def _start(self) -> int:
        now = round(self._wall() * 1000)
        return now - now % MINUTE_MS
