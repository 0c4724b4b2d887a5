"""The batches of one connection, on disk or in memory: put events in, seal, forget, drop by class.

What always holds:

* A batch has four ages: *open* (takes events), *closed* (full, or due), *sealed* (has its number, because it
  was handed out), *forgotten* (the aggregator has named it). A number is given, durably, before the batch
  is first handed out, and never twice: numbers belong to an epoch, and each open has a new random one.
* A sealed batch never changes and is never dropped: its payload is the same bytes each time. There are only
  as many as the publisher's window, so this costs little room.
* Events may be dropped one by one only before their batch is sealed, and are replaced, in the same
  transaction, by `Lost` events that count them. So, at any moment and for each epoch:
  committed = acknowledged + pending + lost.
* What SQLite does not see to be damaged, the checksums do: a bad row is dropped and counted, and where that
  does not mend the batch the file itself cannot be right (`DamageError`).
"""

from __future__ import annotations

import contextlib
import copy
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agent import wire
from agent.deliver.spool_checksums import batch_crc, event_crc, is_payload, state_crc
from agent.deliver.spool_db import BATCH_COST, EVENT_COST, FAILURES, DamageError, raise_epoch
from agent.deliver.spool_rescue import reconcile
from agent.deliver.spool_values import Now, Sealed, lost

LAST_OF_ALL = 2**62

_ENVELOPE = 64  # bytes at most, around a batch's events
_LARGEST = wire.MAX_PAYLOAD - _ENVELOPE - 64
_NAMES = {tag: wire.EVENT_NAMES[kind] for tag, kind in wire.EVENT_TYPES.items()}


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


