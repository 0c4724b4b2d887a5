"""The SQLite file under the spool: its tables and checksums, its account, and the rescue of a damaged one.

What always holds: a row is believed only if its checksum fits. A rescue never invents and never renumbers:
a sealed batch moves whole or not at all, and what does not move is counted as lost by `reconcile`.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from agent import wire

EVENT_COST = 32  # what SQLite adds to a row, about
BATCH_COST = 64
CHECKED_BYTES = 64 * 1024 * 1024  # a larger file is not read through at the start, only row by row later
_PAGE = 1024  # small pages: an append touches four of them, and memory cards wear out
_KEPT_EPOCHS = 1000
_KEPT_DAMAGED = 3
_SKIP = 1_000_000  # numbers left out where it is not known which were used

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY, opened INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 1,
    committed INTEGER NOT NULL DEFAULT 0, acked INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0) STRICT""",
    """CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER, base INTEGER NOT NULL,
    mono INTEGER NOT NULL, crc INTEGER NOT NULL, sealed INTEGER) STRICT""",
    "CREATE UNIQUE INDEX IF NOT EXISTS sent ON batches (epoch, seq) WHERE seq IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS events (
    batch INTEGER NOT NULL, i INTEGER NOT NULL, kind INTEGER NOT NULL, crc INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (batch, i)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID""",
)
_PRAGMAS = (
    f"page_size = {_PAGE}", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 512",
    "journal_size_limit = 524288", "cell_size_check = ON", "trusted_schema = OFF", "temp_store = MEMORY",
)  # fmt: skip
_STUCK = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY,
}  # fmt: skip


# A damaged file can give even SQLite's own messages bytes that are no text.
FAILURES = (sqlite3.Error, UnicodeDecodeError)


class SpoolError(Exception):
    """The spool cannot be used; the text says why and what to do."""


class _DamageError(sqlite3.DatabaseError):
    """What `quick_check` found."""


def is_stuck(error: Exception) -> bool:
    """True if the disk is full, read-only or failing: the same may work later."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _STUCK


def is_damage(error: Exception) -> bool:
    """True if the file's content is to blame."""
    ours = isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    return not ours and not is_stuck(error)


# ── checksums: any bytes or types may come out of a damaged file ──────────────────────────────────


def event_crc(batch: Any, i: Any, kind: Any, body: Any) -> int:
    """Return the checksum of an event's row; -1 if it cannot be a row of ours."""
    try:
        return zlib.crc32(body, zlib.crc32(struct.pack("<QQQ", batch, i, kind)))
    except (struct.error, TypeError):
        return -1


def batch_crc(id_: Any, epoch: Any, base: Any, mono: Any) -> int:
    """Return the checksum of the part of a batch's row that never changes."""
    try:
        return zlib.crc32(struct.pack("<QQqq", id_, epoch, base, mono))
    except (struct.error, TypeError):
        return -1


def state_crc(key: str, value: Any) -> int:
    """Return the checksum of a remembered value."""
    return zlib.crc32(value, zlib.crc32(key.encode())) if isinstance(value, bytes) else -1


# ── opening ───────────────────────────────────────────────────────────────────────────────────────


