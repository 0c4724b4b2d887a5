"""How well crossings are counted: the built-in street's exact boxes, also shaken, hidden and decimated.

Truth and counts are matched one to one: same line, same direction, about the same time. The tracker's own
figures (CLEAR MOT, identity F1) are taken on MOTChallenge sequences where GB_DATA has them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.analyse import Analyst, Totals
from agent.boxes import Detections, iou
from agent.scene import CLASSES, DEFAULT_LINE, Scene, TrueCrossing
from agent.track import Tracker, assign

FPS = 30.0  # of the street; the rates below are parts of it
RATES = (15.0, 10.0, 5.0, 2.5)
GAP = 0.5  # seconds that an object is hidden at once
WALL = 1_700_000_000_000
LINES = {
    "main": wire.Line(points=[(float(x), float(y)) for x, y in DEFAULT_LINE]),
    "slant": wire.Line(points=[(0.02, 0.55), (0.98, 0.85)]),
    "upright": wire.Line(points=[(0.5, 0.95), (0.5, 0.4)]),
}


@dataclass(frozen=True, slots=True)
class Noise:
    """What a detector does to true boxes. Shares, but `jitter`: of the size, and `false`: boxes a frame."""

    jitter: float = 0.0
    missed: float = 0.0
    gaps: float = 0.0  # of the time, hidden for half a second at once
    false: float = 0.0
    flicker: float = 0.0


NOISES = {
    "exact": Noise(),
    "shaken": Noise(jitter=0.03, missed=0.1, false=0.3, flicker=0.1),
    "gaps": Noise(jitter=0.02, gaps=0.2),
}


@dataclass(frozen=True, slots=True)
class Street:
    """A minute of a scene: per frame boxes (N,4), who (N,), class (N,), share visible (N,); and the truth."""

    size: tuple[int, int]
    frames: list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]
    crossings: dict[str, list[TrueCrossing]]


def street(seed: int, seconds: float = 60.0) -> Street:
    """Return a scene's truth; nothing is drawn."""
    scene, count = Scene(seed=seed, fps=FPS), round(seconds * FPS)
    truths = [scene.truth(number) for number in range(count)]
    return Street(
        (scene.width, scene.height),
        [(truth.xyxy, truth.track_id, truth.class_id, truth.visible) for truth in truths],
        {
            name: _lasting(scene.crossings(line.points, 1, count - 1, line.anchor))
            for name, line in LINES.items()
        },
    )


def _lasting(crossings: list[TrueCrossing]) -> list[TrueCrossing]:
    """Drop what the same object undoes within half a second: a leg that swings over the line."""
    kept: list[TrueCrossing] = []
    for crossing in crossings:
        back = [
            other
            for other in kept
            if other.track_id == crossing.track_id and crossing.at_seconds - other.at_seconds < 0.5
        ]
        if back:
            kept.remove(back[-1])
        else:
            kept.append(crossing)
    return kept


def seen(street: Street, rate: float, noise: Noise, seed: int = 0) -> Iterator[tuple[float, Detections]]:
    """Give (seconds, detections) at a frame rate, as a detector with this noise would."""
    random, away = np.random.default_rng(seed), dict[int, float]()
    step, period = round(FPS / rate), GAP / max(noise.gaps, 1e-9)
    for number in range(0, len(street.frames), step):
        now = number / FPS
        boxes, who, kinds, visible = street.frames[number]
        for track in who.tolist():  # each has its own rhythm of being seen and not
            away.setdefault(track, random.uniform(0, 1))
        phase = np.array([now / period + away[track] for track in who.tolist()]) % 1
        hidden = phase < noise.gaps
        keep = (visible > 0.3) & ~hidden & (random.random(len(who)) >= noise.missed)
        yield now, _shaken(boxes[keep], kinds[keep], visible[keep], noise, street.size, random)


def _shaken(
    boxes: NDArray[np.float32],
    kinds: NDArray[np.int64],
    visible: NDArray[np.float32],
    noise: Noise,
    size: tuple[int, int],
    random: np.random.Generator,
) -> Detections:
    """Return boxes with jitter, other classes now and then, and some that are not there."""
    extent = np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(1).prod(axis=1))[:, None]
    boxes = boxes + random.normal(0, 1, boxes.shape) * noise.jitter * extent
    other = random.random(len(kinds)) < noise.flicker
    kinds = np.where(other, random.integers(0, len(CLASSES), len(kinds)), kinds)
    sure = random.uniform(0.35, 0.95, len(kinds)) * np.sqrt(visible)
    false = random.poisson(noise.false)
    corner = random.uniform(0, 0.9, (false, 2)) * size
    ghosts = np.concatenate([corner, corner + random.uniform(15, 90, (false, 2))], axis=1)
    return Detections(
        np.concatenate([boxes, ghosts]).astype(np.float32),
        np.concatenate([sure, random.uniform(0.1, 0.5, false)]).astype(np.float32),
        np.concatenate([kinds, random.integers(0, len(CLASSES), false)]),
    )


