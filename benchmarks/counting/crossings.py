"""Crossings told against crossings that were: matched one to one, never by net totals.

On recordings the lines are chosen by one rule for all: uprights at 0.3, 0.5 and 0.7 of the width, a level at
the median height of the feet, a slant through that height. Truth is what the ground truth's feet passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.boxes import Detections
from agent.count.analyst import Analyst, Totals
from agent.count.geometry import Gates, settle
from agent.count.object_table import anchors
from agent.count.path import GOING, going
from agent.street.scene import CLASSES
from agent.track.tracker import Tracker, Tracks, assign
from benchmarks.counting.peers import Told
from benchmarks.counting.sequences import Boxes, Stream, ours
from benchmarks.counting.street import FPS, LINES, Street

WALL = 1_700_000_000_000
UNDONE = 1.0  # seconds: what somebody undoes so soon was no crossing, but swaying on the line
MARGIN_SHARE = 0.1  # of the size; frame heights: clear of the line
MARGIN_LEAST = 0.005

Crossed = tuple[float, str]  # seconds, direction
Lines = Mapping[str, wire.Line]


def lines_for(truth: Boxes, size: tuple[int, int]) -> dict[str, wire.Line]:
    """Return the five lines of a recording."""
    feet = np.median(np.concatenate([boxes[:, 3] for _, boxes in truth.values()])) / size[1]
    level = float(np.clip(round(float(feet), 2), 0.1, 0.9))
    drawn = {f"upright{x:g}": [(x, 1.0), (x, 0.0)] for x in (0.3, 0.5, 0.7)}
    drawn["level"] = [(0.0, level), (1.0, level)]
    drawn["slant"] = [(0.0, max(level - 0.15, 0.0)), (1.0, min(level + 0.15, 1.0))]
    return {name: wire.Line(points=points) for name, points in drawn.items()}


def true_crossings(truth: Boxes, fps: float, size: tuple[int, int], lines: Lines) -> dict[str, list[Crossed]]:
    """Return for each line what the ground truth's feet passed and stayed behind; frames are from 1."""
    paths: dict[int, list[tuple[float, float, float, float]]] = {}
    for frame in sorted(truth):
        numbers, boxes = truth[frame]
        feet, _, extent = anchors(boxes, size)
        for number, (x, y), large in zip(numbers.tolist(), feet.tolist(), extent.tolist(), strict=True):
            paths.setdefault(number, []).append(((frame - 1) / fps, x, y, large))
    found: dict[str, list[Crossed]] = {name: [] for name in lines}
    for points in paths.values():
        path = np.array(points)
        margin = max(MARGIN_LEAST, MARGIN_SHARE * float(np.median(path[:, 3])))
        for name, line in lines.items():
            found[name] += lasting(passes(path[:, :3], line, margin, size[0] / size[1]))
    return found


def passes(path: NDArray[np.float64], line: wire.Line, margin: float, aspect: float) -> list[Crossed]:
    """Return where a true path (N,3) of [seconds, x, y] passed a line and got clear of it, by `margin`.

    No doubt of the product's: a true path is whole, steady and sure.
    """
    net, share, away = Gates([line.points], aspect).passes(path[:-1, 1:], path[1:, 1:])  # (N-1,1) each
    times = path[:-1, 0] + share[:, 0] * np.diff(path[:, 0])
    found: list[Crossed] = []
    pending = np.zeros(1, np.int64)
    passed = 0.0
    for step in range(len(net)):
        if net[step, 0]:
            passed = float(times[step])
        pending, told = settle(pending, net[step], away[step], margin)
        if told[0]:
            found.append((passed, "AB" if told[0] > 0 else "BA"))
    if pending[0] and going(path, GOING * margin, aspect):
        found.append((passed, "AB" if pending[0] > 0 else "BA"))
    return found


def lasting(crossed: Sequence[tuple[float, str]], undone: float = UNDONE) -> list[Crossed]:
    """Drop from one object's crossings of one line the pairs that follow each other too soon."""
    kept: list[Crossed] = []
    for one in sorted(crossed):
        if kept and one[0] - kept[-1][0] < undone and one[1] != kept[-1][1]:
            kept.pop()
        else:
            kept.append(one)
    return kept


