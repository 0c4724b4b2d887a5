"""Where the tables of a spool are: in its file or, while that cannot be used, in memory.

What always holds:

* A disk that cannot be used (read-only, no right to write, full for longer) ends nothing. The same tables are
  kept in memory then, within a bound, and are sent from there; the state is read from the disk where that is
  still possible. As soon as the disk can be written again they move there, under the same numbers.
* A damaged file ends nothing. One that SQLite refuses, or that contradicts itself, is set aside as
  `spool.damaged-N`, what is readable moves to a new one, the rest is counted, and where its number cannot be
  known that is what is said (`Lost.unknown`).
* `problem` says in one line what is wrong with the disk, as long as it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from agent import wire
from agent.deliver import spool_check, spool_db, spool_lock, spool_rescue
from agent.deliver.spool_ballast import Ballast
from agent.deliver.spool_batches import Batches
from agent.deliver.spool_checksums import batch_crc, event_crc
from agent.deliver.spool_db import (
    BATCH_COST,
    EVENT_COST,
    FAILURES,
    SpoolError,
    is_damage,
    is_stuck,
    read_status,
)
from agent.deliver.spool_values import Now

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_RETURN_MS = 2000


class Place:
    """The tables, and what becomes of them.

    `damaged`: files set aside since the start. `moves`: how often positions have begun anew. `left_on_disk`:
    while in memory, the account of the file that cannot be used. `return_at`: monotonic ms at which the disk
    is tried again, None while it is used.
    """

    def __init__(self, path: Path, limit_bytes: int, now: Now, new_epoch: Callable[[], int]) -> None:
        self.path = path
        self.damaged = 0
        self.moves = 0
        self.problem = ""
        self.left_on_disk: dict[str, Any] = {}
        self.return_at: int | None = None
        self.ballast = Ballast(path, limit_bytes, now)
        self._new_epoch = new_epoch
        self._lock: IO[bytes] | None = None
        self.batches = Batches(spool_db.connection(":memory:"), new_epoch())

    @property
    def in_memory(self) -> bool:
        """True while the disk cannot be used."""
        return self.return_at is not None

    def close(self) -> None:
        """Close the file, and let another agent use it."""
        with contextlib.suppress(*FAILURES):
            self.batches.db.close()
        lock = self._lock
        self._lock = None
        if lock is not None:
            if not self.in_memory:
                spool_lock.mark(lock, running=False)
            lock.close()

    # ── opening, and damage ──

    def open(self, now: Now) -> None:
        """Open the file, or go on without it."""
        with contextlib.closing(self.batches.db):  # a place of nothing, till now
            try:
                self._open_file(now)
            except (*FAILURES, OSError) as error:
                if not is_stuck(error):
                    raise
                self._work_in_memory(now, error)

    def _open_file(self, now: Now) -> None:
        """Check the file, or set it aside; start the epoch, durably, before any event."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._lock is not None and not self._lock.writable():
            self._lock.close()  # of a time when the disk could only be read
            self._lock = None
        self._lock = self._lock or spool_lock.lock(self.path)
        try:
            self._open_tables(now, self._lock)
        except FAILURES as error:
            if not is_stuck(error) or not self.ballast.spend(now):
                raise
            self._open_tables(now, self._lock)
        spool_lock.mark(self._lock, running=True)
        self.keep_ballast(now)

    def _open_tables(self, now: Now, lock: IO[bytes]) -> None:
        gone = spool_check.what_is_gone(self.path, lock)
        log = spool_check.log_ends(self.path)
        self.batches = Batches(spool_db.connection(self.path), self._new_epoch(), last=self.batches.last)
        try:
            self._prepare()
            self._start(now, None, gone or spool_check.what_was_skipped(self.batches.db, log, lock))
        except FAILURES as error:
            if is_stuck(error):
                self.batches.db.close()
                raise
            self._replace(now, gone)

    def _prepare(self) -> None:
        """Make the tables, and see whether they can be believed; raise sqlite3.DatabaseError on damage."""
        db = self.batches.db
        spool_db.set_up(db)
        spool_check.check_pages(db, self.path)
        spool_db.make_tables(db)
        spool_check.check(db, self.path)

    def _replace(self, now: Now, gone: str = "") -> None:
        """Set a damaged file aside, move what is readable to a new one, count the rest.

        `gone`: why more is missing than the file can tell, if it is.
        """
        with contextlib.suppress(*FAILURES):
            self.batches.db.close()
        aside = spool_rescue.set_aside(self.path)
        self.damaged += 1
        last = self.batches.last
        # Which numbers of the old one were used is not sure any more: hence another epoch.
        self.batches = Batches(spool_db.connection(self.path), self._new_epoch(), last=last)
        self._prepare()
        self._start(now, aside, gone)

    def _start(self, now: Now, aside: Path | None, gone: str) -> None:
        """Start the epoch, and declare what is missing. `gone`: why an unknown number is, if it is."""
        batches = self.batches
        with batches.transaction():
            known = aside is None or spool_rescue.rescue(aside, batches.db)
            if not gone and self._lock is not None:
                gone = spool_check.what_was_rolled_back(batches.db, self._lock)
            spool_db.start_epoch(batches.db, batches.epoch, now.wall)
            small = spool_db.is_small(self.path)
            missing = spool_rescue.reconcile(batches.db) if aside or gone or small else 0
            highest = batches.db.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()[0]
            batches.last = max(batches.last, highest)  # a position, once handed out, is past
            batches.used = spool_db.used_bytes(batches.db, self.path)
            if missing or aside or gone:
                where = f"the spool was damaged{f', set aside as {aside.name}' if aside else ''}"
                unknown = bool(gone) or not known
                event = wire.Lost(now.wall, "", wire.UNKNOWN, missing, gone or where, unknown)
                batches.insert([event], now)
        self.note_accepted()

    def note_accepted(self) -> None:
        """Note beside the file how many events of this epoch are in it; the next time, if that fails now."""
        if self._lock is not None and not self.in_memory:
            with contextlib.suppress(*FAILURES):
                committed = spool_db.committed(self.batches.db, self.batches.epoch)
                spool_lock.note_accepted(self._lock, self.batches.epoch, committed)

    def guarded(self, work: Callable[[], T], now: Now) -> T:
        """Do `work`; if the file turns out to be damaged, replace it and do it again."""
        try:
            return work()
        except FAILURES as error:
            if not is_damage(error) or self.return_at is not None:
                raise
            _LOG.warning("%s is damaged (%s); it is set aside", self.path, error)
        try:
            self._replace(now)
        except (*FAILURES, OSError) as error:
            if not is_stuck(error):
                raise
            self._work_in_memory(now, error)
        return work()

    # ── no disk ──

    def give_up(self, now: Now, error: Exception) -> None:
        """Give a disk that stays stuck up for a while, and go on in memory."""
        with contextlib.suppress(*FAILURES):
            self.left_on_disk = spool_db.account(self.batches.db)
        with contextlib.suppress(*FAILURES):
            self.batches.db.close()
        self._work_in_memory(now, error)

    def _work_in_memory(self, now: Now, error: Exception) -> None:
        """Go on without a disk: the same tables in memory, with the state that can still be read."""
        db = spool_db.connection(":memory:")
        spool_db.make_tables(db)
        epoch = self._new_epoch()
        spool_db.start_epoch(db, epoch, now.wall)
        with contextlib.suppress(SpoolError):
            db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", spool_db.read_state(self.path))
            self.left_on_disk = self.left_on_disk or read_status(self.path)
        self.batches = Batches(db, epoch)
        self.moves += 1
        self.problem = self.words(error)
        self.return_at = now.mono + _RETURN_MS

    def tried_to_return(self, now: Now) -> bool:
        """Move everything to the disk, if it can be written again; True if it has moved."""
        if self.return_at is None or now.mono < self.return_at:
            return False
        memory = self.batches
        try:
            self._open_file(now)
            _adopt(self.batches, memory)
        except (*FAILURES, OSError) as error:
            if self.batches is not memory:
                with contextlib.suppress(*FAILURES):
                    self.batches.db.close()
            self.batches = memory
            if not is_stuck(error):
                raise
            self.problem = self.words(error)
            self.return_at = now.mono + _RETURN_MS
            return False
        memory.db.close()
        self.return_at = None
        self.left_on_disk = {}
        self.moves += 1
        self.keep_ballast(now)
        self.look_at_disk()
        return True

    def keep_ballast(self, now: Now) -> None:
        """Reserve room for the day the disk is full, and see how full it is."""
        if not self.in_memory and self.ballast.keep(now):
            self.look_at_disk()

    def look_at_disk(self) -> None:
        """Say that the disk is nearly full, or that all is well with it."""
        if not self.in_memory:
            self.problem = self.ballast.problem(self.problem)

    def words(self, error: Exception) -> str:
        """Say what is wrong with the disk, and what that means, in one line."""
        return (
            f"the disk with {self.path.parent} cannot be written ({spool_db.reason(error)}): events are "
            "kept in memory, within a bound; what the centre has not confirmed is lost if the agent ends. "
            "Make room there, and let its user write"
        )


def _adopt(batches: Batches, other: Batches) -> None:
    """Take all that another one holds: the same epochs, numbers and bytes, at new positions."""
    with batches.transaction():
        for row in other.db.execute("SELECT epoch, opened, next, committed, acked, lost, crc FROM epochs"):
            batches.db.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for row in other.db.execute("SELECT key, crc, value FROM state"):
            batches.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", row)
        for id_, epoch, seq, base, mono, _, sealed in other.db.execute(
            "SELECT id, epoch, seq, base, mono, crc, sealed FROM batches ORDER BY id"
        ).fetchall():
            batches.last += 1
            row = (batches.last, epoch, seq, base, mono, batch_crc(batches.last, epoch, base, mono), sealed)
            batches.db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            events = other.db.execute("SELECT i, kind, body FROM events WHERE batch = ?", (id_,))
            rows = [
                (batches.last, i, kind, event_crc(batches.last, i, kind, body), body)
                for i, kind, body in events
            ]
            batches.db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            batches.used += BATCH_COST + sum(len(row[4]) + EVENT_COST for row in rows)