def count(
    frames: Iterable[tuple[float, Detections]], size: tuple[int, int], tracker: Tracker | None = None
) -> list[wire.AnyEvent]:
    """Return the events that tracker and analyst make of detections."""
    tracker = Tracker() if tracker is None else tracker
    names = dict(enumerate(CLASSES))
    analyst = Analyst("cam0", wire.CameraSettings(lines=LINES), names, Totals())
    events: list[wire.AnyEvent] = []
    wall = WALL
    for now, detections in frames:
        wall = WALL + round(now * 1000)
        tracks = tracker.update(detections, now, size)
        events += analyst.update(tracks, tracker.ended(), size, now, wall)
    return events + analyst.close(wall)


def match(true: Sequence[tuple[float, str]], told: Sequence[tuple[float, str]], slack: float) -> int:
    """Return how many (seconds, direction) of two lists belong together, one to one."""
    if not true or not told:
        return 0
    apart = np.abs(np.array([t for t, _ in true])[:, None] - np.array([t for t, _ in told]))
    same = np.array([way for _, way in true])[:, None] == np.array([way for _, way in told])
    rows, _ = assign(np.where(same & (apart <= slack), apart, 1e9), 1e6)
    return len(rows)


@dataclass(slots=True)
class Score:
    """Matched, true and told crossings, summed up."""

    hits: int = 0
    true: int = 0
    told: int = 0

    def add(self, street: Street, events: list[wire.AnyEvent], rate: float) -> None:
        """Add one run; crossings may be told half a second and a frame early or late.

        The first and the last second do not count: nobody can know where things came from or went.
        """
        last = len(street.frames) / FPS - 1
        for line, crossings in street.crossings.items():
            true = [(crossing.at_seconds, crossing.direction) for crossing in crossings]
            told = [
                ((event.at - WALL) / 1000, event.direction)
                for event in events
                if isinstance(event, wire.Crossing) and event.line == line
            ]
            true = [one for one in true if 1 <= one[0] < last]
            told = [one for one in told if 1 <= one[0] < last]
            self.hits += match(true, told, 0.5 + 1 / rate)
            self.true += len(true)
            self.told += len(told)

    @property
    def recall(self) -> float:
        """Return the share of the true crossings that were told, percent."""
        return 100 * self.hits / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Return the share of the told crossings that are true, percent."""
        return 100 * self.hits / max(self.told, 1)


# ── tracking ──────────────────────────────────────────────────────────────────────────────────────

Boxes = dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]  # frame -> numbers (N,), xyxy (N,4)


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


_EMPTY = (np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


def clear_mot(truth: Boxes, told: Boxes) -> float:
    """Return MOTA (Bernardin and Stiefelhagen 2008) at an overlap of one half."""
    wrong, total, last = 0, 0, dict[int, int]()
    for frame in sorted(truth.keys() | told.keys()):
        who, boxes = truth.get(frame, _EMPTY)
        ids, seen_boxes = told.get(frame, _EMPTY)
        overlap = iou(boxes, seen_boxes).astype(np.float64)
        kept = np.array([[last.get(w) == i for i in ids.tolist()] for w in who.tolist()]).reshape(
            overlap.shape
        )
        cost = np.where(overlap >= 0.5, 1 - overlap - 10.0 * kept, 1e9)
        rows, columns = assign(cost, 2.0) if len(who) else (_EMPTY[0], _EMPTY[0])
        pairs = dict(zip(who[rows].tolist(), ids[columns].tolist(), strict=True))
        switched = sum(last.get(one, two) != two for one, two in pairs.items())
        wrong += len(who) + len(ids) - 2 * len(pairs) + switched
        total += len(who)
        last |= pairs
    return 1 - wrong / max(total, 1)


def identity_f1(truth: Boxes, told: Boxes) -> float:
    """Return IDF1 (Ristani et al. 2016) at an overlap of one half."""
    who = sorted({number for numbers, _ in truth.values() for number in numbers.tolist()})
    ids = sorted({number for numbers, _ in told.values() for number in numbers.tolist()})
    together = np.zeros((len(who), len(ids)))
    for frame, (numbers, boxes) in truth.items():
        others, seen_boxes = told.get(frame, _EMPTY)
        for row, column in np.argwhere(iou(boxes, seen_boxes) >= 0.5):
            together[who.index(int(numbers[row])), ids.index(int(others[column]))] += 1
    rows, columns = assign(-together, 0.0)
    boxes_in_all = sum(len(numbers) for numbers, _ in (*truth.values(), *told.values()))
    return float(2 * together[rows, columns].sum() / max(boxes_in_all, 1))


def follow(sequence: Path, keep_every: int = 1, tracker: Tracker | None = None) -> tuple[Boxes, Boxes]:
    """Track a MOTChallenge sequence's public detections; return truth and tracks of the frames used."""
    info = dict(line.split("=") for line in (sequence / "seqinfo.ini").read_text().split() if "=" in line)
    fps, size = float(info["frameRate"]), (int(info["imWidth"]), int(info["imHeight"]))
    rows = np.loadtxt(sequence / "det.txt", delimiter=",", ndmin=2, usecols=range(7))
    truth, tracker = read_boxes(sequence / "gt.txt"), Tracker() if tracker is None else tracker
    told: Boxes = {}
    frames = range(1, int(info["seqLength"]) + 1, keep_every)
    for frame in frames:
        here = rows[rows[:, 0] == frame]
        xyxy = np.concatenate([here[:, 2:4], here[:, 2:4] + here[:, 4:6]], axis=1)
        sure = here[:, 6] if rows[:, 6].max() <= 1 else 1 / (1 + np.exp(-here[:, 6]))
        found = Detections(xyxy.astype(np.float32), sure.astype(np.float32), np.zeros(len(here), np.int64))
        tracks = tracker.update(found, frame / fps, size)
        told[frame] = (tracks.track_id, tracks.xyxy)
    return {frame: truth[frame] for frame in frames if frame in truth}, told


