"""Tracks and detections of one frame -> the pairs that belong together.

Two stages, as in ByteTrack (Zhang et al. 2022): confident detections first, then the weak ones for what was
seen a moment ago. Within a stage it is the assignment of the greatest likelihood, exact
(agent.track.assignment). The gate of a track grows with the time since it was seen:

         predicted                       seconds unseen:  0.07     0.4        1.0
       +-----------+   .--.
       |     x     |--( .  ) gate                          ()     (  )      (      )
       +-----------+   `--'
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agent.track.assignment import match, near
from agent.track.class_prior import ClassPrior
from agent.track.kalman import Bool, Float, Int, Sight, TrackTable, boxes, overlap

MISS = 14.0  # what it costs to leave a track without a detection: a worse pair is none
NEWCOMER = 4.0  # what it costs a track without a number to take what one with a number may have
OTHER_KIND = 2.0  # what it costs that a detection is of another class
MANY = 256  # pairs, from which on it pays to look first at how far they are apart in height


class Pairs(NamedTuple):
    """P pairs within the gates: columns of tracks (P,) and of detections (P,), and what each costs (P,)."""

    rows: Int
    columns: Int
    cost: Float
    shape: tuple[int, int]  # tracks, detections

    def cheapest(self, which: Bool) -> tuple[Int, Int]:
        """Return tracks and detections of the cheapest assignment among some of the pairs (P,)."""
        return match(self.rows[which], self.columns[which], self.cost[which], self.shape, MISS)


def associate(pairs: Pairs, strong: Bool, recent: Bool) -> tuple[Int, Int]:
    """Return the tracks and the detections that belong together.

    Args:
        pairs: what may belong together.
        strong: which detections (D,) are decided first.
        recent: which tracks (T,) may then go on with a weak one.
    """
    sure = strong[pairs.columns]
    if sure.all():
        return pairs.cheapest(sure)
    rows, columns = pairs.cheapest(sure)
    left = recent.copy()
    left[rows] = False
    more_rows, more_columns = pairs.cheapest(~sure & left[pairs.rows])
    return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])


def pairs_within_gates(
    book: TrackTable, sight: Sight, noise: Float, habit: ClassPrior[Float], late: Float
) -> Pairs:
    """Return the pairs within the gates; a cost is twice the negative log likelihood, heavy tailed.

    Args:
        book: T tracks, predicted to the time of the frame.
        sight: D detections.
        noise: the variance (4,D) of their channels.
        habit: what to expect of the tracks, each field (T,).
        late: for how many seconds each track (T,) has been out of sight.
    """
    rows, columns = _within_reach(book, sight, noise, habit)
    off = sight.channels[:, columns] - book.mean[:, rows]
    total = book.var[:, rows] + noise[:, columns]
    squared = (off * off / total).sum(axis=0)
    inside = (squared < habit.gate[rows] ** 2).nonzero()[0]
    rows = rows[inside]
    columns = columns[inside]
    total = total[:2, inside]
    cost = 8 * np.log1p(squared[inside] / 4) + np.log(total[0] * total[1] / sight.size[columns] ** 4)
    cost += (habit.strict + habit.hidden * late)[rows]
    cost -= habit.alike[rows] * overlap(boxes(book.mean[:, rows]), boxes(sight.channels[:, columns]))
    cost += OTHER_KIND * (book.kind[rows] != sight.kind[columns])
    known = book.number[rows] > 0
    claimed = np.zeros(len(sight.size), np.bool_)
    claimed[columns[known & (cost < MISS - NEWCOMER)]] = True
    cost += NEWCOMER * (claimed[columns] & ~known)
    return Pairs(rows, columns, cost, (len(book), len(sight.size)))


def _within_reach(book: TrackTable, sight: Sight, noise: Float, habit: ClassPrior[Float]) -> tuple[Int, Int]:
    """Return the pairs that are not too far apart in x, nor, where there are many, in y."""
    reach = habit.gate * (np.sqrt(book.var[:2]) + np.sqrt(noise[0].max()))
    rows, columns = near(book.mean[0], reach[0], sight.channels[0])
    if len(rows) > MANY:
        beside = np.abs(sight.channels[1, columns] - book.mean[1, rows]) <= reach[1, rows]
        rows = rows[beside]
        columns = columns[beside]
    return rows, columns
