"""One COCO .json for many pictures: "images", "annotations" and "categories".

What always holds: an id that nothing has is refused; a crowd (`iscrowd`) is ignored in training and
evaluation; of two files about the same pictures the one of instances is read and the one of landmarks is not
(COCO's own folder `annotations` holds both), and two of one kind are refused: they would be taken twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from export.data.formats.record import Box, Finder, Labelled, Mark, Record, need, read_json, said_size
from export.data.split import split_in_name
from export.errors import DataError


def is_coco(document: Any) -> bool:
    """Say whether a JSON document is of this form."""
    lists = ("images", "annotations", "categories")
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in lists)


def is_panoptic(document: Any) -> bool:
    """Say whether a document tells segments of whole pictures, which have no boxes of objects."""
    annotations = document.get("annotations") if isinstance(document, dict) else None
    return isinstance(annotations, list) and any(
        isinstance(entry, dict) and "segments_info" in entry for entry in annotations
    )


def _has_landmarks(document: Any) -> bool:
    return any(isinstance(entry, dict) and "keypoints" in entry for entry in document["annotations"])


class _Image(NamedTuple):
    """Hold what is said of a picture: its name and size (width, height), and where."""

    name: str
    size: tuple[int, int] | None
    where: str


def _image(path: Path, index: int, image: Any) -> tuple[int, _Image]:
    where = f"{path}: images[{index}]"
    number = need(where, image, "id", int, "a whole number")
    name = need(where, image, "file_name", str, "the name of a picture")
    return number, _Image(name, said_size(image.get("width"), image.get("height")), f"{where}: width, height")


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
    for number, image in images.items():
        picture = find(path, image.name)
        yield Record(picture, tuple(marks[number]), False, split, image.size, image.where)


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is that of the folders\' or the files\' names."""
    find = Finder(folder, files)
    names = dict[int, str]()
    documents = {path: read_json(path) for path in files if path.suffix == ".json"}
    for path, document in documents.items():
        if is_panoptic(document):
            raise DataError(f"{path}: panoptic segments have no boxes; give the instances file instead")
    documents = {path: document for path, document in documents.items() if is_coco(document)}
    for path, document in documents.items():
        _categories(path, document, names)
    told = {
        path: list(_records(path, document, find, names, split_in_name(path.relative_to(folder))))
        for path, document in documents.items()
    }
    kept, notes = _once(told, {path for path, document in documents.items() if _has_landmarks(document)})
    records = [record for path in kept for record in told[path]]
    used = {mark.label for record in records for mark in record.marks}
    return Labelled("coco", tuple(names[n] for n in sorted(names) if names[n] in used), tuple(records), notes)


def _once(told: dict[Path, list[Record]], landmarks: set[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files to read so that no picture is told of twice, and what to say; raises `DataError`."""
    first: dict[Path, Path] = {}
    kept = []
    notes = []
    for path in sorted(told, key=lambda path: (path in landmarks, path)):
        again = [record.picture for record in told[path] if record.picture in first]
        if again and path in landmarks and first[again[0]] not in landmarks:
            notes.append(f"{path}: tells of the same pictures as {first[again[0]].name}: left out")
            continue
        if again:
            raise DataError(
                f"{path}: {again[0].name} is told of in {first[again[0]].name} too; its boxes would be taken "
                "twice: keep one of the two files"
            )
        first |= {record.picture: path for record in told[path]}
        kept.append(path)
    return kept, tuple(notes)
