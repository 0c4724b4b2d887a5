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
* A disk that cannot be used (read-only, no right to write, full for longer) ends nothing either. Then the
  same tables are kept in memory, within a bound, and are sent from there; the state is read from the disk
  where that is still possible. As soon as the disk can be written again they move there, under the same
  numbers.
* A damaged file ends nothing. Each row has a checksum; a bad row is dropped and counted. A file that SQLite
  refuses, or that contradicts itself, is set aside as `spool.damaged-N`, what is readable moves to a new one,
  the rest is counted, and where its number cannot be known that is what is said (`Lost.unknown`).
* `problem` says in one line what is wrong with the disk, as long as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

from agent import wire
from agent.deliver import spool_db, spool_rescue
from agent.deliver.spool_batches import (
    COUNTS,
    DETAIL,
    DROPPED_IN_TURN,
    LAST_OF_ALL,
    Batches,
    Now,
    Sealed,
    this_moment,
)
from agent.deliver.spool_db import FAILURES, SpoolError, is_damage, is_stuck, read_status

__all__ = ["Now", "Sealed", "Spool", "SpoolError", "SpoolWorker", "read_status", "this_moment"]

_log = logging.getLogger("gb.spool")

T = TypeVar("T")

MEMORY_BYTES = 8 * 1024 * 1024  # of events, while there is no disk
_HELD_EVENTS = 20_000  # counts that wait in memory while the disk is full
_RETRY_MS = 1000
_PATIENCE_MS = 10_000  # a disk that has been stuck for so long is given up for a while
_RETURN_MS = 2000
_BALLAST_RETRY_MS = 10_000


