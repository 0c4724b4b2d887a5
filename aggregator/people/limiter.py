"""Failed logins within a minute: who guesses has to wait."""

from __future__ import annotations

from collections import OrderedDict

from aggregator.people.identity import Refused

FAILURES = 10
FAILURES_OF_ALL = 100  # users behind one address together: a proxy may stand in front of many
_WINDOW_SECONDS = 60.0
_KEYS = 10_000


class Limiter:
    """Failed logins within a minute, by any key; the oldest keys are forgotten first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, key: str, at: float, most: int = FAILURES) -> None:
        """Raise Refused if there were too many failures under this key."""
        recent = [moment for moment in self._failures.get(key, []) if at - moment < _WINDOW_SECONDS]
        if len(recent) >= most:
            raise Refused(429, "too_many_attempts", "Too many failed logins; wait a minute")

    def fail(self, key: str, at: float) -> None:
        """Note a failure."""
        recent = [moment for moment in self._failures.pop(key, []) if at - moment < _WINDOW_SECONDS]
        self._failures[key] = [*recent[-FAILURES_OF_ALL:], at]
        while len(self._failures) > _KEYS:
            self._failures.popitem(last=False)
