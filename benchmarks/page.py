"""Tables of Markdown, and their place in a page: between two markers, all else stays as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def insert(page: str, text: str, begin: str, end: str) -> str:
    """Return a page with the text between two markers; raises `ValueError` where it lacks them."""
    before, first, rest = page.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"the page has no markers {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def rewrite(path: Path, text: str, begin: str, end: str) -> None:
    """Put a text between the two markers of a file."""
    path.write_text(insert(path.read_text(encoding="utf-8"), text, begin, end), encoding="utf-8")


def renew(path: Path, section: str, begin: str, end: str) -> None:
    """Put a section between the two markers of a file, instead of the one under the same heading, or last."""
    page = path.read_text(encoding="utf-8")
    told = page.partition(begin)[2].partition(end)[0]
    heading = section.partition("\n")[0]
    parts = [part.strip() for part in re.split(r"^(?=### )", told, flags=re.MULTILINE)]
    rows = [row for row, part in enumerate(parts) if part.partition("\n")[0] == heading]
    row = rows[0] if rows else len(parts)
    parts[row : row + 1] = [section.strip()]
    path.write_text(insert(page, "\n\n".join(filter(None, parts)) + "\n", begin, end), encoding="utf-8")
