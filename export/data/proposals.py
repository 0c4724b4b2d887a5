"""Boxes that other models propose for classes that a source does not label: `pseudo.csv`.

    split,file,class,x,y,w,h,score,kind        x y w h: centre and size in fractions; kind: agree or ignore

What always holds: `agree` is taught as a box, where the class is one that the recipe takes from such a file;
every other row hides its region, so that it is taught neither as an object nor as background; what people
drew stays as they drew it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agent.boxes import iou
from export.data.sample import Bool, Picture, corners
from export.errors import DataError

KINDS = ("agree", "ignore")
COLUMNS = ("file", "class", "x", "y", "w", "h", "kind")
DOUBTED = 0.4  # score from which a proposal of a class that people did label hides its region
OTHER = 0.5  # overlap with a box that a person drew of another class, from which on neither is believed
SAME = 0.4  # overlap with a box that a person drew, from which on it is that one


class Proposal(NamedTuple):
    """Hold one row: the class's number in the folder, centre and size in fractions, score, kind."""

    label: int
    centred: tuple[float, float, float, float]
    score: float
    agreed: bool


def read_proposals(path: Path, classes: int) -> dict[str, list[Proposal]]:
    """Read a `pseudo.csv` by picture name; raises `DataError` with the line of a row that makes no sense."""
    if not path.exists():
        raise DataError(f"{path}: no such file of proposals; write one by `gb-export propose`")
    found: dict[str, list[Proposal]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = sorted(set(COLUMNS) - set(rows.fieldnames or ()))
        if missing:
            raise DataError(f"{path}: no column {missing[0]!r}; it needs {','.join(COLUMNS)}")
        for row in rows:
            found.setdefault(row["file"], []).append(_proposal(row, f"{path}:{rows.line_num}", classes))
    return found


def _proposal(row: dict[str, str], where: str, classes: int) -> Proposal:
    try:
        label = int(row["class"])
        x, y, w, h = (float(row[key]) for key in "xywh")
        score = float(row.get("score") or 1.0)
    except (TypeError, ValueError):
        raise DataError(f"{where}: class, x, y, w, h and score are numbers") from None
    if label not in range(classes):
        raise DataError(f"{where}: class {label} is not one of 0..{classes - 1}")
    if not all(math.isfinite(v) and -0.01 <= v <= 1.01 for v in (x, y, w, h)):
        raise DataError(f"{where}: coordinates are fractions of the picture, 0..1")
    if row["kind"] not in KINDS:
        raise DataError(f"{where}: kind {row['kind']!r} is neither agree nor ignore")
    return Proposal(label, (x, y, w, h), score, row["kind"] == "agree")


def add_proposals(picture: Picture, proposals: Sequence[Proposal], meaning: Bool, believed: Bool) -> Picture:
    """Return the picture with proposals beside the boxes that people drew.

    Args:
        picture: with the boxes that people drew.
        proposals: what other models say of it.
        meaning: (K,C) the product's classes that each of the folder's may be.
        believed: (C,) classes in which they are believed: those are no longer unlabelled.
    """
    size = picture.image.shape[1], picture.image.shape[0]
    boxes = [picture.boxes]
    allowed = [picture.allowed]
    labels = []
    for one in proposals:
        open_ = meaning[one.label] & picture.unlabelled
        if not open_.any() and (one.agreed or one.score < DOUBTED):
            continue  # people labelled that class: they did not see it there
        box = corners(np.asarray([one.centred], np.float32), *size)
        drawn = (picture.allowed & meaning[one.label]).any(1)
        if iou(box, picture.boxes[drawn]).max(initial=0) >= SAME:
            continue
        other = iou(box, picture.boxes[~drawn]).max(initial=0) >= OTHER
        boxes.append(box)
        allowed.append((open_ & believed & (one.agreed and not other))[None])
        labels.append(one.label)
    kind = None if picture.kind is None else np.concatenate((picture.kind, np.asarray(labels, np.int64)))
    return replace(
        picture,
        boxes=np.concatenate(boxes),
        allowed=np.concatenate(allowed),
        unlabelled=picture.unlabelled & ~believed,
        kind=kind,
    )
