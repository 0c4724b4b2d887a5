"""LHMD: the finds of a low and a high resolution become one set, in which an object is one box.

The paper leaves its merging of low and high resolution to a figure; these are our rules. A *find* is a box
with what was looked at to see it. How sharp a find is: the side of a square of its area, in pixels of the
network's input, no more than ENOUGH, and 0 in a turned region, for its box comes back rounder than it was.

1. **Cut.** A find that ends at an inner border of its region is a piece. Two pieces of one class that lie in
   different regions, touch or overlap, and agree along the border are joined to one box; a piece without a
   partner is dropped.
2. **Same.** Two finds are one object where they overlap (IoU >= SAME), whatever their classes; or where one
   holds at least INSIDE of the other, is of the same kind, and is at most TIMES as large. The classes of
   `kinds` that are states of one thing (a face with and without a mask) are one kind.
3. **Who wins.** The sharper find's box and class, unless it is less than SURE_TOO times as sure. What the
   first look saw with ENOUGH pixels stays as it was: a closer look shows nothing new of it. Only a turned
   region may say better, where it is surer and the first look was UNSURE: an upright box fits badly what
   leans.
4. **New.** A region's word alone is worth less than the first look's of the same score, for there are many
   regions, and each may err: it counts as `alone` says. That is the score of what only a region shows, and so
   far it raises the score of what both see. What only a region shows is dropped where it lies inside a find
   of the first look that was seen with ENOUGH pixels, for then it is a part of it, and where it is so large
   that the first look saw it with PLAIN pixels and found nothing, for then it is a part of something else.

    1. cut and joined          2. overlap     2. containment    3. the sharper wins   4. a part
    ┌──────┬──────┐             ┌────┐         ┌────────┐         ┌┄┄┄┄┐ 12 px          ┌───────┐
    │   ┌──┼──┐   │             │ ┌──┼─┐       │ ┌────┐ │         ┆┌──┐┆ 40 px ✓        │  ┌─┐✗ │
    │   └──┼──┘   │             └─┼──┘ │       │ └────┘ │         ┆└──┘┆                │  └─┘  │
    └──────┴──────┘               └────┘       └────────┘         └┄┄┄┄┘                └───────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, Int64, area, iou
from agent.look.region import Region, Size

Bool = NDArray[np.bool_]

ENOUGH = 24.0  # input pixels: an object that the first look saw so large stays as it was
BELIEVED = 0.25  # a find of a region that is less sure is none
BELIEVED_TURNED = 0.5  # the same of a turned region: few of those that are less sure are right
SAME = 0.5  # intersection over union
INSIDE = 0.8  # share of the smaller box that lies in the larger one
TIMES = 3.0  # areas: what is larger than so many times is another object, or this is a part of it
SURE_TOO = 0.8  # of the other's score: a less sure find does not win by being sharp
UNSURE = 0.4  # score of the first look, under which a turned find that is surer may give its box
ALONG = 0.6  # intersection over union along a border of two pieces
PLAIN = 48.0  # input pixels: what has so many in the first look is not news
DOUBT = 2.0  # power of its score: what a region alone says


@dataclass(frozen=True, slots=True, eq=False)
class Finds:
    """Hold N finds: what was detected, and how sharp (N,), in input pixels; 0: by a turned region."""

    found: Detections
    sharp: Float32

    def __len__(self) -> int:
        return len(self.found)

    def some(self, rows: Bool | Int64) -> Finds:
        """Return some of them."""
        return Finds(self.found[rows], self.sharp[rows])


def finds(found: Detections, zoom: float) -> Finds:
    """Return detections as finds, seen at so many input pixels a picture pixel."""
    sharp = np.minimum(np.sqrt(area(found.xyxy)) * zoom, ENOUGH).astype(np.float32)
    return Finds(found, sharp)


def joined(parts: Sequence[Finds]) -> Finds:
    """Return several lists of finds as one."""
    return Finds(
        Detections(
            np.concatenate([part.found.xyxy for part in parts]),
            np.concatenate([part.found.confidence for part in parts]),
            np.concatenate([part.found.class_id for part in parts]),
        ),
        np.concatenate([part.sharp for part in parts]),
    )


def within(inner: Float32, outer: Float32) -> Float32:
    """Return (N,M): the share of each box (N,4) that lies in each of some others (M,4)."""
    return np.asarray(_shared(inner, outer) / np.maximum(area(inner), 1e-6)[:, None], np.float32)


# ── 1. pieces ─────────────────────────────────────────────────────────────────────────────────────


def mend(looked: Sequence[tuple[Region, Finds]], picture: Size) -> Finds:
    """Return the finds of several regions, pieces joined or dropped, in the picture (width, height)."""
    whole: list[Finds] = []
    pieces: list[Finds] = []
    borders: list[Bool] = []
    owners: list[int] = []
    for owner, (region, seen) in enumerate(looked):
        ends = region.borders(seen.found.xyxy, picture)
        cut = np.asarray(ends.any(1), np.bool_)
        whole.append(seen.some(~cut))
        if not region.roll:  # round boxes of turned pieces do not meet
            pieces.append(seen.some(cut))
            borders.append(ends[cut])
            owners += [owner] * int(cut.sum())
    if not whole:
        return finds(Detections.empty(), 1.0)
    if owners:
        whole.append(_join(joined(pieces), np.concatenate(borders), np.asarray(owners)))
    return joined(whole)


def _join(pieces: Finds, borders: Bool, owner: Int64) -> Finds:
    """Return pieces (N) that are one object as one find; a piece without a partner is left out.

    `borders` (N,4): where each ends at its region's inner left, top, right, bottom; `owner` (N,): its region.
    """
    group = np.arange(len(pieces))
    for one, other in np.argwhere(np.triu(_partners(pieces, borders, owner), 1)).tolist():
        group[group == group[other]] = group[one]
    rows = [np.flatnonzero(group == number) for number in sorted(set(group.tolist()))]
    made = [_whole(pieces.some(members)) for members in rows if len(members) > 1]
    return joined(made) if made else pieces.some(np.zeros(len(pieces), np.bool_))


def _partners(pieces: Finds, borders: Bool, owner: Int64) -> Bool:
    """Say which pieces (N,N) go on in which: opposite borders, other regions, one class, and in line."""
    xyxy = pieces.found.xyxy
    kinds = pieces.found.class_id
    fits = np.zeros((len(pieces), len(pieces)), np.bool_)
    for low in (0, 1):  # across a border that stands, and one that lies
        across = 1 - low
        opposite = borders[:, None, low + 2] & borders[None, :, low]  # one goes on to the right of its region
        begins = xyxy[None, :, low] <= xyxy[:, None, low + 2]
        ends = xyxy[None, :, low + 2] >= xyxy[:, None, low]
        low_edge = np.maximum(xyxy[:, None, across], xyxy[None, :, across])
        high_edge = np.minimum(xyxy[:, None, across + 2], xyxy[None, :, across + 2])
        span = np.maximum(xyxy[:, None, across + 2], xyxy[None, :, across + 2]) - np.minimum(
            xyxy[:, None, across], xyxy[None, :, across]
        )
        in_line = high_edge - low_edge >= ALONG * span
        fits |= opposite & begins & ends & in_line
    fits |= fits.T
    return np.asarray(fits & (owner[:, None] != owner) & (kinds[:, None] == kinds), np.bool_)


def _whole(pieces: Finds) -> Finds:
    """Return one find round pieces of one object; as sure and as sharp as the best of them."""
    xyxy = pieces.found.xyxy
    box = np.concatenate((xyxy[:, :2].min(0), xyxy[:, 2:].max(0)))[None]
    best = pieces.found.confidence.argmax()
    found = Detections(box, pieces.found.confidence[[best]], pieces.found.class_id[[best]])
    return Finds(found, pieces.sharp.max(keepdims=True))


# ── 2. to 4. one set ──────────────────────────────────────────────────────────────────────────────


def same(a: Detections, b: Detections, kinds: Int64) -> Bool:
    """Say which finds (N) are the same object as which others (M); `kinds` (C,): the kind of each class."""
    alike = kinds[a.class_id][:, None] == kinds[b.class_id][None]
    first = area(a.xyxy)[:, None]
    second = area(b.xyxy)[None]
    shared = _shared(a.xyxy, b.xyxy)
    over = shared >= SAME * (first + second - shared)
    held = shared >= INSIDE * np.minimum(first, second)
    near = np.maximum(first, second) <= TIMES * np.minimum(first, second)
    return np.asarray((shared > 0) & (over | (alike & held & near)), np.bool_)


def _shared(a: Float32, b: Float32) -> Float32:
    """Return the area (N,M) that boxes (N,4) share with some others (M,4)."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0), np.float32)


