"""One Labelme .json a picture: "shapes" of points, and the name of the picture.

What always holds: the box of a polygon or circle is the one round it; a shape that has no box is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.data.formats.record import Finder, Labelled, Mark, Record, in_order, need, read_json, said_size
from export.data.split import split_in_name
from export.errors import DataError

POINTS = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2}  # how many a shape has at least


def is_labelme(document: Any) -> bool:
    """Say whether a JSON document is of this form."""
    return isinstance(document, dict) and isinstance(document.get("shapes"), list)


def _point(where: str, point: Any) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) < 2:
        raise DataError(f"{where}: a point is two numbers, x and y")
    x, y = point[:2]
    if not all(isinstance(value, int | float) and abs(value) < 1e9 for value in (x, y)):
        raise DataError(f"{where}: a point is two numbers, x and y")
    return float(x), float(y)


def _mark(path: Path, index: int, shape: Any) -> Mark:
    where = f"{path}: shapes[{index}]"
    label = need(where, shape, "label", str, "the name of a class")
    points = need(where, shape, "points", list, "a list of points")
    kind = shape.get("shape_type") or "polygon"
    if not isinstance(kind, str) or kind not in POINTS:
        raise DataError(f"{where}.shape_type: {kind!r} has no box; draw rectangles or polygons")
    if len(points) < POINTS[kind]:
        raise DataError(f"{where}.points: a {kind} has at least {POINTS[kind]} points")
    xy = np.asarray([_point(f"{where}.points[{at}]", point) for at, point in enumerate(points)], float)
    if kind == "circle":  # its centre, and a point on it
        radius = float(np.hypot(*(xy[1] - xy[0])))
        xy = np.stack((xy[0] - radius, xy[0] + radius))
    (left, top) = xy.min(0).tolist()
    (right, bottom) = xy.max(0).tolist()
    return Mark(label, (left, top, right, bottom), False, f"{where}.points")


def read(folder: Path, files: Sequence[Path]) -> Labelled:
    """Read a folder; its split is that of its folders\' names."""
    find = Finder(folder, files)
    records = []
    for path in files:
        if path.suffix != ".json" or not is_labelme(document := read_json(path)):
            continue
        marks = tuple(_mark(path, index, shape) for index, shape in enumerate(document["shapes"]))
        name = need(str(path), document, "imagePath", str, "the name of the picture")
        size = said_size(document.get("imageWidth"), document.get("imageHeight"))
        split = split_in_name(path.relative_to(folder))
        records.append(
            Record(find(path, name), marks, False, split, size, f"{path}: imageWidth, imageHeight")
        )
    return Labelled("labelme", in_order(records), tuple(records))
