"""Which detections of a frame are followed at all: sound boxes, sure enough, each object once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections
from agent.track.assignment import near
from agent.track.kalman import Int, Sight, overlap

TWIN = 0.75  # overlap of two detections that are one object
CLOSE_X = 0.15  # sizes between the centres of two such, at most
CLOSE_Y = 0.3


def candidates(detections: Detections, weak: float) -> tuple[Detections, Sight]:
    """Drop broken boxes and those less sure than `weak`, and the worse of two that are one object."""
    box = detections.xyxy
    extent = box[:, 2:] - box[:, :2]
    fine = np.isfinite(extent).all(axis=1) & (extent > 0).all(axis=1)
    fine &= detections.confidence >= weak
    if not fine.all():
        detections = detections[fine]
    sight = Sight.of(detections)
    twin = _twins(sight, detections.xyxy)
    if len(twin):
        left = np.ones(len(detections), np.bool_)
        left[twin] = False
        detections = detections[left]
        sight = sight.take(left.nonzero()[0])
    return detections, sight


def _twins(sight: Sight, xyxy: NDArray[np.float32]) -> Int:
    """Return the columns of detections that a better one covers, of any class; of equal ones the later."""
    x, y = sight.channels[:2]
    a, b = near(x, CLOSE_X * sight.size, x)
    confidence = sight.confidence
    worse = (confidence[a] > confidence[b]) | ((confidence[a] == confidence[b]) & (a < b))
    close = (worse & (np.abs(y[a] - y[b]) < CLOSE_Y * sight.size[b])).nonzero()[0]
    if not len(close):
        return np.zeros(0, np.int64)
    a = a[close]
    b = b[close]
    box = xyxy.T.astype(np.float64)
    covered: Int = b[overlap(box[:, a], box[:, b]) > TWIN]
    return covered
