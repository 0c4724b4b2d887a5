"""What is known of each picture: `sources.csv`, where it is from and under which licence.

What always holds: a licence counts as one of a list by its whole name, so that "CC BY-NC" is never "CC BY".
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path


def read_sources(folder: Path) -> list[dict[str, str]]:
    """Read the rows of a folder's `sources.csv`; without the file nothing is known."""
    path = folder / "sources.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def is_free(licence: str, licences: Sequence[str]) -> bool:
    """Say whether a licence is one of those: its whole name, whatever follows in brackets or after ";"."""
    plain = licence.partition("(")[0].partition(";")[0].strip().casefold()
    return plain in {name.casefold() for name in licences}


def unlabelled_names(row: dict[str, str], names: Sequence[str]) -> list[str]:
    """Return which of the names a row calls unlabelled: `person (partly);bicycle` are two."""
    plain = [part.partition("(")[0].strip() for part in row.get("unlabelled_classes", "").split(";")]
    return [name for name in names if name in plain]


def held_back(rows: Sequence[dict[str, str]], share: float) -> set[str]:
    """Return the names of about this share of the pictures: whole groups, by their names alone."""

    def place(row: dict[str, str]) -> float:
        digest = hashlib.sha256(f"held back {row.get('group') or row['file']}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32

    return {row["file"] for row in rows if place(row) < share}
