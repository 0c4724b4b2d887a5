"""The levels of a camera's budget: what brings them up, what brings them back, and that they do not flap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agent import wire
from agent.budget import INTERVALS, SAMPLE_SECONDS, Budget, BudgetConfig, Reading, narrowed
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.gate import FASTEST, Attention, Gate
from agent.see.infer import Detector
from agent.see.slot import Frame
from agent.street.scene import Scene

LIMITS = BudgetConfig(cpu_percent=60, temperature=80, age_ms=500)


def levels(budget: Budget, reading: Callable[[float, int], Reading], begin: float, end: float) -> list[int]:
    """Return the level after each sample of some seconds; a reading may depend on time and level."""
    told = []
    for number in range(round((end - begin) / SAMPLE_SECONDS)):
        now = begin + number * SAMPLE_SECONDS
        budget.update(reading(now, budget.level), now)
        told.append(budget.level)
    return told


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(temperature=85), "the box is at 85 degrees, the limit is 80"),
        (Reading(age_ms=900), "frames are 900 ms old when they are counted, the limit is 500"),
        (Reading(cpu_percent=90), "90 % of the CPU are used, the limit is 60"),
    ],
    ids=["heat", "age", "cpu"],
)
def test_over_a_limit_it_degrades_says_why_and_is_back_within_half_a_minute(
    reading: Reading, said: str
) -> None:
    """Simulated heat and load bring level 3 in 12 s with its reason; when they are over, 0 within 30 s."""
    budget = Budget(LIMITS)
    assert levels(budget, lambda now, level: reading, 0, 14)[-1] == 3
    assert budget.why == said
    well = Reading(temperature=60, age_ms=80, cpu_percent=10)
    assert levels(budget, lambda now, level: well, 14, 44)[-1] == 0
    assert budget.why == ""


def test_one_bad_sample_changes_nothing() -> None:
    """A peak of two seconds is no load."""
    budget = Budget(LIMITS)
    told = levels(budget, lambda now, level: Reading(temperature=90 if now == 10 else 60), 0, 60)
    assert set(told) == {0}


def test_a_level_that_is_just_enough_is_kept() -> None:
    """Where level 1 takes 45 % and level 0 would take 90, it stays at 1 and does not try again and again."""
    budget = Budget(LIMITS)
    told = levels(budget, lambda now, level: Reading(cpu_percent=(90, 45, 30, 15)[level]), 0, 600)
    assert set(told[5:]) == {1}


def test_heat_that_comes_back_is_tried_ever_more_rarely() -> None:
    """A box that is too hot at level 0 and cool at level 1 changes its level less than once a minute."""
    budget = Budget(LIMITS)
    told = levels(budget, lambda now, level: Reading(temperature=(84, 74, 70, 68)[level]), 0, 1200)
    changes = [one != two for one, two in pairwise(told[300:])]
    assert sum(changes) <= 600 / 60


@pytest.mark.parametrize("constant", [20, 60, 120, 300, 600])
def test_a_box_that_warms_up_slowly_does_not_go_up_and_down_either(constant: int) -> None:
    """A box drifts towards 95 degrees at level 0 and less at others, limit 80: 40 changes an hour at most.

    With time constants of one to two minutes heat comes back more than a minute after a step down.
    """
    budget = Budget(LIMITS)
    degrees = 79.0

    def heat(now: float, level: int) -> Reading:
        nonlocal degrees
        degrees += (40 + 55 * (1, 0.7, 0.5, 0.3)[level] - degrees) * SAMPLE_SECONDS / constant
        return Reading(temperature=degrees)

    assert max(levels(budget, heat, 0, 7200)) >= 1
    told = levels(budget, heat, 7200, 10800)
    assert sum(one != two for one, two in pairwise(told)) <= 40
    assert levels(budget, lambda now, level: Reading(temperature=60), 10800, 11400)[-1] == 0


def test_what_the_box_cannot_read_and_what_has_no_limit_hold_nothing_back() -> None:
    """Without sensors, and with limits of 0, the level stays 0."""
    assert set(levels(Budget(LIMITS), lambda now, level: Reading(), 0, 60)) == {0}
    free = Budget(BudgetConfig(cpu_percent=0, temperature=0, age_ms=0))
    assert set(levels(free, lambda now, level: Reading(100, 120, 9000), 0, 60)) == {0}


def test_level_0_holds_nothing_back() -> None:
    """Its interval is the gate's own."""
    assert INTERVALS[0] == FASTEST


