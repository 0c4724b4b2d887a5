"""Is a spool's file what it says it is? Looked at as it is opened, before anything is believed or written.

SQLite's own quick check sees torn pages, not whole ones in another's place: each is right in itself, and the
table is not. Such a file would lose rows that are counted as pending, or find them twice. So beside it:

* The tables have the columns that they must have, and keys that only grow, read as they lie. Then every row
  is found by its key.
* The index of sent batches says the same as the table.
* No epoch has more events than were committed.
* The end of SQLite's log was believed, and the log of a killed agent is there. A kill in the middle of a
  write leaves a last transaction that is not believed; nothing is missing where the lock's file says so.
* As many events were committed as the lock's file says: a log that was cut short, or an older copy of the
  file, is right in itself.

What is found wrong is a `DamageError`; the file is then set aside.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import IO

from agent.deliver import spool_wal
from agent.deliver.spool_db import PAGE, DamageError, committed, is_small
from agent.deliver.spool_lock import accepted, is_new, was_killed

_COLUMNS = {
    "epochs": "epoch opened next committed acked lost crc",
    "batches": "id epoch seq base mono crc sealed",
    "events": "batch i kind crc body",
    "state": "key crc value",
}
_KEYS = {"epochs": "epoch", "batches": "id", "events": "batch, i", "state": "key"}


def check(db: sqlite3.Connection, path: Path) -> None:
    """Look at the tables of a file that was just opened; raise DamageError."""
    for table, columns in _COLUMNS.items():
        found = " ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
        if found != columns:
            raise DamageError(f"the table {table} has not the columns that it must have")
    if not is_small(path):
        return
    for table in _COLUMNS:
        _check_order(db, table)
    _check_index(db)
    _check_amounts(db)


def check_pages(db: sqlite3.Connection, path: Path) -> None:
    """Have SQLite look through its pages, where that is soon done; raise DamageError."""
    if is_small(path):
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise DamageError(problem)


def _check_order(db: sqlite3.Connection, table: str) -> None:
    """Read the keys as they lie: each must be greater than the one before."""
    keys = _KEYS[table]
    before = ", ".join(f"lag({key}) OVER () AS before_{n}" for n, key in enumerate(keys.split(", ")))
    befores = ", ".join(f"before_{n}" for n in range(len(keys.split(", "))))
    wrong = db.execute(
        f"SELECT 1 FROM (SELECT {keys}, {before} FROM {table} NOT INDEXED) "
        f"WHERE before_0 IS NOT NULL AND ({keys}) <= ({befores}) LIMIT 1"
    ).fetchone()
    if wrong:
        raise DamageError(f"the rows of {table} are out of order")


def _check_index(db: sqlite3.Connection) -> None:
    """Compare the index of sent batches with the table."""
    query = "SELECT epoch, seq, id FROM batches {} WHERE seq IS NOT NULL ORDER BY epoch, seq"
    there = db.execute(query.format("NOT INDEXED")).fetchall()
    if there != db.execute(query.format("INDEXED BY sent")).fetchall():
        raise DamageError("the index of sent batches does not fit the batches")


def _check_amounts(db: sqlite3.Connection) -> None:
    """Compare each epoch's numbers with the events that are there."""
    wrong = db.execute(
        "SELECT epoch FROM epochs WHERE committed - acked - lost < (SELECT count(*) FROM batches b "
        "JOIN events e ON e.batch = b.id WHERE b.epoch = epochs.epoch) LIMIT 1"
    ).fetchone()
    if wrong:
        raise DamageError(f"there are more events of epoch {wrong[0]} than were put in")


# ── what is not in the file ───────────────────────────────────────────────────────────────────────


def what_is_gone(path: Path, locked: IO[bytes]) -> str:
    """Return why more than can be counted is missing of what was on disk, empty if nothing is.

    A first start finds no lock's file; a killed agent leaves SQLite's log behind, and something in it.
    """
    log = Path(f"{path}-wal")
    if not path.exists():
        return "" if is_new(locked) else "the spool's file was removed"
    if was_killed(locked) and not (log.exists() and log.stat().st_size):
        return "the log of the spool's file was removed"
    return ""


def log_ends(path: Path) -> list[int]:
    """Return where transactions end in the log that the agent before has left."""
    return spool_wal.ends_of_transactions(Path(f"{path}-wal"), PAGE)


def what_was_skipped(db: sqlite3.Connection, ends: list[int], locked: IO[bytes]) -> str:
    """Return why SQLite left accepted events out of the log; empty if it did not. `ends`: of `log_ends`."""
    taken = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    skipped = [end for end in ends if end > taken]
    # SQLite writes a frame in two steps. A kill between them leaves the head of a transaction's last frame
    # over the body of an older one. A power cut may leave the same, but then the note may be late as well,
    # and an accepted write cannot be told apart from one that was not.
    if not skipped or (len(skipped) == 1 and _is_all_that_was_accepted(db, locked)):
        return ""
    return "the log of the spool's file was damaged"


def _is_all_that_was_accepted(db: sqlite3.Connection, locked: IO[bytes]) -> bool:
    if is_new(locked):  # or a copy without its lock's file
        return not db.execute("SELECT 1 FROM epochs WHERE committed > 0 LIMIT 1").fetchone()
    epoch, noted = accepted(locked)
    return epoch > 0 and committed(db, epoch) == noted


def what_was_rolled_back(db: sqlite3.Connection, locked: IO[bytes]) -> str:
    """Return why the file lacks events that were accepted; empty if it does not."""
    epoch, noted = accepted(locked)
    is_older = committed(db, epoch) < noted
    return "the spool's file, or its log, is older than the last events" if is_older else ""
