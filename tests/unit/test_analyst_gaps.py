"""Blind is not zero, and no guess either: what a hole in the watching may never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.boxes import Detections
from agent.config import CameraConfig
from agent.count.analyst import Analyst, Totals
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.see.slot import Frame
from agent.street.scene import DEFAULT_LINE, Scene
from agent.track.tracker import Tracker
from tests.unit.watched import CAR, LEVEL, SIZE, VEHICLES, WALL, Street, boxes


@pytest.mark.parametrize("hole", [3.5, 9.0, 30.0])
@pytest.mark.parametrize(("before", "after"), [(0.4, 0.8), (0.8, 0.4), (0.598, 0.8), (0.602, 0.4)])
def test_a_number_that_is_the_same_after_a_hole_has_not_crossed(
    hole: float, before: float, after: float
) -> None:
    """A tracker may give an old number to what it sees after a hole; nobody saw anything pass."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, before), (0.5, before))
    street.now += hole
    street.go(1, (0.5, after), (0.5, after))
    street.close()
    assert street.crossings == []


@pytest.mark.parametrize("after", [0.4, 0.8])
def test_a_pass_that_was_open_when_the_hole_came_is_not_told(after: float) -> None:
    """Who stood on the line may have gone either way: a pass that was not told by then is not told at all."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.603))
    street.now += 30.0
    street.go(1, (0.5, after), (0.5, after))
    street.close()
    assert street.crossings == []


def test_after_a_hole_counting_goes_on() -> None:
    """From the second frame on everything is as before."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.5))
    street.now += 30.0
    street.go(1, (0.5, 0.5), (0.5, 0.8))
    street.rest()
    assert street.ways == ["AB"]


@pytest.mark.parametrize("pause", [0.5, 1.0, 2.0])
def test_a_short_pause_is_no_hole(pause: float) -> None:
    """A slow camera, or a short stall, still tells what passed meanwhile."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.55))
    street.now += pause
    street.go(1, (0.5, 0.65), (0.5, 0.8))
    street.rest()
    assert street.ways == ["AB"]


def traffic(now: float, seed: int) -> dict[tuple[int, int], tuple[float, float]]:
    """Return where each car (lane, number) is; the cars of lane 0 drive down, those of lane 1 up."""
    random = np.random.default_rng(seed)
    places = {}
    for lane, (spacing, speed) in enumerate(random.uniform((0.15, 0.1), (0.5, 0.4), (2, 2)).tolist()):
        last = int((speed * now + 0.6) / spacing)
        for number in range(last - int(1.2 / spacing), last + 1):
            along = speed * now + 0.6 - number * spacing
            if 0.05 < along < 1.0:
                places[lane, number] = (0.3 + 0.4 * lane, along if lane == 0 else 1.05 - along)
    return places


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([10.0, 5.0]), hole=st.sampled_from([5.0, 30.0]))
def test_half_a_minute_without_frames_while_cars_pass(seed: int, rate: float, hole: float) -> None:
    """Each car is counted once or not at all, never in the wrong direction, none for the unseen time."""
    drawn = wire.CameraSettings(lines={"main": LEVEL})
    analyst = Analyst("cam0", drawn, VEHICLES, Totals())
    tracker = Tracker()
    events: list[wire.AnyEvent] = []
    for now in [*np.arange(0, 8, 1 / rate).tolist(), *np.arange(8 + hole, 16 + hole, 1 / rate).tolist()]:
        xyxy = boxes(list(traffic(now, seed).values()))
        found = Detections(xyxy, np.full(len(xyxy), 0.9, np.float32), np.full(len(xyxy), CAR))
        tracks = tracker.update(found, now, SIZE)
        events += analyst.update(tracks, tracks.ended, SIZE, now, WALL + round(now * 1000))
    counted = set()
    for event in [event for event in events if isinstance(event, wire.Crossing)]:
        at = (event.at - WALL) / 1000
        assert not 8 < at < 8 + hole - 0.2
        lane = 0 if event.direction == "AB" else 1
        near = {car: abs(y - 0.6) for car, (_, y) in traffic(at, seed).items() if car[0] == lane}
        car = min(near, key=near.__getitem__)
        assert near[car] < 0.02, "nothing was on the line then"
        assert car not in counted
        counted.add(car)
    assert counted


def test_a_hole_in_a_cameras_loop() -> None:
    """From pixels: the street before and after thirty seconds of nothing; what is told is true."""
    scene = Scene(250, 960, 540, 7.5)
    rate = 7.5
    camera = CameraConfig(
        source="scene:?seed=250", lines={"main": wire.Line([(float(x), float(y)) for x, y in DEFAULT_LINE])}
    )
    totals = Totals()
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), totals)
    watched = [*range(0, 45), *range(270, 315)]
    events: list[wire.AnyEvent] = []
    for number in watched:
        at = number / rate
        events += pipeline.look(Frame(scene.frame(number), number, at, WALL / 1000 + at))[1]
    true = scene.crossings(camera.lines["main"].points, 1, watched[-1])
    told = [event for event in events if isinstance(event, wire.Crossing)]
    for event in told:
        at = (event.at - WALL) / 1000
        assert any(abs(at - one.at_seconds) < 0.7 and event.direction == one.direction for one in true), event
        assert at < 6.0 or at > 36.0
    assert len(told) >= 2
    assert pipeline.tally().blind["stalled"] == pytest.approx(30_000, abs=400)
