"""Room on the disk of a spool, and the ballast that keeps some for the day when there is none.

What always holds: on a full disk SQLite cannot even delete (in WAL mode it writes first). The ballast is a
file that is removed then, and made again when there is room to spare.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from agent.deliver.spool_values import Now

_RETRY_MS = 10_000


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


class Ballast:
    """The reserve beside one spool's file."""

    def __init__(self, path: Path, limit_bytes: int, now: Now) -> None:
        self._path = path
        self._file = path.with_name(f"{path.stem}.ballast")
        self._bytes = reserve(limit_bytes)
        self._try_at = now.mono

    def keep(self, now: Now) -> bool:
        """Reserve room, if there is some to spare; False if it is too early to look again."""
        if now.mono < self._try_at:
            return False
        self._try_at = now.mono + _RETRY_MS
        with contextlib.suppress(OSError):
            if not self._file.exists() and free_bytes(self._path) > 2 * self._bytes:
                with self._file.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._bytes)
        return True

    def spend(self, now: Now) -> bool:
        """Give the room back; False if there was none."""
        self._try_at = now.mono
        try:
            self._file.unlink()
        except OSError:
            return False
        return True

    def problem(self, before: str) -> str:
        """Say that the disk is nearly full, or nothing. `before`: what was said of the disk till now."""
        enough = self._bytes if self._file.exists() and not before else 2 * self._bytes
        try:
            return full(self._path) if free_bytes(self._path) <= enough else ""
        except OSError:
            return before
