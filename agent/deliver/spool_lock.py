"""The lock of a spool: one agent at a time, and how the one before ended.

What always holds: the lock's file says "open" while an agent runs: who finds that at a start knows that the
agent before was killed, and that the log of SQLite must be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from agent.deliver.spool_db import SpoolError

_RUNNING = b"open"
_ENDED = b"closed"


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
