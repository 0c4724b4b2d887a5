"""What an update costs: milliseconds at so many objects, and memory over so many tracks.

Trackers take turns in rounds, so that what else the machine does hits all alike; the least round is the
figure, the median says how busy it was. All on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.boxes import Detections
from agent.count.analyst import Analyst, Totals
from benchmarks.counting import sequences
from benchmarks.counting.crossings import WALL
from benchmarks.counting.peers import PEERS, Job, run
from benchmarks.counting.sequences import Stream
from benchmarks.counting.street import LINES

OBJECTS = (10, 50, 200)
RATE = 15.0
TICKS = 50
WARM = 10
OURS = "ours"
BOTH = "ours with counting"
LIFE = 3  # ticks that a short-lived object is seen; how many at once
AT_ONCE = 50


def walk(objects: int, ticks: int = TICKS) -> Stream:
    """Return objects on straight ways through a large picture, each step shaken by a pixel."""
    random = np.random.default_rng(objects)
    start = random.uniform(0, 1800, (objects, 2))
    speeds = random.normal(0, 50, (objects, 2))
    found = []
    for number in range(ticks):
        place = start + speeds * number / RATE + random.normal(0, 1, (objects, 2))
        boxes = np.concatenate([place - 20, place + 20], axis=1).astype(np.float32)
        found.append(Detections(boxes, np.full(objects, 0.8, np.float32), np.zeros(objects, np.int64)))
    return _stream(found)


def passers(tracks: int) -> Stream:
    """Return fifty objects at once at random places; each is seen three times, then never again."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(tracks // AT_ONCE):
        place = random.uniform(0, 1800, (AT_ONCE, 2))
        boxes = np.concatenate([place - 20, place + 20], axis=1).astype(np.float32)
        one = Detections(boxes, np.full(AT_ONCE, 0.8, np.float32), np.zeros(AT_ONCE, np.int64))
        found += [one] * LIFE
    return _stream(found)


def _stream(found: list[Detections]) -> Stream:
    count = len(found)
    frames = np.arange(1, count + 1)
    return Stream(frames, frames / RATE, found, np.zeros(count, np.bool_), (1920, 1920), RATE)


def ours(stream: Stream, counting: bool) -> NDArray[np.float64]:
    """Return the milliseconds of each update after the warm-up, with or without the analyst."""
    tracker = sequences.ours()
    analyst = Analyst("cam0", wire.CameraSettings(lines=LINES), {0: "car"}, Totals())
    took = []
    for now, found in stream:
        begun = time.perf_counter()
        tracks = tracker.update(found, now, stream.size)
        if counting:
            analyst.update(tracks, tracker.ended(), stream.size, now, WALL + round(now * 1000))
        took.append(time.perf_counter() - begun)
    return np.array(took[WARM:]) * 1000


def speed(objects: int) -> float:
    """Return the median milliseconds of tracker and analyst for a frame with so many objects."""
    return float(np.median(ours(walk(objects), True)))


def rounds(
    peers: Sequence[str], count: int, progress: Callable[[int, int], None]
) -> dict[tuple[str, int], tuple[float, float]]:
    """Return for (tracker, objects) the least and the median of the rounds' median milliseconds."""
    streams = [walk(objects) for objects in OBJECTS]
    took: dict[tuple[str, int], list[float]] = {}
    for turn in range(count):
        for objects, stream in zip(OBJECTS, streams, strict=True):
            for name, counting in ((OURS, False), (BOTH, True)):
                took.setdefault((name, objects), []).append(float(np.median(ours(stream, counting))))
        for family in sorted({PEERS[peer] for peer in peers}):  # one worker at a time: nobody is disturbed
            jobs = [
                Job(peer, number, RATE, do="time")
                for peer in peers
                if PEERS[peer] == family
                for number in range(len(OBJECTS))
            ]
            for job, milliseconds in zip(jobs, run(streams, jobs), strict=True):
                key = (job.peer, OBJECTS[job.stream])
                took.setdefault(key, []).append(float(np.median(milliseconds)))
        progress(turn + 1, count)
    return {key: (min(each), float(np.median(each))) for key, each in took.items()}


def growth(tracks: int) -> float:
    """Return by how many MB our memory grew from the first tenth of so many tracks to their end."""
    tracker = sequences.ours()
    resident = []
    stream = passers(tracks // 10)
    length = len(stream.frames)
    for turn in range(10):
        for number, found in enumerate(stream.found):
            tracker.update(found, (turn * length + number + 1) / RATE, stream.size)
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
    return resident[-1] - resident[0]


def peers_growth(peer: str, tracks: int) -> float:
    """Return by how many MB a peer, in a process of its own, grew from the first tenth of so many tracks."""
    (resident,) = run([passers(tracks)], [Job(peer, 0, RATE, do="grow")])
    return float(resident[-1] - resident[0])