def test_a_hot_camera_is_looked_at_more_rarely_and_its_minute_says_so() -> None:
    """At 90 degrees the gate's pace follows the level, the tally has the level and the looks it cost."""
    now = 100.0
    camera = CameraConfig(source="scene:?seed=7")
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline(
        "cam0", camera, detector, camera.settings(), Totals(), limits=LIMITS, monotonic=lambda: now
    )
    changed = [pipeline.hold(5.0, 90.0) for _ in range(4)]
    assert changed == [False, True, False, True]
    assert pipeline.budget.level == 2
    assert "the box is at 90 degrees, the limit is 80" in pipeline.budget.warning
    tally = pipeline.close()[-1]
    assert isinstance(tally, wire.Tally)
    assert tally.level == 2


def test_looks_that_the_budget_takes_are_counted() -> None:
    """Of 12 looks a second that an object near a line asks for, level 2 leaves four, and owns to the rest."""
    gate = Gate()
    gate.pace = INTERVALS[2]
    image = np.full((90, 160, 3), 90, np.uint8)
    for number in range(120):
        gate.listen(False, threading.Event())
        if gate.due(number / 12) and gate.wants(image, number / 12):
            gate.tell(gate.looks, Attention(FASTEST, empty=False))
    assert gate.looks == pytest.approx(40, abs=20)
    assert gate.looks + gate.held == pytest.approx(120, abs=3)


@pytest.mark.parametrize(
    ("owner", "share", "percent"),
    [(0, 0.25, 25), (60, 0.25, 25), (20, 0.25, 20), (60, None, 60), (0, 0.001, 1)],
)
def test_the_centres_budget_is_taken_where_it_is_less_than_the_owners(
    owner: int, share: float | None, percent: int
) -> None:
    """A share of the processor limits the CPU; what the box's owner allows is never passed."""
    limits = BudgetConfig(cpu_percent=owner, temperature=70)
    assert narrowed(limits, share) == BudgetConfig(cpu_percent=percent, temperature=70)


def test_a_budget_from_the_centre_holds_at_once_and_lets_go_at_once() -> None:
    """Without a restart: over the centre's limit the level goes up, and the next document lifts the limit."""
    camera = CameraConfig(source="scene:?seed=7")
    pipeline = Pipeline("cam0", camera, Detector(camera.model_path), camera.settings(), Totals())
    assert [pipeline.hold(50.0, None) for _ in range(3)] == [False, False, False]
    pipeline.apply(wire.CameraSettings(budget=0.2))
    assert [pipeline.hold(50.0, None) for _ in range(2)] == [False, True]
    assert "50 % of the CPU are used, the limit is 20" in pipeline.budget.warning
    pipeline.apply(wire.CameraSettings())
    assert pipeline.budget.limits == BudgetConfig()


def test_the_second_look_is_turned_on_and_off_by_the_centre() -> None:
    """Off, on and as the owner says, from one frame to the next; what runs is what was set last."""
    camera = CameraConfig(source="scene:?seed=7")
    pipeline = Pipeline("cam0", camera, Detector(camera.model_path), camera.settings(), Totals())
    image = Scene(7, 960, 540, 15).frame(30)
    looked = []
    for turn, wanted in enumerate((None, True, False, None)):
        pipeline.apply(wire.CameraSettings(second_look=wanted))
        for number in range(4 * turn, 4 * turn + 4):
            pipeline.look(Frame(image, number, number / 7.5, 1e9 + number / 7.5))
        looked.append(pipeline.tally().looked > 0)
    assert looked == [False, True, False, False]
    generous = msgspec.structs.replace(camera, look_budget=120.0)
    settings = [wire.CameraSettings(second_look=wanted) for wanted in (None, True, False)]
    assert [generous.look_of(one) for one in settings] == [120.0, 120.0, 0.0]


def test_faces_are_looked_at_twice_by_default_and_vehicles_are_not() -> None:
    """Each frame of a mask model pays for half a region; with a budget of 0, or of vehicles, for none."""
    image = Scene(7, 960, 540, 15).frame(30)
    looked = {}
    for model, budget in (("mask", "auto"), ("mask", 0.0), ("traffic", "auto")):
        camera = CameraConfig(source="scene:?seed=7", model=model)
        camera = msgspec.structs.replace(camera, look_budget=budget)
        pipeline = Pipeline("cam0", camera, Detector(camera.model_path), camera.settings(), Totals())
        for number in range(4):
            pipeline.look(Frame(image, number, number / 7.5, 1e9 + number / 7.5))
        looked[model, budget] = pipeline.tally().looked
    assert looked == {("mask", "auto"): 1, ("mask", 0.0): 0, ("traffic", "auto"): 0}
