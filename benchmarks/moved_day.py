"""Whether anything is told of a camera that has not moved, over a whole simulated day, and of one that has.

A day of pictures 5 s apart (17,280): light from a tenth at midnight to full at noon, clouds, two hours of
rain, headlights at night, a lorry that parks before a third of the view for three hours, a sensor's noise
that grows as it gets dark. Of a day without a move nothing may be told as moved. What else is told is
printed: dark at night is right, and so is flickering before the car clip, whose exposure halves the
brightness of all when a car fills it, seen each 5 s; a box looks far oftener while cars pass, and tells none.
Then, at moments spread over the day, the camera is turned by 2 % of its picture's width, and it is noted how
soon that is told.

    python -m benchmarks.moved_day [--hours 24] [--moves 12]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent import wire
from agent.boxes import Uint8
from agent.see.ailments import Ailments
from agent.street.scene import Scene
from benchmarks.figures import leave

STEP = 5  # seconds between two pictures
HOUR = 3600
SIZE = (480, 270)
MARGIN = 0.06  # of the picture on each side: so far it can be displaced and still show what is there
SHIFT = 0.02  # of the width
WITHIN = 300  # seconds
PICTURES = 61
APART = 10  # of a place's pictures, from one look to the next: some seconds of its film
BEFORE = 600  # seconds that are watched before a move: a camera that has an anchor
START_MS = 1_763_000_000_000
DAYLIGHT = 0.3  # of noon's
LORRY = (9, 12)  # hours
RAIN = ((6, 7), (17, 18))
CLIPS = ("intel_car-detection", "intel_one-by-one-person-detection", "ahmetozlu_input_video")
SETTINGS = wire.CameraSettings(lines={"main": wire.Line([(0.1, 0.6), (0.9, 0.6)])})


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What one camera sees without weather: pictures (H,W,3), some seconds apart, again and again."""

    name: str
    pictures: list[Uint8]

    def seen(self, seconds: float, right: float) -> Uint8:
        """Return the picture at `seconds`, of a camera turned right by a fraction of its width."""
        image = self.pictures[int(seconds) // STEP * APART % len(self.pictures)]
        height, width = image.shape[:2]
        x = round(MARGIN * width)
        y = round(MARGIN * height)
        turned = round(right * (width - 2 * x))
        return image[y : height - y, x + turned : width - x + turned]


def street() -> Place:
    """Return the built-in street."""
    scene = Scene(7, *SIZE, 15)
    return Place("street", [scene.frame(30 * number) for number in range(PICTURES)])


def clip(path: Path) -> Place:
    """Return a film, pictures over its whole length."""
    film = cv2.VideoCapture(str(path))
    step = max(int(film.get(cv2.CAP_PROP_FRAME_COUNT)) // PICTURES, 1)
    found: list[Uint8] = []
    while film.grab():
        if int(film.get(cv2.CAP_PROP_POS_FRAMES)) % step == 0:
            found.append(cv2.resize(film.retrieve()[1], SIZE, interpolation=cv2.INTER_AREA))
    film.release()
    return Place(path.stem, found)


def light(seconds: float) -> float:
    """Return how bright the day is: a tenth at midnight, full at noon, clouds between."""
    sun = (1 - np.cos(2 * np.pi * seconds / (24 * HOUR))) / 2
    cloud = 0.85 + 0.15 * np.sin(2 * np.pi * seconds / 700)
    return float(0.1 + 0.9 * sun * cloud)


def weathered(image: Uint8, seconds: float) -> Uint8:
    """Return a picture as the hour shows it: its light, rain, headlights, the parked lorry, noise."""
    random = np.random.default_rng(int(seconds))
    shown = image.copy()
    height, width = shown.shape[:2]
    hour = seconds / HOUR % 24
    if LORRY[0] <= hour < LORRY[1]:
        cv2.rectangle(shown, (width // 2, height // 4), (width * 5 // 6, height * 4 // 5), (40, 70, 160), -1)
        for column in range(width // 2 + 8, width * 5 // 6, 25):
            cv2.line(shown, (column, height // 4), (column, height * 4 // 5), (220, 220, 220), 2)
    bright = light(seconds)
    lit = shown.astype(np.float32) * np.float32(bright)
    if bright < DAYLIGHT and random.random() < 0.3:
        x = int(random.integers(0, width))
        cv2.circle(lit, (x, height * 2 // 3), 25, (200, 220, 230), -1)
    if any(begin <= hour < end for begin, end in RAIN):
        for x, y in random.integers(0, [width, height], (250, 2)).tolist():
            cv2.line(lit, (x, y), (x + 2, y + 14), (160 * bright,) * 3, 1)
    noise = random.standard_normal(lit.shape, np.float32) * np.float32(3 + 3 * (1 - bright))
    return np.clip(lit + noise, 0, 255).astype(np.uint8)


def watch(
    ailments: Ailments, place: Place, begin: int, end: int, right: Callable[[int], float]
) -> dict[str, list[int]]:
    """Look from `begin` to `end`; return the seconds at which each kind of ailment began to be told."""
    told: dict[str, list[int]] = {"moved": []}
    before: set[str] = set()
    for seconds in range(begin, end, STEP):
        ailments.look(
            weathered(place.seen(seconds, right(seconds)), seconds), seconds, START_MS + 1000 * seconds
        )
        now = {ailment.kind for ailment in ailments.told}
        for kind in sorted(now - before):
            told.setdefault(kind, []).append(seconds)
        before = now
    return told


def still_day(place: Place, hours: int) -> int:
    """Return how often a camera that has not moved was told as moved over a day that begins at noon."""
    noon = 12 * HOUR
    told = watch(Ailments(place.name, SETTINGS), place, noon, noon + hours * HOUR, lambda _: 0.0)
    for kind, times in told.items():
        at = ", ".join(f"{seconds / HOUR % 24:.1f} h" for seconds in times)
        print(f"  {place.name:<34} {hours} hours unmoved: {kind} {len(times)} times {at}", flush=True)
    return len(told["moved"])


def moved(place: Place, at: int) -> int | None:
    """Turn a camera at a moment of the day; return after how many seconds it was told, None: it was not."""
    at -= at % STEP
    told = watch(
        Ailments(place.name, SETTINGS), place, at - BEFORE, at + WITHIN, lambda now: SHIFT * (now >= at)
    )["moved"]
    return told[0] - at if told else None


def moves(place: Place, count: int) -> dict[bool, list[int | None]]:
    """Move the camera at `count` moments of the day; return how soon each was told, by day (True) or not."""
    found: dict[bool, list[int | None]] = {False: [], True: []}
    for number in range(count):
        at = round(24 * HOUR * (number + 0.5) / count)
        found[light(at) >= DAYLIGHT].append(moved(place, at))
    said = f"told after {found[True]} s by day, {found[False]} by night"
    print(f"  {place.name:<34} moved by {SHIFT:.0%}: {said}", flush=True)
    return found


def share_told(found: list[int | None]) -> float:
    """Return the share of the moves that were told in time."""
    return sum(one is not None for one in found) / len(found)


def main() -> int:
    """Watch a day of each place; with BENCH_JSON=FILE the figures go there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=int, default=24, help="of the day without a move (default: 24)")
    parser.add_argument("--moves", type=int, default=12, help="of each place (default: 12)")
    chosen = parser.parse_args()
    data = Path(os.environ.get("GB_DATA", ""), "videos")
    if not data.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    places = [street(), *(clip(data / f"{name}.mp4") for name in CLIPS)]
    alarms = sum(still_day(place, chosen.hours) for place in places[:2])
    by_day: list[int | None] = []
    by_night: list[int | None] = []
    for place in places:
        found = moves(place, chosen.moves)
        by_day += found[True]
        by_night += found[False]
    figures = {"moved_false_alarms_a_day": alarms / 2}
    for when, each in (("day", by_day), ("night", by_night)):
        if each:  # a few moves may all lie in the day
            figures[f"moved_found_by_{when}"] = share_told(each)
    figures["moved_found_after_most_s"] = float(max((one for one in by_day + by_night if one), default=0))
    leave(figures)
    print("  " + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
