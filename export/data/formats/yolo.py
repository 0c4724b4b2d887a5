"""The label files of a folder in one of YOLO's layouts.

What always holds: a class number without a name is refused; a polygon becomes the box round it, landmarks are
left out; a picture without a label file shows nothing of any class. Names, splits and landmarks are what
`data.yaml` says (`export.data.formats.dataset`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.data.formats.dataset import Dataset, find_file, read_dataset
from export.data.formats.landmarks import Float64, Line, Shape, find_shape
from export.data.formats.record import PICTURES, Box, Labelled, Mark, Record, read_text
from export.data.split import split_in_name
from export.errors import DataError


def _lines(path: Path) -> list[tuple[float, Line]]:
    """Read the numbers of one label file: the class, and what stands behind it."""
    rows = []
    for number, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = np.asarray([float(word) for word in text.split()])
        except ValueError:
            raise DataError(f"{where}: not numbers: {text.strip()!r}") from None
        if len(values) < 5 or not np.isfinite(values).all():
            raise DataError(f"{where}: a label is class x y width height, or class and a polygon's points")
        rows.append((float(values[0]), Line(values[1:], where)))
    return rows


def _mark(number: float, line: Line, names: Sequence[str], shape: Shape) -> Mark:
    """Return the box of a line; raises `DataError` with its place."""
    where = line.where
    if shape.wrong(len(line.values)):
        wanted = f"{4 + shape.landmarks + 1} numbers" if shape.landmarks else "class and a polygon's points"
        raise DataError(
            f"{where}: a label is class x y width height, or {wanted}, not {len(line.values) + 1} numbers"
        )
    if number not in range(len(names)):
        raise DataError(f"{where}: class {number:g} has no name; there are {len(names)}: 0..{len(names) - 1}")
    values = line.values[:4] if shape.landmarks else line.values
    if (values < -0.01).any() or (values > 1.01).any():
        raise DataError(f"{where}: coordinates are fractions of the picture, 0..1")
    return Mark(names[int(number)], _corners(values), False, where)


def _corners(values: Float64) -> Box:
    if len(values) == 4:
        x, y, width, height = values.tolist()
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    xy = values.reshape(-1, 2)
    (left, top) = xy.min(0).tolist()
    (right, bottom) = xy.max(0).tolist()
    return left, top, right, bottom


def label_of(folder: Path, picture: Path) -> Path | None:
    """Return the label file of a picture: under labels/ instead of images/, or beside it."""
    inside = picture.is_relative_to(folder)
    parts = list((picture.relative_to(folder) if inside else picture).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return next((p for p in (folder.joinpath(*parts), picture.with_suffix(".txt")) if p.is_file()), None)


def _chosen(folder: Path, files: Sequence[Path], dataset: Dataset) -> list[tuple[Path, str | None]]:
    """Return the pictures and their splits: those that data.yaml names, else all by their folders' names."""
    if dataset.splits:
        return [(picture, dataset.splits[picture] or None) for picture in sorted(dataset.splits)]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    return [(path, split_in_name(path.relative_to(folder))) for path in pictures]


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is what data.yaml says, else that of its folders' names."""
    dataset = read_dataset(folder)
    chosen = _chosen(folder, files, dataset)
    home = folder.resolve() if dataset.splits else folder
    labels = {picture: label_of(home, picture) for picture, _ in chosen}
    lines = {picture: _lines(label) if label else [] for picture, label in labels.items()}
    told = find_file(folder) or folder / "data.yaml"
    shape = find_shape([line for rows in lines.values() for _, line in rows], dataset, str(told))
    records = [
        Record(
            picture,
            tuple(_mark(number, line, dataset.names, shape) for number, line in lines[picture]),
            True,
            split,
        )
        for picture, split in chosen
    ]
    unnamed = _unnamed(files, dataset)
    return Labelled("yolo", dataset.names, tuple(records), (*dataset.notes, *unnamed))


def _unnamed(files: Sequence[Path], dataset: Dataset) -> tuple[str, ...]:
    """Say how many pictures of the folder data.yaml leaves out."""
    if not dataset.splits:
        return ()
    count = sum(path.suffix.lower() in PICTURES and path.resolve() not in dataset.splits for path in files)
    return (f"{count} pictures are in neither train nor val of data.yaml: left out",) if count else ()
