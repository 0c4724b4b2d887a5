"""Tables of Markdown, and their place in a page: between two markers, all else stays as it was written."""

from __future__ import annotations

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
