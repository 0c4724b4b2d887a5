"""Let models that exist propose boxes: for a training (`pseudo.csv`), or as drafts for a person to correct.

    pictures ─ each teacher ─▶ boxes by class ─ compare ─▶ agree: two teachers see the same box, one is sure
                                                           ignore: one alone, or both unsure

What always holds: a teacher is any file that the agent reads; classes go by their names; what one teacher
alone sees is never taught. The thresholds are of YOLOX-nano and PicoDet-S, whose boxes were looked at.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from agent.boxes import Detections, Float32, Uint8, iou
from agent.progress import watched
from agent.see.infer import Detector, ModelError
from export.data.formats.record import PICTURES
from export.data.pseudo_labels import packaged
from export.data.sample import read_picture
from export.errors import DataError

SURE = 0.5  # score of the first teacher from which on the other's word is asked
SECOND = 0.25  # score of the other
SURE_OF = {"bicycle": 0.35}  # classes whose scores are lower where they are right
LEAST = 0.1  # score from which on a box is not background any more
TOGETHER = 0.5  # overlap of two boxes that mean the same
HEADS = ("file", "class", "x", "y", "w", "h", "score", "kind")


class Teacher(Protocol):
    """Whatever finds objects: an agent's `Detector`, or anything else with names and this method."""

    names: dict[int, str]

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what it sees in a picture (H,W,3) BGR."""


class Draft(NamedTuple):
    """Hold one proposed box: class, corners in pixels, score, and whether two teachers agree on it."""

    label: str
    box: tuple[float, float, float, float]
    score: float
    agreed: bool


class Drafted(NamedTuple):
    """Hold what is proposed for one picture; `size` is its (width, height)."""

    picture: Path
    size: tuple[int, int]
    drafts: list[Draft]


def open_teacher(name: str, names: Sequence[str] = ()) -> Detector:
    """Open a teacher: a packaged model by its name, or the path of any file that the agent reads.

    `names` are the classes of a file that does not tell them itself.
    """
    path = packaged(name)
    try:
        return Detector(path, confidence=LEAST, threads=1)
    except ModelError:
        if not names:
            raise
        return Detector(path, confidence=LEAST, threads=1, names=names)


def check_classes(teachers: Sequence[Teacher], classes: Sequence[str]) -> None:
    """Raise `DataError` where no teacher knows a class."""
    known = {name for teacher in teachers for name in teacher.names.values()}
    for name in classes:
        if name not in known:
            raise DataError(f"class {name!r}: no teacher knows it; they know {', '.join(sorted(known))}")


def _of_class(found: Detections, teacher: Teacher, label: str) -> tuple[Float32, Float32]:
    mine = np.asarray([teacher.names[int(number)] == label for number in found.class_id], np.bool_)
    return found.xyxy[mine], found.confidence[mine]


def compare(label: str, said: Sequence[tuple[Float32, Float32]]) -> Iterator[Draft]:
    """Yield what teachers say of one class, each object once: `said` are boxes (n,4) and scores (n,) of each.

    The first teacher's boxes are the ones that are kept; the others' come where it sees nothing.
    """
    sure = SURE_OF.get(label, SURE)
    for place, (boxes, scores) in enumerate(said):
        for box, score in zip(boxes, scores.tolist(), strict=True):
            if any(iou(box[None], before).max(initial=0) >= TOGETHER for before, _ in said[:place]):
                continue
            agreed = score >= sure and any(
                (others[iou(box[None], there)[0] >= TOGETHER] >= SECOND).any()
                for there, others in said[place + 1 :]
            )
            corners = [float(value) for value in box]
            yield Draft(label, (corners[0], corners[1], corners[2], corners[3]), score, agreed)


def propose(image: Uint8, teachers: Sequence[Teacher], classes: Sequence[str]) -> list[Draft]:
    """Return what teachers propose for one picture (H,W,3) BGR."""
    seen = [(teacher.detect(image), teacher) for teacher in teachers]
    return [
        draft
        for label in classes
        for draft in compare(label, [_of_class(found, teacher, label) for found, teacher in seen])
    ]


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures below a folder, in order; raises `DataError` where there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise DataError(f"{folder}: no pictures in it; gb-export collect picks some from a camera")
    return found


def draft(folder: Path, teachers: Sequence[Teacher], classes: Sequence[str]) -> Iterator[Drafted]:
    """Yield what teachers propose for each picture below a folder; raises `DataError`."""
    check_classes(teachers, classes)
    cv2.setNumThreads(1)
    for path in watched(pictures_in(folder), "pictures looked at"):
        image = read_picture(path, None)
        yield Drafted(path, (image.shape[1], image.shape[0]), propose(image, teachers, classes))


def write_table(drafted: Iterable[Drafted], classes: Sequence[str], out: Path) -> tuple[int, int]:
    """Write a `pseudo.csv` whose classes are numbers of `classes`; return how many agree, how many not."""
    agreed = doubted = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(HEADS)
        for picture, (width, height), drafts in drafted:
            for one in drafts:
                left, top, right, bottom = one.box
                place = (left + right) / 2 / width, (top + bottom) / 2 / height
                size = (right - left) / width, (bottom - top) / height
                numbers = [f"{value:.5f}" for value in (*place, *size)]
                kind = "agree" if one.agreed else "ignore"
                rows.writerow([picture.name, classes.index(one.label), *numbers, f"{one.score:.2f}", kind])
                agreed += one.agreed
                doubted += not one.agreed
    return agreed, doubted
