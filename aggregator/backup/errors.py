"""What may keep a backup from being made or restored."""

from __future__ import annotations


class BackupError(Exception):
    """A backup that cannot be made or restored; the text is one line: the reason and what to do."""
