"""What a simulated fleet has sent, and how soon it was stored."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 20_000  # acknowledgements, for the percentiles


class Figures:
    """Counted over all nodes since the start."""

    def __init__(self) -> None:
        self.events = 0
        self.events_stored = 0
        self.given_up = 0
        self.resent = 0
        self.connections = 0
        self.lost_connections = 0
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def made(self, events: int) -> None:
        """Count events of a new batch."""
        self.events += events

    def stored(self, events: int, seconds: float) -> None:
        """Count events that the centre has acknowledged, so long after they were sent first."""
        self.events_stored += events
        self._seconds.append(seconds)

    def gave_up(self, events: int) -> None:
        """Count events that a node could hold no longer."""
        self.given_up += events

    def delay(self, share: float) -> float:
        """Return the seconds to the acknowledgement that this share of the last batches kept within."""
        ordered = sorted(self._seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def text(self, nodes: int) -> str:
        """Return them in a line for a person."""
        parts = [
            f"{nodes:,} nodes on {self.connections:,} connections",
            f"{self.events:,} events sent",
            f"{self.events_stored:,} stored",
            f"delay p50 {self.delay(0.5):.2f} s, p99 {self.delay(0.99):.2f} s",
        ]
        parts += [f"{self.resent:,} batches sent again"] if self.resent else []
        parts += [f"{self.lost_connections:,} connections lost"] if self.lost_connections else []
        parts += [f"{self.given_up:,} events given up"] if self.given_up else []
        return "; ".join(parts)
