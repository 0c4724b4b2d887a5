"""What the agent counts with its defaults: on real videos beside what people counted by eye, and on the
built-in street beside its exact truth, matched one to one in time.

The whole loop runs as it does on a box: the model of the package, the default tracker, one line.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import wire
from agent.analyse import Totals
from agent.capture import Frame
from agent.config import CameraConfig
from agent.infer import Detector
from agent.node import WEAK
from agent.pipeline import Pipeline
from agent.scene import DEFAULT_LINE, Scene, TrueCrossing

MATCH_SECONDS = 1.0
STREET_FRAMES = 1350  # a minute and a half


@dataclass(frozen=True)
class Clip:
    """A video, its line, and the crossings that people counted: direction -> number."""

    file: str
    y: float
    counted: dict[str, int]


# The first clip's oncoming cars alone were counted by eye; what leaves on the other side was not.
CLIPS = (
    Clip("ahmetozlu_input_video.mp4", 0.60, {"AB": 8}),
    Clip("intel_car-detection.mp4", 0.50, {"AB": 2, "BA": 2}),
)


def make_pipeline(source: str, points: Sequence[tuple[float, float]]) -> Pipeline:
    """Return one camera's loop with default settings and one line."""
    lines = {"main": wire.Line(points=list(points))}
    camera = CameraConfig(source=source, pace="fast", lines=lines)
    detector = Detector(camera.model_path, confidence=min(WEAK, camera.confidence))
    return Pipeline("cam0", camera, detector, camera.settings(), Totals())


def crossings(path: str, y: float) -> list[wire.Crossing]:
    """Return what is counted on a level line of a video."""
    looker = make_pipeline(path, [(0.0, y), (1.0, y)])
    events: list[wire.AnyEvent] = []
    with looker.camera:
        while looker.camera.state != "ended":
            events += looker.step().events
    events += looker.close()
    return [event for event in events if isinstance(event, wire.Crossing)]


def street(seed: int, frames: int) -> tuple[list[TrueCrossing], list[wire.Crossing], int]:
    """Return the true crossings of the default line, the counted ones, and how many match one to one."""
    scene, looker = Scene(seed), make_pipeline("scene:", DEFAULT_LINE)
    events: list[wire.AnyEvent] = []
    for number in range(frames):
        seconds = number / scene.fps
        events += looker.look(Frame(scene.frame(number), number, seconds, seconds, 0))[1]
    # What crosses in the first second was not there long enough to be known, and counts for neither side.
    begin = int(scene.fps)
    early = scene.crossings(DEFAULT_LINE, 1, begin - 1)
    truth = scene.crossings(DEFAULT_LINE, begin, frames - 1)
    found = [event for event in events if isinstance(event, wire.Crossing)]
    known = unmatched(early, found)
    return truth, known, len(known) - len(unmatched(truth, known))


def unmatched(truth: list[TrueCrossing], found: list[wire.Crossing]) -> list[wire.Crossing]:
    """Return the counted crossings that no true one has for its own: same direction, within a second."""
    free = sorted(found, key=lambda event: event.at)
    for true in sorted(truth, key=lambda crossing: crossing.at_seconds):
        for event in free:
            if event.direction == true.direction and abs(event.at / 1000 - true.at_seconds) <= MATCH_SECONDS:
                free.remove(event)
                break
    return free


def vehicles(found: list[wire.Crossing]) -> dict[str, int]:
    """Return the number of vehicles by direction."""
    return dict(Counter(event.direction for event in found if event.label != "person"))


def main() -> int:
    """Print a row for each clip."""
    folder = Path(os.environ.get("GB_DATA", ""), "videos")
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    for clip in CLIPS:
        found = crossings(str(folder / clip.file), clip.y)
        labels = dict(Counter(f"{event.direction} {event.label}" for event in found))
        print(f"{clip.file:<32} y={clip.y:.2f}  by eye {clip.counted}  counted {vehicles(found)}  {labels}")
    for seed in (7, 8):
        truth, counted, hits = street(seed, STREET_FRAMES)
        recall, precision = hits / max(len(truth), 1), hits / max(len(counted), 1)
        counts = f"{len(truth)} true, {len(counted)} counted"
        print(f"street {seed}: {counts}, recall {recall:.3f}, precision {precision:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
