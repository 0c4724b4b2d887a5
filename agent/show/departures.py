"""The log of the pictures that left this box: who asked, when, by which way, how many, how changed.

What always holds: an entry is on disk before its first picture leaves, and is renewed every `RENEW_SECONDS`;
so a kill loses a number, never an entry. It holds the last `MOST` entries, in `pictures.json` in the state
folder. A disk that fails is told once, and the log goes on in memory. Called from several threads.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent import atomic_file, wire

_LOG = logging.getLogger(__name__)

MOST = 500
TOLD = 30  # entries that travel in the state
ENTRY_SECONDS = 300  # a longer watch is several entries
PAUSE_SECONDS = 30  # after that a new entry begins
RENEW_SECONDS = 10

Key = tuple[str, str, str, str, str]  # camera, way, who, role, manner


class Departures:
    """The log of one box. `path` None: in memory only. `changed`: called when there is news."""

    def __init__(self, path: Path | None = None, changed: Callable[[], object] = lambda: None) -> None:
        self.changed = changed
        self._path = path
        self._lock = threading.Lock()
        self._failed = False
        self._entries: deque[wire.Departure] = deque(_read(path), maxlen=MOST)
        self._open: dict[Key, wire.Departure] = {}
        self._written = 0

    def left(self, camera: str, way: str, who: str, role: str, manner: str, at: int) -> None:
        """Note that one picture is about to leave, `at` Unix ms."""
        key = (camera, way, who, role, manner)
        with self._lock:
            old = self._open.get(key)
            goes_on = (
                old is not None
                and 0 <= at - old.end <= PAUSE_SECONDS * 1000
                and at - old.start < ENTRY_SECONDS * 1000
            )
            if old is None or not goes_on:
                self._close(key)
                self._open[key] = wire.Departure(at, at, camera, way, who, role, 1, manner)
            else:
                self._open[key] = msgspec.structs.replace(old, end=at, pictures=old.pictures + 1)
                if 0 <= at - self._written < RENEW_SECONDS * 1000:
                    return
            self._write(at)
        self.changed()

    def entries(self, most: int = MOST) -> list[wire.Departure]:
        """Return the last entries, oldest first."""
        with self._lock:
            everything = [*self._entries, *self._open.values()]
        return sorted(everything, key=lambda entry: entry.start)[-most:]

    def close(self) -> None:
        """Write down what is open."""
        with self._lock:
            for key in list(self._open):
                self._close(key)
            self._write(self._written)

    def _close(self, key: Key) -> None:
        old = self._open.pop(key, None)
        if old is not None:
            self._entries.append(old)

    def _write(self, at: int) -> None:
        self._written = at
        if self._path is None:
            return
        try:
            entries = msgspec.json.encode([*self._entries, *self._open.values()])
            atomic_file.write(self._path, entries, 0o644)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _LOG.warning("the log of pictures is in memory only: %s: %s", self._path, error.strerror)
            self._failed = True


def _read(path: Path | None) -> list[wire.Departure]:
    if path is None:
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[wire.Departure])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _LOG.warning("the log of pictures starts again: %s: %s", path, error)
        return []
