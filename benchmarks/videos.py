"""What the agent counts with its defaults: on real videos beside what people counted by eye, and on the
built-in street beside its exact truth; at the native frame rate and at lower ones.

The whole loop runs as it does on a box: the model of the package, the default tracker, one line. A lower rate
is what a slower box sees: the newest frame at each tick, the rest never looked at. Crossings are matched one
to one in time and direction, never by their totals. With `--phases N` a video is counted so many times at
each lower rate, each time a part of a tick later, and the sums are told: one phase alone is luck. `--look
half` turns the second look on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from agent import wire
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.capture import Camera
from agent.see.infer import Detector
from agent.see.slot import Frame
from agent.startup import WEAK
from agent.street.scene import DEFAULT_LINE, Scene
from benchmarks.figures import leave

MATCH_SECONDS = 1.0
RATES = (10.0, 5.0, 2.5)
STREETS = (7, 8)
STREET_FRAMES = 1350  # a minute and a half
PERSON = "person"

Budget = Literal["auto", "half"]  # of the second look
Passing = tuple[float, str]  # seconds, direction


@dataclass(frozen=True)
class Clip:
    """A video, a line, and the frames at which people saw somebody cross it, by direction."""

    file: str
    line: tuple[tuple[float, float], tuple[float, float]]
    fps: float
    seen: dict[str, list[int]]
    people: bool = False  # else vehicles

    def truth(self) -> list[Passing]:
        """Return when each crossed."""
        return sorted((frame / self.fps, way) for way, frames in self.seen.items() for frame in frames)


# In the first clip the oncoming cars alone were counted by eye; what leaves on the other side was not.
CLIPS = (
    Clip(
        "ahmetozlu_input_video.mp4",
        ((0.0, 0.60), (1.0, 0.60)),
        24.0,
        {"AB": [13, 70, 121, 170, 229, 411, 468, 704]},
    ),
    Clip("intel_car-detection.mp4", ((0.0, 0.5), (1.0, 0.5)), 12.5, {"BA": [99, 226], "AB": [195, 325]}),
    Clip(
        "intel_one-by-one-person-detection.mp4",
        ((0.75, 1.0), (0.75, 0.0)),
        10.0,
        {"AB": [185, 439, 688, 858, 1187, 1348]},
        people=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """True and told crossings, and how many belong together one to one."""

    true: int
    told: int
    hits: int

    @property
    def recall(self) -> float:
        """Return the share of the true crossings that were told."""
        return self.hits / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Return the share of the told crossings that are true."""
        return self.hits / max(self.told, 1)


def make_pipeline(source: str, points: Sequence[tuple[float, float]], look: Budget = "auto") -> Pipeline:
    """Return one camera's loop with default settings, but for the second look's budget, and one line."""
    lines = {"main": wire.Line(points=list(points))}
    camera = CameraConfig(source=source, pace="fast", lines=lines, look_budget=look)
    detector = Detector(camera.model_path, confidence=min(WEAK, camera.confidence))
    return Pipeline("cam0", camera, detector, camera.settings(), Totals())


def played(path: str) -> Iterator[Frame]:
    """Give each frame of a video; its wall clock is the video's own time."""
    with Camera("cam0", path, pace="fast") as camera:
        while camera.state != "ended":
            frame = camera.take(0.5)
            if frame is not None:
                yield replace(frame, wall=frame.seconds)


def drawn(scene: Scene, frames: int) -> Iterator[Frame]:
    """Give the first frames of the street."""
    for number in range(frames):
        seconds = number / scene.fps
        yield Frame(scene.frame(number), number, seconds, seconds, 0)


def slower(frames: Iterable[Frame], rate: float | None, phase: float = 0.0) -> Iterator[Frame]:
    """Give the first frame from each tick of `rate` a second on, `phase` of a tick late; None: every one."""
    ticks = 0
    for frame in frames:
        now = frame.wall * rate - phase if rate else 0.0
        if rate is None or now >= ticks - 1e-6:
            ticks = int(now + 1e-6) + 1
            yield frame


def told(looker: Pipeline, frames: Iterable[Frame]) -> list[wire.Crossing]:
    """Return what is counted in some frames."""
    events = [event for frame in frames for event in looker.look(frame)[1]] + looker.close()
    return [event for event in events if isinstance(event, wire.Crossing)]


