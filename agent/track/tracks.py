"""What the tracker hands on: the tracks matched in a frame, and how all that is remembered moves."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections
from agent.track.kalman import Bool, Float, Int, TrackTable, boxes

Float32 = NDArray[np.float32]

RESTS = 1.0  # seconds without a noticeable move, before it is said that something stands


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Hold the confirmed tracks that were matched and are told now, and the numbers of those that have ended.

    xyxy (N,4) pixels, track_id (N,), confidence (N,), class_id (N,) are of the matched detections. `origin`
    (N,4) and `since` (N,) are box and time of each track's first sight, before it was confirmed. `still` (N,)
    is for how many seconds each has not moved by a quarter of its size, 0 while it moves. `steady` (N,4) are
    the boxes where the filter takes the objects to be: they do not flicker.
    """

    xyxy: Float32
    track_id: Int
    confidence: Float32
    class_id: Int
    origin: Float32
    since: Float
    ended: Int
    still: Float
    steady: Float32

    def __len__(self) -> int:
        return len(self.track_id)

    def some(self, which: Bool) -> Tracks:
        """Return those of the tracks (N,) that are asked for."""
        rows = {each.name: getattr(self, each.name)[which] for each in fields(self) if each.name != "ended"}
        return Tracks(**rows, ended=self.ended)

    @classmethod
    def of(cls, book: TrackTable, rows: Int, found: Detections, now: float, ended: Int) -> Tracks:
        """Return the confirmed ones among matched tracks, in the order of their numbers.

        Args:
            book: all tracks, T columns.
            rows: which of them were matched (N,).
            found: the detections that they were matched with, N rows.
            now: the frame's time in seconds.
            ended: the numbers of tracks that have just ended (E,).
        """
        number = book.number[rows]
        order = number.argsort(kind="stable")[np.count_nonzero(number == 0) :]
        rows = rows[order]
        found = found[order]
        rest = now - book.rest[rows]
        return cls(
            xyxy=found.xyxy,
            track_id=number[order].astype(np.int64),
            confidence=found.confidence,
            class_id=found.class_id,
            origin=book.origin[:, rows].T.astype(np.float32),
            since=book.born[rows],
            ended=ended,
            still=rest * (rest >= RESTS),
            steady=boxes(book.mean[:, rows]).T.astype(np.float32),
        )

    @classmethod
    def of_boxes(
        cls, xyxy: Float32, track_id: Int, confidence: Float32, class_id: Int, at_seconds: float
    ) -> Tracks:
        """Return the tracks of a tracker that tells boxes alone.

        Each begins where it is seen at `at_seconds`, nothing stands or has ended, and the boxes are steady.
        """
        count = len(track_id)
        return cls(
            xyxy=xyxy,
            track_id=track_id,
            confidence=confidence,
            class_id=class_id,
            origin=xyxy,
            since=np.full(count, at_seconds),
            ended=np.zeros(0, np.int64),
            still=np.zeros(count),
            steady=xyxy,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Motions:
    """Hold of T tracks: boxes (T,4) pixels, speed (T,2) pixels a second, which are `sure` (confirmed) (T,).

    `unseen` (T,): seconds since each was seen; `still` (T,): since it moved noticeably; `age` (T,): since its
    first sight.
    """

    boxes: Float
    speed: Float
    sure: Bool
    unseen: Float
    still: Float
    age: Float

    @classmethod
    def of(cls, book: TrackTable, now: float) -> Motions:
        """Return how all tracks move at a time in seconds."""
        return cls(
            boxes=boxes(book.mean).T,
            speed=book.speed[:2].T.copy(),
            sure=book.number > 0,
            unseen=now - book.seen,
            still=now - book.rest,
            age=now - book.born,
        )
