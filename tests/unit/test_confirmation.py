"""Which tracks are told: those that are seen surely now, or have been surer than most."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from agent.track.tracker import make_tracker

NAMES = {0: "person"}
HALF = np.array([15.0, 40.0])


def told(rate: float, sure: float, seen: float, *, about_state: bool = False, speed: float = 0.0) -> float:
    """Return in what share of the frames in which it is found one object is told, beside five sure ones.

    It is found well for the first second, and then in a share of all frames, so surely.
    """
    tracker = make_tracker(0.25, NAMES, about_state=about_state)
    random = np.random.default_rng(11)
    places = np.stack([np.linspace(100, 600, 6), np.full(6, 200.0)], axis=1)
    found_in = 0
    told_in = 0
    for n in range(round(20 * rate)):
        now = n / rate
        places[0, 1] = 200 + speed * now
        confidence = random.uniform(0.7, 0.95, 6)
        confidence[0] = 0.8 if now < 1 else sure
        shown = np.ones(6, np.bool_)
        shown[0] = now < 1 or random.random() < seen
        centre = places + random.normal(0, 1.0, places.shape)
        boxes = np.concatenate([centre - HALF, centre + HALF], axis=1).astype(np.float32)
        kinds = np.zeros(6, np.int64)
        tracks = tracker.update(Detections(boxes, confidence.astype(np.float32), kinds)[shown], now)
        if now > 4 and shown[0]:
            found_in += 1
            told_in += bool((np.abs(tracks.xyxy - boxes[0]).sum(axis=1) < 1e-3).any())
    return told_in / found_in


@pytest.mark.parametrize("rate", [15.0, 5.0])
def test_what_flickers_less_surely_than_the_rest_is_not_told(rate: float) -> None:
    """Something in the background that is taken for a person now and then is followed, but not told."""
    assert told(rate, 0.4, 0.4) < 0.1


@pytest.mark.parametrize("rate", [15.0, 5.0])
def test_what_is_seen_all_the_time_or_surely_is_told(rate: float) -> None:
    """Whoever is hidden half of the time is told, and so is one who is never found quite as surely."""
    assert told(rate, 0.85, 0.5) > 0.95
    assert told(rate, 0.65, 1.0) > 0.95


@pytest.mark.parametrize("rate", [15.0, 5.0])
def test_a_doubtful_face_is_told(rate: float) -> None:
    """Where states are told, as of masks, nothing is held back."""
    assert told(rate, 0.4, 0.4, about_state=True) == 1.0


def test_what_travels_is_told_however_unsurely() -> None:
    """What is seen all along a way of its own size is an object, though all others are surer."""
    assert told(15.0, 0.35, 1.0, speed=12.0) > 0.95


def test_a_class_is_judged_among_its_own() -> None:
    """People whom the detector is half as sure of as of the cars around them are told as the cars are."""
    tracker = make_tracker(0.25, {0: "person", 1: "car"})
    random = np.random.default_rng(2)
    kinds = np.array([0, 0, 1, 1, 1, 1])
    places = np.stack([np.linspace(100, 600, 6), np.full(6, 200.0)], axis=1)
    told_of = np.zeros(6)
    for n in range(300):
        sure = np.where(kinds == 0, random.uniform(0.45, 0.6, 6), random.uniform(0.9, 0.97, 6))
        shown = random.random(6) < 0.7
        centre = places + random.normal(0, 1.0, places.shape)
        boxes = np.concatenate([centre - HALF, centre + HALF], axis=1).astype(np.float32)
        tracks = tracker.update(Detections(boxes, sure.astype(np.float32), kinds)[shown], n / 15)
        if n >= 60 and shown.all():
            off = np.abs(tracks.xyxy[:, None] - boxes[None]).sum(axis=2)
            told_of += (off < 1e-3).any(axis=0) if len(tracks) else 0
    assert told_of.min() > 0.9 * told_of.max() > 0
