"""The batches on their way: which are to be sent now, which were heard, which must go again.

What always holds: at most `size` batches are on their way, everything else waits on disk. A batch stays here
until an acknowledgement names it; until then it is sent again, the same bytes, after 10 s, then less often.
Where it can be known that a batch did not arrive, it is sent again sooner: when the broker says that no
aggregator listens (then one batch a second asks, not all), and when a later batch was acknowledged first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.deliver.spool import Sealed, SpoolWorker

RESEND_CAP = 60.0  # seconds between two sends of one batch, at most
_PROBE_SECONDS = 1.0  # between two tries while no aggregator listens
_OVERTAKEN_SECONDS = 2.0  # a batch sent this long before one that is acknowledged has got lost


@dataclass
class Flight:
    """A batch on its way."""

    batch: Sealed
    due: float = 0.0  # monotonic seconds of the next send
    sent: float = 0.0  # and of the last one
    sends: int = 0
    sending: bool = False


class Window:
    """The flights of one node. `resend_seconds`: until a batch that nothing is heard of is sent again."""

    def __init__(self, spool: SpoolWorker, size: int, resend_seconds: float, chance: random.Random) -> None:
        self._spool = spool
        self._size = size
        self._resend_seconds = resend_seconds
        self._chance = chance
        self._flights: dict[tuple[int, int], Flight] = {}
        self._position = 0  # of the last batch that was taken
        self._moves = spool.moves
        self._probe_at = 0.0  # while no aggregator listens: when to try again; else 0

    @property
    def unheard(self) -> bool:
        """True while no aggregator listens."""
        return self._probe_at > 0

    def reconnected(self) -> None:
        """A connection is new: everything goes again."""
        for flight in self._flights.values():
            flight.due = 0.0
            flight.sending = False
        self._probe_at = 0.0

    async def fill(self) -> None:
        """Take new batches from the spool."""
        if self._moves != self._spool.moves:
            self._moves = self._spool.moves
            self._position = 0  # what is in flight is met again, and stays as it is
        while (room := self._size - len(self._flights)) > 0:
            batches = await self._spool.take(self._position, room)
            for batch in batches:
                self._flights.setdefault((batch.epoch, batch.seq), Flight(batch))
                self._position = batch.position
            if len(batches) < room:
                return

    def due(self, now: float) -> list[Flight]:
        """Return what is to be sent now: while nobody listens, only the oldest, now and then."""
        idle = self._idle()
        if self._probe_at:
            return idle[:1] if now >= self._probe_at and len(idle) == len(self._flights) else []
        return [flight for flight in idle if flight.due <= now]

    def next_send(self) -> float:
        """Return when there will be something to send, if nothing happens before."""
        idle = self._idle()
        if self._probe_at and idle and len(idle) == len(self._flights):
            return self._probe_at
        due = [] if self._probe_at else [flight.due for flight in idle]
        return min(due, default=time.monotonic() + RESEND_CAP)

    def _idle(self) -> list[Flight]:
        return [flight for flight in self._flights.values() if not flight.sending]

    def sends(self, flight: Flight) -> None:
        """Note that a batch is being sent now, and when it is due again."""
        pause = min(self._resend_seconds * 2**flight.sends, max(RESEND_CAP, self._resend_seconds))
        flight.sent = time.monotonic()
        flight.due = flight.sent + pause * self._chance.uniform(1.0, 1.2)
        flight.sends = min(flight.sends + 1, 10)

    def heard(self) -> None:
        """An aggregator listens: what nobody heard goes out at once."""
        if self._probe_at:
            self._probe_at = 0.0
            for other in self._idle():
                other.due = 0.0

    def not_heard(self, flight: Flight) -> None:
        """Nobody has subscribed: ask again in a moment, with one batch."""
        flight.due = 0.0
        self._probe_at = time.monotonic() + _PROBE_SECONDS * self._chance.uniform(0.7, 1.3)

    def landed(self, epoch: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Forget what was acknowledged; send again, once, what was sent well before it and was not."""
        names = [
            (number, seq)
            for number, seq in self._flights
            if number == epoch and any(one <= seq <= two for one, two in ranges)
        ]
        latest = max((self._flights.pop(name).sent for name in names), default=0.0)
        for other in self._flights.values():
            if other.sends == 1 and other.sent < latest - _OVERTAKEN_SECONDS:
                other.due = 0.0