def lock(path: Path) -> IO[bytes]:
    """Keep a second agent out while the returned file is open; raise SpoolError if one is there."""
    file = path.with_name(f"{path.stem}.lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SpoolError(f"{path} is in use by another agent; stop that one first") from None
    return file


def in_use(path: Path) -> bool:
    """Tell whether an agent has the spool open. Makes no file: it would belong to whoever asks."""
    try:
        with path.with_name(f"{path.stem}.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set the connection up, check the file, make the tables; raise sqlite3.DatabaseError on damage."""
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}").fetchall()
    if is_small(path):
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise _DamageError(problem)
    for statement in _SCHEMA:
        db.execute(statement)


def start_epoch(db: sqlite3.Connection, epoch: int, opened: int) -> None:
    """Put a new epoch on disk; forget very old ones that are settled."""
    db.execute("INSERT OR IGNORE INTO epochs (epoch, opened) VALUES (?, ?)", (epoch, opened))
    db.execute(
        "DELETE FROM epochs WHERE lost = 0 AND committed = acked AND epoch NOT IN "
        "(SELECT epoch FROM epochs ORDER BY opened DESC LIMIT ?)", (_KEPT_EPOCHS,),
    )  # fmt: skip


def used_bytes(db: sqlite3.Connection, path: Path) -> int:
    """Return the bytes that events take; estimated from the pages where counting would take long."""
    if not is_small(path):
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        return int(pages - db.execute("PRAGMA freelist_count").fetchone()[0]) * _PAGE
    query = "SELECT coalesce(sum(length(body) + ?), 0) FROM events"
    events = db.execute(query, (EVENT_COST,)).fetchone()[0]
    return int(events + db.execute("SELECT count(*) FROM batches").fetchone()[0] * BATCH_COST)


def is_small(path: Path) -> bool:
    """Return True if the file can be read through at each start."""
    return path.stat().st_size <= CHECKED_BYTES


# ── the account ───────────────────────────────────────────────────────────────────────────────────


def account(db: sqlite3.Connection) -> dict[str, Any]:
    """Return what was committed, acknowledged and lost, in numbers of events."""
    rows = db.execute("SELECT epoch, committed, acked, lost FROM epochs ORDER BY opened, rowid").fetchall()
    names = ("epoch", "committed", "acked", "lost")
    return {
        "epochs": [dict(zip(names, row, strict=True)) for row in rows],
        "pending": sum(committed - acked - lost for _, committed, acked, lost in rows),
        "lost": sum(row[3] for row in rows),
    }


def read_status(path: Path) -> dict[str, Any]:
    """Return the account from outside the agent's process, whether it runs or not; raise SpoolError."""
    try:
        path.stat()
    except FileNotFoundError:
        raise SpoolError(f"{path}: there is no spool yet; start the agent first") from None
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}; run this as the agent's user or as root") from None
    problem = ""
    for mode in ("mode=ro", "immutable=1"):  # a WAL that nobody has open cannot always be read with `ro`
        try:
            with contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=2)
            ) as db:
                return account(db)
        except FAILURES as error:
            problem = str(error)
    raise SpoolError(f"{path}: {problem}; run this as the agent's user or as root")


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


# ── damage ────────────────────────────────────────────────────────────────────────────────────────


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


def rescue(aside: Path, db: sqlite3.Connection) -> None:
    """Copy what is readable and whole from a damaged file."""
    with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as old:
        for row in _readable(old, "epochs", "epoch, opened, next, committed, acked, lost"):
            if all(isinstance(value, int) and 0 <= value < 2**62 for value in row):
                query = "INSERT OR IGNORE INTO epochs VALUES (?1, ?2, ?3 + ?7, ?4, ?5, ?6)"
                db.execute(query, (*row, _SKIP))
        for key, crc, value in _readable(old, "state", "key, crc, value"):
            if isinstance(key, str) and crc == state_crc(key, value):
                db.execute("INSERT OR IGNORE INTO state VALUES (?, ?, ?)", (key, crc, value))
        for row in _readable(old, "batches", "id, epoch, seq, base, mono, crc, sealed"):
            _rescue_batch(old, db, row)


def _rescue_batch(old: sqlite3.Connection, db: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    id_, epoch, seq, base, mono, crc, sealed = row
    if crc != batch_crc(id_, epoch, base, mono):
        return
    events = _rescued_events(old, id_)
    if sealed is not None and not is_payload(sealed, epoch, seq, base, mono, [event[4] for event in events]):
        return
    if events and (sealed is None) == (seq is None):
        db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", events)


def _rescued_events(old: sqlite3.Connection, batch: int) -> list[tuple[Any, ...]]:
    found = []
    with contextlib.suppress(*FAILURES):
        query = "SELECT batch, i, kind, crc, body FROM events WHERE batch = ? ORDER BY i"
        for row in old.execute(query, (batch,)):
            if row[3] == event_crc(row[0], row[1], row[2], row[4]):
                found.append(row)
    return found


def is_payload(sealed: Any, epoch: int, seq: Any, base: int, mono: int, bodies: list[bytes]) -> bytes | None:
    """Return the payload of a sealed batch if it is still what it was."""
    if not isinstance(seq, int):
        return None
    payload = wire.encode_batch(epoch, seq, base, mono, bodies)
    return payload if zlib.crc32(payload) == sealed else None


def _readable(db: sqlite3.Connection, table: str, columns: str) -> Iterable[tuple[Any, ...]]:
    """Return what can be read of a small table, from both ends."""
    rows: dict[Any, tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(*FAILURES):
            for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY 1 {order}"):
                rows.setdefault(row[0], row)
    return rows.values()
