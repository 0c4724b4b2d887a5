"""Pictures that show nothing though they come: frozen, torn, blind; and those that are only quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.see.health import Health, is_torn
from agent.street.scene import Scene

FPS = 5
NOISE = np.random.default_rng(0).normal(0, 1, 700_001).astype(np.float32)
Pictures = Callable[[int], np.ndarray]


def judged(pictures: Pictures, seconds: float, fps: float = FPS) -> tuple[float | None, str]:
    """Look at pictures; return when the first was refused with a state (None: never), and the last state."""
    health = Health(10.0)
    first: float | None = None
    state = ""
    for number in range(int(seconds * fps) + 1):
        verdict = health.look(pictures(number), 1000 + number / fps)
        state = verdict.state or ""
        if verdict.state is not None and first is None:
            first = number / fps
    return first, state


def noisy(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """Return a picture with a sensor's noise, different in each."""
    rolled = np.roll(NOISE, (seed * 1741) % len(NOISE))[: image.size].reshape(image.shape)
    return np.clip(image + rolled * np.float32(sigma), 0, 255).astype(np.uint8)


def as_jpeg(image: np.ndarray, quality: int = 80) -> np.ndarray:
    """Return a picture as a camera's JPEG shows it."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded)


def clocked(
    image: np.ndarray, number: int, place: tuple[int, int] = (10, 30), scale: float = 0.8
) -> np.ndarray:
    """Return a picture with a running clock written into it."""
    text = f"2026-11-28 19:{number // FPS // 60:02}:{number // FPS % 60:02}"
    written = image.copy()
    return np.asarray(cv2.putText(written, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 2))


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    return Scene(7, 640, 360, 15).frame(30)


def night(height: int = 240, width: int = 320) -> np.ndarray:
    """Return a dark yard: a wall a little lighter than the sky, a door, a far lamp."""
    image = np.full((height, width, 3), 9, np.uint8)
    image[height // 2 :] = 14
    image[height // 3 : height // 2, width // 4 : width // 2] = 12
    cv2.circle(image, (width * 3 // 4, height // 4), 6, (60, 70, 75), -1)
    return image


@pytest.mark.parametrize("quality", [60, 80, 95])
@pytest.mark.parametrize("sigma", [1.5, 3.0, 8.0])
def test_a_still_night_with_a_sensors_noise_is_ok(sigma: float, quality: int) -> None:
    """Nothing moves for long, it is nearly black, and noise is all that changes: it is watched."""
    assert judged(lambda n: as_jpeg(noisy(night(), sigma, n), quality), 20) == (None, "")


@pytest.mark.parametrize("level", [0, 20])
@pytest.mark.parametrize("sigma", [2.0, 8.0, 25.0])
@pytest.mark.parametrize("size", [(240, 320), (360, 640)])
def test_a_covered_lens_is_degraded_though_it_is_noisy(
    level: int, sigma: float, size: tuple[int, int]
) -> None:
    """Black, grey, or light through a hand, with noise: told within ten seconds."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    glow = 15 * np.exp(-(((rows / size[0] - 0.4) ** 2 + (columns / size[1] - 0.6) ** 2) / 0.3))
    lens = np.repeat((level + glow)[..., None], 3, axis=2)
    first, state = judged(lambda n: as_jpeg(noisy(lens, sigma, n)), 14)
    assert state in ("degraded", "frozen")
    assert first is not None
    assert first <= 10


@pytest.mark.parametrize("sigma", [3.0, 8.0])
@pytest.mark.parametrize("place", [(10, 30), (200, 350)])
@pytest.mark.parametrize("level", [8, 90])
def test_a_covered_lens_is_degraded_though_a_clock_runs_over_it(
    sigma: float, place: tuple[int, int], level: int
) -> None:
    """Noise, and the time and a name written over it as most cameras do: nothing is seen."""
    lens = np.full((360, 640, 3), level, np.uint8)

    def picture(number: int) -> np.ndarray:
        written = clocked(noisy(lens, sigma, number), number, place)
        cv2.putText(written, "Camera 01", (480, 350), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        return as_jpeg(written, 75)

    first, state = judged(picture, 14)
    assert state == "degraded"
    assert first is not None
    assert first <= 10


@pytest.mark.parametrize("covered", [8.0, 8.3, 9.1, 10.0, 11.7])
def test_a_lens_that_is_covered_at_any_moment_is_told_in_ten_seconds(
    street: np.ndarray, covered: float
) -> None:
    """A clear view is looked at now and then only; that puts off by no more than ten seconds what is told."""
    lens = np.full_like(street, 20)

    def picture(number: int) -> np.ndarray:
        return as_jpeg(noisy(lens if number >= covered * FPS else street, 4.0, number))

    first, state = judged(picture, covered + 12)
    assert state == "degraded"
    assert first is not None
    assert covered < first <= covered + 10


def test_a_lamp_at_the_edge_of_a_dark_picture_is_seen() -> None:
    """One light in the upper strip, under a running clock, and noise below: the lens is open."""
    image = np.full((360, 640, 3), 9, np.uint8)
    cv2.circle(image, (500, 55), 9, (200, 210, 220), -1)
    assert judged(lambda n: as_jpeg(noisy(clocked(image, n, (10, 350)), 4.0, n)), 20) == (None, "")


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (0, 135, 0), (255, 255, 255)])
def test_a_picture_of_one_colour_is_told_in_ten_seconds(colour: tuple[int, int, int]) -> None:
    """Black, grey, green, white."""
    first, state = judged(lambda n: np.full((240, 320, 3), colour, np.uint8), 12)
    assert state in ("degraded", "frozen")
    assert first is not None
    assert first <= 10


