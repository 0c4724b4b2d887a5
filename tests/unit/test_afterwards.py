"""Counted live and counted afterwards from the paths that are kept: one mode, the same crossings.

People walk, stop, turn and leave the picture before the real tracker; what it tells goes through the real
analyst, and the paths of its `track` events, as they travel and are stored, are counted again.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from agent import wire
from agent.boxes import Detections
from agent.count.analyst import Analyst, Totals
from agent.count.lines import crossings_of_path
from agent.track.tracker import Tracker
from tests.unit.watched import LEVEL, SIZE, VEHICLES, WALL, Street

SECONDS = 60
SIDE = 0.15  # of a person, frame heights; half as wide as high
MARGIN = 0.1 * SIDE * np.sqrt(0.5)
LINES = {
    "main": [(0.0, 0.6), (1.0, 0.6)],
    "twin": [(0.0, 0.6), (1.0, 0.6)],
    "back": [(1.0, 0.6), (0.0, 0.6)],
    "short": [(0.3, 0.5), (0.7, 0.5)],
    "steep": [(0.5, 0.99), (0.52, 0.3)],
    "vee": [(0.2, 0.2), (0.5, 0.8), (0.8, 0.2)],
    "left": [(0.01, 0.3), (0.4, 0.35)],
}
OTHER = {"AB": "BA", "BA": "AB"}


def walk(random: np.random.Generator, rate: float) -> np.ndarray:
    """Return the feet (N,2) of somebody who goes from place to place, and stands or leaves sometimes."""
    spot = random.uniform(0.05, 0.95, 2)
    goal = spot
    wait = speed = 0.0
    way = []
    for _ in range(int(SECONDS * rate)):
        if np.linalg.norm(goal - spot) < speed / rate or not speed:
            goal = random.uniform(-0.1, 1.1, 2)
            speed = random.uniform(0.03, 0.25)
            wait = float(random.choice([0.0, 0.0, 2.0]))
        if wait <= 0:
            spot = spot + (goal - spot) / np.linalg.norm(goal - spot) * speed / rate
        wait -= 1 / rate
        way.append(spot)
    return np.array(way)


def seen(random: np.random.Generator, feet: np.ndarray) -> Detections:
    """Return what a detector sees of people (N,2): a little beside, cut off at the edges, some not at all."""
    wide = SIDE / 2 * SIZE[1] / SIZE[0]
    low = feet - np.array([wide / 2, SIDE])
    high = feet + np.array([wide / 2, 0.0])
    boxes = np.clip(np.concatenate([low, high], 1) + random.normal(0, 0.002, (len(feet), 4)), 0, 1)
    there = (boxes[:, 2] - boxes[:, 0] > 0.005) & (boxes[:, 3] - boxes[:, 1] > 0.01)
    there &= random.random(len(feet)) > 0.03
    xyxy = (boxes[there] * [*SIZE, *SIZE]).astype(np.float32)
    return Detections(xyxy, np.full(len(xyxy), 0.8, np.float32), np.zeros(len(xyxy), np.int64))


@cache
def told(seed: int, rate: float, gap: float = 0.0, drawn_at: float = 0.0) -> list[wire.AnyEvent]:
    """Return what a minute of three people gives.

    Args:
        seed: of their ways.
        rate: frames a second.
        gap: for so many seconds after the 20th the camera is gone.
        drawn_at: the second at which the lines are drawn.
    """
    random = np.random.default_rng(seed)
    ways = np.stack([walk(random, rate) for _ in range(3)], 1)  # (frames,3,2)
    lines = {name: wire.Line(points=points) for name, points in LINES.items()}
    analyst = Analyst("cam0", wire.CameraSettings(), VEHICLES, Totals())
    tracker = Tracker()
    events: list[wire.AnyEvent] = []
    for number, feet in enumerate(ways):
        now = number / rate
        found = seen(random, feet)
        if 20 < now < 20 + gap:
            continue
        if lines and now >= drawn_at:
            analyst.apply(wire.CameraSettings(lines=lines))
            lines = {}
        tracks = tracker.update(found, now)
        events += analyst.update(tracks, tracker.ended(), SIZE, now, WALL + round(now * 1000))
    return events + analyst.close(WALL + SECONDS * 1000)


def live(events: list[wire.AnyEvent], line: str, until: float = SECONDS) -> Counter[tuple[int, str]]:
    """Return (track, direction) of what was told of a line before a moment."""
    return Counter(
        (event.track, event.direction)
        for event in events
        if isinstance(event, wire.Crossing) and event.line == line and event.at < WALL + until * 1000
    )


def afterwards(events: list[wire.AnyEvent], line: str, until: float = SECONDS) -> Counter[tuple[int, str]]:
    """Return the same, counted from the paths that are kept."""
    found: Counter[tuple[int, str]] = Counter()
    for event in events:
        if isinstance(event, wire.Track):
            path = np.array(wire.unpack_path(event.path))
            start = event.at / 1000 - path[-1, 0]
            crossed = crossings_of_path(path, LINES[line], MARGIN, SIZE[0] / SIZE[1])
            found.update((event.track, way) for at, way in crossed if start + at < WALL / 1000 + until)
    return found


@pytest.mark.parametrize(("rate", "gap"), [(15, 0), (2, 0), (2, 2), (5, 6)])
def test_the_paths_give_what_was_counted_live(rate: float, gap: float) -> None:
    """From 15 to 2 frames a second and with gaps: of a hundred crossings at most three differ.

    These are the doubtful ones: how surely each point was seen a path does not keep.
    """
    all_ = 0
    other = 0
    for seed in range(3):
        events = told(seed, rate, gap)
        for line in LINES:
            one = live(events, line)
            two = afterwards(events, line)
            all_ += one.total()
            other += ((one - two) + (two - one)).total()
    assert all_ > 180
    assert other <= 0.03 * all_, f"{other} of {all_}"


@pytest.mark.parametrize("rate", [5, 2])
def test_two_lines_in_one_place_count_alike(rate: float) -> None:
    """Three lines in the same place: the same crossings of each, and the other way for the one drawn back."""
    events = told(7, rate)
    one = live(events, "main")
    assert one.total() > 10
    assert live(events, "twin") == one
    assert live(events, "back") == Counter({(track, OTHER[way]): n for (track, way), n in one.items()})


def test_a_line_drawn_later_is_counted_back_to_the_beginning() -> None:
    """Drawn after 30 s: the paths of those 30 s give what lines that were there from the start have told."""
    for line in LINES:
        there = live(told(3, 5), line, until=29.0)
        assert afterwards(told(3, 5, drawn_at=30.0), line, until=29.0) == there, line
    assert sum(live(told(3, 5), line, until=29.0).total() for line in LINES) > 20


@pytest.mark.parametrize("away", [2.5, 4.0])
def test_what_nobody_saw_is_counted_neither_live_nor_afterwards(away: float) -> None:
    """Lost before the line and found behind it: counted after 2.5 s, not after 4 s, by both.

    The path of who was out of sight for longer than a gap is told in two parts, so nobody joins them.
    """
    street = Street(rate=5.0, main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.5))
    street.now += away
    street.go(1, (0.5, 0.7), (0.5, 0.8))
    street.rest()
    street.close()
    later = [
        way
        for event in street.told(wire.Track)
        for _, way in crossings_of_path(wire.unpack_path(event.path), LEVEL.points, aspect=SIZE[0] / SIZE[1])
    ]
    assert street.ways == later == ([] if away > 3 else ["AB"])
    assert [event.ended for event in street.told(wire.Track)] == ([False, True] if away > 3 else [True])
    assert street.totals.objects == {"car": 1}
