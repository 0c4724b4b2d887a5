"""The SQLite file under the spool: its tables and checksums, its lock, and its account.

What always holds: a row is believed only if its checksum fits; that of an epoch covers the next number and
the account, so neither is ever taken from a damaged page. The lock's file says "open" while an agent runs:
who finds that at a start knows that the agent before was killed, and that the log of SQLite must be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from agent import wire
from agent.deliver import spool_wal

T = TypeVar("T")

EVENT_COST = 32  # what SQLite adds to a row, about
BATCH_COST = 64
CHECKED_BYTES = 64 * 1024 * 1024  # a larger file is not read through at the start, only row by row later
_PAGE = 1024  # small pages: an append touches four of them, and memory cards wear out
_KEPT_EPOCHS = 1000

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY, opened INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 1,
    committed INTEGER NOT NULL DEFAULT 0, acked INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, crc INTEGER) STRICT""",
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
_RUNNING = b"open"
_ENDED = b"closed"
_EPOCH_CRC = "epoch_crc(epoch, next, committed, acked, lost)"
_STUCK = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY,
}  # fmt: skip


# A damaged file can give even SQLite's own messages bytes that are no text.
FAILURES = (sqlite3.Error, UnicodeDecodeError)


class SpoolError(Exception):
    """The spool cannot be used; the text says why and what to do."""


class DamageError(sqlite3.DatabaseError):
    """The file's content cannot be right; the text says what was found."""


def is_stuck(error: Exception) -> bool:
    """True if the disk is full, read-only or failing: the same may work later."""
    return isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _STUCK


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


def epoch_crc(epoch: Any, next_: Any, committed: Any, acked: Any, lost: Any) -> int:
    """Return the checksum of an epoch's numbers; -1 if they cannot be ours."""
    try:
        return zlib.crc32(struct.pack("<QQQQQ", epoch, next_, committed, acked, lost))
    except (struct.error, TypeError):
        return -1


def state_crc(key: str, value: Any) -> int:
    """Return the checksum of a remembered value."""
    return zlib.crc32(value, zlib.crc32(key.encode())) if isinstance(value, bytes) else -1


# ── opening ───────────────────────────────────────────────────────────────────────────────────────


