"""Lines that were drawn at the box while it has a centre: wishes, until the centre's document says the same.

What always holds: one wish a line, the newest; `MOST` at most. A wish is dropped as soon as the document that
runs says what it wishes, so it is asked for again and again until both agree, and never after.
"""

from __future__ import annotations

from agent import wire
from agent.command import Refused

MOST = 32


class Wishes:
    """The open wishes of one box."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], wire.Wish] = {}

    def add(self, camera: str, name: str, line: wire.Line | None) -> None:
        """Wish for a line, or for one to go; raise Refused if too many wishes are open."""
        if (camera, name) not in self._open and len(self._open) >= MOST:
            raise Refused(f"{MOST} lines wait for the centre already")
        self._open[camera, name] = wire.Wish(camera, name, line.points if line else None)

    def open(self, document: wire.Document) -> list[wire.Wish]:
        """Return what this document does not say yet; forget the rest."""
        self._open = {key: wish for key, wish in self._open.items() if not fulfilled(wish, document)}
        return list(self._open.values())


def fulfilled(wish: wire.Wish, document: wire.Document) -> bool:
    """Tell whether a document says what is wished."""
    settings = document.cameras.get(wish.camera)
    line = settings.lines.get(wish.line) if settings else None
    return line is None if wish.points is None else line is not None and line.points == wish.points
