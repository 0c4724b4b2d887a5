"""A camera that has moved: found soon, by how much, what is off; and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import wire
from agent.see.ailments import Ailments
from agent.street.scene import Scene

START_MS = 1_763_000_000_000
MARGIN = 0.06  # of a picture on each side: so far it can be displaced and still show what is there
MAIN = wire.Line([(0.1, 0.6), (0.9, 0.6)], version=1)
KERB = wire.Zone([(0.0, 0.0), (0.4, 0.0), (0.4, 0.4)], version=1)
SETTINGS = wire.CameraSettings(lines={"main": MAIN}, zones={"kerb": KERB})
NOISE = np.random.default_rng(3).normal(0, 1, 2_000_003).astype(np.float32)
CLIPS = ("intel_car-detection", "intel_people-detection", "intel_store-aisle-detection")
View = Callable[[float], np.ndarray]  # seconds -> a picture


@cache
def street() -> list[np.ndarray]:
    """Return pictures of the built-in street, two seconds apart."""
    scene = Scene(7, 480, 270, 15)
    return [scene.frame(30 * number) for number in range(12)]


@cache
def clip(path: Path) -> list[np.ndarray]:
    """Return 15 pictures of a film, small, over its whole length."""
    film = cv2.VideoCapture(str(path))
    step = max(int(film.get(cv2.CAP_PROP_FRAME_COUNT)) // 15, 1)
    found = []
    number = 0
    while len(found) < 15 and film.grab():
        if number % step == 0:
            found.append(cv2.resize(film.retrieve()[1], (480, 270), interpolation=cv2.INTER_AREA))
        number += 1
    return found


def part(image: np.ndarray, right: float, down: float) -> np.ndarray:
    """Return what a camera sees that is turned right and down by fractions of its picture's width."""
    height, width = image.shape[:2]
    x = round(MARGIN * width)
    y = round(MARGIN * height)
    dx = round(right * (width - 2 * x))
    dy = round(down * (width - 2 * x))
    return image[y + dy : height - y + dy, x + dx : width - x + dx]


def noisy(image: np.ndarray, seconds: float, gain: float = 1.0, sigma: float = 2.0) -> np.ndarray:
    rolled = np.roll(NOISE, int(seconds) * 7919)[: image.size].reshape(image.shape)
    return np.clip(image * np.float32(gain) + rolled * np.float32(sigma), 0, 255).astype(np.uint8)


def watch(ailments: Ailments, view: View, begin: int, end: int) -> float | None:
    """Look at a picture each five seconds; return when the first ailment was told."""
    first = None
    for seconds in range(begin, end, 5):
        ailments.look(view(seconds), float(seconds), START_MS + 1000 * seconds)
        if first is None and ailments.told:
            first = float(seconds)
    return first


