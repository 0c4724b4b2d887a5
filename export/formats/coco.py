"""One COCO .json for many pictures: "images", "annotations" and "categories".

What always holds: an id that nothing has is refused; a crowd (`iscrowd`) is neither taught nor judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from export.errors import DataError
from export.formats.record import Box, Finder, Labelled, Mark, Record, need, read_json
from export.split import split_in_name


def is_coco(document: Any) -> bool:
    """Say whether a JSON document is of this form."""
    lists = ("images", "annotations", "categories")
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in lists)


def _image(path: Path, index: int, image: Any) -> tuple[int, str]:
    where = f"{path}: images[{index}]"
    number = need(where, image, "id", int, "a whole number")
    return number, need(where, image, "file_name", str, "the name of a picture")


def _box(where: str, entry: dict[str, Any]) -> Box:
    box = entry.get("bbox")
    numbers = isinstance(box, list) and all(isinstance(v, int | float) and abs(v) < 1e9 for v in box)
    if not isinstance(box, list) or len(box) != 4 or not numbers:
        raise DataError(f"{where}.bbox: must be four numbers: left, top, width, height in pixels")
    left, top, width, height = map(float, box)
    return left, top, left + width, top + height


def _categories(path: Path, document: Any, names: dict[int, str]) -> None:
    for index, category in enumerate(document["categories"]):
        where = f"{path}: categories[{index}]"
        number = need(where, category, "id", int, "a whole number")
        name = need(where, category, "name", str, "the name of a class")
        if names.setdefault(number, name) != name:
            raise DataError(f"{where}.name: {number} is {name!r} here and {names[number]!r} elsewhere")


def _records(
    path: Path, document: Any, find: Finder, names: dict[int, str], split: str | None
) -> Iterator[Record]:
    images = dict(_image(path, index, image) for index, image in enumerate(document["images"]))
    marks: dict[int, list[Mark]] = {number: [] for number in images}
    for index, entry in enumerate(document["annotations"]):
        where = f"{path}: annotations[{index}]"
        number = need(where, entry, "image_id", int, "the id of a picture")
        category = need(where, entry, "category_id", int, "the id of a category")
        if number not in marks:
            raise DataError(f"{where}.image_id: {number} is not the id of any of the images")
        if category not in names:
            raise DataError(f"{where}.category_id: {category} is not the id of any of the categories")
        box = _box(where, entry)
        marks[number].append(Mark(names[category], box, bool(entry.get("iscrowd")), f"{where}.bbox"))
    for number, name in images.items():
        yield Record(find(path, name), tuple(marks[number]), split=split)


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is that of the folders\' or the files\' names."""
    find, names = Finder(folder, files), dict[int, str]()
    documents = {path: read_json(path) for path in files if path.suffix == ".json"}
    documents = {path: document for path, document in documents.items() if is_coco(document)}
    for path, document in documents.items():
        _categories(path, document, names)
    records: list[Record] = []
    for path, document in documents.items():
        records.extend(_records(path, document, find, names, split_in_name(path.relative_to(folder))))
    used = {mark.label for record in records for mark in record.marks}
    return Labelled("coco", tuple(names[n] for n in sorted(names) if names[n] in used), tuple(records))
