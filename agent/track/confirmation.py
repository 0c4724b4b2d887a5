"""Which tracks are objects: seen often, long and surely enough for this camera.

What a detector imagines comes and goes, is less sure than most of what the camera sees
(agent.track.confidence_rank), and does not travel. The same goes for a track that has a number: while it is
seen now and then only, and less surely than most, it is followed, but not told.
"""

from __future__ import annotations

import numpy as np

from agent.track.kalman import Bool, Float, Int, TrackTable, spread

WEAK = 0.25  # of all detections this share, the least sure, speaks against a track
MEAN = 0.44  # the least mean confidence that confirms
SURE = 0.8  # the mean confidence that confirms whatever all others have
SURER = 0.5  # the sum of ranks above `confidence_rank`'s weak share: two detections as sure as half of all
RECENT = 1.0  # seconds after which a sight tells little of now
CLEAR = 0.7  # of the camera's usual confidence, a missed frame being 0: what is seen so surely now is told
RANKED = 0.4  # the mean rank of a track that is told however it is seen now
TRAVELS = 1.0  # sizes from its first place: it need not be surer than the camera's weak detections


def confirmed(book: TrackTable, evidence: float, doubtful: bool) -> Int:
    """Return the columns of tracks without a number that have earned one.

    `evidence` is the least sum of confidences. If `doubtful`, what is less sure than most is confirmed too.
    """
    new: Int = (book.number == 0).nonzero()[0]
    if not len(new):
        return new
    hits = book.hits[new]
    age = book.seen[new] - book.born[new]
    good = (hits >= 3) | ((hits >= 2) & (age >= 0.2 - 1e-6))
    good &= 2 * hits >= book.frames[new]
    good &= book.evidence[new] >= evidence
    if not doubtful:
        good &= book.evidence[new] >= MEAN * hits
        good &= (book.rank[new] >= SURER) | (book.evidence[new] >= SURE * hits) | _travels(book, new)
    return new[good]


def told(book: TrackTable, rows: Int, usual: Float) -> Bool:
    """Return which of some tracks (N,) are told now; `usual` (N,): the confidence usual for their classes."""
    clear = book.recent[rows] >= CLEAR * usual * book.looks[rows]
    ranked = book.rank[rows] >= (RANKED - WEAK) * book.hits[rows]
    good: Bool = clear | ranked | _travels(book, rows)
    return good


def _travels(book: TrackTable, rows: Int) -> Bool:
    """Return which of some tracks (N,) are seen all along a way."""
    origin = (book.origin[:2, rows] + book.origin[2:, rows]) / 2
    gone = np.abs(book.mean[:2, rows] - origin).max(axis=0)
    steady: Bool = book.hits[rows] >= 0.8 * book.frames[rows]
    steady &= gone >= TRAVELS * spread(book.mean[:, rows])[0]
    return steady
