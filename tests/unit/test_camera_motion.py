"""The camera's own motion, known from the tracks alone."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from agent.track.camera_motion import CameraMotion
from agent.track.tracker import make_tracker

NAMES = {0: "person"}
ONE = np.full((2, 8), 4.0)  # variances, square pixels


def test_a_camera_that_hangs_still_moves_nothing() -> None:
    """What eight tracks are off by at random is never taken for the camera's motion, in 2,000 frames."""
    sway = CameraMotion()
    random = np.random.default_rng(1)
    assert [sway.shift(random.normal(0, 2, (2, 8)), ONE) for _ in range(2000)] == [None] * 2000


def test_a_camera_that_shakes_is_followed() -> None:
    """Where all are off by the same again and again, nearly all of it is taken as the camera's."""
    sway = CameraMotion()
    random = np.random.default_rng(2)
    left = []
    for n in range(100):
        shake = np.array([20.0, -8.0]) * (1 if n % 2 else -1)
        shift = sway.shift(shake[:, None] + random.normal(0, 2, (2, 8)), ONE)
        left.append(np.abs(shake - (0 if shift is None else shift)).max())
    assert max(left[5:]) < 4


def test_a_queue_that_starts_is_not_the_camera() -> None:
    """Where half go and half stand, nobody is moved, however often it happens."""
    sway = CameraMotion()
    off = np.zeros((2, 8))
    off[0, :5] = 20.0
    assert [sway.shift(off, ONE) for _ in range(50)] == [None] * 50


def test_two_tracks_say_nothing_of_the_camera() -> None:
    """Less than three tracks have nothing in common that could be told from chance."""
    assert [CameraMotion().shift(np.full((2, 2), 30.0), ONE[:, :2]) for _ in range(20)] == [None] * 20


def pan(now: float) -> np.ndarray:
    """Return where a camera looks that is turned to and fro and shakes, pixels."""
    return np.array([100 * np.sin(0.9 * now) + 12 * np.sin(3.7 * now), 8 * np.sin(6 * now)])


@pytest.mark.parametrize("rate", [14.0, 5.0])
def test_people_keep_their_numbers_before_a_camera_that_turns(rate: float) -> None:
    """Six walkers, each hidden for half a second in turn, before a camera that pans by twice their size."""
    tracker = make_tracker(0.25, NAMES)
    random = np.random.default_rng(3)
    start = random.uniform([150, 100], [700, 380], (6, 2))
    speed = random.uniform(-15, 15, (6, 2))
    half = np.array([15.0, 40.0])
    who: list[set[int]] = [set() for _ in range(6)]
    for n in range(round(20 * rate)):
        now = n / rate
        shown = np.array([k for k in range(6) if not (now / 2 % 6 // 1 == k and now % 2 < 0.5)])
        centre = (start + speed * now + pan(now) + random.normal(0, 1.5, (6, 2)))[shown]
        boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))
        tracks = tracker.update(found, now)
        for number, box in zip(tracks.track_id.tolist(), tracks.xyxy, strict=True):
            who[int(shown[np.abs(boxes - box).sum(axis=1).argmin()])].add(number)
    assert [len(each) for each in who] == [1] * 6


def numbers_of_one(rate: float, moves: bool) -> set[int]:
    """Return the numbers of somebody who stands among five others, and is hidden for 1.5 s."""
    tracker = make_tracker(0.25, NAMES)
    random = np.random.default_rng(5)
    places = random.uniform([150, 120], [700, 360], (6, 2))
    half = np.array([15.0, 40.0])
    seen = set[int]()
    for n in range(round(30 * rate)):
        now = n / rate
        shown = places[1:] if 20 < now < 21.5 else places
        centre = shown + moves * pan(now) + random.normal(0, 1.0, shown.shape)
        boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))
        tracks = tracker.update(found, now)
        if len(shown) == 6:
            near = np.abs(tracks.xyxy - boxes[0]).sum(axis=1) < 8
            seen.update(tracks.track_id[near].tolist())
    return seen


@pytest.mark.parametrize("rate", [14.0, 5.0])
def test_who_is_hidden_before_a_camera_that_always_moves_is_soon_somebody_else(rate: float) -> None:
    """There a place says little after a second; before a camera that hangs still it does for longer."""
    assert len(numbers_of_one(rate, moves=False)) == 1
    assert len(numbers_of_one(rate, moves=True)) == 2
