"""What the mask papers ask: is the state right, and how many of all true faces are found with it.

Two ways of counting, never mixed, at IoU 0.5 and the agent's default score:

    given found    only faces that were found: is what is said of them right?
    end to end     all true faces: one that is not found is a failure too

Positive is a mask. End to end, TPR and FNR are over all masked faces, FPR over all bare ones; precision is
over all that is called a mask, inventions too; recall is the share of all true faces found with the right
state. A face's score for the ROC is +confidence where it is called masked, -confidence where bare, else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import GREY, Float32
from export.data.sample import Bool, Picture, turn_boxes
from export.judge.evaluate import LEAST, Seen, Sized, by_sizes, pair
from export.judge.metrics import (
    DEFAULT,
    SIZES,
    Float64,
    Interval,
    auc,
    draw,
    match_picture,
    ratio,
    recall_at,
    roc,
    side,
)

MASK = "with_mask"
BARE = "without_mask"


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Hold every true face (n,) and every invention (k,) of some pictures.

    `said` is 1 masked, 0 bare, -1 not found; `score` its confidence; `owner` the number of its picture;
    `shape` its width by its height, infinite where the picture's border cuts it.
    """

    pictures: int
    owner: NDArray[np.int64]
    masked: Bool
    kind: NDArray[np.int64]
    size: Float32
    shape: Float32
    said: NDArray[np.int64]
    score: Float32
    invented_owner: NDArray[np.int64]
    invented_mask: Bool
    invented_size: Float32

    def of_size(self, low: float, high: float) -> Faces:
        """Return the faces, and the inventions, of one size."""
        there = (self.invented_size >= low) & (self.invented_size < high)
        names = ("invented_owner", "invented_mask", "invented_size")
        inventions = {name: getattr(self, name)[there] for name in names}
        return replace(self.where((self.size >= low) & (self.size < high)), **inventions)

    def where(self, rows: Bool) -> Faces:
        """Return some of the faces (n,), without inventions."""
        names = ("owner", "masked", "kind", "size", "shape", "said", "score")
        nothing = np.zeros(0, np.bool_)
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in names},
            invented_owner=np.zeros(0, np.int64),
            invented_mask=nothing,
            invented_size=np.zeros(0, np.float32),
        )


def gather(seen: Sequence[Seen], names: Sequence[str]) -> Faces:
    """Match every face of the pictures with what was found there; the truths' classes must be those two."""
    mask = list(names).index(MASK)
    rows: dict[str, list[Any]] = {name: [] for name in Faces.__slots__ if name != "pictures"}
    for number, one in enumerate(seen):
        pairs = pair(one, LEAST)
        picture = one.picture
        truths = np.flatnonzero(picture.allowed.any(1))
        said = np.full(len(picture.boxes), -1)
        score = np.zeros(len(picture.boxes), np.float32)
        hit = (pairs.truth >= 0) & (pairs.found.confidence >= DEFAULT)
        said[pairs.truth[hit]] = pairs.found.class_id[hit] == mask
        score[pairs.truth[hit]] = pairs.found.confidence[hit]
        wrong = pairs.found[(pairs.truth < 0) & (pairs.found.confidence >= DEFAULT)]
        kind = picture.kind if picture.kind is not None else np.full(len(picture.boxes), -1)
        for name, values in (
            ("owner", np.full(len(truths), number)),
            ("masked", picture.allowed[truths, mask]),
            ("kind", kind[truths]),
            ("size", side(picture.boxes[truths])),
            ("shape", shapes(picture.boxes[truths], picture.image.shape[1::-1])),
            ("said", said[truths]),
            ("score", score[truths]),
            ("invented_owner", np.full(len(wrong), number)),
            ("invented_mask", wrong.class_id == mask),
            ("invented_size", side(wrong.xyxy)),
        ):
            rows[name].append(values)
    return Faces(len(seen), **{name: np.concatenate(parts) for name, parts in rows.items()})


def shapes(xyxy: Float32, picture: Sequence[int]) -> Float32:
    """Return width by height of faces (N,4) in a picture (width, height), infinite of those that it cuts."""
    inside = (xyxy[:, :2] > 1).all(1) & (xyxy[:, 2:] < np.asarray(picture) - 1).all(1)
    width = xyxy[:, 2] - xyxy[:, 0]
    height = np.maximum(xyxy[:, 3] - xyxy[:, 1], 1e-6)
    return np.where(inside, width / height, np.inf).astype(np.float32)


