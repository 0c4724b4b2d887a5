"""The SQLite file under the spool: its tables and checksums, and its account.

What always holds: a row is believed only if its checksum fits; that of an epoch covers the next number and
the account, so neither is ever taken from a damaged page.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from agent.deliver.spool_checksums import epoch_crc, state_crc

T = TypeVar("T")

EVENT_COST = 32  # what SQLite adds to a row, about
BATCH_COST = 64
CHECKED_BYTES = 64 * 1024 * 1024  # a larger file is not read through at the start, only row by row later
PAGE = 1024  # small pages: an append touches four of them, and memory cards wear out
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
    f"page_size = {PAGE}", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 512",
    "journal_size_limit = 524288", "cell_size_check = ON", "trusted_schema = OFF", "temp_store = MEMORY",
)  # fmt: skip
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


# ── opening ───────────────────────────────────────────────────────────────────────────────────────


def reason(error: Exception) -> str:
    """Return what a disk did, without the name of a file."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def connection(path: Path | str) -> sqlite3.Connection:
    """Open a connection that can sign epochs."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.create_function("epoch_crc", 5, epoch_crc, deterministic=True)
    return db


def set_up(db: sqlite3.Connection) -> None:
    """Set the connection up."""
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}").fetchall()


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
        return int(pages - db.execute("PRAGMA freelist_count").fetchone()[0]) * PAGE
    query = "SELECT coalesce(sum(length(body) + ?), 0) FROM events"
    events = db.execute(query, (EVENT_COST,)).fetchone()[0]
    return int(events + db.execute("SELECT count(*) FROM batches").fetchone()[0] * BATCH_COST)


def is_small(path: Path) -> bool:
    """Return True if the file can be read through at each start."""
    return path.stat().st_size <= CHECKED_BYTES


# ── the account ───────────────────────────────────────────────────────────────────────────────────


def committed(db: sqlite3.Connection, epoch: int) -> int:
    """Return how many events of an epoch were ever put in."""
    row = db.execute("SELECT committed FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
    return int(row[0]) if row else 0


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