class Spool:
    """The sync core: one thread at a time may call it."""

    def __init__(self, path: Path, limit_bytes: int, now: Now, new_epoch: Callable[[], int]) -> None:
        self.path = path
        self.damaged = 0  # files set aside since the start
        self.moves = 0  # how often positions have begun anew: give `take` 0 again then
        self.problem = ""
        self._new_epoch = new_epoch
        self._limit = limit_bytes
        self._slack = min(max(limit_bytes // 200, 16 * 1024), 1024 * 1024)
        self._ballast = path.with_name(f"{path.stem}.ballast")
        self._ballast_bytes = spool_db.reserve(limit_bytes)
        self._ballast_tried = now.mono
        self._held: list[wire.AnyEvent] = []
        self._held_state: dict[str, bytes] = {}
        self._held_lost: Counter[str] = Counter()
        self._stored_late: dict[int, list[tuple[int, int]]] = defaultdict(
            list
        )  # acknowledged, not yet deleted
        self._retry_at: int | None = None
        self._stuck_since: int | None = None
        self._return_at: int | None = None  # in memory: when the disk is tried again
        self._left_on_disk: dict[str, Any] = {}  # in memory: the account of the file that cannot be used
        self._lock: IO[bytes] | None = None
        self._batches = Batches(spool_db.connection(":memory:"), new_epoch())
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._begin(now)
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
                _log.warning("%d event(s) that were in memory only are lost", gone)
            self._batches.db.close()
        lock = self._lock
        self._lock = None
        if lock is not None:
            if self._return_at is None:
                spool_db.mark(lock, running=False)
            lock.close()

    @property
    def epoch(self) -> int:
        """The epoch that events now belong to."""
        return self._batches.epoch

    @property
    def in_memory(self) -> int:
        """How many events are in memory only, and would be lost with the process."""
        here = 0 if self._return_at is None else int(spool_db.account(self._batches.db)["pending"])
        return here + len(self._held)

    # ── append ──

    def append(
        self, events: Sequence[wire.AnyEvent], now: Now, state: Mapping[str, bytes] | None = None
    ) -> bool:
        """Put events and state on disk. False: that cannot be done now, and they wait in memory."""
        self._held.extend(events)
        self._held_state.update(state or {})
        return self._flush(now)

    def _flush(self, now: Now) -> bool:
        """Write all that waits in memory; if the disk does not let us, drop the detail of it."""
        self._try_to_return(now)
        waits = self._retry_at is not None and now.mono < self._retry_at
        if waits or not self._wrote(now):
            self._hold()
            return False
        self._retry_at = None
        self._stuck_since = None
        self._held.clear()
        self._held_state.clear()
        self._held_lost.clear()
        self._forget_late(now)
        self._keep_limit(now)
        self._keep_ballast(now)
        return self._return_at is None

    def _wrote(self, now: Now) -> bool:
        try:
            self._guarded(lambda: self._write(now), now)
        except FAILURES as error:
            if not is_stuck(error):
                raise
            if not self._guarded(lambda: self._relieved(now), now):
                return self._wrote_in_memory(now, error)
        return True

    def _write(self, now: Now) -> None:
        self._batches.write(self._held, self._held_lost, self._held_state, now)

    def _wrote_in_memory(self, now: Now, error: Exception) -> bool:
        """Give a disk that stays stuck up for a while, and write there; False if it is too early for that."""
        self._retry_at = now.mono + _RETRY_MS
        self._stuck_since = self._stuck_since if self._stuck_since is not None else now.mono
        self.problem = self._words(error)
        if now.mono - self._stuck_since < _PATIENCE_MS:
            return False
        with contextlib.suppress(*FAILURES):
            self._left_on_disk = spool_db.account(self._batches.db)
        with contextlib.suppress(*FAILURES):
            self._batches.db.close()
        self._work_in_memory(now, error)
        self._write(now)
        return True

    def _hold(self) -> None:
        """Keep counts in memory; let detail, and what is too much, go, and count it."""
        counts: list[wire.AnyEvent] = [event for event in self._held if not isinstance(event, DETAIL)]
        gone = [event for event in self._held if isinstance(event, DETAIL)] + counts[:-_HELD_EVENTS]
        self._held_lost.update(wire.EVENT_NAMES[type(event)] for event in gone)
        self._held = list(counts[-_HELD_EVENTS:])

    # ── batches out, acknowledgements in ──

    def close_due(self, now: Now) -> int | None:
        """Close the open batch if it is due; return the monotonic ms when something next is."""
        due = []
        self._try_to_return(now)
        if self._held or self._held_state or self._held_lost or self._stored_late:
            self._flush(now)
        due += [moment for moment in (self._retry_at, self._return_at) if moment is not None]
        closes = self._batches.close_due(now)
        due += [closes] if closes is not None else []
        return min(due, default=None)

    def close_batch(self) -> None:
        """Close the open batch now."""
        self._batches.close_batch()

    def take(self, after: int, limit: int, now: Now) -> list[Sealed]:
        """Return up to `limit` closed batches behind position `after`, oldest first, each sealed."""
        try:
            return self._guarded(lambda: self._batches.take(after, limit, now), now)
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
            return self._guarded(lambda: self._batches.forget(epoch, known), now)
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
        if key in self._held_state:
            return self._held_state[key]
        query = "SELECT crc, value FROM state WHERE key = ?"
        row = self._guarded(lambda: self._batches.db.execute(query, (key,)).fetchone(), this_moment())
        return row[1] if row and row[0] == spool_db.state_crc(key, row[1]) else None

    def status(self) -> dict[str, Any]:
        """Return the account, in numbers of events; while in memory, with what is left on the disk."""
        here = self._guarded(lambda: spool_db.account(self._batches.db), this_moment())
        there = self._left_on_disk
        return {name: there[name] + here[name] for name in here} if there else here

    # ── the limit ──

    def _keep_limit(self, now: Now) -> None:
        in_memory = self._return_at is not None
        limit = min(self._limit, MEMORY_BYTES) if in_memory else self._limit
        if self._batches.used <= limit:
            return
        turns = (*DROPPED_IN_TURN, COUNTS) if in_memory else DROPPED_IN_TURN
        reason = "there is no disk to keep it" if in_memory else "the spool has reached its limit"
        goal = limit - self._slack
        try:
            self._guarded(lambda: self._batches.shrink(goal, reason, now, turns), now)
        except FAILURES as error:
            if not is_stuck(error):  # if it is, the next write sees to it
                raise

    # ── a full disk ──

    def _relieved(self, now: Now) -> bool:
        """Make room on a full disk (the ballast, then detail) and write; False if it is still full."""
        with contextlib.suppress(OSError):
            self._ballast.unlink(missing_ok=True)
        self._ballast_tried = now.mono
        for _ in range(4):
            if self._tried(lambda: self._checkpoint_and_write(now)):
                self._look_at_disk()
                return True
            if not self._tried(lambda: self._shrink(now)):
                return False
        return False

    def _shrink(self, now: Now) -> bool:
        goal = self._batches.used - self._slack
        return self._batches.shrink(goal, "the disk was full", now, DROPPED_IN_TURN)

    def _tried(self, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except FAILURES as error:
            if is_stuck(error):
                return False
            raise

    def _checkpoint_and_write(self, now: Now) -> bool:
        self._batches.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._write(now)
        return True

    def _keep_ballast(self, now: Now) -> None:
        """Reserve room for the day the disk is full, if there is some to spare."""
        if now.mono < self._ballast_tried or self._return_at is not None:
            return
        self._ballast_tried = now.mono + _BALLAST_RETRY_MS
        with contextlib.suppress(OSError):
            if not self._ballast.exists() and spool_db.free_bytes(self.path) > 2 * self._ballast_bytes:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
        self._look_at_disk()

    def _look_at_disk(self) -> None:
        """Say that the disk is nearly full, or that all is well with it."""
        if self._return_at is not None:
            return
        enough = (
            self._ballast_bytes if self._ballast.exists() and not self.problem else 2 * self._ballast_bytes
        )
        with contextlib.suppress(OSError):
            full = spool_db.free_bytes(self.path) <= enough
            self.problem = spool_db.full(self.path) if full else ""

    def _words(self, error: Exception) -> str:
        """Say what is wrong with the disk, and what that means, in one line."""
        return (
            f"the disk with {self.path.parent} cannot be written ({spool_db.reason(error)}): events are "
            "kept in memory, within a bound; what the centre has not confirmed is lost if the agent ends. "
            "Make room there, and let its user write"
        )

    # ── no disk ──

    def _work_in_memory(self, now: Now, error: Exception) -> None:
        """Go on without a disk: the same tables in memory, with the state that can still be read."""
        db = spool_db.connection(":memory:")
        spool_db.make_tables(db)
        epoch = self._new_epoch()
        spool_db.start_epoch(db, epoch, now.wall)
        with contextlib.suppress(SpoolError):
            db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", spool_db.read_state(self.path))
            self._left_on_disk = self._left_on_disk or read_status(self.path)
        self._batches = Batches(db, epoch)
        self.moves += 1
        self.problem = self._words(error)
        self._retry_at = None
        self._return_at = now.mono + _RETURN_MS

    def _try_to_return(self, now: Now) -> None:
        """Move everything to the disk, if it can be written again."""
        if self._return_at is None or now.mono < self._return_at:
            return
        memory = self._batches
        try:
            self._open_file(now)
            self._batches.adopt(memory)
        except (*FAILURES, OSError) as error:
            if self._batches is not memory:
                with contextlib.suppress(*FAILURES):
                    self._batches.db.close()
            self._batches = memory
            if not is_stuck(error):
                raise
            self.problem = self._words(error)
            self._return_at = now.mono + _RETURN_MS
            return
        memory.db.close()
        self._return_at = None
        self._stuck_since = None
        self._left_on_disk = {}
        self.moves += 1
        self._forget_late(now)
        self._keep_ballast(now)
        self._look_at_disk()

    # ── opening, and damage ──

    def _begin(self, now: Now) -> None:
        """Open the file, or go on without it."""
        with contextlib.closing(self._batches.db):  # a place of nothing, till now
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
        self._lock = self._lock or spool_db.lock(self.path)
        try:
            self._open_tables(now, self._lock)
        except FAILURES as error:
            if not is_stuck(error) or not self._ballast.exists():
                raise
            self._ballast.unlink()
            self._open_tables(now, self._lock)
        spool_db.mark(self._lock, running=True)
        self._keep_ballast(now)

    def _open_tables(self, now: Now, lock: IO[bytes]) -> None:
        gone = spool_db.what_is_gone(self.path, lock)
        log = spool_db.log_ends(self.path)
        self._batches = Batches(spool_db.connection(self.path), self._new_epoch(), last=self._batches.last)
        try:
            spool_db.prepare(self._batches.db, self.path)
            self._start(now, None, gone or spool_db.what_was_skipped(self._batches.db, log))
        except FAILURES as error:
            if is_stuck(error):
                self._batches.db.close()
                raise
            self._replace(now)

    def _replace(self, now: Now) -> None:
        """Set a damaged file aside, move what is readable to a new one, count the rest."""
        with contextlib.suppress(*FAILURES):
            self._batches.db.close()
        aside = spool_rescue.set_aside(self.path)
        self.damaged += 1
        last = self._batches.last
        # Which numbers of the old one were used is not sure any more: hence another epoch.
        self._batches = Batches(spool_db.connection(self.path), self._new_epoch(), last=last)
        spool_db.prepare(self._batches.db, self.path)
        self._start(now, aside, "")

    def _start(self, now: Now, aside: Path | None, gone: str) -> None:
        """Start the epoch, and declare what is missing. `gone`: why an unknown number is, if it is."""
        batches = self._batches
        with batches.transaction():
            known = aside is None or spool_rescue.rescue(aside, batches.db)
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

    def _guarded(self, work: Callable[[], T], now: Now) -> T:
        """Do `work`; if the file turns out to be damaged, replace it and do it again."""
        try:
            return work()
        except FAILURES as error:
            if not is_damage(error) or self._return_at is not None:
                raise
            _log.warning("%s is damaged (%s); it is set aside", self.path, error)
        try:
            self._replace(now)
        except (*FAILURES, OSError) as error:
            if not is_stuck(error):
                raise
            self._work_in_memory(now, error)
        return work()


class SpoolWorker:
    """The spool on its one thread, for the event loop. An async context manager; closes the spool.

    `ready` is set whenever there may be something to send, or to wait for. `problem`: what is wrong with the
    disk, empty while nothing is; `on_problem` is called when that changes.
    """

    def __init__(self, spool: Spool, clock: Callable[[], Now] = this_moment) -> None:
        self.ready = asyncio.Event()
        self.on_problem: Callable[[], None] = lambda: None
        self.problem = ""
        self.in_memory = 0
        self._spool = spool
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "spool")

    @property
    def epoch(self) -> int:
        """The epoch that events now belong to."""
        return self._spool.epoch

    @property
    def moves(self) -> int:
        """How often positions have begun anew."""
        return self._spool.moves

    async def __aenter__(self) -> SpoolWorker:
        self._tell_problem()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._call(lambda: self._spool.close_due(self._clock()))  # what waits in memory, if it can
        await self._call(self._spool.close)
        self._thread.shutdown(wait=True)

    async def append(self, events: Sequence[wire.AnyEvent], state: Mapping[str, bytes] | None = None) -> bool:
        """Put events and state on disk; see `Spool.append`. Cancelling does not undo it."""
        stored = await self._call(lambda: self._spool.append(events, self._clock(), state))
        if not stored or self.in_memory:
            self.in_memory = await self._call(lambda: self._spool.in_memory)
        self.ready.set()
        return stored

    async def remember(self, key: str, value: bytes) -> bool:
        """Keep a small value over restarts."""
        return await self.append([], {key: value})

    async def recall(self, key: str) -> bytes | None:
        """Return what was remembered."""
        return await self._call(lambda: self._spool.recall(key))

    async def close_due(self) -> float | None:
        """Close the open batch if it is due; return the seconds until something next is."""

        def close() -> float | None:
            now = self._clock()
            due = self._spool.close_due(now)
            return None if due is None else max(0, due - now.mono) / 1000

        return await self._call(close)

    async def close_batch(self) -> None:
        """Close the open batch now."""
        await self._call(self._spool.close_batch)
        self.ready.set()

    async def take(self, after: int, limit: int) -> list[Sealed]:
        """Return closed batches behind a position, sealed."""
        return await self._call(lambda: self._spool.take(after, limit, self._clock()))

    async def acknowledge(self, epoch: int, ranges: Sequence[tuple[int, int]]) -> int:
        """Forget what the aggregator has stored."""
        return await self._call(lambda: self._spool.acknowledge(epoch, ranges, self._clock()))

    async def status(self) -> dict[str, Any]:
        """Return the account."""
        return await self._call(self._spool.status)

    async def _call(self, work: Callable[[], T]) -> T:
        future: Future[T] = self._thread.submit(work)
        # A cancelled caller must not take back work that is queued: events would be lost unseen.
        done = await asyncio.shield(asyncio.wrap_future(future))
        self._tell_problem()
        return done

    def _tell_problem(self) -> None:
        """Log what is wrong with the disk when that changes, and tell who wants to know."""
        if self._spool.problem == self.problem:
            return
        self.problem = self._spool.problem
        if self.problem:
            _log.warning("%s", self.problem)
        else:
            _log.info("the disk can be written again; what was in memory is on it")
        self.on_problem()
