"""What waits in memory while the disk cannot take it: events, state, and the number of what was let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from agent import wire
from agent.deliver.spool_batches import Batches
from agent.deliver.spool_values import DETAIL, Now

HELD_EVENTS = 20_000  # counts that wait at most


class Held:
    """Events that are not yet written. Bounded: detail is not kept, of counts the newest are."""

    def __init__(self) -> None:
        self.events: list[wire.AnyEvent] = []
        self.state: dict[str, bytes] = {}
        self.lost: Counter[str] = Counter()  # kind -> how many were let go

    def __bool__(self) -> bool:
        return bool(self.events or self.state or self.lost)

    def add(self, events: Sequence[wire.AnyEvent], state: Mapping[str, bytes] | None) -> None:
        """Take what is to be written."""
        self.events.extend(events)
        self.state.update(state or {})

    def write(self, batches: Batches, now: Now) -> None:
        """Write all of it, or nothing. It still waits: `clear` it when that has worked."""
        batches.write(self.events, self.lost, self.state, now)

    def clear(self) -> None:
        """Forget what was written."""
        self.events.clear()
        self.state.clear()
        self.lost.clear()

    def shrink(self) -> None:
        """Let detail, and what is too much, go, and count it."""
        counts = [event for event in self.events if not isinstance(event, DETAIL)]
        gone = [event for event in self.events if isinstance(event, DETAIL)] + counts[:-HELD_EVENTS]
        self.lost.update(wire.EVENT_NAMES[type(event)] for event in gone)
        self.events = list(counts[-HELD_EVENTS:])
