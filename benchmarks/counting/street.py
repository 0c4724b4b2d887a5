"""A minute of the built-in street with its truth, and what a detector would see of it.

Boxes are exact, or shaken, missed, invented and mislabelled, or hidden for half a second at a time; at any
frame rate that is a part of 30.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.boxes import Detections
from agent.street.scene import CLASSES, DEFAULT_LINE, Scene, TrueCrossing
from benchmarks.counting.sequences import Boxes, Stream

FPS = 30.0  # of the street; the rates below are parts of it
RATES = (15.0, 10.0, 5.0, 2.5)
GAP = 0.5  # seconds that an object is hidden at once
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
    scene = Scene(seed=seed, fps=FPS)
    count = round(seconds * FPS)
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
    random = np.random.default_rng(seed)
    away = dict[int, float]()
    step = round(FPS / rate)
    period = GAP / max(noise.gaps, 1e-9)
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


def stream(street: Street, rate: float, noise: Noise, seed: int = 0) -> Stream:
    """Return the same as ticks, for any tracker."""
    seconds, found = zip(*seen(street, rate, noise, seed), strict=True)
    frames = np.arange(0, len(street.frames), round(FPS / rate))
    times = np.array(seconds)
    return Stream(frames, times, list(found), np.zeros(len(times), np.bool_), street.size, rate)


def truth(street: Street) -> Boxes:
    """Return who is visible where, frame by frame."""
    return {
        number: (who[visible > 0.3], boxes[visible > 0.3])
        for number, (boxes, who, _, visible) in enumerate(street.frames)
    }