def merge(first: Finds, second: Finds, kinds: Int64, zoom: float) -> Detections:
    """Return one set of both looks, best first.

    Args:
        first: the first look, at `zoom` input pixels a pixel.
        second: the finds of regions, without pieces.
        kinds: (C,) of each class.
        zoom: of the first look.

    What the first look keeps apart stays apart. Where two finds of the second are in one of the first, one
    goes with it and the other is new: a box round two far faces becomes two.
    """
    return united(first, distinct(second, kinds), kinds, zoom)


def united(first: Finds, second: Finds, kinds: Int64, zoom: float) -> Detections:
    """Return one set as `merge` does, of a second look that holds each object once."""
    if not len(second):
        return first.found
    partner = _pairs(first.found, second.found, kinds)  # (N,) a row of `first`, or -1
    upright = second.sharp > 0
    plain = upright & (np.sqrt(area(second.found.xyxy)) * zoom >= PLAIN)  # the first look would have seen it
    new = (partner < 0) & ~_parts(first, second, kinds) & ~plain
    fresh = second.found[new]
    xyxy = first.found.xyxy.copy()
    confidence = first.found.confidence.copy()
    class_id = first.found.class_id.copy()
    rows = np.flatnonzero(partner >= 0)
    sharper = rows[_wins(second.some(rows), first.some(partner[rows]))]
    xyxy[partner[sharper]] = second.found.xyxy[sharper]
    class_id[partner[sharper]] = second.found.class_id[sharper]
    worth = alone(second.found.confidence)
    raised = rows[(first.sharp[partner[rows]] < ENOUGH) | np.isin(rows, sharper)]
    confidence[partner[raised]] = np.maximum(confidence[partner[raised]], worth[raised])
    every = Detections(
        np.concatenate((xyxy, fresh.xyxy)),
        np.concatenate((confidence, worth[new])),
        np.concatenate((class_id, fresh.class_id)),
    )
    return every[np.argsort(-every.confidence, kind="stable")]


