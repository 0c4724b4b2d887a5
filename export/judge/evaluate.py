"""How good is a model: average precision per class, source and size, and what the default score gives.

The model runs as it is deployed, through `agent.see.infer.Detector`. What always holds: a class that a source
does not label is not judged there, and where a label only says "vehicle", any of those classes is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, iou
from agent.see.infer import Detector
from export.data.sample import Bool, Picture
from export.judge.metrics import (
    DEFAULT,
    SIZES,
    Float64,
    Interval,
    Matched,
    average_precision,
    curve,
    draw,
    match,
    match_picture,
    precision_interval,
    ratio,
    recall_at,
)

LEAST = 0.005  # the score from which on curves are drawn


class Seen(NamedTuple):
    """Hold a picture, and what a detector of low threshold says about it."""

    picture: Picture
    found: Detections


@dataclass(frozen=True, slots=True)
class Sized:
    """Hold the figures of truths of one size: recall at the default score, AP50, AP50-95, and of the curve.

    What finds a truth of another size, or finds nothing and has another size itself, is left out.
    """

    truths: int
    recall: Interval
    ap50: float
    ap: float
    recall_at_90: float


@dataclass(frozen=True, slots=True)
class Score:
    """Hold the figures of one class in one source; precision, recall and `by_size` at IoU 0.5, score 0.25.

    `within` has the intervals of ap50, ap, precision and recall; `curve` is the precision at 101 recalls.
    """

    source: str
    label: str
    truths: int
    ap50: float
    ap: float
    precision: float
    recall: float
    within: dict[str, Interval]
    by_size: dict[str, Sized]
    curve: list[float]


def sized(matched: Sequence[Matched], low: float, high: float, drawn: Float64) -> Sized:
    """Judge the truths of one size (low <= size < high) alone."""

    def chosen(m: Matched) -> Bool:
        size = np.where(m.hit[:, 0], m.truth_size, m.box_size)
        return np.asarray((size >= low) & (size < high))

    of_size = [(m.size >= low) & (m.size < high) for m in matched]
    truths = np.asarray([rows.sum() for rows in of_size])
    found = np.asarray([m.found[rows].sum() for m, rows in zip(matched, of_size, strict=True)])
    scores = np.concatenate([m.scores[chosen(m)] for m in matched])
    hit = np.concatenate([m.hit[chosen(m)] for m in matched])  # (n,10)
    total = int(truths.sum())
    ap = [average_precision(scores, column, total) for column in hit.T]
    recall = ratio(found, truths, drawn)
    return Sized(total, recall, ap[0], float(np.mean(ap)), recall_at(0.9, scores, hit[:, 0], total)[0])


def by_sizes(matched: Sequence[Matched], drawn: Float64) -> dict[str, Sized]:
    """Judge every size that has truths."""
    figures = {name: sized(matched, low, high, drawn) for name, low, high in SIZES}
    return {name: figure for name, figure in figures.items() if figure.truths}


def summarise(source: str, label: str, matched: Sequence[Matched]) -> Score:
    """Turn the matches of all pictures into figures."""
    drawn = draw(len(matched))
    ap50, ap = precision_interval(matched, drawn)
    sure = [m.scores >= DEFAULT for m in matched]
    right = np.asarray([m.hit[rows, 0].sum() for m, rows in zip(matched, sure, strict=True)])
    precision = ratio(right, np.asarray([rows.sum() for rows in sure]), drawn)
    truths = np.asarray([len(m.found) for m in matched])
    recall = ratio(np.asarray([m.found.sum() for m in matched]), truths, drawn)
    scores, hit = (
        np.concatenate(parts) for parts in zip(*((m.scores, m.hit[:, 0]) for m in matched), strict=True)
    )
    total = int(truths.sum())
    return Score(
        source,
        label,
        total,
        ap50.value,
        ap.value,
        precision.value,
        recall.value,
        {"ap50": ap50, "ap": ap, "precision": precision, "recall": recall},
        by_sizes(matched, drawn),
        np.round(curve(scores, hit, total), 4).tolist(),
    )


def look(detector: Detector, pictures: Iterable[Picture]) -> list[Seen]:
    """Run a detector (made with confidence `LEAST`) over pictures."""
    return [Seen(picture, detector.detect(picture.image)) for picture in pictures]


def matches(seen: Sequence[Seen], names: Sequence[str]) -> Iterator[tuple[str, str, list[Matched]]]:
    """Yield each source and class with the matches of that source's pictures, in their order."""
    meanings: dict[str, set[tuple[bool, ...]]] = defaultdict(set)
    for picture, _ in seen:
        meanings[picture.source] |= {tuple(row) for row in picture.allowed.tolist() if any(row)}
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
            yield source, "|".join(np.asarray(names)[wanted]), matched


