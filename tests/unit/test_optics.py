"""Too dark, out of focus, dirty, flickering: told in time, each by its own name, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.see.ailments import Ailments
from tests.unit.test_moved import SETTINGS, START_MS, day, noisy, street, watch

Change = Callable[[np.ndarray, float], np.ndarray]


def dirt(image: np.ndarray, _: float) -> np.ndarray:
    """A drop on the lens: a third of the picture's width is blurred, with a soft border."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = (int(width * 0.6), int(height * 0.5))
    cv2.ellipse(mask, centre, (int(width * 0.3), int(height * 0.35)), 0, 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), 8)[..., None]
    return (image * (1 - soft) + cv2.GaussianBlur(image, (0, 0), 7) * soft).astype(np.uint8)


def flicker(image: np.ndarray, seconds: float) -> np.ndarray:
    bright = np.random.default_rng(int(seconds)).random() < 0.5
    return np.clip(image * (1.25 if bright else 0.85), 0, 255).astype(np.uint8)


FLAWS: dict[str, Change] = {
    "dark": lambda image, _: (image * 0.08).astype(np.uint8),
    "unfocused": lambda image, _: cv2.GaussianBlur(image, (0, 0), 3),
    "dirty": dirt,
    "flickering": flicker,
}


@pytest.mark.parametrize("kind", FLAWS)
def test_a_flaw_is_told_by_its_name_and_taken_back(kind: str) -> None:
    """Within four minutes, since when it began, and it goes when the picture is well again."""

    def view(seconds: float) -> np.ndarray:
        image = street()[int(seconds) // 5 % len(street())]
        return noisy(FLAWS[kind](image, seconds) if 130 <= seconds < 400 else image, seconds)

    ailments = Ailments("cam0", SETTINGS)
    told = watch(ailments, view, 0, 400)
    assert told is not None
    assert 130 < told <= 370
    assert [ailment.kind for ailment in ailments.told] == [kind]
    assert 60 <= (ailments.told[0].since - START_MS) / 1000 <= 200
    assert ailments.told[0].text
    watch(ailments, view, 400, 700)
    assert ailments.told == []


def test_less_light_rain_and_a_parked_lorry_are_no_flaw() -> None:
    """Over a day with all of them nothing is told."""
    ailments = Ailments("cam0", SETTINGS)
    assert watch(ailments, day, 0, 1200) is None


@pytest.mark.parametrize("clip", ["intel_car-detection", "intel_one-by-one-person-detection"])
def test_a_lorry_that_stood_there_at_first_and_leaves_is_no_dirt(data: Path, clip: str) -> None:
    """What stands behind it was never as sharp as its side: it is another thing, not one that is blurred."""
    film = cv2.VideoCapture(str(data / "videos" / f"{clip}.mp4"))
    plain = cv2.resize(film.read()[1], (480, 270), interpolation=cv2.INTER_AREA)
    film.release()
    parked = plain.copy()
    cv2.rectangle(parked, (240, 67), (400, 216), (40, 70, 160), -1)
    for column in range(248, 400, 25):
        cv2.line(parked, (column, 67), (column, 216), (220, 220, 220), 2)
    ailments = Ailments("cam0", SETTINGS)
    assert watch(ailments, lambda seconds: noisy(parked if seconds < 130 else plain, seconds), 0, 700) is None


@pytest.mark.parametrize("light", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("clip", ["intel_one-by-one-person-detection", "ahmetozlu_input_video"])
def test_dirt_on_the_lens_of_a_real_place_is_told(data: Path, clip: str, light: float) -> None:
    """A drop that blurs a third of the picture of a room, or of a street, in any light: in four minutes."""
    film = cv2.VideoCapture(str(data / "videos" / f"{clip}.mp4"))
    clean = cv2.resize(film.read()[1], (480, 270), interpolation=cv2.INTER_AREA)
    film.release()
    dirty = np.clip(dirt(clean, 0.0) * light, 0, 255).astype(np.uint8)
    ailments = Ailments("cam0", SETTINGS)
    told = watch(ailments, lambda seconds: noisy(clean if seconds < 130 else dirty, seconds), 0, 400)
    assert told is not None
    assert [ailment.kind for ailment in ailments.told] == ["dirty"]


def test_a_camera_out_of_focus_is_told_after_a_restart_too() -> None:
    """How sharp it was is remembered; a box that is started again does not take the blur for usual."""

    def sharp(seconds: float) -> np.ndarray:
        return noisy(street()[int(seconds) // 5 % len(street())], seconds)

    def blurred(seconds: float) -> np.ndarray:
        return cv2.GaussianBlur(sharp(seconds), (0, 0), 3)

    before = Ailments("cam0", SETTINGS)
    watch(before, sharp, 0, 130)
    after = Ailments("cam0", SETTINGS, before.keep())
    watch(after, blurred, 0, 200)
    assert [ailment.kind for ailment in after.told] == ["unfocused"]
