"""How good is a model: average precision per class and per source, and what the default threshold gives.

The model runs as it is deployed, through `agent.infer.Detector`. What always holds: a class that a source
does not label is not judged there, and where a label only says "vehicle", any of those classes is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, iou
from agent.infer import Detector
from export.picture import Picture

THRESHOLDS = np.arange(0.5, 1.0, 0.05)
LEAST, DEFAULT = 0.005, 0.25  # scores: from which on curves are drawn, and what the agent uses
SIZES = (("<16", 0, 16), ("16-32", 16, 32), ("32-96", 32, 96), (">96", 96, 1e9))  # sqrt(area) in pixels


@dataclass(frozen=True, slots=True)
class Score:
    """Hold the figures of one class in one source; precision, recall and `by_size` at IoU 0.5, score 0.25."""

    source: str
    label: str
    truths: int
    ap50: float
    ap: float
    precision: float
    recall: float
    by_size: dict[str, tuple[float, int]]


class Matched(NamedTuple):
    """Hold one picture's detections of a class: scores (n,), hit (n,10) per threshold, and its truths.

    `found` (m,) says which truths the detections over the default score found; `size` (m,) is sqrt(area).
    """

    scores: Float32
    hit: NDArray[np.bool_]
    found: NDArray[np.bool_]
    size: Float32


def match(overlap: Float32, threshold: float) -> NDArray[np.int64]:
    """Give detections (rows, best first) their truths (columns): (n,) column or -1, each truth once."""
    given = np.full(len(overlap), -1, np.int64)
    if not overlap.size:
        return given
    free = overlap.copy()
    for row in range(len(free)):
        column = int(free[row].argmax())
        if free[row, column] >= threshold:
            given[row] = column
            free[:, column] = -1.0
    return given


def average_precision(scores: Float32, hit: NDArray[np.bool_], truths: int) -> float:
    """Return the area under the precision-recall curve at 101 recalls, as COCO does."""
    if truths == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hit[order])
    recall, precision = right / truths, right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(envelope, 0.0)[np.minimum(place, len(envelope))].mean())


def match_picture(found: Detections, boxes: Float32, classes: NDArray[np.int64], hidden: Float32) -> Matched:
    """Match detections of `classes` with truths (m,4), leaving out what lies on hidden boxes."""
    mine = found[np.isin(found.class_id, classes)]
    overlap = iou(mine.xyxy, boxes)
    given = np.stack([match(overlap, t) for t in THRESHOLDS], 1).reshape(len(mine), len(THRESHOLDS))
    if len(hidden):
        aside = (given[:, 0] < 0) & (iou(mine.xyxy, hidden).max(1, initial=0) > 0.4)
        mine, given = mine[~aside], given[~aside]
    seen = np.zeros(len(boxes), np.bool_)
    seen[given[(given[:, 0] >= 0) & (mine.confidence >= DEFAULT), 0]] = True
    size = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    return Matched(mine.confidence, given >= 0, seen, size)


def summarise(source: str, label: str, matched: Sequence[Matched]) -> Score:
    """Turn the matches of all pictures into figures."""
    scores = np.concatenate([m.scores for m in matched])
    hit = np.concatenate([m.hit for m in matched])
    found, size = np.concatenate([m.found for m in matched]), np.concatenate([m.size for m in matched])
    curve = [average_precision(scores, hit[:, i], len(found)) for i in range(len(THRESHOLDS))]
    sure = scores >= DEFAULT
    by_size = {}
    for name, low, high in SIZES:
        within = (size >= low) & (size < high)
        if within.any():
            by_size[name] = (float(found[within].mean()), int(within.sum()))
    precision = float(hit[sure, 0].mean()) if sure.any() else float("nan")
    return Score(
        source, label, len(found), curve[0], float(np.mean(curve)), precision, float(found.mean()), by_size
    )


def evaluate(detector: Detector, pictures: Iterable[Picture]) -> list[Score]:
    """Run a detector (made with confidence `LEAST`) over pictures; score every class and source."""
    names = np.asarray([detector.names[i] for i in range(len(detector.names))])
    seen = [(picture, detector.detect(picture.image)) for picture in pictures]
    meanings: dict[str, set[tuple[bool, ...]]] = defaultdict(set)
    for picture, _ in seen:
        meanings[picture.source] |= {tuple(row) for row in picture.allowed.tolist() if any(row)}
    result = []
    for source in sorted(meanings):
        for meaning in sorted(meanings[source], reverse=True):
            wanted = np.asarray(meaning)
            matched = [
                match_picture(
                    found,
                    picture.boxes[(picture.allowed == wanted).all(1)],
                    np.flatnonzero(wanted),
                    picture.boxes[~picture.allowed.any(1)],
                )
                for picture, found in seen
                if picture.source == source
            ]
            result.append(summarise(source, "|".join(names[wanted]), matched))
    return result


def _row(s: Score) -> str:
    sizes = "  ".join(f"{name} {recall:.2f} ({count})" for name, (recall, count) in s.by_size.items())
    figures = f"{s.truths:6} {s.ap50:6.3f} {s.ap:6.3f} {s.precision:6.3f} {s.recall:6.3f}"
    return f"{s.source:12} {s.label:20} {figures}  {sizes}"


def table(scores: Iterable[Score]) -> str:
    """Write scores as a table for people."""
    columns = f"{'truths':>6} {'AP50':>6} {'AP':>6} {'prec':>6} {'recall':>6}"
    return "\n".join([f"{'source':12} {'class':20} {columns}  recall by size", *map(_row, scores)])


def detector_for(path: Path) -> Detector:
    """Open a model so that whole curves can be drawn."""
    return Detector(path, confidence=LEAST, threads=2)