@pytest.mark.parametrize("place", [(10, 30), (300, 350)])
@pytest.mark.parametrize("jpeg", [False, True])
def test_a_frozen_picture_with_a_running_clock_is_frozen(
    street: np.ndarray, place: tuple[int, int], jpeg: bool
) -> None:
    """Only the written time changes: told in ten seconds, with what still runs; a moving thing ends it at
    once.
    """

    def picture(number: int) -> np.ndarray:
        written = clocked(street, number, place)
        return as_jpeg(written) if jpeg else written

    health = Health(10.0)
    for number in range(60 * FPS):
        verdict = health.look(picture(number), number / FPS)
        assert (verdict.state == "frozen") == (number / FPS >= 10)
    assert "has not changed for 10 s but for a clock" in verdict.reason
    moved = picture(301)
    moved[150:190, 300:350] = 255
    assert health.look(moved, 60.2).good


def test_a_frozen_picture_with_a_clock_and_a_blinking_light_is_frozen(street: np.ndarray) -> None:
    """The date on the left and a recorder's red light on the right of one strip are two small places."""

    def picture(number: int) -> np.ndarray:
        written = clocked(street, number)
        cv2.circle(written, (620, 20), 6, (0, 0, 255) if number // FPS % 2 else (90, 90, 90), -1)
        return written

    first, state = judged(picture, 14)
    assert state == "frozen"
    assert first is not None
    assert first >= 10


def test_a_live_picture_with_a_clock_is_ok(street: np.ndarray) -> None:
    """Noise beside the clock is life."""
    assert judged(lambda n: as_jpeg(noisy(clocked(street, n), 2.0, n)), 20) == (None, "")


def test_cars_far_away_at_the_upper_edge_are_no_clock(street: np.ndarray) -> None:
    """A camera without noise, where all that moves drives along the upper edge: it is watched."""

    def picture(number: int) -> np.ndarray:
        image = street.copy()
        left = number * 9 % 600
        image[20:32, left : left + 24] = 240
        return image

    assert judged(picture, 30) == (None, "")


def test_one_change_at_the_edge_is_no_clock(street: np.ndarray) -> None:
    """Something that moved once begins the ten seconds anew."""

    def picture(number: int) -> np.ndarray:
        image = street.copy()
        if number >= 7 * FPS:
            image[10:30, 40:80] = 255
        return image

    first, state = judged(picture, 18)
    assert state == "frozen"
    assert first == pytest.approx(17, abs=1.1)


def test_half_a_picture_is_never_shown_and_soon_told(street: np.ndarray) -> None:
    """A JPEG that ends in its middle has a grey lower part: refused at once, degraded in seconds."""
    data = cv2.imencode(".jpg", noisy(street, 3, 0))[1].tobytes()
    half = cv2.imdecode(np.frombuffer(data[: len(data) // 2] + b"\xff\xd9", np.uint8), cv2.IMREAD_COLOR)
    assert half is not None
    assert is_torn(half)
    assert not is_torn(street)
    health = Health(10.0)
    for number in range(5 * FPS):
        verdict = health.look(noisy(half, 0, number), number / FPS)
        assert not verdict.good
        assert (verdict.state == "degraded") == (number / FPS >= 3)
    assert health.look(street, 6.0).good


def test_a_turning_camera_is_ok(street: np.ndarray) -> None:
    """What moves all over has nothing in common from one window to the next, and is no noise."""
    assert judged(lambda n: np.roll(street, n * 37, axis=1), 20) == (None, "")


def frames(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield np.asarray(read[1])


@pytest.mark.parametrize(
    "name", ["intel_people-detection", "intel_worker-zone-detection", "intel_store-aisle-detection"]
)
def test_a_real_empty_room_is_ok(data: Path, name: str) -> None:
    """The quiet end of a real recording, as a camera's JPEGs with a sensor's noise: never refused."""
    still = list(frames(data / "videos" / f"{name}.mp4"))[-8:]
    assert judged(lambda n: as_jpeg(noisy(still[n % 8], 1.0, n)), 30) == (None, "")


def test_a_camera_seen_again_is_ok_at_once(street: np.ndarray) -> None:
    """The hand before the lens goes away: the next picture is good."""
    health = Health(10.0)
    for number in range(15 * FPS):
        verdict = health.look(noisy(np.full((360, 640, 3), 30), 6, number), number / FPS)
    assert verdict.state == "degraded"
    assert health.look(noisy(street, 6, 0), 15.0).good
