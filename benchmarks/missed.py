"""Why small faces are missed: each labelled face of a size by what became of it in both looks.

What always holds: a face has one cause, the first that is true of it in the order of CAUSES; the bound is the
score at which nine of ten finds of that size are right, so `found` is the recall at precision 0.9 (but for
faces that are labelled twice).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agent.boxes import Detections, Float32, Uint8, iou
from agent.look.agree import agreed
from agent.look.merge import BELIEVED, SAME, finds, mend, merge
from agent.look.still import SecondLook, canvas_of, kinds_of
from agent.progress import watched
from agent.see.infer import Detector
from benchmarks.page import markdown
from export.data.sample import Picture
from export.judge.metrics import DEFAULT, SIZES, Matched, match_picture, recall_at, side

CAUSES = (
    "found",
    "found, but no surer than what is false",
    "only another box lies on it (overlap 0.15 to 0.5)",
    "a look sees it, the merge leaves it out",
    "a look sees it, both together doubt it (score under 0.25)",
    "every look doubts it (scores under 0.25)",
    "no look sees it",
)
TOUCHES = 0.15  # overlap of a box that lies on a face and is not its own
SMALL = SIZES[1:3]  # 8 to 16 and 16 to 32 pixels


class Told(NamedTuple):
    """Hold a picture, what both looks tell of it, and each look's finds whatever their score."""

    picture: Picture
    both: Detections
    looks: list[Detections]


class Recorder:
    """Look with a detector, and keep whatever it finds."""

    def __init__(self, detector: Detector) -> None:
        self.names = detector.names
        self.input_size = detector.input_size
        self.seen: list[Detections] = []
        self._detector = detector

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what is in a picture (H,W,3) BGR."""
        self.seen.append(self._detector.detect(image_bgr))
        return self.seen[-1]


def tell(detector: Detector, picture: Picture) -> Told:
    """Look at a picture in all of its parts; its pixels are not kept."""
    size = (picture.image.shape[1], picture.image.shape[0])
    canvas = canvas_of(detector)
    zoom = min(canvas[0] / size[0], canvas[1] / size[1])
    recorder = Recorder(detector)
    first = detector.detect(picture.image)
    looked = SecondLook(recorder).regions(picture.image, finds(first, zoom))
    kinds = kinds_of(detector.names)
    both = merge(finds(first, zoom), mend(looked, size), kinds, zoom)
    weighed = agreed(both, first, looked, kinds, size, zoom)
    raw = [region.back(seen) for (region, _), seen in zip(looked, recorder.seen, strict=True)]
    return Told(replace(picture, image=picture.image[:1, :1].copy()), weighed, [first, *raw])


def cause(box: Float32, both: Detections, looks: Sequence[Detections], bound: float) -> str:
    """Return what became of a face (4,): one of CAUSES."""
    score = _surest(box, both)
    alone = max(_surest(box, look) for look in looks)
    near = both.xyxy[both.confidence >= DEFAULT]
    doubted = "no look sees it" if alone == 0 else CAUSES[5]
    true = (
        score >= bound,
        score >= DEFAULT,
        score == 0 and alone < BELIEVED and iou(box[None], near).max(initial=0.0) >= TOUCHES,
        score == 0 and alone >= BELIEVED,
        alone >= BELIEVED,
    )
    return next((name for name, holds in zip(CAUSES, true, strict=False) if holds), doubted)


def _surest(box: Float32, found: Detections) -> float:
    """Return the score of the surest find that overlaps a face (4,), 0 where none does."""
    mine = iou(box[None], found.xyxy)[0] >= SAME
    return float(found.confidence[mine].max(initial=0.0))


def bound_of(matched: Sequence[Matched], low: float, high: float) -> float:
    """Return the score at which nine of ten finds of a size (low <= size < high) are right."""
    sizes = [np.where(m.hit[:, 0], m.truth_size, m.box_size) for m in matched]
    mine = [(size >= low) & (size < high) for size in sizes]
    scores = np.concatenate([m.scores[rows] for m, rows in zip(matched, mine, strict=True)])
    hit = np.concatenate([m.hit[rows, 0] for m, rows in zip(matched, mine, strict=True)])
    truths = sum(int(((m.size >= low) & (m.size < high)).sum()) for m in matched)
    return recall_at(0.9, scores, hit, truths)[1]


def counted(told: Sequence[Told], classes: int) -> Iterator[tuple[str, Counter[str]]]:
    """Yield for each small size how many faces have which cause."""
    every = np.arange(classes)
    known = [one.picture.allowed.any(1) for one in told]
    matched = [
        match_picture(one.both, one.picture.boxes[rows], every, one.picture.boxes[~rows])
        for one, rows in zip(told, known, strict=True)
    ]
    for name, low, high in SMALL:
        bound = bound_of(matched, low, high)
        counts: Counter[str] = Counter()
        for one, rows in zip(told, known, strict=True):
            boxes = one.picture.boxes[rows]
            size = side(boxes)
            for box in boxes[(size >= low) & (size < high)]:
                counts[cause(box, one.both, one.looks, bound)] += 1
        yield name, counts


def missed(detector: Detector, pictures: Sequence[Picture]) -> str:
    """Return the table of causes."""
    told = [tell(detector, picture) for picture in watched(pictures, "pictures")]
    columns = list(counted(told, len(detector.names)))
    heads = ("what became of it", *(f"{name} px" for name, _ in columns))
    lines = [(name, *(_share(counts, name) for _, counts in columns)) for name in CAUSES]
    return f"### Small faces, {len(pictures)} pictures: what became of them\n\n{markdown(heads, lines)}"


def _share(counts: Counter[str], name: str) -> str:
    total = counts.total()
    return f"{counts[name]} ({counts[name] / total:.3f})" if total else "-"