def tell(faces: Faces) -> dict[str, Any]:
    """Work out both ways of counting, with intervals; `faces` is how many masked and bare ones there are."""
    drawn = draw(faces.pictures)
    masked = faces.masked
    found = faces.said >= 0
    says = faces.said == 1
    right = found & (says == masked)

    def share(top: Bool, bottom: Bool, more: Float64 | float = 0.0) -> Interval:
        count = [np.bincount(faces.owner[rows], minlength=faces.pictures) for rows in (top & bottom, bottom)]
        return ratio(count[0], count[1] + more, drawn)

    inventions = np.bincount(faces.invented_owner[faces.invented_mask], minlength=faces.pictures)
    everything = np.ones(len(masked), np.bool_)
    signed = np.where(found, np.where(says, faces.score, -faces.score), 0.0).astype(float)
    return {
        "faces": {"masked": int(masked.sum()), "bare": int((~masked).sum())},
        "found": share(found, everything),
        "given found": {
            "mask right": share(right, found & masked),
            "no mask right": share(right, found & ~masked),
            "accuracy, eq. 5": share(right, found),
            "AUC": auc(signed[found], masked[found], faces.owner[found], drawn),
        },
        "end to end": {
            "TPR": share(says, masked),
            "FNR": share(~says, masked),
            "FPR": share(says, ~masked),
            "precision": share(masked, says, inventions.astype(float)),
            "recall": share(right, everything),
            "mask found and right": share(right, masked),
            "no mask found and right": share(right, ~masked),
            "accuracy, eq. 5": share(says == masked, everything),
            "AUC": auc(signed, masked, faces.owner, drawn),
        },
    }


def roc_points(faces: Faces) -> tuple[list[float], list[float]]:
    """Return the end-to-end ROC: false and true positive rates."""
    says = np.where(faces.said == 1, faces.score, np.where(faces.said == 0, -faces.score, 0.0))
    wrong, right = roc(says.astype(float), faces.masked)
    return wrong.tolist(), right.tolist()


def find(seen: Sequence[Seen], names: Sequence[str]) -> tuple[dict[str, Sized], tuple[float, float]]:
    """Judge the finding of faces whatever their state: by size, and recall at precision 0.9 over all."""
    every = np.arange(len(names))
    matched = [
        match_picture(one.found, p.boxes[p.allowed.any(1)], every, p.boxes[~p.allowed.any(1)])
        for one in seen
        for p in (one.picture,)
    ]
    scores = np.concatenate([m.scores for m in matched])
    hit = np.concatenate([m.hit[:, 0] for m in matched])
    whole = recall_at(0.9, scores, hit, sum(len(m.found) for m in matched))
    return by_sizes(matched, draw(len(matched))), whole


def turn(picture: Picture, degrees: float) -> Picture:
    """Turn a picture (counter-clockwise) about its centre on a canvas of its own size, faces with it.

    A face is taken as the ellipse in its box; its new box is round the turned ellipse. What lies partly
    outside the canvas is hidden, what has its centre there is gone.
    """
    height, width = picture.image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    image = cv2.warpAffine(picture.image, matrix, (width, height), borderValue=(GREY, GREY, GREY))
    boxes = turn_boxes(picture.boxes, matrix)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    cut = np.clip(boxes, 0, (width, height) * 2).astype(np.float32)
    shown = np.asarray((side(cut) / np.maximum(side(boxes), 1e-6)) ** 2)
    inside = ((centre >= 0) & (centre < (width, height))).all(1)
    kind = picture.kind[inside] if picture.kind is not None else None
    allowed = picture.allowed & (shown >= 0.7)[:, None]
    return replace(
        picture, image=np.asarray(image, np.uint8), boxes=cut[inside], allowed=allowed[inside], kind=kind
    )


def by_size(faces: Faces) -> dict[str, dict[str, Any]]:
    """Work out everything for each size of face that there is."""
    parts = {name: faces.of_size(low, high) for name, low, high in SIZES}
    return {name: tell(part) for name, part in parts.items() if len(part.masked)}
