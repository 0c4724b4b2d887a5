"""What becomes of a damaged spool: its account is put right, or it is set aside and emptied into a new one.

What always holds: a rescue never invents and never renumbers: a sealed batch moves whole or not at all, and
what does not move is counted as lost by `reconcile`. Where the account itself is damaged, that number is not
known, and that is what is said.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from agent.deliver.spool_checksums import batch_crc, epoch_crc, event_crc, is_payload, state_crc
from agent.deliver.spool_db import FAILURES, connection, is_small, sign_epochs

_KEPT_DAMAGED = 3
_SKIP = 1_000_000  # numbers left out where it is not known which were used


def reconcile(db: sqlite3.Connection) -> int:
    """Make the account agree with the rows that exist; return how many events have gone missing."""
    _adopt_orphans(db)
    here = dict(
        db.execute("SELECT b.epoch, count(*) FROM batches b JOIN events e ON e.batch = b.id GROUP BY b.epoch")
    )
    missing = 0
    for epoch, committed, acked, lost in db.execute(
        "SELECT epoch, committed, acked, lost FROM epochs"
    ).fetchall():
        gone = committed - acked - lost - here.get(epoch, 0)
        missing += max(gone, 0)
        query = "UPDATE epochs SET lost = lost + ?, committed = committed + ? WHERE epoch = ?"
        db.execute(query, (max(gone, 0), max(-gone, 0), epoch))
    sign_epochs(db)
    return missing


def _adopt_orphans(db: sqlite3.Connection) -> None:
    """Drop rows that belong to nothing; give batches whose epoch's row is gone a new one."""
    db.execute("DELETE FROM events WHERE batch NOT IN (SELECT id FROM batches)")
    db.execute("DELETE FROM batches WHERE id NOT IN (SELECT batch FROM events)")
    db.execute(
        "INSERT OR IGNORE INTO epochs (epoch, opened, next) "
        "SELECT epoch, 0, coalesce(max(seq), 0) + ? FROM batches GROUP BY epoch", (_SKIP,),
    )  # fmt: skip
    db.execute(
        "UPDATE epochs SET next = max(next, 1 + coalesce("
        "(SELECT max(seq) FROM batches WHERE batches.epoch = epochs.epoch), 0))"
    )


def set_aside(path: Path) -> Path:
    """Rename the file and its log; keep the last few of such."""
    before = [int(tail) for old in path.parent.glob(f"{path.stem}.damaged-*")
              if (tail := old.name.rpartition("-")[2]).isdigit()]  # fmt: skip
    number = max(before, default=0) + 1
    aside = path.with_name(f"{path.stem}.damaged-{number}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    for gone in sorted(before)[: 1 - _KEPT_DAMAGED]:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"{path.stem}.damaged-{gone}{suffix}").unlink(missing_ok=True)
    return aside


def rescue(aside: Path, db: sqlite3.Connection) -> bool:
    """Copy what is readable and whole from a damaged file; False if more was in it than can be known.

    It is known only if every epoch was read, in order and under its checksum: their numbers say how many
    events there must be.
    """
    with contextlib.closing(connection(aside)) as old:
        columns = "epoch, opened, next, committed, acked, lost, crc"
        epochs, known = _readable(old, "epochs", columns)
        for epoch, opened, *numbers, crc in epochs:
            whole = crc == epoch_crc(epoch, *numbers) and isinstance(opened, int)
            known = known and whole
            if whole:
                query = "INSERT OR IGNORE INTO epochs VALUES (?1, ?2, ?3 + ?8, ?4, ?5, ?6, ?7)"
                db.execute(query, (epoch, opened, *numbers, crc, _SKIP))
        for key, crc, value in _readable(old, "state", "key, crc, value")[0]:
            if isinstance(key, str) and crc == state_crc(key, value):
                db.execute("INSERT OR IGNORE INTO state VALUES (?, ?, ?)", (key, crc, value))
        scanned = _scanned_events(old) if is_small(aside) else {}
        for row in _readable(old, "batches", "id, epoch, seq, base, mono, crc, sealed")[0]:
            _rescue_batch(old, db, row, scanned.get(row[0], {}))
    sign_epochs(db)
    return known and bool(epochs)


def _rescue_batch(
    old: sqlite3.Connection, db: sqlite3.Connection, row: tuple[Any, ...], scanned: dict[int, tuple[Any, ...]]
) -> None:
    """Copy a batch and those of its events that are whole; `scanned`: what a scan found of them, by place."""
    id_, epoch, seq, base, mono, crc, sealed = row
    if crc != batch_crc(id_, epoch, base, mono):
        return
    found = scanned | _found_events(old, id_)
    events = [found[place] for place in sorted(found)]
    if sealed is not None and not is_payload(sealed, epoch, seq, base, mono, [event[4] for event in events]):
        return
    if events and (sealed is None) == (seq is None):
        db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", events)


def _found_events(old: sqlite3.Connection, batch: int) -> dict[int, tuple[Any, ...]]:
    """Return a batch's whole events where they should be, by place."""
    found: dict[int, tuple[Any, ...]] = {}
    with contextlib.suppress(*FAILURES):
        query = "SELECT batch, i, kind, crc, body FROM events WHERE batch = ? ORDER BY i"
        for row in old.execute(query, (batch,)):
            if row[3] == event_crc(batch, row[1], row[2], row[4]):
                found[row[1]] = row
    return found


def _scanned_events(old: sqlite3.Connection) -> dict[int, dict[int, tuple[Any, ...]]]:
    """Return the whole events wherever they are, from both ends: batch -> place -> row."""
    found: dict[int, dict[int, tuple[Any, ...]]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(*FAILURES):
            for row in old.execute(
                f"SELECT batch, i, kind, crc, body FROM events ORDER BY batch {order}, i {order}"
            ):
                if row[3] == event_crc(row[0], row[1], row[2], row[4]):
                    found.setdefault(row[0], {})[row[1]] = row
    return found


def _readable(db: sqlite3.Connection, table: str, columns: str) -> tuple[list[tuple[Any, ...]], bool]:
    """Return what can be read of a small table from both ends, and whether that is all of it, in order."""
    rows: dict[Any, tuple[Any, ...]] = {}
    orders: list[list[Any]] = []
    for order in ("ASC", "DESC"):
        with contextlib.suppress(*FAILURES):
            keys: list[Any] = []
            for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY 1 {order}"):
                rows.setdefault(row[0], row)
                keys.append(row[0])
            orders.append(keys)
    whole = len(orders) == 2 and orders[0] == orders[1][::-1] and len(orders[0]) == len(rows)
    return list(rows.values()), whole
