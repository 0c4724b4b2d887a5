"""MOTChallenge sequences as a camera of any frame rate would have given them.

A tick is a moment at which the camera gave a frame. Ticks are chosen by time: at 10 fps of a 25 fps recording
every second or third frame, each with its own time. A *missed* tick is one that the tracker never saw.
A camera may begin a moment later, and another frame be the first of its ticks, or fall into a gap: these
*phases* are all taken, since one alone says little of who tracks better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections
from agent.street.scene import CLASSES
from agent.track.tracker import Tracker, make_tracker

Boxes = dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]  # frame -> numbers (N,), xyxy (N,4)

EMPTY = (np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
FIXED = (
    "MOT15-PETS09-S2L1",
    "MOT15-TUD-Campus",
    "MOT15-TUD-Stadtmitte",
    "MOT15-ADL-Rundle-6",
    "MOT15-KITTI-17",
    "MOT17-04",
    "MOT17-09",
)
MOVING = ("MOT15-ETH-Bahnhof",)
TUNING = ("MOT15-ADL-Rundle-6", "MOT17-09", "MOT15-TUD-Stadtmitte")
RATES = (10.0, 5.0, 2.5)
PHASES = (0.0, 1 / 3, 2 / 3)  # of the time between ticks, or from gap to gap
GAP = 0.5  # seconds: 20 % of the time nothing is seen, half a second at once
GAP_EVERY = 2.5


def ours() -> Tracker:
    """Return our tracker as the agent makes it for the classes of its traffic model."""
    return make_tracker(0.25, dict(enumerate(CLASSES)))


@dataclass(frozen=True, slots=True)
class Stream:
    """What a tracker is given: T ticks with their times, and which of them were missed."""

    frames: NDArray[np.int64]  # (T,) key of each tick in truth and in what is told
    seconds: NDArray[np.float64]  # (T,)
    found: list[Detections]  # T, empty where missed
    missed: NDArray[np.bool_]  # (T,)
    size: tuple[int, int]
    rate: float

    def __iter__(self) -> Iterator[tuple[float, Detections]]:
        """Give (seconds, detections) of the ticks that were not missed."""
        for number in np.flatnonzero(~self.missed).tolist():
            yield float(self.seconds[number]), self.found[number]

    def seen(self, boxes: Boxes) -> Boxes:
        """Return the part of some boxes that belongs to ticks that were not missed."""
        return {frame: boxes.get(frame, EMPTY) for frame in self.frames[~self.missed].tolist()}


@dataclass(frozen=True)
class Sequence:
    """A folder with gt.txt, det.txt and seqinfo.ini."""

    path: Path

    @property
    def name(self) -> str:
        """Return its short name."""
        return self.path.name.removeprefix("MOT15-")

    @cached_property
    def info(self) -> dict[str, str]:
        """Return what seqinfo.ini says."""
        text = (self.path / "seqinfo.ini").read_text()
        return dict(line.split("=", 1) for line in text.split() if "=" in line)

    @property
    def fps(self) -> float:
        """Return its own frame rate."""
        return float(self.info["frameRate"])

    @property
    def size(self) -> tuple[int, int]:
        """Return the frame's width and height."""
        return int(self.info["imWidth"]), int(self.info["imHeight"])

    @property
    def length(self) -> int:
        """Return how many frames it has; they are numbered from 1."""
        return int(self.info["seqLength"])

    @cached_property
    def truth(self) -> Boxes:
        """Return the marked ground truth: in MOT17 that is class 1, standing or walking people, alone."""
        return read_boxes(self.path / "gt.txt")

    @cached_property
    def found(self) -> dict[int, Detections]:
        """Return its own detections per frame; confidences above 1 are scores and go through a sigmoid."""
        rows = np.loadtxt(self.path / "det.txt", delimiter=",", ndmin=2, usecols=range(7))
        xyxy = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
        sure = rows[:, 6] if rows[:, 6].max() <= 1 else 1 / (1 + np.exp(-rows[:, 6]))
        every = Detections(xyxy, sure.astype(np.float32), np.zeros(len(rows), np.int64))
        return {int(frame): every[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}

    @cached_property
    def perfect(self) -> dict[int, Detections]:
        """Return the ground truth's boxes as if a detector had found them all, surely."""
        return {
            frame: Detections(boxes, np.full(len(boxes), 0.95, np.float32), np.zeros(len(boxes), np.int64))
            for frame, (_, boxes) in self.truth.items()
        }

    def rates(self) -> list[float]:
        """Return its own rate and those below it."""
        return [self.fps, *(rate for rate in RATES if rate < self.fps)]

    def stream(self, rate: float, gaps: bool = False, perfect: bool = False, phase: float = 0.0) -> Stream:
        """Return it at a rate, with or without gaps, with its own or with perfect boxes, in one phase."""
        frames = ticks(self.length, self.fps, rate, 0.0 if gaps else phase)
        seconds = frames / self.fps
        since = (seconds + phase * GAP_EVERY) % GAP_EVERY
        missed = since >= GAP_EVERY - GAP - 1e-9 if gaps else np.zeros(len(frames), np.bool_)
        source = self.perfect if perfect else self.found
        found = [
            Detections.empty() if away else source.get(frame, Detections.empty())
            for frame, away in zip(frames.tolist(), missed.tolist(), strict=True)
        ]
        return Stream(frames, seconds, found, missed, self.size, rate)

    def streams(self, rate: float, gaps: bool = False, perfect: bool = False) -> list[Stream]:
        """Return it in every phase; at its own rate without gaps there is one."""
        phases = PHASES if gaps or rate < self.fps else PHASES[:1]
        return [self.stream(rate, gaps, perfect, phase) for phase in phases]


def ticks(length: int, fps: float, rate: float, phase: float = 0.0) -> NDArray[np.int64]:
    """Return the frames (T,), from 1, that a camera of `rate` would have given of `length` at `fps`."""
    if rate >= fps:
        return np.arange(1, length + 1)
    wanted = np.round(np.arange(phase / rate, length / fps, 1 / rate) * fps).astype(np.int64) + 1
    return np.unique(wanted[wanted <= length])


def read_boxes(path: Path, only_marked: bool = True) -> Boxes:
    """Read a MOTChallenge file: frame, number, left, top, width, height, mark, ..."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(7))
    if only_marked:
        rows = rows[rows[:, 6] != 0]
    rows[:, 4:6] += rows[:, 2:4]
    frames = rows[:, 0].astype(np.int64)
    return {
        int(frame): (rows[frames == frame, 1].astype(np.int64), rows[frames == frame, 2:6].astype(np.float32))
        for frame in np.unique(frames)
    }


def follow(sequence: Path, keep_every: int = 1, tracker: Tracker | None = None) -> tuple[Boxes, Boxes]:
    """Track every so many frames of a sequence's own detections; return truth and tracks of those frames."""
    whole = Sequence(sequence)
    tracker = ours() if tracker is None else tracker
    told: Boxes = {}
    frames = range(1, whole.length + 1, keep_every)
    for frame in frames:
        tracks = tracker.update(whole.found.get(frame, Detections.empty()), frame / whole.fps, whole.size)
        told[frame] = (tracks.track_id, tracks.xyxy)
    return {frame: whole.truth[frame] for frame in frames if frame in whole.truth}, told
