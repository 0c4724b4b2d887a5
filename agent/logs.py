"""What the agent said, kept on the box for who comes later: `gb-agent logs`, and the centre's order `logs`.

What always holds: two files of `FILE_BYTES` at most, in the state folder; a disk that cannot be written loses
lines of these files and nothing else. What is read from them has no secrets in it.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from agent.redact import Redactor

NAME = "agent.log"
FILE_BYTES = 256 * 1024
MOST_LETTERS = 60_000  # of an answer to the centre
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _Kept(RotatingFileHandler):
    """A rotating file that gives up quietly: the same lines go to the journal."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line."""


def keep(state_dir: Path) -> None:
    """Write all further log lines into the state folder too, where it can be written."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        handler = _Kept(state_dir / NAME, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        return  # `gb-agent check` and the spool say what is wrong with the folder
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger().addHandler(handler)


def read(state_dir: Path, lines: int, redactor: Redactor, letters: int | None = None) -> str:
    """Return the last lines without secrets, at most so many letters of them; raise OSError."""
    text = ""
    for path in (state_dir / f"{NAME}.1", state_dir / NAME):
        if path.exists():
            text += path.read_text(encoding="utf-8", errors="replace")
    clean = redactor.clean("\n".join(text.splitlines()[-lines:]))
    return clean if letters is None else clean[-letters:]
