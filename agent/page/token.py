"""The one token of the box's page: made once, kept in the state folder for the agent's user and root."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME = "page-token"


def read(state_dir: Path) -> str:
    """Return the token, or nothing where there is none yet; raise OSError where it may not be read."""
    try:
        return (state_dir / NAME).read_text().strip()
    except FileNotFoundError:
        return ""


def ensure(state_dir: Path) -> str:
    """Return the token, made if there is none; raise OSError."""
    if known := read(state_dir):
        return known
    state_dir.mkdir(parents=True, exist_ok=True)
    made = secrets.token_urlsafe(24)
    with os.fdopen(os.open(state_dir / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(made + "\n")
    return made
