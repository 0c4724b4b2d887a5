"""A user's own labelled pictures: found, split, and read into memory with one call.

    YOLO        data.yaml or classes.txt; a .txt beside each picture, or under labels/ instead of images/
    COCO        a .json with "images", "annotations" and "categories"
    Pascal VOC  one .xml a picture
    Labelme     one .json a picture, with "shapes"

What always holds: the same boxes read the same from all four; a box outside its picture or of no size is
refused with the place where it stands; a folder that says what is train and what is val is obeyed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from export.data.formats import coco, labelme, voc, yolo
from export.data.formats.dataset import is_dataset
from export.data.formats.record import Labelled, Record, read_json
from export.data.sample import LONGEST, Picture, read_picture
from export.data.split import assign
from export.errors import DataError

LEAST = 1e-3  # pixels: a thinner box is a slip of the hand
READERS: dict[str, Callable[[Path, Sequence[Path]], Labelled]] = {
    "yolo": yolo.read,
    "coco": coco.read,
    "voc": voc.read,
    "labelme": labelme.read,
}


def detect_form(folder: Path, files: Sequence[Path]) -> str:
    """Say which form a folder's labels have; raises `DataError` where it is none, or more than one."""
    documents = [read_json(path) for path in files if path.suffix == ".json"]
    found = {
        "voc": any(map(voc.is_voc, files)),
        "coco": any(coco.is_coco(document) or coco.is_panoptic(document) for document in documents),
        "labelme": any(map(labelme.is_labelme, documents)),
        "yolo": is_dataset(folder),
    }
    forms = [form for form, there in found.items() if there]
    if len(forms) == 1:
        return forms[0]
    if forms:
        raise DataError(f"{folder}: labels of {' and '.join(sorted(forms))} at once; say which by --format")
    raise DataError(
        _another_tools(files)
        or f"{folder}: no labels found; it needs data.yaml or classes.txt (YOLO), a COCO .json, "
        "Pascal VOC .xml files or Labelme .json files"
    )


def _another_tools(files: Sequence[Path]) -> str:
    """Say which file is of a tool that can export a form that is read, and which; nothing where none is."""
    for path in files:
        if path.suffix.lower() == ".xml" and voc.root(path) == "annotations":
            return (
                f"{path}: CVAT for images is not read; export the task as COCO 1.0 or YOLO 1.1, with images"
            )
        if path.suffix == ".json" and is_label_studio(read_json(path)):
            return f"{path}: Label Studio's own JSON is not read; export the project as COCO or YOLO"
    return ""


def is_label_studio(document: Any) -> bool:
    """Say whether a JSON document is a list of Label Studio's tasks, in either of its two forms."""
    task = document[0] if isinstance(document, list) and document else None
    return isinstance(task, dict) and ("data" in task or {"id", "annotator"} <= task.keys())


