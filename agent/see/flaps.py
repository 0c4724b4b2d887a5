"""How often a change of state is told: a camera that comes and goes each second is told as such, not each
time.

Invariant: at most six changes at once, and one more each twenty seconds; what was not told is counted and
told with the next. The end is always told.
"""

from __future__ import annotations

from collections.abc import Callable

AT_ONCE = 6
REFILL_SECONDS = 20.0


class Flaps:
    """Let changes through, as many as are worth reading."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._now: tuple[str, str] | None = None
        self._left = float(AT_ONCE)
        self._filled = 0.0
        self._held = 0
        self._held_since = 0.0

    def become(self, state: str, reason: str, now: float) -> None:
        """Take what holds at `now`, monotonic seconds; tell it if it is new, or was held back, and may be
        told.
        """
        changed = (state, reason) != self._now
        if not changed and not self._held:
            return
        self._left = min(self._left + (now - self._filled) / REFILL_SECONDS, AT_ONCE)
        self._filled = now
        self._now = (state, reason)
        if state == "ended" or self._left >= 1:
            self._left -= 1
            self._tell(state, self._with_count(reason, now))
            self._held = 0
        elif changed:
            self._held_since = now if not self._held else self._held_since
            self._held += 1

    def _with_count(self, reason: str, now: float) -> str:
        """Add to a reason how many changes were not told."""
        if not self._held:
            return reason
        text = f"it changed {self._held} times in {max(now - self._held_since, 1):.0f} s"
        return f"{reason}; {text}" if reason else text
