"""Files that are there whole or not at all: written beside, then put in the old one's place.

Invariants: a crash at any moment leaves the old file or the new one, never half of one; what fails leaves the
old file and no other. Several threads and processes may write one file: one after the other, the last one
stands.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a new file beside `path`; it takes its place when the block ends without an error.

    The new one keeps the old one's ending, for libraries that go by it. Nobody else can replace a file of its
    folder meanwhile, neither can the block itself. Raises OSError.
    """
    fresh = path.with_name(f"{path.stem}.new{path.suffix}")
    with _alone_in(path.parent):
        fresh.unlink(missing_ok=True)
        try:
            yield fresh
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other writer is in a folder; the lock goes with its process, however that ends.

    A file system that locks no folders, as NFS, has writers go on without.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def create(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, with these rights from its first byte on; raises OSError."""
    data = content.encode() if isinstance(content, str) else content
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(data)


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file with these rights, which nobody else can read at any moment before; raises OSError."""
    with replacing(path) as fresh:
        create(fresh, content, mode)
