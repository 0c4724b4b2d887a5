"""The road plane: exact maps, honest reach, and speeds that are those of the street."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.boxes import Detections
from agent.count.analyst import Analyst, Totals
from agent.count.ground_plane import Road, homography, slope
from agent.street.scene import WARM, Scene
from agent.street.view import View
from agent.track.tracker import Tracker
from tests.unit.watched import SIZE, VEHICLES, WALL, Street

CORNERS = [(-4.0, 40.0), (4.0, 40.0), (4.0, 10.0), (-4.0, 10.0)]  # on the road, metres: x, y away
VIEW = View.looking((1.0, 0.0, 7.0), 0.02, 0.3, 900.0, *SIZE)


def seen(view: View, places: np.ndarray) -> np.ndarray:
    """Return where places (N,2) on the road are in the picture, fractions (N,2)."""
    pixels, _ = view.project(np.column_stack([places, np.zeros(len(places))]))
    return pixels / [view.width, view.height]


def plane(view: View) -> wire.Plane:
    """Return the road plane of a view, from four points on its road."""
    points = seen(view, np.array(CORNERS)).tolist()
    return wire.Plane([(x, y) for x, y in points], CORNERS)


ROAD = Road(plane(VIEW).points, CORNERS)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_homography_agrees_with_opencv(seed: int) -> None:
    """Four points fix the map: ours is OpenCV's, and takes them to their places exactly."""
    random = np.random.default_rng(seed)
    square = np.array([(0.2, 0.3), (0.8, 0.3), (0.9, 0.9), (0.1, 0.9)])
    points = square + random.uniform(-0.09, 0.09, (4, 2))
    places = np.array(CORNERS) + random.uniform(-1.5, 1.5, (4, 2))
    ours = homography(points.tolist(), places.tolist())
    other = cv2.getPerspectiveTransform(points.astype(np.float32), places.astype(np.float32))
    np.testing.assert_allclose(ours / ours[2, 2], other / other[2, 2], rtol=2e-3, atol=2e-3)
    raised = np.column_stack([points, np.ones(4)]) @ ours.T
    np.testing.assert_allclose(raised[:, :2] / raised[:, 2:], places, atol=1e-9)
    assert (raised[:, 2] > 0).all()


def test_places_are_those_of_the_camera() -> None:
    """Between the four points and around them the map is that of the camera's own geometry."""
    random = np.random.default_rng(4)
    places = np.column_stack([random.uniform(-8, 8, 200), random.uniform(9, 60, 200)])
    np.testing.assert_allclose(ROAD.places(seen(VIEW, places)), places, atol=1e-6)


def test_no_place_beyond_the_reach_or_the_horizon() -> None:
    """Twice the four points' extent away, at the horizon and in the sky nothing is told."""
    far = seen(VIEW, np.array([(0.0, 75.0), (0.0, 300.0), (14.0, 30.0)]))
    sky = np.array([(0.5, 0.0), (0.5, 0.1), (0.1, 0.05)])
    assert np.isnan(ROAD.places(np.concatenate([far, sky]))).all()
    assert np.isfinite(ROAD.places(seen(VIEW, np.array([(0.0, 65.0), (10.0, 30.0)])))).all()


def path(speed: float, rate: float, seconds: float = 1.4, start: float = 20.0) -> np.ndarray:
    """Return the path (M,3) of something that goes away from the camera at so many km/h."""
    times = np.arange(0, seconds + 1e-9, 1 / rate)
    return np.column_stack([times, seen(VIEW, np.column_stack([0 * times + 1, start + speed / 3.6 * times]))])


@pytest.mark.parametrize("rate", [15.0, 10.0, 5.0, 2.5])
@pytest.mark.parametrize("speed", [0.0, 5.0, 50.0, 110.0])
def test_speed_of_an_exact_path(speed: float, rate: float) -> None:
    """Exact places give the exact speed, at every frame rate."""
    assert ROAD.speed(path(speed, rate)) == pytest.approx(speed, abs=0.01)


def test_one_wild_place_does_not_matter() -> None:
    """A box that is merged with a neighbour for two of twenty frames changes nothing much."""
    way = path(50.0, 15.0)
    way[[4, 11], 2] += 0.05
    assert ROAD.speed(way) == pytest.approx(50, abs=2)


def test_no_speed_of_what_was_seen_too_shortly() -> None:
    """Two sights, or a third of a second, tell no speed; nor what is out of reach, cut off, or in the sky."""
    assert ROAD.speed(path(50.0, 15.0, seconds=0.3)) is None
    assert ROAD.speed(path(50.0, 1.0, seconds=1.0)) is None
    assert ROAD.speed(path(50.0, 15.0, start=90.0)) is None
    low = path(50.0, 15.0)
    low[:, 2] = 0.999
    assert ROAD.speed(low) is None
    assert ROAD.speed(np.array([(t, 0.5, 0.05) for t in np.arange(0, 1, 0.1)])) is None
    assert ROAD.speed(np.zeros((0, 3))) is None


def test_slope_withstands_a_fifth_of_outliers() -> None:
    """The median of slopes keeps to the many."""
    times = np.arange(20) / 10
    places = np.column_stack([3 * times, -times])
    places[[2, 7, 13, 18]] += [[9, 9], [-5, 3], [0, 30], [7, 7]]
    assert slope(times, places) == pytest.approx([3, -1], abs=0.25)