def turned(pictures: list[np.ndarray], right: float, down: float, at: float) -> View:
    def view(seconds: float) -> np.ndarray:
        image = pictures[int(seconds) // 5 % len(pictures)]
        moved = seconds >= at
        return noisy(part(image, right if moved else 0, down if moved else 0), seconds)

    return view


@pytest.mark.parametrize(
    ("right", "down"), [(0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.015, -0.015), (0.045, 0.01)]
)
def test_a_camera_that_moves_is_found_within_minutes(right: float, down: float) -> None:
    """A shift by 2 % of the width is told within five minutes, with its amount, its side and what is off."""
    ailments = Ailments("cam0", SETTINGS)
    told = watch(ailments, turned(street(), right, down, 150), 0, 450)
    assert told is not None
    assert 0 < told - 150 <= 300
    (ailment,) = ailments.told
    assert ailment.kind == "moved"
    assert ailment.amount == pytest.approx(np.hypot(right, down), abs=0.006)
    assert ailment.shift == pytest.approx((-right, -down), abs=0.006)
    assert 150 - 60 <= (ailment.since - START_MS) / 1000 <= 150 + 60
    assert ailment.off == ["main", "kerb"]
    assert "main, kerb" in ailment.text


@pytest.mark.parametrize("name", CLIPS)
def test_a_shift_of_a_real_clip_is_found(name: str, data: Path) -> None:
    """On real streets and shops too; and as long as nothing moves, nothing is told."""
    ailments = Ailments("cam0", SETTINGS)
    pictures = clip(data / "videos" / f"{name}.mp4")
    told = watch(ailments, turned(pictures, 0.02, 0.0, 300), 0, 540)
    assert told is not None
    assert 300 < told <= 540
    assert ailments.told[0].amount == pytest.approx(0.02, abs=0.011)


def day(seconds: float) -> np.ndarray:
    """A day in twenty minutes: light goes down to a fifth and up again, rain, a lorry that parks."""
    image = part(street()[int(seconds) // 5 % len(street())], 0, 0).copy()
    height, width = image.shape[:2]
    if 300 <= seconds < 900:
        cv2.rectangle(image, (width // 2, height // 4), (width * 9 // 10, height * 4 // 5), (40, 70, 160), -1)
        for column in range(width // 2 + 8, width * 9 // 10, 25):
            cv2.line(image, (column, height // 4), (column, height * 4 // 5), (220, 220, 220), 2)
    if seconds % 400 >= 200:
        random = np.random.default_rng(int(seconds))
        for x, y in random.integers(0, [width, height], (250, 2)).tolist():
            cv2.line(image, (x, y), (x + 2, y + 14), (200, 200, 200), 1)
    gain = 0.6 + 0.4 * np.cos(2 * np.pi * seconds / 1200)
    return noisy(image, seconds, gain, 4.0)


def test_light_rain_and_a_parked_lorry_are_no_move() -> None:
    """Over a day with all three, nothing is ever told."""
    ailments = Ailments("cam0", SETTINGS)
    assert watch(ailments, day, 0, 1200) is None


def test_a_camera_that_is_turned_back_is_well_again() -> None:
    """Nothing has to be drawn when it looks again where it looked before."""
    ailments = Ailments("cam0", SETTINGS)
    assert watch(ailments, turned(street(), 0.03, 0.0, 90), 0, 300) is not None
    watch(ailments, turned(street(), 0.0, 0.0, 0), 300, 450)
    assert ailments.told == []


def test_only_what_is_drawn_again_is_where_it_belongs() -> None:
    """A line that is drawn again is right from then on; the zone stays off until it is drawn too."""
    ailments = Ailments("cam0", SETTINGS)
    view = turned(street(), 0.03, 0.0, 90)
    watch(ailments, view, 0, 300)
    assert ailments.told[0].off == ["main", "kerb"]
    line = wire.Line(MAIN.points, version=2)
    assert ailments.apply(wire.CameraSettings(lines={"main": line}, zones={"kerb": KERB}))
    watch(ailments, view, 300, 420)
    assert ailments.told[0].off == ["kerb"]
    zone = wire.Zone(KERB.points, version=3)
    assert ailments.apply(wire.CameraSettings(lines={"main": line}, zones={"kerb": zone}))
    assert ailments.told == []
    assert watch(ailments, view, 420, 700) is None


def test_a_restart_does_not_anchor_a_camera_anew() -> None:
    """A camera that was moved while the agent was off is found, and one that was told before stays told."""
    before = Ailments("cam0", SETTINGS)
    watch(before, turned(street(), 0.0, 0.0, 0), 0, 120)
    assert before.unsaved
    after = Ailments("cam0", SETTINGS, before.keep())
    assert not before.unsaved
    assert watch(after, turned(street(), 0.02, 0.0, 0), 0, 200) is not None
    again = Ailments("cam0", SETTINGS, after.keep())
    assert again.told == after.told
    watch(again, turned(street(), 0.02, 0.0, 0), 0, 90)
    assert again.told[0].since == after.told[0].since


def test_a_damaged_memory_is_learnt_anew(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read never stops a camera, and the log says so."""
    ailments = Ailments("cam0", SETTINGS, b"\x93damaged")
    assert "learnt again" in caplog.text
    assert watch(ailments, turned(street(), 0.02, 0.0, 150), 0, 450) is not None
