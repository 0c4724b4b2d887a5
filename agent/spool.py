"""The events that wait, on disk: append, take, acknowledge, drop by class. SQLite, one file, one thread.

What always holds:

* `append` returns True only when the events, and the `state` that came with them, are on disk, in one
  transaction (WAL, synchronous=FULL). That moment is "committed". A kill or a power cut later loses none,
  and running totals never disagree with the crossings that made them.
* A batch has four ages: *open* (takes events), *closed* (full, or due), *sealed* (has its number, because it
  was handed out), *forgotten* (the aggregator has named it). A number is given, durably, before the batch
  is first handed out, and never twice: numbers belong to an epoch, and each open has a new random one.
* A sealed batch never changes and is never dropped: its payload is the same bytes each time. There are only
  as many as the publisher's window, so this costs little room.
* Events may be dropped one by one only before their batch is sealed: above the limit, detail (detections,
  tracks, resources) goes first, oldest first, then stays. Crossings, tallies, states and `Lost` never go,
  even if the file must outgrow its limit.
* What is dropped is replaced, in the same transaction, by `Lost` events that count it. So, at any moment and
  for each epoch: committed = acknowledged + pending + lost.
* A full disk ends nothing. A ballast file gives the room that SQLite needs to delete (in WAL mode it cannot
  even do that on a full disk). Until there is room, counts wait in memory (`append` returns False) and
  detail is counted and let go; both reach the disk with the first write that works.
* A damaged file ends nothing. Each row has a checksum; a bad row is dropped and counted. A file that SQLite
  refuses is set aside as `spool.damaged-N`, what is readable moves to a new one, the rest is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import secrets
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agent import spoolfile, wire
from agent.spoolfile import (
    BATCH_COST,
    EVENT_COST,
    FAILURES,
    SpoolError,
    batch_crc,
    event_crc,
    is_damage,
    is_payload,
    is_stuck,
    read_status,
    state_crc,
)

__all__ = ["Now", "Sealed", "Spool", "SpoolError", "SpoolWorker", "read_status", "this_moment"]

T = TypeVar("T")

_ENVELOPE = 64  # bytes at most, around a batch's events
_LARGEST = wire.MAX_PAYLOAD - _ENVELOPE - 64
_HELD_EVENTS = 20_000  # counts that wait in memory while the disk is full
_RETRY_MS = 1000
_BALLAST_RETRY_MS = 10_000
_LAST_OF_ALL = 2**62

_TAGS = {kind: int(kind.__struct_config__.tag) for kind in wire.EVENT_NAMES}  # type: ignore[attr-defined]
_NAMES = {tag: wire.EVENT_NAMES[kind] for kind, tag in _TAGS.items()}
_DETAIL = (wire.Detection, wire.Track, wire.Resources)
_DROPPED_IN_TURN = (_DETAIL, (wire.Stay,))


class Now(NamedTuple):
    """A moment: Unix milliseconds and monotonic milliseconds."""

    wall: int
    mono: int


def this_moment() -> Now:
    """Read both clocks."""
    return Now(int(time.time() * 1000), int(time.monotonic() * 1000))


class Sealed(NamedTuple):
    """A batch as it is sent. `position` grows; give the last one to `take` to go on behind it."""

    position: int
    epoch: int
    seq: int
    payload: bytes


@dataclass
class _Open:
    """The batch that takes events now."""

    id: int
    base: int
    mono: int
    count: int = 0
    size: int = 0
    urgent: int | None = None  # monotonic ms of the first urgent event

    @property
    def due(self) -> int:
        relaxed = self.mono + int(wire.RELAXED_SECONDS * 1000)
        return relaxed if self.urgent is None else min(relaxed, self.urgent + int(wire.URGENT_SECONDS * 1000))

    def fits(self, body: bytes) -> bool:
        room = wire.BATCH_BYTES - _ENVELOPE - self.size
        return self.count == 0 or (self.count < wire.BATCH_EVENTS and len(body) <= room)


class Spool:
    """The sync core: one thread at a time may call it."""

    def __init__(self, path: Path, limit_bytes: int, now: Now, new_epoch: Callable[[], int]) -> None:
        self.path = path
        self.epoch = new_epoch()
        self._new_epoch = new_epoch
        self.damaged = 0  # files set aside since the start
        self._limit = limit_bytes
        self._slack = min(max(limit_bytes // 200, 16 * 1024), 1024 * 1024)
        self._ballast = path.with_name(f"{path.stem}.ballast")
        self._ballast_bytes = min(1024 * 1024, limit_bytes // 8)
        self._ballast_tried = now.mono
        self._held: list[wire.AnyEvent] = []
        self._held_state: dict[str, bytes] = {}
        self._held_lost: Counter[str] = Counter()
        self._retry_at: int | None = None
        self._open: _Open | None = None
        self._used = self._last_batch = 0
        self._lock = spoolfile.lock(path)
        self._db = _connection(path)
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
        """Open or create the file and start a new epoch; raise SpoolError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path, limit_bytes, now or this_moment(), new_epoch)
        except FAILURES as error:
            raise SpoolError(f"{path}: {error}; free some space there, and let this user write") from None
        except OSError as error:
            raise SpoolError(f"{path}: {error.strerror}; let this user write there") from None

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(*FAILURES):
            self._db.close()
        self._lock.close()

    # ── append ──

    def append(
        self, events: Sequence[wire.AnyEvent], now: Now, state: Mapping[str, bytes] | None = None
    ) -> bool:
        """Put events and state on disk. False: the disk is full, and they wait in memory."""
        self._held.extend(events)
        self._held_state.update(state or {})
        return self._flush(now)

    def _flush(self, now: Now) -> bool:
        """Write all that waits in memory; if the disk does not let us, drop the detail of it."""
        waits = self._retry_at is not None and now.mono < self._retry_at
        if waits or not self._wrote(now):
            self._hold()
            return False
        self._retry_at = None
        self._held.clear()
        self._held_state.clear()
        self._held_lost.clear()
        self._keep_limit(now)
        self._keep_ballast(now)
        return True

    def _wrote(self, now: Now) -> bool:
        try:
            self._guarded(lambda: self._write(now), now)
        except FAILURES as error:
            if not is_stuck(error):
                raise
            if not self._guarded(lambda: self._relieved(now), now):
                self._retry_at = now.mono + _RETRY_MS
                return False
        return True

    def _write(self, now: Now) -> None:
        with self._transaction():
            self._insert([*self._held, *_lost(self._held_lost, now, "the disk was full")], now)
            gone = sum(self._held_lost.values())
            self._count(self.epoch, committed=gone, lost=gone)
            rows = [(key, state_crc(key, value), value) for key, value in self._held_state.items()]
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", rows)

    def _insert(self, events: Iterable[wire.AnyEvent], now: Now) -> None:
        """Add events to the open batch, or to new ones where it is full."""
        rows, batch = [], self._open
        oversized: Counter[str] = Counter()
        for event in events:
            body = wire.encode_event(event, batch.base if batch else now.wall)
            if len(body) > _LARGEST:
                oversized[wire.EVENT_NAMES[type(event)]] += 1
                continue
            if batch is None or not batch.fits(body):
                batch = self._open = self._new_batch(now)
                body = wire.encode_event(event, batch.base)
            kind = _TAGS[type(event)]
            rows.append((batch.id, batch.count, kind, event_crc(batch.id, batch.count, kind, body), body))
            batch.count += 1
            batch.size += len(body)
            if batch.urgent is None and isinstance(event, wire.URGENT):
                batch.urgent = now.mono
        self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
        gone = sum(oversized.values())
        self._count(self.epoch, committed=len(rows) + gone, lost=gone)
        self._used += sum(len(row[4]) + EVENT_COST for row in rows)
        if oversized:
            self._insert(_lost(oversized, now, "larger than a batch may be"), now)

    def _new_batch(self, now: Now) -> _Open:
        self._last_batch += 1
        batch = _Open(self._last_batch, now.wall, now.mono)
        crc = batch_crc(batch.id, self.epoch, now.wall, now.mono)
        row = (batch.id, self.epoch, now.wall, now.mono, crc)
        self._db.execute("INSERT INTO batches (id, epoch, base, mono, crc) VALUES (?, ?, ?, ?, ?)", row)
        self._used += BATCH_COST
        return batch

    def _hold(self) -> None:
        """Keep counts in memory; let detail, and what is too much, go, and count it."""
        counts: list[wire.AnyEvent] = [event for event in self._held if not isinstance(event, _DETAIL)]
        gone = [event for event in self._held if isinstance(event, _DETAIL)] + counts[:-_HELD_EVENTS]
        self._held_lost.update(wire.EVENT_NAMES[type(event)] for event in gone)
        self._held = list(counts[-_HELD_EVENTS:])

    # ── batches out, acknowledgements in ──

    def close_due(self, now: Now) -> int | None:
        """Close the open batch if it is due; return the monotonic ms when something next is."""
        due = []
        if self._held or self._held_state or self._held_lost:
            self._flush(now)
            due += [self._retry_at] if self._retry_at is not None else []
        if self._open is not None and now.mono >= self._open.due:
            self._open = None
        due += [self._open.due] if self._open else []
        return min(due, default=None)

    def close_batch(self) -> None:
        """Close the open batch now."""
        self._open = None

    def take(self, after: int, limit: int, now: Now) -> list[Sealed]:
        """Return up to `limit` closed batches behind position `after`, oldest first, each sealed."""
        try:
            return self._guarded(lambda: self._take(after, limit, now), now)
        except FAILURES as error:
            if is_stuck(error):
                return []  # no number can be written now; the batches wait
            raise

    def _take(self, after: int, limit: int, now: Now) -> list[Sealed]:
        end = self._open.id if self._open else _LAST_OF_ALL
        rows = self._db.execute(
            "SELECT id, epoch, seq, base, mono, crc, sealed FROM batches "
            "WHERE id > ? AND id < ? ORDER BY id LIMIT ?", (after, end, limit),
        ).fetchall()  # fmt: skip
        with self._transaction() if any(row[6] is None for row in rows) else contextlib.nullcontext():
            taken = [self._seal(row) for row in rows]
        bad = [row for row, sealed in zip(rows, taken, strict=True) if sealed is None]
        if bad:
            self._drop_damaged(bad, now)
            return self._take(after, limit, now)
        return [sealed for sealed in taken if sealed is not None]

    def _seal(self, row: tuple[Any, ...]) -> Sealed | None:
        """Give a batch its number if it has none; None if it is damaged."""
        id_, epoch, seq, base, mono, crc, sealed = row
        bodies = [event[4] for event in self._whole_events(id_)]
        if crc != batch_crc(id_, epoch, base, mono) or len(bodies) != self._event_count(id_):
            return None
        if sealed is not None:
            payload = is_payload(sealed, epoch, seq, base, mono, bodies)
            return Sealed(id_, epoch, seq, payload) if payload else None
        number = self._db.execute("SELECT next FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
        if number is None:
            return None
        payload = wire.encode_batch(epoch, number[0], base, mono, bodies)
        self._db.execute("UPDATE epochs SET next = next + 1 WHERE epoch = ?", (epoch,))
        query = "UPDATE batches SET seq = ?, sealed = ? WHERE id = ?"
        self._db.execute(query, (number[0], zlib.crc32(payload), id_))
        return Sealed(id_, epoch, number[0], payload)

    def _whole_events(self, batch: int) -> list[tuple[Any, ...]]:
        """Return the rows of a batch that are undamaged."""
        query = "SELECT batch, i, kind, crc, body FROM events WHERE batch = ? ORDER BY i"
        rows = self._db.execute(query, (batch,)).fetchall()
        return [row for row in rows if row[3] == event_crc(row[0], row[1], row[2], row[4])]

    def _event_count(self, batch: int) -> int:
        query = "SELECT count(*) FROM events WHERE batch = ?"
        return int(self._db.execute(query, (batch,)).fetchone()[0])

    def acknowledge(self, epoch: int, ranges: Iterable[tuple[int, int]], now: Now) -> int:
        """Forget the batches that the aggregator has stored; return how many events that were."""
        known = [(max(one, 0), min(two, _LAST_OF_ALL)) for one, two in ranges if one < _LAST_OF_ALL]
        if not 0 <= epoch < _LAST_OF_ALL:
            return 0
        try:
            return self._guarded(lambda: self._forget(epoch, known), now)
        except FAILURES as error:
            if is_stuck(error):
                return 0  # it is sent again, and acknowledged again
            raise

    def _forget(self, epoch: int, ranges: list[tuple[int, int]]) -> int:
        query = "SELECT id FROM batches WHERE epoch = ? AND seq BETWEEN ? AND ?"
        found = [id_ for pair in ranges for (id_,) in self._db.execute(query, (epoch, *pair)).fetchall()]
        if not found:
            return 0
        # An acknowledgement that a power cut undoes is given again, so this commit need not be synced.
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction():
                events = sum(self._delete_batch(id_) for id_ in found)
                self._count(epoch, acked=events)
        finally:
            self._db.execute("PRAGMA synchronous = FULL")
        return events

    def _delete_batch(self, id_: int) -> int:
        """Delete a batch; return how many events that were."""
        count, size = self._db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM events WHERE batch = ?", (id_,)
        ).fetchone()
        self._db.execute("DELETE FROM events WHERE batch = ?", (id_,))
        self._db.execute("DELETE FROM batches WHERE id = ?", (id_,))
        self._used = max(0, self._used - size - count * EVENT_COST - BATCH_COST)
        return int(count)

    # ── small durable state, and the account ──

    def recall(self, key: str) -> bytes | None:
        """Return what `append` was last given as state; None if there is nothing, or it is damaged."""
        if key in self._held_state:
            return self._held_state[key]
        query = "SELECT crc, value FROM state WHERE key = ?"
        row = self._guarded(lambda: self._db.execute(query, (key,)).fetchone(), this_moment())
        return row[1] if row and row[0] == state_crc(key, row[1]) else None

    def status(self) -> dict[str, Any]:
        """Return the account, in numbers of events."""
        return self._guarded(lambda: spoolfile.account(self._db), this_moment())

    def _count(self, epoch: int, committed: int = 0, acked: int = 0, lost: int = 0) -> None:
        self._db.execute(
            "UPDATE epochs SET committed = committed + ?, acked = acked + ?, lost = lost + ? WHERE epoch = ?",
            (committed, acked, lost, epoch),
        )

    # ── the limit ──

    def _keep_limit(self, now: Now) -> None:
        if self._used > self._limit:
            goal = self._limit - self._slack
            try:
                self._guarded(lambda: self._shrink(goal, "the spool has reached its limit", now), now)
            except FAILURES as error:
                if not is_stuck(error):  # if it is, the next write sees to it
                    raise

    def _shrink(self, goal: int, reason: str, now: Now) -> bool:
        """Drop detail, oldest first, until `goal` bytes are used; False if there was nothing to drop."""
        doomed: list[tuple[int, int, int, int, int]] = []
        for kinds in _DROPPED_IN_TURN:
            doomed += self._droppable(kinds, self._used - goal - sum(row[4] for row in doomed))
        with self._transaction():
            self._db.executemany("DELETE FROM events WHERE batch = ? AND i = ?", [row[1:3] for row in doomed])
            self._used -= sum(row[4] for row in doomed)
            self._delete_empty({row[1] for row in doomed})
            for epoch, count in Counter(row[0] for row in doomed).items():
                self._count(epoch, lost=count)
            self._insert(_lost(Counter(_NAMES.get(row[3], "unknown") for row in doomed), now, reason), now)
        return bool(doomed)

    def _droppable(self, kinds: Iterable[type], wanted: int) -> list[tuple[int, int, int, int, int]]:
        """Return (epoch, batch, i, kind, bytes) of the oldest unsealed events that make `wanted` bytes."""
        tags = ", ".join(str(_TAGS[kind]) for kind in kinds)
        end = self._open.id if self._open else _LAST_OF_ALL
        rows = self._db.execute(
            "SELECT b.epoch, e.batch, e.i, e.kind, length(e.body) + ? FROM batches b JOIN events e "
            f"ON e.batch = b.id WHERE b.sealed IS NULL AND b.id < ? AND e.kind IN ({tags}) "
            "ORDER BY b.id, e.i", (EVENT_COST, end),
        )  # fmt: skip
        found = []
        with contextlib.closing(rows):
            while wanted > 0 and (row := rows.fetchone()) is not None:
                found.append(row)
                wanted -= row[4]
        return found

    def _delete_empty(self, batches: Iterable[int]) -> None:
        query = "DELETE FROM batches WHERE id = ? AND NOT EXISTS (SELECT 1 FROM events WHERE batch = id)"
        self._used -= BATCH_COST * sum(self._db.execute(query, (id_,)).rowcount for id_ in batches)

    # ── a full disk ──

    def _relieved(self, now: Now) -> bool:
        """Make room on a full disk (the ballast, then detail) and write; False if it is still full."""
        self._ballast.unlink(missing_ok=True)
        self._ballast_tried = now.mono
        for _ in range(4):
            if self._tried(lambda: self._checkpoint_and_write(now)):
                return True
            if not self._tried(lambda: self._shrink(self._used - self._slack, "the disk was full", now)):
                return False
        return False

    def _tried(self, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except FAILURES as error:
            if is_stuck(error):
                return False
            raise

    def _checkpoint_and_write(self, now: Now) -> bool:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._write(now)
        return True

    def _keep_ballast(self, now: Now) -> None:
        """Reserve room for the day the disk is full, if there is some to spare."""
        if now.mono < self._ballast_tried:
            return
        self._ballast_tried = now.mono + _BALLAST_RETRY_MS
        with contextlib.suppress(OSError):
            disk = os.statvfs(self.path.parent)
            if not self._ballast.exists() and disk.f_bavail * disk.f_frsize > 2 * self._ballast_bytes:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)

    # ── damage ──

    def _begin(self, now: Now) -> None:
        """Check the file, or set it aside; start the epoch, durably, before any event."""
        try:
            spoolfile.prepare(self._db, self.path)
            self._start(now, None)
        except FAILURES as error:
            if not is_damage(error):
                raise
            self._replace(now)
        self._keep_ballast(now)

    def _replace(self, now: Now) -> None:
        """Set a damaged file aside, move what is readable to a new one, count the rest."""
        with contextlib.suppress(*FAILURES):
            self._db.close()
        aside = spoolfile.set_aside(self.path)
        self.damaged += 1
        self.epoch = self._new_epoch()  # which numbers of the old one were used is not sure any more
        self._open = None
        self._db = _connection(self.path)
        spoolfile.prepare(self._db, self.path)
        self._start(now, aside)

    def _start(self, now: Now, aside: Path | None) -> None:
        with self._transaction():
            if aside is not None:
                spoolfile.rescue(aside, self._db)
            spoolfile.start_epoch(self._db, self.epoch, now.wall)
            missing = spoolfile.reconcile(self._db) if aside or spoolfile.is_small(self.path) else 0
            highest = self._db.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()[0]
            self._last_batch = max(self._last_batch, highest)  # a position, once handed out, is past
            self._used = spoolfile.used_bytes(self._db, self.path)
            if missing or aside:
                where = f", set aside as {aside.name}" if aside else ""
                self._insert(
                    [wire.Lost(now.wall, "", "unknown", missing, f"the spool was damaged{where}")], now
                )

    def _guarded(self, work: Callable[[], T], now: Now) -> T:
        """Do `work`; if the file turns out to be damaged, replace it and do it again."""
        try:
            return work()
        except FAILURES as error:
            if not is_damage(error):
                raise
        self._replace(now)
        return work()

    def _drop_damaged(self, batches: Iterable[tuple[Any, ...]], now: Now) -> None:
        """Drop damaged events; of a sealed batch all, since it cannot be sent as it was. Count them."""
        with self._transaction():
            for id_, epoch, _, base, mono, crc, sealed in batches:
                whole = [] if sealed is not None or crc != batch_crc(id_, epoch, base, mono) else [
                    row[1] for row in self._whole_events(id_)
                ]  # fmt: skip
                kinds = self._db.execute("SELECT i, kind FROM events WHERE batch = ?", (id_,)).fetchall()
                bad = [(id_, i) for i, _ in kinds if i not in whole]
                self._db.executemany("DELETE FROM events WHERE batch = ? AND i = ?", bad)
                self._delete_empty([id_])
            missing = spoolfile.reconcile(self._db)
            self._insert(_lost({"unknown": missing}, now, "damaged on the disk"), now)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, on disk and in what this object remembers of it."""
        before = copy.copy(self._open), self._used, self._last_batch
        self._db.execute("BEGIN IMMEDIATE")
        with contextlib.ExitStack() as undo:
            undo.callback(self._roll_back, *before)
            yield
            self._db.execute("COMMIT")
            undo.pop_all()

    def _roll_back(self, batch: _Open | None, used: int, last_batch: int) -> None:
        with contextlib.suppress(*FAILURES):
            self._db.execute("ROLLBACK")
        self._open, self._used, self._last_batch = batch, used, last_batch


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _lost(lost: Mapping[str, int], now: Now, reason: str) -> list[wire.AnyEvent]:
    return [wire.Lost(now.wall, "", kind, count, reason) for kind, count in sorted(lost.items()) if count]


class SpoolWorker:
    """The spool on its one thread, for the event loop. An async context manager; closes the spool.

    `ready` is set whenever there may be something to send, or to wait for.
    """

    def __init__(self, spool: Spool, clock: Callable[[], Now] = this_moment) -> None:
        self.ready = asyncio.Event()
        self._spool = spool
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "spool")

    @property
    def epoch(self) -> int:
        """The epoch that events now belong to."""
        return self._spool.epoch

    async def __aenter__(self) -> SpoolWorker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._call(lambda: self._spool.close_due(self._clock()))  # what waits in memory, if it can
        await self._call(self._spool.close)
        self._thread.shutdown(wait=True)

    async def append(self, events: Sequence[wire.AnyEvent], state: Mapping[str, bytes] | None = None) -> bool:
        """Put events and state on disk; see `Spool.append`. Cancelling does not undo it."""
        stored = await self._call(lambda: self._spool.append(events, self._clock(), state))
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
        return await asyncio.shield(asyncio.wrap_future(future))