# ── the bench ─────────────────────────────────────────────────────────────────────────────────────


def speed(objects: int, frames: int = 60) -> float:
    """Return the median milliseconds of tracker and analyst for a frame with so many objects."""
    random = np.random.default_rng(objects)
    start, speeds = random.uniform(0, 1800, (objects, 2)), random.normal(0, 50, (objects, 2))
    tracker, took = Tracker(), []
    analyst = Analyst("cam0", wire.CameraSettings(lines=LINES), {0: "car"}, Totals())
    for number in range(frames):
        place = start + speeds * number / 15 + random.normal(0, 1, (objects, 2))
        boxes = np.concatenate([place - 20, place + 20], axis=1).astype(np.float32)
        found = Detections(boxes, np.full(objects, 0.8, np.float32), np.zeros(objects, np.int64))
        begun = time.perf_counter()
        tracks = tracker.update(found, number / 15, (1920, 1920))
        analyst.update(tracks, tracker.ended(), (1920, 1920), number / 15, WALL + number * 66)
        took.append(time.perf_counter() - begun)
    return float(np.median(took)) * 1000


def measure(seeds: Iterable[int]) -> dict[str, float]:
    """Return recall and precision for each noise and rate, and the milliseconds of an update."""
    scores = {(noise, rate): Score() for noise in NOISES for rate in RATES}
    for seed in seeds:
        place = street(seed)
        for (noise, rate), score in scores.items():
            score.add(place, count(seen(place, rate, NOISES[noise], seed), place.size), rate)
    figures: dict[str, float] = {}
    for (noise, rate), score in scores.items():
        figures[f"count_{noise}_{rate:g}fps_recall"] = score.recall
        figures[f"count_{noise}_{rate:g}fps_precision"] = score.precision
        print(
            f"{noise:8}{rate:5g} fps   recall {score.recall:5.1f}   precision {score.precision:5.1f}"
            f"   ({score.hits} of {score.true} true, {score.told} told)"
        )
    for objects in (10, 50, 200):
        figures[f"count_ms_{objects}_objects"] = speed(objects)
        print(f"{objects:4} objects  {figures[f'count_ms_{objects}_objects']:6.2f} ms a frame")
    return figures


def main() -> None:
    """Print the figures; also write them as JSON where BENCH_JSON names a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=200, help="the first seed")
    parser.add_argument("--seeds", type=int, default=6, help="how many")
    chosen = parser.parse_args()
    figures = measure(range(chosen.first, chosen.first + chosen.seeds))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
