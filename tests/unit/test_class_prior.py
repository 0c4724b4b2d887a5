"""What kinds of objects are like, and what the tracker makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from agent.track.class_prior import ANY, WALK, Habits, walkers
from agent.track.tracker import make_tracker

NAMES = {0: "Person", 1: "car", 2: "pedestrian", 3: "with_mask"}


def seen(places: list[tuple[float, float]], kind: int, sure: float = 0.8) -> Detections:
    """Return detections of squares of 40 pixels."""
    centre = np.array(places, np.float32).reshape(-1, 2)
    boxes = np.concatenate([centre - 20, centre + 20], axis=1)
    return Detections(boxes, np.full(len(boxes), sure, np.float32), np.full(len(boxes), kind))


def test_walkers_go_by_their_names() -> None:
    """Persons and pedestrians are walkers, however they are written; cars and faces are not."""
    assert walkers(NAMES) == [0, 2]


def test_each_class_has_its_habit() -> None:
    """Special classes get theirs; all others, also those beyond the table, what is usual."""
    habit = Habits(ANY, {0: WALK, 2: WALK}).of(np.array([0.0, 1.0, 2.0, 3.0, 90.0]))
    assert habit.agility.tolist() == [0.25, 0.5, 0.25, 0.5, 0.5]
    assert Habits(ANY, {}).of(np.array([0.0, 7.0])).gate.tolist() == [ANY.gate] * 2


@pytest.mark.parametrize(("kind", "same"), [(1, True), (0, False)])
def test_who_appears_far_away_is_another_walker_but_may_be_the_same_car(kind: int, same: bool) -> None:
    """After a second unseen, something of the class appears 70 pixels from where the first stood."""
    tracker = make_tracker(0.25, NAMES)
    numbers = set[int]()
    for n in range(60):
        now = n / 10
        if 2 <= now < 3:
            continue
        place = (100.0, 100.0) if now < 2 else (170.0, 100.0)
        numbers |= set(tracker.update(seen([place], kind), now).track_id.tolist())
    assert (len(numbers) == 1) == same


@pytest.mark.parametrize("kind", [0, 1])
def test_where_all_are_equally_sure_nobody_is_left_out(kind: int) -> None:
    """What the camera's weak detections ask for is never more than half of all detections have."""
    tracker = make_tracker(0.25, NAMES)
    random = np.random.default_rng(3)
    standing = [(60.0 + 100 * n, 100.0) for n in range(6)]
    for n in range(400):
        places = standing if n < 300 else [*standing, (300.0, 300.0)]
        found = seen(places, kind, 0.6)
        sure = random.normal(0.6, 0.02, len(found)).astype(np.float32)
        told = tracker.update(Detections(found.xyxy, sure, found.class_id), n / 10)
    assert len(told) == 7
