"""How well tracks agree with the truth: CLEAR MOT, identity F1 and HOTA, written from their papers.

* CLEAR MOT: Bernardin and Stiefelhagen 2008. A pair that held goes on while it overlaps by one half.
* IDF1: Ristani et al. 2016. One track for each object over the whole sequence.
* HOTA: Luiten et al. 2021. Averaged over overlaps of 0.05 to 0.95; within a frame the matching prefers pairs
  that belong together over the whole sequence.

Frames that are not in the truth's keys and told nothing do not matter; all else counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.boxes import iou
from agent.track.tracker import assign
from benchmarks.counting.sequences import EMPTY, Boxes

ALPHAS = np.arange(0.05, 0.99, 0.05)
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment: rows of objects (N,), rows of tracks (M,), and how much they overlap (N,M)."""

    who: NDArray[np.int64]
    ids: NDArray[np.int64]
    overlap: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures of one sequence, or of several together (then from the sums, not a mean of means)."""

    idf1: float
    mota: float
    hota: float
    switches: int


@dataclass(slots=True)
class Sums:
    """What the figures are made of; sums of sequences add up."""

    boxes: int = 0  # of the truth
    told: int = 0
    wrong: int = 0  # misses, false ones, switches
    switches: int = 0
    identified: float = 0.0
    hits: NDArray[np.float64] | None = None  # (19,) at each overlap
    association: NDArray[np.float64] | None = None  # (19,) association accuracy summed over hits

    def __add__(self, other: Sums) -> Sums:
        """Return both together."""
        zero = np.zeros(len(ALPHAS))
        return Sums(
            self.boxes + other.boxes,
            self.told + other.told,
            self.wrong + other.wrong,
            self.switches + other.switches,
            self.identified + other.identified,
            (zero if self.hits is None else self.hits) + (zero if other.hits is None else other.hits),
            (zero if self.association is None else self.association)
            + (zero if other.association is None else other.association),
        )

    def agreement(self) -> Agreement:
        """Return the figures."""
        hits = np.zeros(len(ALPHAS)) if self.hits is None else self.hits
        association = np.zeros(len(ALPHAS)) if self.association is None else self.association
        detection = hits / np.maximum(self.boxes + self.told - hits, 1)
        hota = np.sqrt(detection * association / np.maximum(hits, 1))
        return Agreement(
            idf1=2 * self.identified / max(self.boxes + self.told, 1),
            mota=1 - self.wrong / max(self.boxes, 1),
            hota=float(hota.mean()),
            switches=self.switches,
        )


def sums(truth: Boxes, told: Boxes) -> Sums:
    """Compare a sequence's truth with what a tracker told."""
    frames, objects, tracks = _frames(truth, told)
    wrong, switches = _clear(frames)
    hits, association = _hota(frames, objects, tracks)
    return Sums(
        boxes=sum(len(frame.who) for frame in frames),
        told=sum(len(frame.ids) for frame in frames),
        wrong=wrong,
        switches=switches,
        identified=_identified(frames, objects, tracks),
        hits=hits,
        association=association,
    )


def clear_mot(truth: Boxes, told: Boxes) -> float:
    """Return MOTA at an overlap of one half."""
    frames = _frames(truth, told)[0]
    return 1 - _clear(frames)[0] / max(sum(len(frame.who) for frame in frames), 1)


def identity_f1(truth: Boxes, told: Boxes) -> float:
    """Return IDF1 at an overlap of one half."""
    frames, objects, tracks = _frames(truth, told)
    boxes = sum(len(frame.who) + len(frame.ids) for frame in frames)
    return 2 * _identified(frames, objects, tracks) / max(boxes, 1)


def hota(truth: Boxes, told: Boxes) -> float:
    """Return HOTA, the mean over all overlaps."""
    return sums(truth, told).agreement().hota


def _frames(truth: Boxes, told: Boxes) -> tuple[list[Frame], int, int]:
    """Return all moments, how many objects and how many tracks there are."""
    who = _numbers(truth)
    ids = _numbers(told)
    frames = []
    for key in sorted(truth.keys() | told.keys()):
        (one, boxes) = truth.get(key, EMPTY)
        (two, others) = told.get(key, EMPTY)
        overlap = iou(boxes, others).astype(np.float64)
        frames.append(Frame(np.searchsorted(who, one), np.searchsorted(ids, two), overlap))
    return frames, len(who), len(ids)


def _numbers(boxes: Boxes) -> NDArray[np.int64]:
    return np.unique(np.concatenate([EMPTY[0], *(numbers for numbers, _ in boxes.values())]))


def _clear(frames: list[Frame]) -> tuple[int, int]:
    """Return how many mistakes there are in all, and how many of them are switches."""
    wrong = 0
    switches = 0
    last = dict[int, int]()
    before = dict[int, int]()
    for frame in frames:
        held = np.array([last.get(one, -1) for one in frame.who.tolist()], np.int64)
        kept = np.array([before.get(one, -1) for one in frame.who.tolist()], np.int64)[:, None] == frame.ids
        cost = np.where(frame.overlap >= HALF, 1 - frame.overlap - 10.0 * kept, 1e9)
        rows, columns = assign(cost, 2.0) if cost.size else (EMPTY[0], EMPTY[0])
        switched = int(((held[rows] >= 0) & (held[rows] != frame.ids[columns])).sum())
        wrong += len(frame.who) + len(frame.ids) - 2 * len(rows) + switched
        switches += switched
        before = dict(zip(frame.who[rows].tolist(), frame.ids[columns].tolist(), strict=True))
        last |= before
    return wrong, switches


def _identified(frames: list[Frame], objects: int, tracks: int) -> float:
    """Return how many boxes are of the one track that each object is given."""
    if not objects or not tracks:
        return 0.0
    together = np.zeros((objects, tracks))
    for frame in frames:
        row, column = np.nonzero(frame.overlap >= HALF)
        together[frame.who[row], frame.ids[column]] += 1
    rows, columns = assign(-together, 0.0)
    return float(together[rows, columns].sum())


def _hota(frames: list[Frame], objects: int, tracks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the hits (19,) and the association accuracy summed over them (19,), at each overlap."""
    common = np.zeros((objects, tracks))
    boxes = np.zeros(objects)
    told = np.zeros(tracks)
    for frame in frames:
        boxes[frame.who] += 1
        told[frame.ids] += 1
        shared = frame.overlap.sum(axis=0) + frame.overlap.sum(axis=1)[:, None] - frame.overlap
        common[np.ix_(frame.who, frame.ids)] += frame.overlap / np.maximum(shared, 1e-12)
    belong = common / np.maximum(boxes[:, None] + told - common, 1e-12)
    matches = np.zeros((len(ALPHAS), objects, tracks))
    for frame in frames:
        if not len(frame.who) or not len(frame.ids):
            continue
        score = belong[np.ix_(frame.who, frame.ids)] * frame.overlap
        rows, columns = assign(np.where(score > 0, -score, 1e9), 0.0)
        good = frame.overlap[rows, columns] >= ALPHAS[:, None] - 1e-9  # (19,K)
        matches[:, frame.who[rows], frame.ids[columns]] += good
    accuracy = matches / np.maximum(boxes[:, None] + told - matches, 1)
    return matches.sum(axis=(1, 2)), (matches * accuracy).sum(axis=(1, 2))
