"""What one Pascal VOC .xml file says, read so that it can do nothing else.

What always holds: a document type is refused before anything in it is read, so no entity is ever expanded and
no other file is ever opened. VOC counts pixels from 1 and includes the last one: the box 1..10 is 10 wide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

from export.data.formats.record import (
    PICTURES,
    Finder,
    Labelled,
    Mark,
    Record,
    in_order,
    read_text,
    said_size,
)
from export.data.split import split_in_name
from export.errors import DataError

ROOT = re.compile(rb"<([A-Za-z_][\w.-]*)")
HEAD = 4096  # bytes in which the outermost element begins


def root(path: Path) -> str:
    """Return the name of the outermost element of an .xml file; nothing where there is none."""
    with path.open("rb") as file:
        found = ROOT.search(file.read(HEAD))
    return found[1].decode() if found else ""


def is_voc(path: Path) -> bool:
    """Say whether a file is to be read as this form: any .xml but those of other tools."""
    return path.suffix.lower() == ".xml" and root(path) not in ("View", "annotations")


class _Reader:
    """Gather the text under `filename` and under each `object`, with the lines where it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filename = ""
        self.root = ""
        self.size: dict[str, tuple[str, int]] = {}
        self.objects: list[dict[str, tuple[str, int]]] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _refuse(self, *_: object) -> None:
        raise DataError(
            f"{self.path}:{self.parser.CurrentLineNumber}: a document type is not allowed; delete <!DOCTYPE>"
        )

    def _start(self, tag: str, _: object) -> None:
        self.root = self.root or tag
        self._open.append(tag)
        self._text.clear()
        if self._open[1:] == ["object"]:
            self.objects.append({"": ("", self.parser.CurrentLineNumber)})

    def _end(self, tag: str) -> None:
        text = "".join(self._text).strip()
        inner = self._open[1:]
        if inner == ["filename"]:
            self.filename = text
        if inner[:1] == ["size"] and len(inner) == 2:
            self.size[tag] = text, self.parser.CurrentLineNumber
        if inner[:1] == ["object"] and (len(inner) == 2 or inner[1:-1] == ["bndbox"]):
            self.objects[-1][tag] = text, self.parser.CurrentLineNumber
        self._open.pop()
        self._text.clear()


def _number(path: Path, entry: dict[str, tuple[str, int]], key: str) -> float:
    text, line = entry.get(key, ("", entry[""][1]))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e9:
        raise DataError(f"{path}:{line}: bndbox.{key}: must be a number of pixels, not {text!r}")
    return value


def _mark(path: Path, entry: dict[str, tuple[str, int]]) -> Mark:
    name, line = entry.get("name", ("", entry[""][1]))
    if not name:
        raise DataError(f"{path}:{line}: object.name: the class has no name")
    left, top, right, bottom = (_number(path, entry, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    hidden = entry.get("difficult", ("0", 0))[0] == "1"
    return Mark(name, (left - 1, top - 1, right, bottom), hidden, f"{path}:{entry[''][1]}")


def _size(path: Path, said: dict[str, tuple[str, int]]) -> tuple[tuple[int, int] | None, str]:
    """Return the picture's size as the file tells it, if it does, and where."""
    width, line = said.get("width", ("", 1))
    height, _ = said.get("height", ("", 1))
    numbers = [float(text) if text.replace(".", "", 1).isdecimal() else None for text in (width, height)]
    return said_size(*numbers), f"{path}:{line}: size"


def parse(path: Path) -> tuple[str, Record]:
    """Read one file: the picture's name, and the rest of its record; raises `DataError` with the line."""
    reader = _Reader(path)
    try:
        reader.parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise DataError(f"{path}:{error.lineno}: not XML: {expat.ErrorString(error.code)}") from None
    if reader.root != "annotation":
        raise DataError(f"{path}:1: not Pascal VOC: <{reader.root}> instead of <annotation>")
    size, where = _size(path, reader.size)
    marks = tuple(_mark(path, entry) for entry in reader.objects)
    return reader.filename, Record(path, marks, size=size, where=where)


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is that of ImageSets/Main/train.txt and val.txt, or of its folders' names."""
    find = Finder(folder, files)
    records = []
    lists = {
        name: path.stem
        for path in files
        if path.suffix == ".txt" and path.stem in ("train", "val") and path.parent.name == "Main"
        for name in read_text(path).split()
    }
    for path in files:
        if not is_voc(path):
            continue
        filename, record = parse(path)
        beside = [p for p in (path.with_suffix(suffix) for suffix in sorted(PICTURES)) if p.is_file()]
        picture = beside[0] if beside else find(path, filename or f"{path.stem}.jpg")
        split = lists.get(path.stem) or split_in_name(path.relative_to(folder))
        records.append(replace(record, picture=picture, split=split))
    return Labelled("voc", in_order(records), tuple(records))