def lock(path: Path) -> IO[bytes]:
    """Keep a second agent out while the returned file is open; raise SpoolError if one is there."""
    file = _lock_file(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SpoolError(f"{path} is in use by another agent; stop that one first") from None
    return file


def _lock_file(path: Path) -> IO[bytes]:
    name = path.with_name(f"{path.stem}.lock")
    try:
        return name.open("ab+", buffering=0)
    except OSError:
        if not name.exists():
            raise
        return name.open("rb", buffering=0)  # on a disk that is read-only it keeps others out all the same


def mark(locked: IO[bytes], *, running: bool) -> None:
    """Note in the lock's file that an agent runs, or that it has ended well; as far as the disk lets us."""
    with contextlib.suppress(OSError):
        locked.truncate(0)
        locked.write(_RUNNING if running else _ENDED)
        os.fsync(locked.fileno())


def was_killed(locked: IO[bytes]) -> bool:
    """Tell whether the agent that held the lock before did not end well."""
    locked.seek(0)
    return locked.read(len(_RUNNING)) == _RUNNING


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


def what_is_gone(path: Path, locked: IO[bytes]) -> str:
    """Return why more than can be counted is missing of what was on disk, empty if nothing is.

    A first start finds no lock's file; a killed agent leaves SQLite's log behind.
    """
    log = Path(f"{path}-wal")
    if not path.exists():
        used = locked.seek(0, os.SEEK_END) > 0
        return "the spool's file was removed" if used else ""
    if was_killed(locked) and not log.exists():
        return "the log of the spool's file was removed"
    return ""


def log_ends(path: Path) -> list[int]:
    """Return where transactions end in the log that the agent before has left."""
    return spool_wal.ends_of_transactions(Path(f"{path}-wal"), _PAGE)


def what_was_skipped(db: sqlite3.Connection, ends: list[int]) -> str:
    """Return why SQLite left accepted events out of the log; empty if it did not. `ends`: of `log_ends`."""
    taken = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    # The last one may be a write that a power cut tore before it was accepted; that cannot be told apart.
    return "the log of the spool's file was damaged" if any(end > taken for end in ends) else ""


def free_bytes(path: Path) -> int:
    """Return the room on the disk of a spool; raise OSError."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def reserve(limit_bytes: int) -> int:
    """Return the bytes that must stay free on the disk of a spool with that limit: its ballast's size."""
    return min(1024 * 1024, limit_bytes // 8)


def full(path: Path) -> str:
    """Say that the disk of a spool is full, in one line."""
    return f"the disk with {path.parent} is full: old detail is dropped to go on; free some space"


def reason(error: Exception) -> str:
    """Return what a disk did, without the name of a file."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def connection(path: Path | str) -> sqlite3.Connection:
    """Open a connection that can sign epochs."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.create_function("epoch_crc", 5, epoch_crc, deterministic=True)
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set the connection up, check the file, make the tables; raise sqlite3.DatabaseError on damage."""
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}").fetchall()
    if is_small(path):
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise DamageError(problem)
    make_tables(db)


def make_tables(db: sqlite3.Connection) -> None:
    """Make what tables are missing, and check the epochs; raise DamageError."""
    for statement in _SCHEMA:
        db.execute(statement)
    if "crc" not in {row[1] for row in db.execute("PRAGMA table_info(epochs)")}:
        db.execute("ALTER TABLE epochs ADD COLUMN crc INTEGER")  # a file of an agent before 0.3
    wrong = db.execute(
        f"SELECT epoch FROM epochs WHERE crc IS NOT NULL AND crc <> {_EPOCH_CRC} LIMIT 1"
    ).fetchone()
    if wrong:
        raise DamageError(f"the numbers of epoch {wrong[0]} do not fit their checksum")
    sign_epochs(db)


def sign_epochs(db: sqlite3.Connection) -> None:
    """Give every epoch the checksum of what it says now."""
    db.execute(f"UPDATE epochs SET crc = {_EPOCH_CRC} WHERE crc IS NOT {_EPOCH_CRC}")


def raise_epoch(
    db: sqlite3.Connection, epoch: int, *, next_: int = 0, committed: int = 0, acked: int = 0, lost: int = 0
) -> None:
    """Add to an epoch's numbers; raise DamageError if they do not fit their checksum."""
    changed = db.execute(
        "UPDATE epochs SET next = next + ?2, committed = committed + ?3, acked = acked + ?4, "
        "lost = lost + ?5, crc = epoch_crc(epoch, next + ?2, committed + ?3, acked + ?4, lost + ?5) "
        f"WHERE epoch = ?1 AND crc = {_EPOCH_CRC}",
        (epoch, next_, committed, acked, lost),
    )
    if changed.rowcount != 1:
        raise DamageError(f"the numbers of epoch {epoch} do not fit their checksum")


def start_epoch(db: sqlite3.Connection, epoch: int, opened: int) -> None:
    """Put a new epoch on disk; forget very old ones that are settled."""
    db.execute(
        "INSERT OR IGNORE INTO epochs (epoch, opened, crc) VALUES (?, ?, epoch_crc(?1, 1, 0, 0, 0))",
        (epoch, opened),
    )
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


def outside(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """Read a spool without changing anything, also on a disk that is read-only; raise SpoolError."""
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
                return read(db)
        except FAILURES as error:
            problem = str(error)
    raise SpoolError(f"{path}: {problem}; run this as the agent's user or as root")


def read_status(path: Path) -> dict[str, Any]:
    """Return the account from outside the agent's process, whether it runs or not; raise SpoolError."""
    return outside(path, account)


def read_state(path: Path) -> list[tuple[str, int, bytes]]:
    """Return the rows of state that are whole, from a spool that cannot be written; raise SpoolError."""

    def rows(db: sqlite3.Connection) -> list[tuple[str, int, bytes]]:
        found = db.execute("SELECT key, crc, value FROM state").fetchall()
        return [row for row in found if isinstance(row[0], str) and row[1] == state_crc(row[0], row[2])]

    return outside(path, rows)


def is_payload(sealed: Any, epoch: int, seq: Any, base: int, mono: int, bodies: list[bytes]) -> bytes | None:
    """Return the payload of a sealed batch if it is still what it was."""
    if not isinstance(seq, int):
        return None
    payload = wire.encode_batch(epoch, seq, base, mono, bodies)
    return payload if zlib.crc32(payload) == sealed else None
