"""What the budget holds: the road clips in real time, beside two busy processes, at a simulated heat.

While it is loaded: the age of frames, the looks that were taken away, and what was counted beside what people
saw. When the load is over: how soon nothing is held back any more.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import psutil

from agent import cpu_quota, wire
from agent.budget import SAMPLE_SECONDS, BudgetConfig
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.see.slot import Frame
from agent.startup import WEAK
from benchmarks.videos import CLIPS, MATCH_SECONDS, PERSON, Clip, Passing, Result, matched
from deploy.stack import die_with_parent

LIMITS = BudgetConfig(temperature=80, age_ms=500)
HOT = 85.0
COOL = 60.0
BUSY = 2  # processes
BACK_SECONDS = 60.0  # for so long it may take until nothing is held back, before that is given up


@dataclass(slots=True)
class Watched:
    """What was seen of a pipeline: frames' ages in seconds, levels after each sample, its events."""

    begun: float = 0.0  # Unix seconds of the film's beginning
    ages: list[float] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    events: list[wire.AnyEvent] = field(default_factory=list)

    @property
    def crossings(self) -> list[tuple[float, str, str]]:
        """Return seconds of the film, direction and label of what crossed."""
        passed = [event for event in self.events if isinstance(event, wire.Crossing)]
        return [(event.at / 1000 - self.begun, event.direction, event.label) for event in passed]

    @property
    def held(self) -> int:
        """Return how many looks the budget took away, as the minutes tell."""
        return sum(event.held for event in self.events if isinstance(event, wire.Tally))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run processes that compute without end."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=die_with_parent)
            )
            stack.callback(process.kill)
        yield


def note(pipeline: Pipeline, seen: Watched) -> None:
    """Let a pipeline's frames be noted: when the film began, and how old each is when it is counted."""
    take = pipeline.camera.take
    judged = pipeline.minutes.judged

    def taken(timeout: float) -> Frame | None:
        frame = take(timeout)
        if frame is not None and not seen.begun:
            seen.begun = frame.wall - frame.seconds
        return frame

    def aged(captured_at: float) -> None:
        seen.ages.append(time.time() - captured_at)
        judged(captured_at)

    pipeline.camera.take = taken  # type: ignore[method-assign]
    pipeline.minutes.judged = aged  # type: ignore[method-assign]


def watch(pipeline: Pipeline, seen: Watched, heat: float, over: Callable[[], bool]) -> float:
    """Let a pipeline run, keeping to its budget at so many degrees, until `over`; return the seconds."""
    process = psutil.Process()
    process.cpu_percent(None)
    begun = time.monotonic()
    sampled = begun
    while not over():
        seen.events += pipeline.step().events
        if time.monotonic() - sampled >= SAMPLE_SECONDS:
            sampled = time.monotonic()
            pipeline.hold(process.cpu_percent(None) / cpu_quota.usable(), heat)
            seen.levels.append(pipeline.budget.level)
    return time.monotonic() - begun


def loaded(clip: Clip, path: Path) -> tuple[Watched, Result, float]:
    """Watch a clip under load, and on until nothing is held back.

    Returns what was seen, the crossings of the loaded time beside what people saw, and after how many seconds
    without load nothing was held back any more.
    """
    camera = CameraConfig(source=str(path), loop=True, lines={"main": wire.Line(points=list(clip.line))})
    pipeline = Pipeline(
        "cam0",
        camera,
        Detector(camera.model_path, WEAK),
        camera.settings(),
        Totals(),
        workers=cpu_quota.share(1, 1),
        limits=LIMITS,
    )
    seen = Watched()
    note(pipeline, seen)
    length = seconds_of(path)
    pipeline.camera.start()
    try:
        with busy(BUSY):
            watch(pipeline, seen, HOT, lambda: bool(seen.begun) and time.time() > seen.begun + length)
        under_load = len(seen.ages)
        given_up = time.monotonic() + BACK_SECONDS
        back = watch(pipeline, seen, COOL, lambda: not pipeline.budget.level or time.monotonic() > given_up)
        seen.events += pipeline.close()
    finally:
        pipeline.stop()
    del seen.ages[under_load:]
    return seen, counted(clip, [one for one in seen.crossings if one[0] <= length]), back


def seconds_of(path: Path) -> float:
    """Return the length of a film."""
    capture = cv2.VideoCapture(str(path))
    try:
        return float(capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()


def counted(clip: Clip, crossings: list[tuple[float, str, str]]) -> Result:
    """Match what was told with what people saw, where they looked."""
    told: list[Passing] = [
        (at, way) for at, way, label in crossings if (label == PERSON) is clip.people and way in clip.seen
    ]
    truth = clip.truth()
    return Result(len(truth), len(told), len(matched(truth, told, MATCH_SECONDS + 0.2)))


def budget(data: Path) -> dict[str, float]:
    """Return what the budget holds on the road clips, all together."""
    ages: list[float] = []
    back = 0.0
    held = 0
    true = 0
    hits = 0
    for clip in (each for each in CLIPS if not each.people):
        seen, result, seconds = loaded(clip, data / clip.file)
        p95 = float(np.percentile(seen.ages, 95)) * 1000
        print(
            f"  {clip.file:<34} level {max(seen.levels)}  age p95 {p95:.0f} ms  {seen.held} looks held back"
            f"  true {result.true} counted {result.told} right {result.hits}  back to 0 in {seconds:.0f} s",
            flush=True,
        )
        ages += seen.ages
        back = max(back, seconds)
        held += seen.held
        true += result.true
        hits += result.hits
    return {
        "budget_age_p95_ms": float(np.percentile(ages, 95)) * 1000,
        "budget_back_seconds": back,
        "budget_held_looks": held,
        "budget_loss": 1 - hits / true,
    }
