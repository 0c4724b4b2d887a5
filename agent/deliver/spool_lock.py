"""The lock of a spool: one agent at a time, how the one before ended, and how far it had come.

What always holds: the lock's file says "open" while an agent runs: who finds that at a start knows that the
agent before was killed, and that the log of SQLite must be there. Behind it stands how many events of the
newest epoch were accepted, written *after* they were on disk: never more than the spool must hold.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from pathlib import Path
from typing import IO

from agent.deliver.spool_db import SpoolError

_RUNNING = b"open\0\0\0\0"
_ENDED = b"closed\0\0"
_ACCEPTED = struct.Struct(">QQI")  # epoch, events accepted of it, checksum of both


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
        return os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    except OSError:
        if not name.exists():
            raise
        return name.open("rb", buffering=0)  # on a disk that is read-only it keeps others out all the same


def mark(locked: IO[bytes], *, running: bool) -> None:
    """Note in the lock's file that an agent runs, or that it has ended well; as far as the disk lets us."""
    with contextlib.suppress(OSError):
        os.pwrite(locked.fileno(), _RUNNING if running else _ENDED, 0)
        os.fsync(locked.fileno())


def is_new(locked: IO[bytes]) -> bool:
    """Tell whether no agent has ever come as far as to accept something."""
    return os.fstat(locked.fileno()).st_size == 0


def was_killed(locked: IO[bytes]) -> bool:
    """Tell whether the agent that held the lock before did not end well."""
    return os.pread(locked.fileno(), 4, 0) == _RUNNING[:4]


def note_accepted(locked: IO[bytes], epoch: int, committed: int) -> None:
    """Note how many events of an epoch are on disk. Not synced: one that is late asks for less."""
    with contextlib.suppress(OSError):
        numbers = _ACCEPTED.pack(epoch, committed, 0)[:-4]
        os.pwrite(locked.fileno(), numbers + zlib.crc32(numbers).to_bytes(4, "big"), len(_RUNNING))


def accepted(locked: IO[bytes]) -> tuple[int, int]:
    """Return the newest epoch and how many events of it must be on disk; zeros where that is not noted."""
    record = os.pread(locked.fileno(), _ACCEPTED.size, len(_RUNNING))
    if len(record) < _ACCEPTED.size or zlib.crc32(record[:-4]) != int.from_bytes(record[-4:], "big"):
        return 0, 0
    epoch, committed, _ = _ACCEPTED.unpack(record)
    return epoch, committed


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
