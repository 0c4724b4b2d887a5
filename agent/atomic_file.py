"""Files that are there whole or not at all: written beside, then put in the old one's place.

Invariants: a crash at any moment leaves the old file or the new one, never half of one; what fails leaves the
old file and no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a new file beside `path`; it takes its place when the block ends without an error.

    The new one keeps the old one's ending, for libraries that go by it. Raises OSError.
    """
    fresh = path.with_name(f"{path.stem}.new{path.suffix}")
    fresh.unlink(missing_ok=True)
    try:
        yield fresh
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file with these rights, which nobody else can read at any moment before; raises OSError."""
    data = content.encode() if isinstance(content, str) else content
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with replacing(path) as fresh, os.fdopen(os.open(fresh, flags, mode), "wb") as file:
        file.write(data)