def count(
    frames: Iterable[tuple[float, Detections]],
    size: tuple[int, int],
    tracker: Tracker | None = None,
    lines: Lines = LINES,
) -> list[wire.AnyEvent]:
    """Return the events that our tracker and the analyst make of detections."""
    tracker = ours() if tracker is None else tracker
    tracks = ((now, tracker.update(found, now, size)) for now, found in frames)
    return analyse(((now, each, each.ended.tolist()) for now, each in tracks), size, lines)


def count_told(stream: Stream, told: Sequence[Told], lines: Lines = LINES) -> list[wire.AnyEvent]:
    """Return the events that the same analyst makes of what any tracker told at the ticks it saw."""
    ticks = zip(stream.seconds.tolist(), told, stream.missed.tolist(), strict=True)
    return analyse((_tick(now, one) for now, one, missed in ticks if not missed), stream.size, lines)


def _tick(now: float, one: Told) -> tuple[float, Tracks, list[int]]:
    if one.tracks is not None:
        return now, one.tracks, one.tracks.ended.tolist()
    return now, Tracks.of_boxes(one.boxes, one.ids + 1, one.sure, one.kinds, now), []


def analyse(
    ticks: Iterable[tuple[float, Tracks, list[int]]], size: tuple[int, int], lines: Lines
) -> list[wire.AnyEvent]:
    """Return the events of (seconds, tracks, ended numbers), tick by tick, to the end."""
    analyst = Analyst("cam0", wire.CameraSettings(lines=dict(lines)), dict(enumerate(CLASSES)), Totals())
    events: list[wire.AnyEvent] = []
    wall = WALL
    for now, tracks, ended in ticks:
        wall = WALL + round(now * 1000)
        events += analyst.update(tracks, ended, size, now, wall)
    return events + analyst.close(wall)


def told_crossings(events: Iterable[wire.AnyEvent], line: str) -> list[Crossed]:
    """Return the crossings of one line that were told."""
    return [
        ((event.at - WALL) / 1000, event.direction)
        for event in events
        if isinstance(event, wire.Crossing) and event.line == line
    ]


def match(true: Sequence[Crossed], told: Sequence[Crossed], slack: float) -> int:
    """Return how many (seconds, direction) of two lists belong together, one to one."""
    if not true or not told:
        return 0
    apart = np.abs(np.array([t for t, _ in true])[:, None] - np.array([t for t, _ in told]))
    same = np.array([way for _, way in true])[:, None] == np.array([way for _, way in told])
    rows, _ = assign(np.where(same & (apart <= slack), apart, 1e9), 1e6)
    return len(rows)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, percent (Wilson 1927)."""
    if not of:
        return 0.0, 100.0
    z = 1.959964
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return 100 * max(middle - half, 0.0), 100 * min(middle + half, 1.0)


@dataclass(slots=True)
class Score:
    """Matched, true and told crossings, summed up."""

    hits: int = 0
    true: int = 0
    told: int = 0

    def add(self, street: Street, events: list[wire.AnyEvent], rate: float) -> None:
        """Add one run on the built-in street."""
        true = {
            line: [(crossing.at_seconds, crossing.direction) for crossing in crossings]
            for line, crossings in street.crossings.items()
        }
        self.compare(true, events, rate, len(street.frames) / FPS)

    def compare(
        self, true: Mapping[str, Sequence[Crossed]], events: list[wire.AnyEvent], rate: float, length: float
    ) -> None:
        """Add one run of `length` seconds; crossings may be told half a second and a tick early or late.

        The first and the last second do not count: nobody can know where things came from or went.
        """

        def inner(crossed: Sequence[Crossed]) -> list[Crossed]:
            return [one for one in crossed if 1 <= one[0] < length - 1]

        for line, crossed in true.items():
            here = inner(crossed)
            told = inner(told_crossings(events, line))
            self.hits += match(here, told, 0.5 + 1 / rate)
            self.true += len(here)
            self.told += len(told)

    def __add__(self, other: Score) -> Score:
        """Return both together."""
        return Score(self.hits + other.hits, self.true + other.true, self.told + other.told)

    @property
    def recall(self) -> float:
        """Return the share of the true crossings that were told, percent."""
        return 100 * self.hits / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Return the share of the told crossings that are true, percent."""
        return 100 * self.hits / max(self.told, 1)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of both, percent."""
        return 200 * self.hits / max(self.true + self.told, 1)