def read_labelled(folder: Path, form: str | None = None) -> Labelled:
    """Read what a folder says of its pictures, without the pictures; raises `DataError`."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of your pictures by --data")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    labelled = READERS[form or detect_form(folder, files)](folder, files)
    if not any(record.marks for record in labelled.records):
        raise DataError(
            f"{folder}: {len(labelled.records)} pictures, but not one box in them ({labelled.form})"
        )
    return labelled


def with_split(labelled: Labelled) -> Labelled:
    """Give every picture to train or val: as the folder says, else by groups of pictures that look alike."""
    records = labelled.records
    if {"train", "val"} <= {record.split for record in records}:
        return replace(labelled, records=tuple(r if r.split else replace(r, split="train") for r in records))
    splits = assign([record.picture for record in records])
    return replace(
        labelled,
        records=tuple(replace(r, split=s) for r, s in zip(records, splits, strict=True)),
    )


def label_scale(record: Record, size: tuple[int, int]) -> tuple[float, float]:
    """Return what brings a record's boxes into a picture of `size` (width, height) pixels.

    A picture that was only made smaller or larger since it was labelled has the same shape: its boxes go
    along. Raises `DataError` for any other, turned ones too: its boxes lie somewhere else.
    """
    width, height = size
    if record.fractions:
        return float(width), float(height)
    if record.size in (None, size):
        return 1.0, 1.0
    told_width, told_height = record.size
    scales = width / told_width, height / told_height
    if abs(told_height * scales[0] - height) <= 1 or abs(told_width * scales[1] - width) <= 1:
        return scales
    said = f"{record.where}: {told_width}x{told_height}, but {record.picture.name} is {width}x{height}"
    if abs(told_width * width / told_height - height) <= 1:
        raise DataError(f"{said}: turned, by EXIF or since; save it upright, label it anew")
    raise DataError(f"{said}: cut or stretched since it was labelled; put the labelled picture there again")


def read_record(
    record: Record, names: Sequence[str], source: str, longest: int | None = LONGEST
) -> tuple[Picture, tuple[int, int]]:
    """Read a record's picture, its boxes in pixels, and its size (width, height) as it lies there.

    Raises `DataError`.
    """
    image = read_picture(record.picture, None)
    height, width = image.shape[:2]
    boxes = np.asarray([mark.box for mark in record.marks], float).reshape(-1, 4)
    boxes = np.clip(boxes * (label_scale(record, (width, height)) * 2), 0, (width, height) * 2)
    for mark, (left, top, right, bottom) in zip(record.marks, boxes.tolist(), strict=True):
        if right - left < LEAST or bottom - top < LEAST:
            raise DataError(f"{mark.where}: an empty box, or one outside the picture of {width}x{height}")
        if mark.label not in names:
            raise DataError(f"{mark.where}: class {mark.label!r} is not one of {', '.join(names)}")
    if longest and max(height, width) > longest:
        image = read_picture(record.picture, longest)
        boxes *= (image.shape[1] / width, image.shape[0] / height) * 2
    number = np.asarray([list(names).index(mark.label) for mark in record.marks], np.int64)
    clear = ~np.asarray([mark.hidden for mark in record.marks], np.bool_)
    allowed = np.eye(len(names), dtype=np.bool_)[number] & clear[:, None]
    nothing = np.zeros(len(names), np.bool_)
    read = Picture(image, boxes.astype(np.float32), allowed, nothing, source, record.picture.name, number)
    return read, (width, height)


def read_own(
    folder: Path, split: str, names: Sequence[str], form: str | None = None, longest: int | None = LONGEST
) -> list[Picture]:
    """Read one split of a user's own folder; raises `DataError`."""
    records = [r for r in with_split(read_labelled(folder, form)).records if r.split == split]
    source = folder.resolve().name
    with ThreadPoolExecutor(2, "read") as pool:
        read = list(pool.map(lambda record: read_record(record, names, source, longest), records))
    scaled = sum(r.size not in (None, size) for r, (_, size) in zip(records, read, strict=True))
    if scaled:
        say(f"{folder}: {scaled} pictures were resized since they were labelled; their boxes are scaled")
    return [picture for picture, _ in read]


def say(note: str) -> None:
    """Tell a person what is not an error, but not to be overlooked."""
    print(f"note: {note}", file=sys.stderr, flush=True)


def own_recipe(folder: Path, form: str | None = None) -> dict[str, Any]:
    """Return a recipe for a user's own folder: its names are those found in the data."""
    labelled = read_labelled(folder, form)
    for note in labelled.notes:
        say(note)
    name = "".join(c if c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-") or "own"
    count = sum(record.split == "train" for record in with_split(labelled).records)
    return {
        "name": f"gb-yolo-n-{name}",
        "task": name,
        "names": list(labelled.names),
        "licence": "that of its owner's pictures",
        "seed": 7,
        "size": 416,
        "fit": [512, 512],
        "scale": [0.45, 2.0],
        "mosaic": 0.6,
        "batch": 24,
        "learning_rate": 2e-3,
        "weight_decay": 0.02,
        "images": max(24_000, min(120 * count, 240_000)),
        "input": [640, 640],
        "finish": {"share": 0.1, "size": [640, 640]},
        "source": [{"own": ".", "format": labelled.form}],
    }


def to_toml(recipe: dict[str, Any]) -> str:
    """Write a recipe of one source as TOML; a JSON string, number or list is one of TOML too."""

    def value(part: Any) -> str:
        if isinstance(part, dict):
            return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in part.items()) + " }"
        return json.dumps(part, ensure_ascii=False)

    plain = "".join(f"{key} = {value(part)}\n" for key, part in recipe.items() if key != "source")
    source = "".join(f"{key} = {value(part)}\n" for key, part in recipe["source"][0].items())
    return f"{plain}\n[[source]]\n{source}"