def alone(confidence: Float32) -> Float32:
    """Return what the scores (N,) of regions are worth where nothing else speaks for them."""
    return np.asarray(confidence**DOUBT, np.float32)


def distinct(second: Finds, kinds: Int64) -> Finds:
    """Return the finds of overlapping regions with each object once: the winner, as sure as the surest."""
    alike = same(second.found, second.found, kinds)
    free = np.ones(len(second), np.bool_)
    kept: list[int] = []
    score = second.found.confidence.copy()
    for row in np.argsort(-second.found.confidence, kind="stable").tolist():
        if free[row]:
            mine = np.flatnonzero(alike[row] & free)
            free[mine] = False
            able = mine[second.found.confidence[mine] >= SURE_TOO * score[row]]
            best = int(able[np.lexsort((second.found.confidence[able], second.sharp[able]))[-1]])
            kept.append(best)
            score[best] = second.found.confidence[row]
    rows = np.asarray(kept, np.int64)
    chosen = second.some(rows)
    return replace(chosen, found=replace(chosen.found, confidence=score[rows]))


def _pairs(first: Detections, second: Detections, kinds: Int64) -> Int64:
    """Give finds (N) of the second look the find of the first that is the same object: (N,) rows or -1.

    Each goes to at most one; the pairs that overlap most are made first.
    """
    partner = np.full(len(second), -1, np.int64)
    fit = np.where(same(second, first, kinds), iou(second.xyxy, first.xyxy), -1.0)
    order = np.argsort(-fit, axis=None, kind="stable")
    taken = np.zeros(len(first), np.bool_)
    for place in order[: int((fit >= 0).sum())].tolist():
        row, column = divmod(place, len(first))
        if partner[row] < 0 and not taken[column]:
            partner[row] = column
            taken[column] = True
    return partner


def _parts(first: Finds, second: Finds, kinds: Int64) -> Bool:
    """Say which finds (N,) of the second look lie in one of the first, of their kind, seen sharply enough."""
    whole = first.found[first.sharp >= ENOUGH]
    alike = kinds[second.found.class_id][:, None] == kinds[whole.class_id][None]
    held = within(second.found.xyxy, whole.xyxy) >= INSIDE
    return np.asarray((alike & held).any(1), np.bool_)


def _wins(second: Finds, first: Finds) -> Bool:
    """Say which finds (N,) of the second look give box and class instead of their partners (N,)."""
    sure = second.found.confidence >= SURE_TOO * first.found.confidence
    surer = second.found.confidence >= first.found.confidence
    leans = (second.sharp == 0) & surer & (first.found.confidence < UNSURE)
    return np.asarray(((second.sharp > first.sharp) & sure) | leans, np.bool_)