class Batches:
    """The tables behind one connection, and what this process remembers of them.

    `used`: bytes that events take. `last`: the highest number of a batch so far; it only grows.
    """

    def __init__(self, db: sqlite3.Connection, epoch: int, used: int = 0, last: int = 0) -> None:
        self.db = db
        self.epoch = epoch
        self.used = used
        self.last = last
        self._open: _Open | None = None

    # ── in ──

    def write(
        self, events: Iterable[wire.AnyEvent], gone: Mapping[str, int], state: Mapping[str, bytes], now: Now
    ) -> None:
        """Put events, the number of those that were let go before, and state on disk, all or nothing."""
        with self.transaction():
            self.insert([*events, *lost(gone, now, "the disk was full")], now)
            amount = sum(gone.values())
            raise_epoch(self.db, self.epoch, committed=amount, lost=amount)
            rows = [(key, state_crc(key, value), value) for key, value in state.items()]
            self.db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", rows)

    def insert(self, events: Iterable[wire.AnyEvent], now: Now) -> None:
        """Add events to the open batch, or to new ones where it is full."""
        rows = []
        batch = self._open
        oversized: Counter[str] = Counter()
        for event in events:
            body = wire.encode_event(event, batch.base if batch else now.wall)
            if len(body) > _LARGEST:
                oversized[wire.EVENT_NAMES[type(event)]] += 1
                continue
            if batch is None or not batch.fits(body):
                batch = self._open = self._new_batch(now)
                body = wire.encode_event(event, batch.base)
            kind = wire.EVENT_TAGS[type(event)]
            rows.append((batch.id, batch.count, kind, event_crc(batch.id, batch.count, kind, body), body))
            batch.count += 1
            batch.size += len(body)
            if batch.urgent is None and isinstance(event, wire.URGENT):
                batch.urgent = now.mono
        self.db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
        gone = sum(oversized.values())
        raise_epoch(self.db, self.epoch, committed=len(rows) + gone, lost=gone)
        self.used += sum(len(row[4]) + EVENT_COST for row in rows)
        if oversized:
            self.insert(lost(oversized, now, "larger than a batch may be"), now)

    def _new_batch(self, now: Now) -> _Open:
        self.last += 1
        batch = _Open(self.last, now.wall, now.mono)
        crc = batch_crc(batch.id, self.epoch, now.wall, now.mono)
        row = (batch.id, self.epoch, now.wall, now.mono, crc)
        self.db.execute("INSERT INTO batches (id, epoch, base, mono, crc) VALUES (?, ?, ?, ?, ?)", row)
        self.used += BATCH_COST
        return batch

    # ── out ──

    def close_due(self, now: Now) -> int | None:
        """Close the open batch if it is due; return the monotonic ms when it will be."""
        if self._open is not None and now.mono >= self._open.due:
            self._open = None
        return self._open.due if self._open else None

    def close_batch(self) -> None:
        """Close the open batch now."""
        self._open = None

    def take(self, after: int, limit: int, now: Now) -> list[Sealed]:
        """Return up to `limit` closed batches behind position `after`, oldest first, each sealed."""
        rows = self._closed(after, limit)
        taken = [self._seal(row) for row in rows if row[6] is not None]
        if len(taken) < len(rows) or None in taken:
            with self.transaction():  # what does not mend the file leaves no trace in it
                taken = [self._seal(row) for row in rows]
                if None in taken:
                    bad = [row for row, sealed in zip(rows, taken, strict=True) if sealed is None]
                    self._drop_damaged(bad, now)
                    taken = [self._seal(row) for row in self._closed(after, limit)]
                if None in taken:
                    raise DamageError("a batch's events are not where they should be")
        return [sealed for sealed in taken if sealed is not None]

    def _closed(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        rows = self.db.execute(
            "SELECT id, epoch, seq, base, mono, crc, sealed FROM batches "
            "WHERE id > ? AND id < ? ORDER BY id LIMIT ?", (after, self._end(), limit),
        ).fetchall()  # fmt: skip
        if any(one[0] >= two[0] for one, two in pairwise(rows)):
            raise DamageError("the batches are out of order")
        return rows

    def _end(self) -> int:
        return self._open.id if self._open else LAST_OF_ALL

    def _seal(self, row: tuple[Any, ...]) -> Sealed | None:
        """Give a batch its number if it has none; None if it is damaged."""
        id_, epoch, seq, base, mono, crc, sealed = row
        bodies = [event[4] for event in self._whole_events(id_)]
        if crc != batch_crc(id_, epoch, base, mono) or len(bodies) != self._event_count(id_) or not bodies:
            return None
        if sealed is not None:
            payload = is_payload(sealed, epoch, seq, base, mono, bodies)
            return Sealed(id_, epoch, seq, payload) if payload else None
        raise_epoch(self.db, epoch, next_=1)
        number = self.db.execute("SELECT next - 1 FROM epochs WHERE epoch = ?", (epoch,)).fetchone()[0]
        payload = wire.encode_batch(epoch, number, base, mono, bodies)
        query = "UPDATE batches SET seq = ?, sealed = ? WHERE id = ?"
        self.db.execute(query, (number, zlib.crc32(payload), id_))
        return Sealed(id_, epoch, number, payload)

    def _whole_events(self, batch: int) -> list[tuple[Any, ...]]:
        """Return the rows of a batch that are undamaged. A displaced page may give those of another one."""
        query = "SELECT batch, i, kind, crc, body FROM events WHERE batch = ? ORDER BY i"
        rows = self.db.execute(query, (batch,)).fetchall()
        return [row for row in rows if row[3] == event_crc(batch, row[1], row[2], row[4])]

    def _event_count(self, batch: int) -> int:
        query = "SELECT count(*) FROM events WHERE batch = ?"
        return int(self.db.execute(query, (batch,)).fetchone()[0])

    # ── away ──

    def forget(self, epoch: int, ranges: Iterable[tuple[int, int]]) -> int:
        """Delete the batches that are stored elsewhere now; return how many events that were."""
        query = "SELECT id FROM batches WHERE epoch = ? AND seq BETWEEN ? AND ?"
        found = [id_ for pair in ranges for (id_,) in self.db.execute(query, (epoch, *pair)).fetchall()]
        if not found:
            return 0
        # An acknowledgement that a power cut undoes is given again, so this commit need not be synced.
        self.db.execute("PRAGMA synchronous = NORMAL")
        try:
            with self.transaction():
                events = sum(self._delete_batch(id_) for id_ in found)
                raise_epoch(self.db, epoch, acked=events)
        finally:
            self.db.execute("PRAGMA synchronous = FULL")
        return events

    def _delete_batch(self, id_: int) -> int:
        """Delete a batch; return how many events that were."""
        count, size = self.db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM events WHERE batch = ?", (id_,)
        ).fetchone()
        gone = self.db.execute("DELETE FROM events WHERE batch = ?", (id_,)).rowcount
        gone += self.db.execute("DELETE FROM batches WHERE id = ?", (id_,)).rowcount
        if gone != count + 1:
            raise DamageError("a batch cannot be deleted")
        self.used = max(0, self.used - size - count * EVENT_COST - BATCH_COST)
        return int(count)

    def shrink(self, goal: int, reason: str, now: Now, turns: Iterable[Sequence[type]]) -> bool:
        """Drop events of these kinds, oldest first, until `goal` bytes are used; False if there were none."""
        doomed: list[tuple[int, int, int, int, int]] = []
        for kinds in turns:
            doomed += self._droppable(kinds, self.used - goal - sum(row[4] for row in doomed))
        with self.transaction():
            query = "DELETE FROM events WHERE batch = ? AND i = ?"
            if self.db.executemany(query, [row[1:3] for row in doomed]).rowcount not in (len(doomed), -1):
                raise DamageError("events cannot be deleted")
            self.used -= sum(row[4] for row in doomed)
            self._delete_empty({row[1] for row in doomed})
            for epoch, count in Counter(row[0] for row in doomed).items():
                raise_epoch(self.db, epoch, lost=count)
            self.insert(lost(Counter(_NAMES.get(row[3], wire.UNKNOWN) for row in doomed), now, reason), now)
        return bool(doomed)

    def _droppable(self, kinds: Sequence[type], wanted: int) -> list[tuple[int, int, int, int, int]]:
        """Return (epoch, batch, i, kind, bytes) of the oldest unsealed events that make `wanted` bytes."""
        tags = ", ".join(str(wire.EVENT_TAGS[kind]) for kind in kinds)
        rows = self.db.execute(
            "SELECT b.epoch, e.batch, e.i, e.kind, length(e.body) + ? FROM batches b JOIN events e "
            f"ON e.batch = b.id WHERE b.sealed IS NULL AND b.id < ? AND e.kind IN ({tags}) "
            "ORDER BY b.id, e.i", (EVENT_COST, self._end()),
        )  # fmt: skip
        found = []
        with contextlib.closing(rows):
            while wanted > 0 and (row := rows.fetchone()) is not None:
                found.append(row)
                wanted -= row[4]
        return found

    def _delete_empty(self, batches: Iterable[int]) -> None:
        query = "DELETE FROM batches WHERE id = ? AND NOT EXISTS (SELECT 1 FROM events WHERE batch = id)"
        self.used -= BATCH_COST * sum(self.db.execute(query, (id_,)).rowcount for id_ in batches)

    def _drop_damaged(self, batches: Iterable[tuple[Any, ...]], now: Now) -> None:
        """Drop damaged events; of a sealed batch all, since it cannot be sent as it was. Count them."""
        for id_, epoch, _, base, mono, crc, sealed in batches:
            whole = [] if sealed is not None or crc != batch_crc(id_, epoch, base, mono) else [
                row[1] for row in self._whole_events(id_)
            ]  # fmt: skip
            kinds = self.db.execute("SELECT i, kind FROM events WHERE batch = ?", (id_,)).fetchall()
            bad = [(id_, i) for i, _ in kinds if i not in whole]
            self.db.executemany("DELETE FROM events WHERE batch = ? AND i = ?", bad)
            self._delete_empty([id_])
        missing = reconcile(self.db)
        self.insert(lost({wire.UNKNOWN: missing}, now, "damaged on the disk"), now)

    # ── all or nothing ──

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk and in what this object remembers of it."""
        before = copy.copy(self._open)
        used = self.used
        last = self.last
        self.db.execute("BEGIN IMMEDIATE")
        with contextlib.ExitStack() as undo:
            undo.callback(self._roll_back, before, used, last)
            yield
            self.db.execute("COMMIT")
            undo.pop_all()

    def _roll_back(self, batch: _Open | None, used: int, last: int) -> None:
        with contextlib.suppress(*FAILURES):
            self.db.execute("ROLLBACK")
        self._open = batch
        self.used = used
        self.last = last
