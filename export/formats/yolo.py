"""The names and the label files of a folder in one of YOLO's layouts.

What always holds: a class number without a name is refused; a polygon becomes the box round it; a picture
without a label file shows nothing of any class. `data.yaml` is read for `names` alone, in the three forms
that tools write:

    names: [cat, dog]        names:            names:
                               - cat             0: cat
                               - dog             1: dog
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from export.errors import DataError
from export.formats.record import PICTURES, Box, Labelled, Mark, Record, read_text
from export.split import split_in_name

_ITEM = re.compile(r"^\s*(?:-\s+|(?P<number>\d+)\s*:\s*)(?P<name>.+?)\s*$")
_ADVICE = "write it as names: [first, second]"


def _plain(text: str) -> str:
    """Take quotes and a comment off a name."""
    text = text.strip()
    if len(text) > 1 and text[0] in "'\"" and text.find(text[0], 1) > 0:
        return text[1 : text.index(text[0], 1)]
    return text.partition(" #")[0].strip()


def _block(lines: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _ITEM.match(line)
        if not item or (line[0] not in " \t-"):
            return
        yield item["number"], _plain(item["name"])


def _inline(text: str) -> Iterator[tuple[str | None, str]]:
    body = text.partition("#")[0].strip()
    for part in re.findall(r"""(?:\d+\s*:\s*)?(?:'[^']*'|"[^"]*"|[^,]+)""", body[1:-1]):
        number, colon, name = part.partition(":")
        yield (number.strip(), _plain(name)) if colon else (None, _plain(part))


def _yaml_names(path: Path) -> tuple[str, ...]:
    lines = read_text(path).splitlines()
    for at, line in enumerate(lines):
        key, colon, rest = line.partition(":")
        if key != "names" or not colon:
            continue
        text = rest.partition(" #")[0].strip()
        if text and text[0] + text[-1] not in ("[]", "{}"):
            while at + 1 < len(lines) and text[0] in "[{" and text[-1] not in "]}":
                at += 1
                text += " " + lines[at].partition(" #")[0].strip()
        found = [pair for pair in (_inline(text) if text else _block(lines[at + 1 :])) if pair[1]]
        order = [int(n) if n is not None and n.isdigit() else i for i, (n, _) in enumerate(found)]
        if found and sorted(order) == list(range(len(found))):
            return tuple(found[order.index(i)][1] for i in range(len(found)))
        raise DataError(f"{path}:{at + 1}: names: not one name for each class number from 0 on; {_ADVICE}")
    raise DataError(f"{path}: no names; {_ADVICE}")


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of a folder's classes, in order of their numbers."""
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (folder / name).is_file():
            return _yaml_names(folder / name)
    for name in ("classes.txt", "obj.names"):
        if (folder / name).is_file():
            return tuple(line.strip() for line in read_text(folder / name).splitlines() if line.strip())
    raise DataError(f"{folder}: no data.yaml and no classes.txt; write the classes' names there, one a line")


def yolo_boxes(path: Path, names: Sequence[str]) -> list[Mark]:
    """Read one label file: its boxes in fractions."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = np.asarray([float(word) for word in line.split()])
        except ValueError:
            raise DataError(f"{where}: not numbers: {line.strip()!r}") from None
        if not (len(values) == 5 or (len(values) >= 7 and len(values) % 2)) or not np.isfinite(values).all():
            raise DataError(f"{where}: a label is class x y width height, or class and a polygon's points")
        if values[0] not in range(len(names)):
            raise DataError(
                f"{where}: class {values[0]:g} has no name; there are {len(names)}: 0..{len(names) - 1}"
            )
        if (values[1:] < -0.01).any() or (values[1:] > 1.01).any():
            raise DataError(f"{where}: coordinates are fractions of the picture, 0..1")
        rows.append(Mark(names[int(values[0])], _corners(values[1:]), False, where))
    return rows


def _corners(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Box:
    if len(values) == 4:
        x, y, width, height = values.tolist()
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    xy = values.reshape(-1, 2)
    (left, top), (right, bottom) = xy.min(0).tolist(), xy.max(0).tolist()
    return left, top, right, bottom


def label_of(folder: Path, picture: Path) -> Path | None:
    """Return the label file of a picture: under labels/ instead of images/, or beside it."""
    parts = list(picture.relative_to(folder).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return next((p for p in (folder.joinpath(*parts), picture.with_suffix(".txt")) if p.is_file()), None)


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is that of its folders' names."""
    names, records = class_names(folder), []
    for path in files:
        if path.suffix.lower() in PICTURES:
            label = label_of(folder, path)
            marks = tuple(yolo_boxes(label, names)) if label else ()
            records.append(Record(path, marks, True, split_in_name(path.relative_to(folder))))
    return Labelled("yolo", names, tuple(records))
