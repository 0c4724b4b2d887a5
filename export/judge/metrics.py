"""The arithmetic of judging a detector: matching, average precision, ROC, and intervals by bootstrap.

What always holds: a truth is found at most once, by the best box that overlaps it; an interval comes from
drawing whole pictures again and again, since faces of one picture are not independent; the same seed draws
the same pictures, so the same figures have the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, area, iou
from export.data.sample import Bool

Float64 = NDArray[np.float64]
THRESHOLDS = np.arange(0.5, 1.0, 0.05)
RECALLS = np.linspace(0, 1, 101)
DEFAULT = 0.25  # the score from which on the agent believes a box
SIZES = (("<8", 0, 8), ("8-16", 8, 16), ("16-32", 16, 32), ("32-96", 32, 96), (">96", 96, 1e9))  # pixels
DRAWS = 200


class Interval(NamedTuple):
    """Hold a figure and the range that 95 % of the redrawn sets of pictures give."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


class Matched(NamedTuple):
    """Hold one picture's detections of a class: scores (n,), hit (n,10) per threshold, and its truths.

    `found` (m,) says which truths the detections over the default score found; `size` (m,) is sqrt(area).
    `box_size` (n,) is that of the detections, `truth_size` (n,) that of what each found at IoU 0.5, or NaN.
    """

    scores: Float32
    hit: Bool
    found: Bool
    size: Float32
    box_size: Float32
    truth_size: Float32


def match(overlap: Float32, threshold: float) -> NDArray[np.int64]:
    """Give detections (rows, best first) their truths (columns): (n,) column or -1, each truth once."""
    given = np.full(len(overlap), -1, np.int64)
    if not overlap.size:
        return given
    free = overlap.copy()
    for row in np.flatnonzero(overlap.max(1) >= threshold):
        column = int(free[row].argmax())
        if free[row, column] >= threshold:
            given[row] = column
            free[:, column] = -1.0
    return given


def side(boxes: Float32) -> Float32:
    """Return the size (n,) of boxes (n,4): the side of a square of their area."""
    return np.asarray(np.sqrt(area(boxes)), np.float32)


def match_picture(found: Detections, boxes: Float32, classes: NDArray[np.int64], hidden: Float32) -> Matched:
    """Match detections of `classes` with truths (m,4), leaving out what lies on hidden boxes."""
    mine = found[np.isin(found.class_id, classes)]
    overlap = iou(mine.xyxy, boxes)
    given = np.stack([match(overlap, t) for t in THRESHOLDS], 1).reshape(len(mine), len(THRESHOLDS))
    if len(hidden):
        aside = (given[:, 0] < 0) & (iou(mine.xyxy, hidden).max(1, initial=0) > 0.4)
        mine = mine[~aside]
        given = given[~aside]
    seen = np.zeros(len(boxes), np.bool_)
    seen[given[(given[:, 0] >= 0) & (mine.confidence >= DEFAULT), 0]] = True
    size = side(boxes)
    of_truth = np.append(size, np.float32(np.nan))[given[:, 0]]  # column -1 is the NaN
    return Matched(mine.confidence, given >= 0, seen, size, side(mine.xyxy), of_truth)


def curve(scores: Float32, hit: Bool, truths: int) -> Float64:
    """Return the precision (101,) at recalls 0, 0.01 .. 1: the best that any lower score still gives."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hit[order])
    recall = right / max(truths, 1)
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS, side="left")
    return np.asarray(np.append(envelope, 0.0)[np.minimum(place, len(envelope))])


def average_precision(scores: Float32, hit: Bool, truths: int) -> float:
    """Return the area under the precision-recall curve at 101 recalls, as COCO does."""
    return float(curve(scores, hit, truths).mean()) if truths else float("nan")


def recall_at(precision: float, scores: Float32, hit: Bool, truths: int) -> tuple[float, float]:
    """Return the largest recall at which the precision is still that, and the score it needs."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hit[order])
    enough = np.flatnonzero(right >= precision * np.arange(1, len(right) + 1))
    if not truths or not len(enough):
        return (0.0 if truths else float("nan")), float("nan")
    return float(right[enough[-1]] / truths), float(scores[order][enough[-1]])


