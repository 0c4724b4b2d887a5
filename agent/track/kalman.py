"""How tracked things move: a Kalman filter with constant velocity, all tracks at once, in real seconds.

What always holds: lengths are in pixels but every uncertainty is a share of the object's own size, so nothing
here depends on the resolution; all that is known of the tracks is one matrix with a column for each, so that
ending or adding some is one step.

There are four channels, centre x, centre y, log width and log height, each with its own 2x2 covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

NOISE = np.array([[1.0], [1.0], [8.0], [8.0]])  # sizes are hidden and cut off far more than places
LOG = 0.3  # the unit of the two log channels: they have no size


class _Rows:
    """Some rows of the matrix of a `TrackTable`, by name."""

    def __init__(self, first: int, count: int = 0) -> None:
        self.key: int | slice = slice(first, first + count) if count else first

    @overload
    def __get__(self, book: None, kind: type) -> _Rows: ...
    @overload
    def __get__(self, book: TrackTable, kind: type) -> Float: ...
    def __get__(self, book: TrackTable | None, kind: type) -> Float | _Rows:
        return self if book is None else book.all[self.key]

    def __set__(self, book: TrackTable, value: Float) -> None:
        book.all[self.key] = value


class TrackTable:
    """All live tracks as columns, T of them, of one matrix; its rows have names."""

    mean = _Rows(0, 4)
    speed = _Rows(4, 4)  # per second
    var = _Rows(8, 4)  # of the mean
    cov = _Rows(12, 4)  # of mean and speed
    speed_var = _Rows(16, 4)
    origin = _Rows(20, 4)  # first box
    noted = _Rows(24, 2)  # centre when the flow last took note of it
    spot = _Rows(26, 2)  # centre from which it has not moved away
    number = _Rows(28)  # 0: not confirmed yet
    born = _Rows(29)  # seconds
    seen = _Rows(30)  # seconds of the last match
    frames = _Rows(31)  # updates since it began, itself included
    hits = _Rows(32)  # in how many of them it was seen
    evidence = _Rows(33)  # sum of the confidences
    kind = _Rows(34)  # class of the last match
    rest = _Rows(35)  # seconds since when it has been at its spot
    rank = _Rows(36)  # sum of how far the ranks of the confidences are above those of the weak
    recent = _Rows(37)  # as `evidence`, but what is older than a second counts little
    looks = _Rows(38)  # as `frames`, likewise
    HEIGHT = 39

    __slots__ = ("all",)

    def __init__(self, matrix: Float) -> None:
        self.all = matrix  # (HEIGHT,T)

    def __len__(self) -> int:
        return len(self.all[0])

    @classmethod
    def empty(cls, count: int = 0) -> TrackTable:
        """Return so many columns of zeros."""
        return cls(np.zeros((cls.HEIGHT, count)))

    def predict(self, step: Float, agility: Float) -> None:
        """Go on by seconds (T,); `agility` (T,): how fast speed wanders, in sizes/s per root of a second."""
        wander = (spread(self.mean) * agility) ** 2
        speed_var = self.speed_var
        cov = self.cov
        self.mean += step * self.speed
        self.var += (2 * step) * cov + step**2 * speed_var + (step**3 / 3) * wander
        cov += step * speed_var + (step**2 / 2) * wander
        speed_var += step * wander

    def correct(self, rows: Int, seen: Float, noise: Float) -> None:
        """Blend what was seen (4,N) with its variance (4,N) into some tracks."""
        part = self.all[:20, rows].reshape(5, 4, -1)
        mean, speed, var, cov, speed_var = part
        off = seen - mean
        total = var + noise
        gain = var / total
        speed_gain = cov / total
        mean += gain * off
        speed += speed_gain * off
        speed_var -= speed_gain * cov
        left = 1 - gain
        cov *= left
        var *= left
        self.all[:20, rows] = part.reshape(20, -1)

    def scale(self, x: float, y: float) -> None:
        """Go over to a picture that is larger by two factors."""
        places = np.array([[x], [y]])
        self.mean[:2] *= places
        self.mean[2:] += np.log(places)
        self.speed[:2] *= places
        for each in (self.var, self.cov, self.speed_var):
            each[:2] *= places**2
        self.origin *= np.tile(places, (2, 1))
        self.noted *= places
        self.spot *= places


@dataclass(slots=True)
class Sight:
    """What is seen in one frame, as columns: channels (4,D), size (D,) pixels, confidence and class (D,).

    `rank` (D,) is that of the confidence among all of the camera, once it is known
    (agent.track.confidence_rank).
    """

    channels: Float
    size: Float
    confidence: Float
    kind: Float
    rank: Float

    @classmethod
    def of(cls, found: Detections) -> Sight:
        """Return the channels of sound boxes."""
        box = found.xyxy.T.astype(np.float64)
        extent = box[2:] - box[:2]
        channels = np.concatenate([(box[:2] + box[2:]) / 2, np.log(extent)])
        size = np.sqrt(extent[0] * extent[1])
        sure = found.confidence.astype(np.float64)
        return cls(channels, size, sure, found.class_id.astype(np.float64), np.full(len(sure), np.nan))

    def take(self, columns: Int) -> Sight:
        """Return some columns."""
        return Sight(
            self.channels[:, columns],
            self.size[columns],
            self.confidence[columns],
            self.kind[columns],
            self.rank[columns],
        )

    def noise(self, jitter: Float) -> Float:
        """Return the variance (4,D) of the channels, where places are off by a share (D,) of the size."""
        return (NOISE * jitter * units(self.size)) ** 2


def units(size: Float) -> Float:
    """Return the unit (4,N) of each channel: the size (N,) in pixels, and a fixed one for the logs."""
    unit = np.full((4, len(size)), LOG)
    unit[:2] = size
    return unit


def spread(mean: Float) -> Float:
    """Return the unit (4,N) of each channel at means (4,N)."""
    return units(np.exp((mean[2] + mean[3]) / 2))


def boxes(mean: Float) -> Float:
    """Return left, top, right, bottom (4,N) of means (4,N)."""
    half = np.exp(mean[2:]) / 2
    return np.concatenate([mean[:2] - half, mean[:2] + half])


def overlap(a: Float, b: Float) -> Float:
    """Return intersection over union (N,) of boxes (4,N), pair by pair; they have an area."""
    inner = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    np.maximum(inner, 0.0, out=inner)
    shared = inner[0] * inner[1]
    sides = (a[2:] - a[:2]), (b[2:] - b[:2])
    union = sides[0][0] * sides[0][1] + sides[1][0] * sides[1][1] - shared
    return np.asarray(shared / union)
