"""What a camera's looks may cost: limits on CPU, heat and the age of a frame, and levels that keep to them.

Invariants:

* A level says how many looks a second there are at most; nothing else is held back, and by level 0 nothing.
* It goes up by one after two samples in a row over a limit, and down by one after STEP_DOWN seconds in which
  all is clear of every limit, and would be at the lower level too, as far as that can be reckoned.
* It never flaps: a step up soon after a step down makes the next step down wait twice as long. A box warms up
  over minutes, so heat that comes back within a quarter of an hour is soon.
* A reading that the box does not have limits nothing.

     level      0       1       2       3
     looks/s   12       6       4       2     at most, of what follows or undecided objects ask for
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

INTERVALS = (0.08, 1 / 6, 1 / 4, 1 / 2)  # seconds between two looks at least, by level
SAMPLE_SECONDS = 2.0
OVER = 2  # samples in a row
STEP_DOWN = 6.0
CLEAR = 0.85  # of the limit on CPU and age
COOLER = 3  # degrees below the limit
SOON = 60.0  # seconds after a step down, in which a step up shows that it was too early,
SOON_HOT = 900.0  # and where the step up is for heat
LONGEST = 32  # times STEP_DOWN


class BudgetConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of the box's owner; 0: none."""

    cpu_percent: Annotated[int, Meta(ge=0, le=100)] = 0  # of the cores that the agent may use
    temperature: Annotated[int, Meta(ge=0, le=150)] = 85  # degrees Celsius
    age_ms: Annotated[int, Meta(ge=0, le=60_000)] = 1000  # from the camera to the count, 95 % of the frames


def narrowed(limits: BudgetConfig, share: float | None) -> BudgetConfig:
    """Return the owner's limits with the share of the CPU, 0..1, that the centre allows, if it is less."""
    if share is None:
        return limits
    percent = max(1, round(100 * share))
    owners = limits.cpu_percent or 100
    return replace(limits, cpu_percent=min(percent, owners))


@dataclass(frozen=True, slots=True)
class Reading:
    """Percent of the usable cores, degrees, 95th percentile of a frame's age; None: it cannot be known."""

    cpu_percent: float | None = None
    temperature: float | None = None
    age_ms: float | None = None


@dataclass(slots=True)
class Budget:
    """One camera's level, and why it is not 0."""

    limits: BudgetConfig
    level: int = 0
    why: str = ""
    _over: int = 0
    _clear_since: float | None = None
    _patience: float = field(default=STEP_DOWN)
    _stepped_down: float = field(default=-SOON_HOT)

    @property
    def warning(self) -> str:
        """What is held back and why, a sentence; empty at level 0."""
        if not self.level:
            return ""
        most = len(INTERVALS) - 1
        return (
            f"looks at most {1 / self.interval:.0f} times a second (level {self.level} of {most}): {self.why}"
        )

    @property
    def interval(self) -> float:
        """The least seconds between two looks."""
        return INTERVALS[self.level]

    def update(self, reading: Reading, now: float) -> bool:
        """Take a sample at `now`, monotonic seconds; return whether the level has changed."""
        before = self.level
        reason = self._exceeded(reading)
        if reason:
            self.why = reason if self.level or self._over else self.why
            self._clear_since = None
            self._over += 1
            if self._over >= OVER and self.level < len(INTERVALS) - 1:
                self._up(reason, SOON_HOT if self._too_hot(reading) else SOON, now)
        elif self.level and self._is_clear(reading):
            self._over = 0
            self._clear_since = now if self._clear_since is None else self._clear_since
            if now - self._clear_since >= self._patience:
                self._down(now)
        else:
            self._over = 0
            self._clear_since = None
        return self.level != before

    def _up(self, reason: str, soon: float, now: float) -> None:
        self.level += 1
        self.why = reason
        self._over = 0
        early = now - self._stepped_down < soon
        self._patience = min(2 * self._patience, LONGEST * STEP_DOWN) if early else STEP_DOWN

    def _down(self, now: float) -> None:
        self.level -= 1
        self.why = self.why if self.level else ""
        self._clear_since = now
        self._stepped_down = now

    def _too_hot(self, reading: Reading) -> bool:
        return bool(self.limits.temperature) and (reading.temperature or 0) > self.limits.temperature

    def _exceeded(self, reading: Reading) -> str:
        """Return in words which limit is exceeded, empty where none is."""
        rows = (
            (reading.temperature, self.limits.temperature, "the box is at {:.0f} degrees, the limit is {}"),
            (
                reading.age_ms,
                self.limits.age_ms,
                "frames are {:.0f} ms old when they are counted, the limit is {}",
            ),
            (reading.cpu_percent, self.limits.cpu_percent, "{:.0f} % of the CPU are used, the limit is {}"),
        )
        said = [text.format(value, limit) for value, limit, text in rows if limit and value and value > limit]
        return said[0] if said else ""

    def _is_clear(self, reading: Reading) -> bool:
        """Tell whether all is clear of every limit, with the CPU that the lower level would take."""
        more = INTERVALS[self.level] / INTERVALS[self.level - 1]
        cool = (reading.temperature or 0) <= self.limits.temperature - COOLER or not self.limits.temperature
        young = (reading.age_ms or 0) <= CLEAR * self.limits.age_ms or not self.limits.age_ms
        cheap = (reading.cpu_percent or 0) * more <= self.limits.cpu_percent or not self.limits.cpu_percent
        return cool and young and cheap