# ── from the camera to the event ──────────────────────────────────────────────────────────────────


def test_a_crossing_has_its_speed_where_there_is_a_plane() -> None:
    """With a plane a crossing tells its speed in tenths of km/h; without one it tells none."""
    street = Street(rate=15.0)
    line = wire.Line([(0.0, 0.5), (1.0, 0.5)])
    street.analyst.apply(wire.CameraSettings(lines={"main": line}, plane=plane(VIEW)))
    way = path(54.0, 15.0, seconds=2.0, start=12.0)
    for _, x, y in way.tolist():
        street.see({1: (x, y)}, side=0.05)
    (crossing,) = street.told(wire.Crossing)
    assert crossing.speed == pytest.approx(540, abs=2)
    street.analyst.apply(wire.CameraSettings(lines={"main": line}))
    for _, x, y in way[::-1].tolist():
        street.see({2: (x, y)}, side=0.05)
    street.close()
    assert street.told(wire.Crossing)[-1].speed is None


def test_speed_after_a_stop_on_the_line_is_that_of_the_pass() -> None:
    """A car that rolls over the line, stops behind it and goes on has passed at its rolling speed."""
    street = Street(rate=10.0)
    rolled = path(10.0, 10.0, seconds=3.0, start=20.0)
    passed = float(rolled[20, 2])
    line = wire.Line([(0.0, passed), (1.0, passed)])
    street.analyst.apply(wire.CameraSettings(lines={"main": line}, plane=plane(VIEW)))
    halt = [(0.0, *rolled[-1, 1:].tolist())] * 100
    for _, x, y in [*rolled.tolist(), *halt, *path(60.0, 10.0, start=28.33).tolist()]:
        street.see({1: (x, y)}, side=0.7)
    (crossing,) = street.told(wire.Crossing)
    assert crossing.speed == pytest.approx(100, abs=10)


ERRORS = {15.0: (1.2, 4.0), 5.0: (1.4, 4.0), 2.5: (1.8, 5.0)}  # km/h: median, nine of ten


@pytest.mark.parametrize("rate", sorted(ERRORS))
def test_speeds_of_shaken_boxes(rate: float) -> None:
    """Boxes shaken by 3 % of their size, a tenth missed: half of the speeds are right to a km/h or two."""
    random = np.random.default_rng(8)
    off = []
    for number in range(60):
        true = float(random.uniform(15, 70))
        street = Street(rate=rate)
        line = wire.Line([(0.0, 0.52), (1.0, 0.52)])
        street.analyst.apply(wire.CameraSettings(lines={"main": line}, plane=plane(VIEW)))
        way = path(true, rate, seconds=4.0, start=float(random.uniform(10.5, 11.5)))
        shaken = way[:, 1:] + random.normal(0, 0.03 * 0.12, (len(way), 2)) * [SIZE[1] / SIZE[0], 1]
        for x, y in shaken.tolist():
            if random.random() < 0.1:
                street.now += 1 / rate
                continue
            street.see({number + 1: (x, y)}, side=0.12)
        off += [
            abs(event.speed / 10 - true) for event in street.told(wire.Crossing) if event.speed is not None
        ]
    assert len(off) > 45
    assert np.median(off) < ERRORS[rate][0]
    assert np.percentile(off, 90) < ERRORS[rate][1]


def test_speeds_of_the_built_in_street() -> None:
    """Through tracker and analyst, exact boxes at 5 frames a second give the movers' true speeds."""
    scene = Scene(seed=250, fps=5.0)
    corners = [(-6.0, 35.0), (6.0, 35.0), (5.0, 12.0), (-5.0, 12.0)]
    points = seen(scene.view, np.array(corners)).tolist()
    line = wire.Line([(0.15, 0.62), (0.85, 0.62)])
    drawn = wire.CameraSettings(lines={"main": line}, plane=wire.Plane([(x, y) for x, y in points], corners))
    analyst = Analyst("cam0", drawn, VEHICLES, Totals())
    tracker = Tracker()
    size = (scene.width, scene.height)
    last = 55
    events = []
    for number in range(last):
        truth = scene.truth(number)
        sure = np.full(len(truth), 0.9, np.float32)
        tracks = tracker.update(Detections(truth.xyxy, sure, truth.class_id), number / 5, size)
        events += analyst.update(tracks, tracks.ended, size, number / 5, WALL + 200 * number)
    movers = {mover.track_id: mover for mover in scene.traffic.between(WARM, WARM + last / 5)}
    off = []
    for true in scene.crossings(line.points, 5, last - 5):
        told = [
            e
            for e in events
            if isinstance(e, wire.Crossing) and abs((e.at - WALL) / 1000 - true.at_seconds) < 0.4
        ]
        if len(told) == 1 and told[0].direction == true.direction and told[0].speed is not None:
            mover = movers[true.track_id]
            at = WARM + true.at_seconds
            metres = float(np.diff(mover.reach(np.array([at - 0.5, at + 0.5])))[0])
            off.append(abs(told[0].speed / 10 - 3.6 * abs(metres)))
    assert len(off) >= 4
    assert np.median(off) < 1.0
