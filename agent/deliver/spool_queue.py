"""The events that wait, on disk: append, take, acknowledge, drop by class. SQLite, one file, one thread.

What always holds:

* `append` returns True only when the events, and the `state` that came with them, are on disk, in one
  transaction (WAL, synchronous=FULL). That moment is "committed". A kill or a power cut later loses none,
  and running totals never disagree with the crossings that made them.
* Above the limit, detail (detections, tracks, resources) goes first, oldest first, then stays. Crossings,
  tallies, states and `Lost` never go, even if the file must outgrow its limit.
* A full disk ends nothing. A ballast file gives the room that SQLite needs to delete (in WAL mode it cannot
  even do that on a full disk). Until there is room, counts wait in memory (`append` returns False) and
  detail is counted and let go; both reach the disk with the first write that works.
* A disk that cannot be used, and a file that is damaged, end nothing either: see `spool_place`.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent import wire
from agent.deliver import spool_db, spool_room
from agent.deliver.spool_batches import LAST_OF_ALL
from agent.deliver.spool_checksums import state_crc
from agent.deliver.spool_db import FAILURES, SpoolError, is_stuck
from agent.deliver.spool_held import Held
from agent.deliver.spool_place import Place
from agent.deliver.spool_values import Now, Sealed, this_moment

_LOG = logging.getLogger(__name__)

_RETRY_MS = 1000
_PATIENCE_MS = 10_000  # a disk that has been stuck for so long is given up for a while


class Spool:
    """The sync core: one thread at a time may call it. `place`: where the tables are, and how that stands."""

    def __init__(self, path: Path, limit_bytes: int, now: Now, new_epoch: Callable[[], int]) -> None:
        self.path = path
        self.place = Place(path, limit_bytes, now, new_epoch)
        self._limit = limit_bytes
        self._held = Held()
        # Acknowledged, not yet deleted: epoch -> ranges of numbers.
        self._stored_late: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._retry_at: int | None = None
        self._stuck_since: int | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.place.open(now)
            undo.pop_all()

    @classmethod
    def open(
        cls,
        path: Path,
        limit_bytes: int,
        now: Now | None = None,
        new_epoch: Callable[[], int] = lambda: secrets.randbits(48),
    ) -> Spool:
        """Open or create the file, or work in memory until that can be done; start a new epoch.

        Raises:
            SpoolError: Another agent uses it, or a damaged file cannot be set aside.
        """
        try:
            return cls(path, limit_bytes, now or this_moment(), new_epoch)
        except FAILURES as error:
            raise SpoolError(f"{path}: {error}; move the spool files away, and start again") from None

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(*FAILURES):
            if gone := self.in_memory:
                _LOG.warning("%d event(s) that were in memory only are lost", gone)
        self.place.close()

    @property
    def epoch(self) -> int:
        """The epoch that events now belong to."""
        return self.place.batches.epoch

    @property
    def in_memory(self) -> int:
        """How many events are in memory only, and would be lost with the process."""
        here = int(spool_db.account(self.place.batches.db)["pending"]) if self.place.in_memory else 0
        return here + len(self._held.events)

    # ── append ──

    def append(
        self, events: Sequence[wire.AnyEvent], now: Now, state: Mapping[str, bytes] | None = None
    ) -> bool:
        """Put events and state on disk. False: that cannot be done now, and they wait in memory."""
        self._held.add(events, state)
        return self._flush(now)

    def _flush(self, now: Now) -> bool:
        """Write all that waits in memory; if the disk does not let us, drop the detail of it."""
        self._try_to_return(now)
        waits = self._retry_at is not None and now.mono < self._retry_at
        if waits or not self._wrote(now):
            self._held.shrink()
            return False
        self._retry_at = None
        self._stuck_since = None
        self._held.clear()
        self.place.note_accepted()
        self._forget_late(now)
        spool_room.keep_limit(self.place, self._limit, now)
        self.place.keep_ballast(now)
        return not self.place.in_memory

    def _wrote(self, now: Now) -> bool:
        def write() -> None:
            self._held.write(self.place.batches, now)

        step = spool_room.slack(self._limit)
        try:
            self.place.guarded(write, now)
        except FAILURES as error:
            if not is_stuck(error):
                raise
            if not self.place.guarded(
                lambda: spool_room.written_on_full_disk(self.place, write, step, now), now
            ):
                return self._wrote_in_memory(now, error)
        return True

    def _wrote_in_memory(self, now: Now, error: Exception) -> bool:
        """Give a disk that stays stuck up for a while, and write there; False if it is too early for that."""
        self._retry_at = now.mono + _RETRY_MS
        self._stuck_since = self._stuck_since if self._stuck_since is not None else now.mono
        self.place.problem = self.place.words(error)
        if now.mono - self._stuck_since < _PATIENCE_MS:
            return False
        self.place.give_up(now, error)
        self._retry_at = None
        self._held.write(self.place.batches, now)
        return True

    def _try_to_return(self, now: Now) -> None:
        """Go back to the disk, if it can be written again."""
        if self.place.tried_to_return(now):
            self._stuck_since = None
            self._forget_late(now)

    # ── batches out, acknowledgements in ──

    def close_due(self, now: Now) -> int | None:
        """Close the open batch if it is due; return the monotonic ms when something next is."""
        self._try_to_return(now)
        if self._held or self._stored_late:
            self._flush(now)
        moments = (self._retry_at, self.place.return_at, self.place.batches.close_due(now))
        return min((moment for moment in moments if moment is not None), default=None)

    def close_batch(self) -> None:
        """Close the open batch now."""
        self.place.batches.close_batch()

    def take(self, after: int, limit: int, now: Now) -> list[Sealed]:
        """Return up to `limit` closed batches behind position `after`, oldest first, each sealed."""
        try:
            return self.place.guarded(lambda: self.place.batches.take(after, limit, now), now)
        except FAILURES as error:
            if is_stuck(error):
                return []  # no number can be written now; the batches wait
            raise

    def acknowledge(self, epoch: int, ranges: Iterable[tuple[int, int]], now: Now) -> int:
        """Forget the batches that the aggregator has stored; return how many events that were."""
        known = [(max(one, 0), min(two, LAST_OF_ALL)) for one, two in ranges if one < LAST_OF_ALL]
        if not 0 <= epoch < LAST_OF_ALL:
            return 0
        try:
            return self.place.guarded(lambda: self.place.batches.forget(epoch, known), now)
        except FAILURES as error:
            if not is_stuck(error):
                raise
            self._stored_late[epoch] += known  # nobody will say so again: it is done with the next write
            return 0

    def _forget_late(self, now: Now) -> None:
        """Do what acknowledgements asked for while the disk was stuck."""
        late = dict(self._stored_late)
        self._stored_late.clear()
        for epoch, ranges in late.items():
            self.acknowledge(epoch, ranges, now)

    # ── small durable state, and the account ──

    def recall(self, key: str) -> bytes | None:
        """Return what `append` was last given as state; None if there is nothing, or it is damaged."""
        if key in self._held.state:
            return self._held.state[key]
        query = "SELECT crc, value FROM state WHERE key = ?"
        row = self.place.guarded(
            lambda: self.place.batches.db.execute(query, (key,)).fetchone(), this_moment()
        )
        return row[1] if row and row[0] == state_crc(key, row[1]) else None

    def status(self) -> dict[str, Any]:
        """Return the account, in numbers of events; while in memory, with what is left on the disk."""
        here = self.place.guarded(lambda: spool_db.account(self.place.batches.db), this_moment())
        there = self.place.left_on_disk
        return {name: there[name] + here[name] for name in here} if there else here
