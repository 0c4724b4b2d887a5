"""What a file of labels says of one picture, the same whatever the form.

What always holds: a file that is not understood is refused with its name and line or field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from export.errors import DataError

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
Box = tuple[float, float, float, float]


class Mark(NamedTuple):
    """Hold one box: class, corners, whether training and evaluation ignore it, and its file and line."""

    label: str
    box: Box
    hidden: bool
    where: str


@dataclass(frozen=True, slots=True)
class Record:
    """Hold what a file says of one picture: corners in pixels, or in fractions where `fractions`.

    `size` (width, height) is what the file says of the picture, where it does, and `where` the place of that.
    """

    picture: Path
    marks: tuple[Mark, ...] = ()
    fractions: bool = False
    split: str | None = None
    size: tuple[int, int] | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Hold a whole folder: its form, its classes in order, what is said of each picture, and what to tell."""

    form: str
    names: tuple[str, ...]
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()


def in_order(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the classes of a form that does not number them."""
    return tuple(sorted({mark.label for record in records for mark in record.marks}))


def read_text(path: Path) -> str:
    """Read a text file; raises `DataError` where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not text in UTF-8; write it again as UTF-8") from None


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `DataError` with the line."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply to be labels") from None


def said_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the size that a file tells of its picture; None where it tells none, or zeros."""
    sides = [int(side) for side in (width, height) if isinstance(side, int | float) and 0 < side < 1e6]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def need(where: str, holder: Any, key: str, kind: type | tuple[type, ...], words: str) -> Any:
    """Return a field of the right kind; raises `DataError` that names it."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}.{key}: must be {words}")
    return value


class Finder:
    """Find the picture that an annotation names, however the folder was moved since."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self._folder = folder
        self._named: dict[str, list[Path]] = {}
        for path in files:
            if path.suffix.lower() in PICTURES:
                self._named.setdefault(path.name, []).append(path)

    def __call__(self, by: Path, name: str) -> Path:
        plain = name.replace("\\", "/")
        for base in (by.parent, self._folder):
            if (base / plain).is_file():
                return base / plain
        same = self._named.get(plain.rpartition("/")[2], [])
        beside = [path for path in same if path.parent == by.parent]
        named = [path for path in same if path.parent.name in by.stem]  # instances_val2017.json, val2017/
        near = beside or named or same
        if len(near) != 1:
            what = "no such picture" if not near else f"{len(near)} pictures of that name"
            raise DataError(f"{by}: names {name!r}: {what} in {self._folder}; put it there, or correct it")
        return near[0]
