"""Rates of what is counted: totals go in, amounts a second come out."""

from __future__ import annotations


class Rates:
    """Remembers the last total of each name."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def take(self, name: str, total: float, now: float) -> float | None:
        """Take a total at `now`, monotonic seconds; return the rate since the one before, None if unknown."""
        before = self._before.get(name)
        self._before[name] = (total, now)
        if before is None or now <= before[1] or total < before[0]:  # less: the counter has begun anew
            return None
        return round((total - before[0]) / (now - before[1]), 4)