def draw(pictures: int, seed: int = 7) -> Float64:
    """Return how often each picture is in each redrawn set: (DRAWS, pictures)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(pictures, np.full(pictures, 1 / max(pictures, 1)), DRAWS).astype(float)


def within(value: float, drawn: Float64) -> Interval:
    """Return a figure with the range of 95 % of those redrawn, numbers that are not finite left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(known, (2.5, 97.5))
    return Interval(value, float(low), float(high))


def ratio(top: NDArray[np.number], bottom: NDArray[np.number], drawn: Float64) -> Interval:
    """Return sum(top) / sum(bottom), both (pictures,); `drawn` is (DRAWS, pictures).

    Where all or none count, redrawing shows no spread, so the open end is Wilson's for as many trials.
    """
    trials = float(bottom.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        share = within(float(np.float64(top.sum()) / np.float64(trials)), (drawn @ top) / (drawn @ bottom))
    open_end = 1.96**2 / (trials + 1.96**2)
    if share.value == 1:
        return share._replace(low=min(share.low, 1 - open_end))
    return share._replace(high=max(share.high, open_end)) if share.value == 0 else share


def precision_interval(matched: Sequence[Matched], drawn: Float64) -> tuple[Interval, Interval]:
    """Return AP50 and AP50-95 of one class: `matched` by picture, `drawn` (DRAWS, pictures)."""
    whole, redrawn = redraw(matched, drawn)
    return within(whole[0], redrawn[:, 0]), within(float(whole.mean()), redrawn.mean(1))


def redraw(matched: Sequence[Matched], drawn: Float64) -> tuple[Float64, Float64]:
    """Return average precision (10,) by threshold, and (DRAWS,10) of the redrawn sets of pictures."""
    scores = np.concatenate([m.scores for m in matched])
    order = np.argsort(-scores, kind="stable")
    hit = np.concatenate([m.hit for m in matched])[order]
    owner = np.repeat(np.arange(len(matched)), [len(m.scores) for m in matched])[order]
    truths = np.asarray([len(m.found) for m in matched], float)
    whole = _weighted_precision(hit, owner, truths, np.ones(len(matched)))
    return whole, np.stack([_weighted_precision(hit, owner, truths, weights) for weights in drawn])


def _weighted_precision(hit: Bool, owner: NDArray[np.int64], truths: Float64, weights: Float64) -> Float64:
    """Return average precision (10,) where each picture counts as often as its weight says."""
    total = float(truths @ weights)
    weight = weights[owner]  # (n,)
    said = np.cumsum(weight)
    result = np.full(hit.shape[1], np.nan if not total else 0.0)
    for column in range(hit.shape[1] if total else 0):
        rows = np.flatnonzero(hit[:, column] & (weight > 0))  # precision peaks at hits alone
        if len(rows):
            right = np.cumsum(weight[rows])
            envelope = np.maximum.accumulate((right / said[rows])[::-1])[::-1]
            place = np.searchsorted(right / total, RECALLS, side="left")
            result[column] = np.append(envelope, 0.0)[np.minimum(place, len(envelope))].mean()
    return result


def roc(scores: Float64, positive: Bool) -> tuple[Float64, Float64]:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    right = np.cumsum(positive[order])[last]
    wrong = np.cumsum(~positive[order])[last]
    ends = max(int(positive.sum()), 1), max(int((~positive).sum()), 1)
    return np.append(0.0, wrong / ends[1]), np.append(0.0, right / ends[0])


def auc(scores: Float64, positive: Bool, owner: NDArray[np.int64], drawn: Float64) -> Interval:
    """Return the area under the ROC: how often a positive scores above a negative, ties half."""
    values, level = np.unique(scores, return_inverse=True)

    def one(weights: Float64) -> float:
        weight = weights[owner]
        up = np.bincount(level, weight * positive, len(values))
        down = np.bincount(level, weight * ~positive, len(values))
        pairs = up.sum() * down.sum()
        below = np.cumsum(down) - down / 2
        return float((up * below).sum() / pairs) if pairs else float("nan")

    return within(one(np.ones(drawn.shape[1])), np.asarray([one(weights) for weights in drawn]))