def matched(true: Sequence[Passing], found: Sequence[Passing], slack: float) -> set[int]:
    """Return which of `found` have a true one for their own: same direction, within `slack` seconds."""
    free = sorted(range(len(found)), key=lambda index: found[index])
    taken = set[int]()
    for at, way in sorted(true):
        near = [i for i in free if i not in taken and found[i][1] == way and abs(found[i][0] - at) <= slack]
        taken |= {near[0]} if near else set()
    return taken


def passings(events: Iterable[wire.Crossing]) -> list[Passing]:
    """Return (seconds, direction) of each crossing."""
    return [(event.at / 1000, event.direction) for event in events]


def clip_result(
    clip: Clip, folder: Path, rate: float | None = None, phase: float = 0.0, look: Budget = "auto"
) -> Result:
    """Count a video's vehicles, or people, at a rate, in the directions that people counted."""
    path = str(folder / clip.file)
    looker = make_pipeline(path, clip.line, look)
    events = told(looker, slower(played(path), rate, phase))
    found = passings(
        event for event in events if (event.label == PERSON) is clip.people and event.direction in clip.seen
    )
    hits = matched(clip.truth(), found, MATCH_SECONDS + 1 / (rate or clip.fps))
    return Result(len(clip.truth()), len(found), len(hits))


def in_phases(clip: Clip, folder: Path, rate: float | None, phases: int, look: Budget) -> Result:
    """Return the sums of a video's counts at a rate, each a part of a tick later than the one before."""
    results = [
        clip_result(clip, folder, rate, phase / phases, look) for phase in range(phases if rate else 1)
    ]
    return Result(*(sum(figures) for figures in zip(*map(astuple, results), strict=True)))


def street_result(
    seed: int, frames: int = STREET_FRAMES, rate: float | None = None, look: Budget = "auto"
) -> Result:
    """Count the built-in street's default line at a rate.

    What crosses in the first second was not there long enough to be known, and counts for neither side.
    """
    scene = Scene(seed)
    looker = make_pipeline("scene:", DEFAULT_LINE, look)
    found = passings(told(looker, slower(drawn(scene, frames), rate)))
    begin = int(scene.fps)
    slack = MATCH_SECONDS + 1 / (rate or scene.fps)
    early, truth = (
        [(one.at_seconds, one.direction) for one in scene.crossings(DEFAULT_LINE, first, last)]
        for first, last in ((1, begin - 1), (begin, frames - 1))
    )
    known = [one for number, one in enumerate(found) if number not in matched(early, found, slack)]
    return Result(len(truth), len(known), len(matched(truth, known, slack)))


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """Print a row for each clip and rate; return the figures by name."""
    look: Budget = chosen.look
    work: dict[str, Callable[[float | None], Result]] = {
        clip.file: partial(in_phases, clip, folder, phases=chosen.phases, look=look) for clip in CLIPS
    }
    work |= {
        f"street {seed}": partial(street_result, seed, STREET_FRAMES, look=look) for seed in chosen.streets
    }
    figures: dict[str, float] = {}
    for rate in chosen.rates or (None, *RATES):
        for name, count in work.items():
            result = count(rate)
            speed = f"{rate:g} fps" if rate else "native"
            print(
                f"{name:<38}{speed:>8}  true {result.true:3}  counted {result.told:3}"
                f"  right {result.hits:3}  recall {result.recall:.3f}  precision {result.precision:.3f}",
                flush=True,
            )
            stem = f"pixels_{name.partition('.')[0].replace(' ', '_')}_{speed.replace(' ', '')}"
            figures[f"{stem}_recall"] = result.recall
            figures[f"{stem}_precision"] = result.precision
    return figures


def main() -> int:
    """Print a table; also write it as JSON where BENCH_JSON names a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--streets", type=int, nargs="*", default=STREETS, help="seeds of the built-in street"
    )
    parser.add_argument("--rates", type=float, nargs="+", help="frames a second; default: native, 10, 5, 2.5")
    parser.add_argument("--phases", type=int, default=1, help="of a video at each lower rate")
    parser.add_argument("--look", default="auto", choices=("auto", "half"), help="budget of the second look")
    chosen = parser.parse_args()
    folder = Path(os.environ.get("GB_DATA", ""), "videos")
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    figures = measure(folder, chosen)
    leave(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