def judge(seen: Sequence[Seen], names: Sequence[str]) -> list[Score]:
    """Score every class in every source."""
    return [summarise(*each) for each in matches(seen, names)]


def evaluate(detector: Detector, pictures: Iterable[Picture]) -> list[Score]:
    """Run a detector (made with confidence `LEAST`) over pictures; score every class and source."""
    return judge(look(detector, pictures), [detector.names[i] for i in range(len(detector.names))])


class Pairs(NamedTuple):
    """Hold what the default score gives in one picture, whatever the class.

    `found` are the boxes judged, `truth` (n,) the row of the picture's box that each found, or -1;
    `right` (n,) whether its class is right as well; `missed` the rows of the boxes that nothing found.
    """

    found: Detections
    truth: NDArray[np.int64]
    right: Bool
    missed: NDArray[np.int64]


def pair(seen: Seen, least: float = DEFAULT) -> Pairs:
    """Match what was found in a picture with its boxes, whatever the class; hidden boxes are left out."""
    picture = seen.picture
    rows = np.flatnonzero(picture.allowed.any(1))
    hidden = picture.boxes[~picture.allowed.any(1)]
    found = seen.found[(seen.found.confidence >= least) & ~picture.unlabelled[seen.found.class_id]]
    given = match(iou(found.xyxy, picture.boxes[rows]), 0.5)
    aside = (given < 0) & (iou(found.xyxy, hidden).max(1, initial=0) > 0.4)
    found = found[~aside]
    given = given[~aside]
    truth = np.append(rows, -1)[given]
    right = np.zeros(len(found), np.bool_)
    hit = given >= 0
    right[hit] = picture.allowed[truth[hit], found.class_id[hit]]
    return Pairs(found, truth, right, np.setdiff1d(rows, truth))


def confusion(seen: Sequence[Seen], names: Sequence[str]) -> dict[str, list[int]]:
    """Count what each true class was called, rows by label and "nothing there"; the last column is missed."""
    rows: dict[str, list[int]] = defaultdict(lambda: [0] * (len(names) + 1))
    for one in seen:
        pairs = pair(one)
        allowed = one.picture.allowed
        labels = ["|".join(np.asarray(names)[row]) for row in allowed]
        for truth, said in zip(pairs.truth.tolist(), pairs.found.class_id.tolist(), strict=True):
            rows[labels[truth] if truth >= 0 else "nothing there"][said] += 1
        for truth in pairs.missed.tolist():
            rows[labels[truth]][-1] += 1
    return dict(sorted(rows.items(), key=lambda item: (item[0] == "nothing there", item[0])))


def _row(s: Score) -> str:
    sizes = "  ".join(f"{name} {size.recall.value:.2f} ({size.truths})" for name, size in s.by_size.items())
    low, high = s.within["ap50"][1:]
    figures = (
        f"{s.truths:6} {s.ap50:6.3f} {low:.3f}-{high:.3f} {s.ap:6.3f} {s.precision:6.3f} {s.recall:6.3f}"
    )
    return f"{s.source:12} {s.label:20} {figures}  {sizes}"


def table(scores: Iterable[Score]) -> str:
    """Write scores as a table for people."""
    columns = f"{'truths':>6} {'AP50':>6} {'95 %':>11} {'AP':>6} {'prec':>6} {'recall':>6}"
    return "\n".join([f"{'source':12} {'class':20} {columns}  recall by size in pixels", *map(_row, scores)])


def detector_for(path: Path) -> Detector:
    """Open a model so that whole curves can be drawn."""
    return Detector(path, confidence=LEAST, threads=2)
