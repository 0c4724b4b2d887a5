"""Lines: what counts once, what must never count, and what an edit may not do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.boxes import Detections
from agent.count.lines import crossings_of_path
from agent.street.view import View
from agent.track.tracker import Tracker, Tracks
from tests.unit.watched import CAR, LEVEL, MASKS, SIZE, TRUCK, WALL, Street, boxes

RATES = [30.0, 15.0, 10.0, 5.0, 2.5]
rates = st.sampled_from(RATES)
any_rate = pytest.mark.parametrize("rate", RATES)
UPRIGHT = wire.Line(points=[(0.5, 1.0), (0.5, 0.0)])


def turned(angle: float) -> tuple[float, float]:
    """Return a unit vector."""
    return math.cos(angle), math.sin(angle)


# ── what counts ───────────────────────────────────────────────────────────────────────────────────


def test_a_crossing_is_told_with_all_that_belongs_to_it() -> None:
    """Line, version, direction, label, track and running total are right; the time is that of the pass."""
    street = Street(main=LEVEL)
    street.go(7, (0.5, 0.5), (0.5, 0.7))
    street.see({}, ended=(7,))
    street.go(8, (0.2, 0.5), (0.2, 0.7))
    street.go(8, (0.2, 0.7), (0.2, 0.5))
    street.rest()
    one, two, three = street.told(wire.Crossing)
    assert (one.camera, one.line, one.version, one.direction, one.label) == ("cam0", "main", 1, "AB", "car")
    assert (one.track, one.total, one.score, one.speed) == (7, 1, 80, None)
    assert (two.track, two.total, three.direction, three.total) == (8, 2, "BA", 1)
    assert one.at == pytest.approx(WALL + 500, abs=5)


@settings(max_examples=60, deadline=None)
@given(
    eighth=st.integers(0, 7),
    tilt=st.floats(-0.6, 0.6),
    line_turn=st.floats(0, 2 * math.pi),
    side=st.floats(0.02, 0.3),
    rate=rates,
    pace=st.floats(0.15, 1.0),
)
def test_directions_slopes_sizes_speeds_and_rates(
    eighth: int, tilt: float, line_turn: float, side: float, rate: float, pace: float
) -> None:
    """Whatever way line and motion run, at any size, speed and frame rate: one crossing, right direction."""
    along = turned(line_turn)
    ahead = turned(eighth * math.pi / 4 + tilt)
    across = along[0] * ahead[1] - along[1] * ahead[0]
    if abs(across) < 0.35:
        return
    aspect = SIZE[0] / SIZE[1]
    ends = [(0.5 + far * along[0] / aspect, 0.5 + far * along[1]) for far in (-0.45, 0.45)]
    street = Street(rate=rate, main=wire.Line(points=ends))
    reach = 0.4
    way = [(0.5 + far * ahead[0] / aspect, 0.5 + far * ahead[1]) for far in (-reach, reach)]
    street.go(1, *way, seconds=2 * reach / pace, side=side)
    street.rest()
    assert street.ways == ["AB" if across > 0 else "BA"]


@any_rate
@pytest.mark.parametrize("eighth", range(8))
def test_direction_in_all_eight_octants(eighth: int, rate: float) -> None:
    """Whoever comes from the left hand of the line's walker goes AB, and back BA, in each octant."""
    along = turned(eighth * math.pi / 4)
    right = turned((eighth + 2) * math.pi / 4)
    ends = [(0.5 + far * along[0], 0.5 + far * along[1]) for far in (-0.3, 0.3)]
    street = Street(rate=rate, main=wire.Line(points=ends))
    left, far = ((0.5 + far * right[0], 0.5 + far * right[1]) for far in (-0.25, 0.25))
    street.go(1, left, far)
    street.rest()
    assert street.ways == ["AB"]
    street.go(1, far, left)
    street.rest()
    assert street.ways == ["AB", "BA"]


@any_rate
@pytest.mark.parametrize(("start", "end", "way"), [(0.3, 0.7, "AB"), (0.7, 0.3, "BA")])
def test_exactly_vertical_line(start: float, end: float, way: str, rate: float) -> None:
    """A line without any width counts both ways."""
    street = Street(rate=rate, main=UPRIGHT)
    street.go(1, (start, 0.5), (end, 0.5))
    street.rest()
    assert street.ways == [way]


@any_rate
@pytest.mark.parametrize(("start", "end", "way"), [(0.4, 0.8, "AB"), (0.8, 0.4, "BA")])
def test_exactly_vertical_motion_over_a_horizontal_line(
    start: float, end: float, way: str, rate: float
) -> None:
    """Motion without any sideways part counts both ways."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.2, start), (0.2, end))
    street.rest()
    assert street.ways == [way]


@settings(max_examples=40, deadline=None)
@given(
    heights=st.lists(st.floats(0.35, 0.65), min_size=8, max_size=8),
    points=st.integers(2, 8),
    x=st.floats(0.05, 0.95),
    rate=rates,
    down=st.booleans(),
)
def test_a_line_of_many_pieces_counts_once(
    heights: list[float], points: int, x: float, rate: float, down: bool
) -> None:
    """A jagged line from edge to edge counts who goes straight through once, wherever that is."""
    line = wire.Line(points=[(n / (points - 1), heights[n]) for n in range(points)])
    street = Street(rate=rate, main=line)
    start, end = (0.1, 0.95) if down else (0.95, 0.1)
    street.go(1, (x, start), (x, end), seconds=1.5)
    street.rest()
    assert street.ways == ["AB" if down else "BA"]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    side=st.floats(0.05, 0.3),
    rate=rates,
    stops=st.lists(st.floats(0.5, 0.7), max_size=3),
)
def test_a_trembling_box_that_goes_through_counts_once(
    seed: int, side: float, rate: float, stops: list[float]
) -> None:
    """However slowly, with whatever stops on the line and a box that shakes by 4 % of its size: one."""
    random = np.random.default_rng(seed)
    street = Street(rate=rate, main=LEVEL)
    stays = sorted(stops)
    for one, two in zip([0.4, *stays], [*stays, 0.8], strict=True):
        for part in np.linspace(0, 1, max(round(rate), 2)):
            street.see({1: (0.5, one + part * (two - one) + side * random.uniform(-0.04, 0.04))}, side=side)
    street.rest()
    assert street.ways == ["AB"]


def test_the_way_before_confirmation_counts() -> None:
    """An object that crossed before it was confirmed is counted: its first sight comes with the track."""
    street = Street(rate=2.5, main=LEVEL)
    tracker = Tracker()
    for step in range(5):
        bottom = 0.5 + 0.14 * step
        box = np.array([[600, 720 * bottom - 80, 680, 720 * bottom]], np.float32)
        found = Detections(box, np.array([0.8], np.float32), np.array([CAR]))
        tracks = tracker.update(found, street.now, SIZE)
        street.events += street.analyst.update(
            tracks, tracker.ended(), SIZE, street.now, WALL + round(street.now * 1000)
        )
        street.now += 0.4
    street.close()
    assert street.crossings == [("AB", "car", 1)]


@pytest.mark.parametrize("waited", [1.0, 2.8, 4.5])
def test_a_late_confirmation_tells_the_right_moment(waited: float) -> None:
    """What drives away at a constant speed, and is told late, passed when it really was there."""
    view = View.looking((1.0, 0.0, 7.0), 0.02, 0.3, 900.0, *SIZE)
    seen = []
    passed = 0.4 * waited
    for now in (0.0, waited, passed):
        y = 12.0 + 8.0 * now
        pixels, _ = view.project(np.array([(0.0, y, 0.0), (2.0, y, 0.0), (0.0, y, 1.5), (2.0, y, 1.5)]))
        seen.append([*pixels.min(axis=0), *pixels.max(axis=0)])
    first, last, between = np.array(seen, np.float32)
    level = float(between[3]) / SIZE[1]
    street = Street(main=wire.Line(points=[(0.0, level), (1.0, level)]))
    told = Tracks.of_boxes(last[None], np.array([1]), np.array([0.8], np.float32), np.array([CAR]), waited)
    tracks = replace(told, origin=first[None], since=np.array([0.0]))
    street.events += street.analyst.update(tracks, [], SIZE, waited, WALL + round(1000 * waited))
    street.now = waited
    street.close()
    (crossing,) = street.told(wire.Crossing)
    assert (crossing.at - WALL) / 1000 == pytest.approx(passed, abs=0.05 * waited)


def followed(street: Street, tops: list[float], bottoms: list[float]) -> None:
    """Let the tracker follow a box with its edges at some heights, frame by frame, to the end."""
    tracker = Tracker()
    for top, bottom in zip(tops, bottoms, strict=True):
        box = np.array([[600, SIZE[1] * top, 680, SIZE[1] * bottom]], np.float32)
        found = Detections(box, np.array([0.8], np.float32), np.array([CAR]))
        tracks = tracker.update(found, street.now, SIZE)
        street.events += street.analyst.update(
            tracks, tracker.ended(), SIZE, street.now, WALL + round(street.now * 1000)
        )
        street.now += 1 / street.rate
    street.close()


@pytest.mark.parametrize("rate", [30.0, 15.0, 10.0])
@pytest.mark.parametrize("over", [1, 2])
def test_feet_that_flicker_over_the_line(rate: float, over: int) -> None:
    """A lower edge that jumps clear over the line, for a frame or two at a time, is no crossing."""
    street = Street(rate=rate, main=LEVEL)
    random = np.random.default_rng(3)
    tops, bottoms = np.full((2, round(20 * rate)), [[0.3], [0.57]])
    for start in range(round(rate), len(bottoms) - 10, round(rate)):
        bottoms[start : start + over] = 0.65
    bottoms += random.normal(0, 0.002, len(bottoms))
    followed(street, tops.tolist(), bottoms.tolist())
    assert street.crossings == []


@pytest.mark.parametrize("rate", [15.0, 5.0, 2.5])
@pytest.mark.parametrize("pace", [0.05, 0.2])
def test_what_is_followed_counts_once_and_at_its_time(rate: float, pace: float) -> None:
    """Waiting until the filter agrees moves no crossing in time, and loses none at any rate."""
    street = Street(rate=rate, main=LEVEL)
    length = 0.3 / pace
    bottoms = 0.45 + pace * np.arange(0, length, 1 / rate)
    followed(street, (bottoms - 0.25).tolist(), bottoms.tolist())
    (crossing,) = street.told(wire.Crossing)
    assert crossing.direction == "AB"
    assert (crossing.at - WALL) / 1000 == pytest.approx(0.15 / pace, abs=0.02)


@pytest.mark.parametrize("rate", [30.0, 15.0, 10.0])
@pytest.mark.parametrize("pace", [0.04, 0.1])
def test_a_shaking_box_passes_when_its_middle_way_does(rate: float, pace: float) -> None:
    """Both sides of a crossing say when it was: a box that shakes over the line for long moves it little."""
    random = np.random.default_rng(4)
    off = []
    for _ in range(10):
        street = Street(rate=rate, main=LEVEL)
        bottoms = 0.45 + pace * np.arange(0, 0.3 / pace, 1 / rate)
        shaken = bottoms + random.normal(0, 0.01, len(bottoms))
        followed(street, (shaken - 0.25).tolist(), shaken.tolist())
        (crossing,) = street.told(wire.Crossing)
        off.append(abs((crossing.at - WALL) / 1000 - 0.15 / pace) * pace)
    assert np.mean(off) < 0.005


# ── what is surely seen ───────────────────────────────────────────────────────────────────────────


def walked(street: Street, sure: float, there: Callable[[int, float], bool], **how: float) -> None:
    """Go down over the line within 4 s, seen where `there` (frame, height) says so, and on for a second."""
    for step in range(round(5 * street.rate)):
        y = 0.4 + 0.1 * step / street.rate
        street.see({1: (0.5, y)} if there(step, y) else {}, sure=sure, **how)
    street.see({}, ended=(1,))


@any_rate
@pytest.mark.parametrize(
    ("sure", "every", "ways"), [(0.9, 1, ["AB"]), (0.3, 1, ["AB"]), (0.5, 4, ["AB"]), (0.15, 4, [])]
)
def test_only_what_is_surely_seen_around_the_line_counts(
    sure: float, every: int, ways: list[str], rate: float
) -> None:
    """Who comes from far and goes far counts, seen weakly or now and then; both at once does not count."""
    street = Street(rate=rate, main=LEVEL)
    walked(street, sure, lambda step, _: step % every == 0)
    assert street.ways == ways


@any_rate
@pytest.mark.parametrize(("sure", "ways"), [(0.9, ["AB"]), (0.15, [])])
def test_what_only_reaches_over_the_line_must_be_seen_well(sure: float, ways: list[str], rate: float) -> None:
    """A box that comes to stand just over the line counts if it is sure; a weak one there does not."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.5, 0.58), (0.5, 0.62), sure=sure)
    street.rest(5.0)
    street.close()
    assert street.ways == ways


@any_rate
def test_a_doubtful_crossing_is_told_late_rather_than_never(rate: float) -> None:
    """Who is hardly past the line after a second, and then goes on, is counted then, at the moment it was."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.615), seconds=2.0, sure=0.22)
    passed = street.now - 1 / rate - 2.0 * 0.015 / 0.215
    street.go(1, (0.5, 0.615), (0.5, 0.63), sure=0.22)
    assert street.ways == []
    street.go(1, (0.5, 0.63), (0.5, 0.98), seconds=3.0, sure=0.22)
    (crossing,) = street.told(wire.Crossing)
    assert (crossing.at - WALL) / 1000 == pytest.approx(passed, abs=0.4)


@any_rate
@pytest.mark.parametrize("pace", [0.0, 0.02])
def test_who_stands_or_walks_on_the_line_for_seconds_is_not_lost(pace: float, rate: float) -> None:
    """A box that trembles on the line while it goes along it counts once, when it has left it."""
    street = Street(rate=rate, main=LEVEL)
    random = np.random.default_rng(8)
    street.go(1, (0.3, 0.4), (0.3, 0.598))
    for step in range(round(12 * rate)):
        street.see({1: (0.3 + pace * step / rate, 0.6 + 0.1 * random.normal(0, 0.02))})
    street.go(1, (0.3 + 12 * pace, 0.602), (0.3 + 12 * pace, 0.62), seconds=0.5)
    for step in range(round(3 * rate)):  # clear of it, and back onto it for a moment now and then
        street.see({1: (0.3 + 12 * pace, 0.598 if step % max(round(0.7 * rate), 2) == 0 else 0.62)})
    street.close()
    assert street.ways == ["AB"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([30.0, 15.0, 10.0, 5.0]),
    pace=st.floats(0.05, 0.3),
    side=st.floats(0.05, 0.2),
)
def test_who_is_mostly_seen_counts_once_each_way(seed: int, rate: float, pace: float, side: float) -> None:
    """Shaken by 3 %, weak, missed in one frame of five: down and back over the line is one AB and one BA."""
    random = np.random.default_rng(seed)
    street = Street(rate=rate, main=LEVEL)
    tracker = Tracker()
    down = np.arange(0.4, 0.85, pace / rate)
    missed = 0
    for step, y in enumerate([*down.tolist(), *down[::-1].tolist()]):
        spot = (0.5, y + side * random.normal(0, 0.03))
        missed = step + int(random.integers(5)) if step % 5 == 0 else missed  # which of these five
        xyxy = boxes([spot] if step != missed else [], side)
        sure = random.uniform(0.45, 0.7, len(xyxy)).astype(np.float32)
        tracks = tracker.update(Detections(xyxy, sure, np.full(len(xyxy), CAR)), street.now, SIZE)
        street.events += street.analyst.update(tracks, tracks.ended, SIZE, street.now, WALL)
        street.now += 1 / rate
    street.close()
    assert street.ways == ["AB", "BA"]


@any_rate
def test_hidden_at_the_line(rate: float) -> None:
    """Whoever passes the line behind a pillar is as surely seen as before and behind it."""
    street = Street(rate=rate, main=LEVEL)
    walked(street, 0.6, lambda _, y: not 0.53 < y < 0.68)
    assert street.ways == ["AB"]


@any_rate
def test_frames_that_nobody_saw_make_nobody_doubtful(rate: float) -> None:
    """A short stall of the camera at the line does not count against the object."""
    street = Street(rate=rate, main=LEVEL)
    for y in np.arange(0.4, 0.59, 0.1 / rate).tolist():
        street.see({1: (0.5, y)}, sure=0.3)
    street.now += 2.0
    for y in np.arange(0.79, 0.99, 0.1 / rate).tolist():
        street.see({1: (0.5, y)}, sure=0.3)
    assert street.ways == ["AB"]


@any_rate
def test_lost_behind_the_line_but_surely_seen(rate: float) -> None:
    """What is surely seen on its way and lost just behind the line counts, however late it ends."""
    street = Street(rate=rate, main=LEVEL)
    for y in [*np.arange(0.3, 0.604, 0.3 / rate).tolist(), 0.604]:
        street.see({1: (0.5, y)}, sure=0.7)
    for _ in range(round(4 * rate)):
        street.see({})
    street.see({}, ended=(1,))
    assert street.ways == ["AB"]


def test_a_doubtful_state_counts() -> None:
    """Where the labels are states, the doubt is in the vote: whoever is hardly seen is counted too."""
    street = Street(names=MASKS, rate=10.0, main=LEVEL)
    walked(street, 0.5, lambda step, _: step % 4 == 0, kind=0)
    assert street.ways == ["AB"]


@pytest.mark.parametrize("rate", [15.0, 2.5])
@pytest.mark.parametrize(
    ("line", "way"),
    [
        ([(0.5, 0.99), (0.5, 0.4)], [(0.3, 1.0), (0.7, 1.0)]),
        ([(0.5, 0.01), (0.5, 0.6)], [(0.3, 0.0), (0.7, 0.0)]),
        ([(0.01, 0.5), (0.6, 0.5)], [(0.0, 0.3), (0.0, 0.7)]),
        ([(0.99, 0.5), (0.4, 0.5)], [(1.0, 0.3), (1.0, 0.7)]),
    ],
    ids=["lower", "upper", "left", "right"],
)
def test_who_is_cut_off_by_the_border_crosses_the_line_that_ends_there(
    line: list[tuple[float, float]], way: list[tuple[float, float]], rate: float
) -> None:
    """At all four edges, live and afterwards: the way along the border crosses the line, once."""
    street = Street(rate=rate, main=wire.Line(points=line))
    street.go(1, *way)
    street.rest()
    path = [(0.0, *way[0]), (1.0, *way[1]), (3.0, *way[1])]
    assert street.ways == [each for _, each in crossings_of_path(path, line, aspect=SIZE[0] / SIZE[1])]
    assert len(street.ways) == 1


def test_anchor_center() -> None:
    """A line on the centre counts when the centre passes, not the bottom."""
    street = Street(main=wire.Line(points=[(0.0, 0.6), (1.0, 0.6)], anchor="center"), low=LEVEL)
    street.go(1, (0.5, 0.5), (0.5, 0.64), side=0.2)
    street.rest()
    assert [event.line for event in street.told(wire.Crossing)] == ["low"]
    street.go(1, (0.5, 0.64), (0.5, 0.8), side=0.2)
    street.rest()
    assert [event.line for event in street.told(wire.Crossing)] == ["low", "main"]


# ── what must never count ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jitter", [0.01, 0.02, 0.03])
def test_parked_object_counted_again_and_again(jitter: float) -> None:
    """An object parked on the line, with the jitter of a real detector, adds nothing."""
    street = Street(main=LEVEL)
    random = np.random.default_rng(5)
    for _ in range(1500):
        street.see({1: (0.5, 0.6 + random.normal(0, jitter) * 0.2)}, side=0.2)
    assert street.crossings == []


@any_rate
@pytest.mark.parametrize("away", [-0.004, 0.0, 0.004])
def test_jitter_on_the_line(away: float, rate: float) -> None:
    """An anchor that trembles over the line, or beside it, in every frame counts nothing."""
    street = Street(rate=rate, main=LEVEL)
    for step in range(200):
        street.see({1: (0.5, 0.6 + away + (0.005 if step % 2 else -0.005))}, side=0.2)
    assert street.crossings == []


@any_rate
def test_object_straddling_for_ever(rate: float) -> None:
    """Who stands on the line counts nothing; when it goes on it counts once, however long it stood."""
    street = Street(rate=rate, main=LEVEL)
    random = np.random.default_rng(6)
    street.go(1, (0.5, 0.4), (0.5, 0.6))
    for _ in range(300):
        street.see({1: (0.5, 0.602 + random.normal(0, 0.002))})
    assert street.crossings == []
    street.go(1, (0.5, 0.602), (0.5, 0.8))
    street.rest()
    assert street.crossings == [("AB", "car", 1)]


@pytest.mark.parametrize("rate", [15.0, 5.0, 2.5])
def test_stop_and_go_queue_on_the_line(rate: float) -> None:
    """Cars that creep over the line one behind the other, stopping on it, count one each."""
    street = Street(rate=rate, main=LEVEL)
    for frame in range(round(120 * rate)):
        halt, creep = divmod(frame, round(4 * rate))
        gone = 0.012 * halt + 0.012 * min(creep / rate, 1.0)
        street.see({n: (0.5, 0.55 - 0.11 * n + gone) for n in range(1, 4)})
    assert [event.track for event in street.told(wire.Crossing)] == [1, 2]
    assert set(street.ways) == {"AB"}


@any_rate
def test_u_turn(rate: float) -> None:
    """Turning back on the line counts nothing; turning back behind it counts one each way."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.603), (0.5, 0.4))
    assert street.crossings == []
    street.go(2, (0.5, 0.4), (0.5, 0.8), (0.5, 0.4), seconds=1.5)
    street.rest()
    assert street.ways == ["AB", "BA"]


@any_rate
@pytest.mark.parametrize("slope", [0.0, 0.2, -0.3])
def test_passing_just_beyond_the_lines_end(slope: float, rate: float) -> None:
    """Who passes beside the line is not counted, on either end; who passes just within it is."""
    middle = np.array([0.5, 0.5])
    half = np.array([0.15, 0.15 * slope])
    street = Street(rate=rate, main=wire.Line(points=[tuple(middle - half), tuple(middle + half)]))
    for number, (share, counted) in enumerate([(-1.08, 0), (1.08, 0), (-0.92, 1), (0.92, 2)], 1):
        x, y = middle + share * half
        street.go(number, (float(x), float(y) - 0.3), (float(x), float(y) + 0.3))
        street.rest()
        assert len(street.crossings) == counted


@any_rate
@pytest.mark.parametrize(("line", "side"), [(0.98, 0.3), (0.97, 0.4), (0.99, 0.15)])
def test_leaving_the_picture_just_behind_the_line(line: float, side: float, rate: float) -> None:
    """A box that the frame's edge cuts off before it can be clear of the line has passed when it is gone."""
    street = Street(rate=rate, main=wire.Line(points=[(0.0, line), (1.0, line)]))
    for step in range(round(3 * rate)):
        street.see({1: (0.5, min(0.5 + 0.25 * step / rate, 1.0))}, side=side)
        if 0.5 + 0.25 * step / rate > 1.05:
            break
    street.see({}, ended=(1,))
    assert street.ways == ["AB"]


@any_rate
@pytest.mark.parametrize("after", [0.5, 2.0, 4.5])
def test_lost_on_its_way_just_behind_the_line(after: float, rate: float) -> None:
    """What was lost while it moved, past the line but not yet clear, has passed, however late it ends."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.5, 0.3), (0.5, 0.604))
    for _ in range(round(after * rate)):
        street.see({})
    street.see({}, ended=(1,))
    assert street.ways == ["AB"]


@any_rate
def test_parked_on_the_line_and_lost_there(rate: float) -> None:
    """What stood on the line when it was seen last has passed nothing, wherever its last box trembled to."""
    street = Street(rate=rate, main=LEVEL)
    random = np.random.default_rng(7)
    for number in range(1, 40):
        for _ in range(round(2 * rate)):
            street.see({number: (0.5, 0.6 + 0.2 * random.normal(0, 0.02))}, side=0.2)
        street.see({}, ended=(number,))
    assert street.crossings == []


@pytest.mark.parametrize("number", [-1, 0])
def test_unconfirmed_id(number: int) -> None:
    """Tracks numbered 0 or -1, as other trackers give them, are nothing."""
    street = Street(main=LEVEL)
    street.go(number, (0.5, 0.4), (0.5, 0.8))
    street.close()
    assert street.events == []
    assert len(street.analyst) == 0


def test_a_number_given_twice_in_a_frame() -> None:
    """A tracker that gives two boxes one number makes neither an error nor a second object."""
    street = Street(main=LEVEL)
    two = Tracks.of_boxes(
        np.array([[600, 300, 680, 360], [610, 305, 690, 365]], np.float32),
        np.array([5, 5]),
        np.full(2, 0.8, np.float32),
        np.full(2, CAR),
        0.0,
    )
    for step in range(300):
        street.events += street.analyst.update(two, [], SIZE, step / 15, WALL)
    street.close()
    assert len(street.told(wire.Track)) == 1
    assert len(street.analyst) == 0


@any_rate
def test_id_reuse(rate: float) -> None:
    """A number that ended and comes back is another object: its jump over the line is no crossing."""
    street = Street(rate=rate, main=LEVEL)
    street.go(1, (0.5, 0.3), (0.5, 0.4))
    street.see({}, ended=(1,))
    street.go(1, (0.5, 0.8), (0.5, 0.9))
    street.close()
    assert street.crossings == []
    assert len(street.told(wire.Track)) == 2
    assert street.totals.objects == {"car": 2}


@any_rate
@pytest.mark.parametrize("at", [0.5, 0.58, 0.595, 0.605, 0.62, 0.7])
def test_id_switch_at_the_line(at: float, rate: float) -> None:
    """An object whose number changes on its way is counted once, or not at all where that is on the line."""
    street = Street(rate=rate, main=LEVEL)
    for y in np.linspace(0.4, 0.8, round(2 * rate)).tolist():
        street.see({1 if y < at else 2: (0.5, y)}, side=0.1)
    street.close()
    assert street.ways in ([], ["AB"])
    step = 0.4 / (2 * rate - 1)
    if not 0.59 - step < at < 0.61 + step:
        assert street.ways == ["AB"]


@any_rate
def test_two_that_swap_their_ids_on_the_line(rate: float) -> None:
    """Two that meet on the line and come out with each other's number leave no net count behind."""
    street = Street(rate=rate, main=LEVEL)
    for y in np.linspace(0.4, 0.8, round(2 * rate)).tolist():
        down = (0.45, y)
        up = (0.5, 1.2 - y)
        street.see({1: down, 2: up} if y < 0.6 else {1: up, 2: down})
    street.close()
    assert street.ways.count("AB") == street.ways.count("BA")


@pytest.mark.parametrize("rate", [15.0, 5.0])
@pytest.mark.parametrize("length", [1, 3])
def test_label_flicker_at_the_crossing_frame(rate: float, length: int) -> None:
    """The label of a crossing is the vote, not what the detector said in that frame."""
    street = Street(rate=rate, main=LEVEL)
    frames = round(2 * rate)
    for step in range(frames + 1):
        flicker = abs(step - frames / 2) <= length / 2
        street.see({1: (0.5, 0.4 + 0.4 * step / frames)}, kind=TRUCK if flicker else CAR)
    street.rest()
    assert street.crossings == [("AB", "car", 1)]


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (720, 1280)])
def test_resolution_change_with_stored_lines(size: tuple[int, int]) -> None:
    """Lines are fractions: they keep their place when the stream changes its size, and nothing jumps."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.55))
    street.size = size
    street.go(1, (0.5, 0.55), (0.5, 0.55))
    assert street.crossings == []
    street.go(1, (0.5, 0.55), (0.5, 0.8))
    street.rest()
    assert street.crossings == [("AB", "car", 1)]


def test_a_tracker_that_never_says_ended() -> None:
    """What is not seen for ten seconds is forgotten all the same."""
    street = Street(main=LEVEL)
    for number in range(1, 400):
        street.see({number: (0.5, 0.4)})
        street.now += 0.5
    assert len(street.analyst) < 30


# ── lines that change ─────────────────────────────────────────────────────────────────────────────


def test_a_new_line_does_not_count_the_past() -> None:
    """A line that is drawn, or moved over a standing object, counts nothing until something passes."""
    street = Street()
    street.go(1, (0.5, 0.4), (0.5, 0.8))
    street.rest()
    street.apply(main=LEVEL)
    street.go(1, (0.5, 0.8), (0.5, 0.8), (0.5, 0.9))
    street.apply(main=msgspec.structs.replace(LEVEL, points=[(0.0, 0.95), (1.0, 0.95)], version=2))
    street.go(1, (0.5, 0.9), (0.5, 0.9))
    assert street.crossings == []
    street.go(1, (0.5, 0.9), (0.5, 0.99))
    street.rest()
    assert [(event.version, event.total) for event in street.told(wire.Crossing)] == [(2, 1)]


def test_a_first_sight_older_than_the_line_does_not_count() -> None:
    """An object seen before the line was drawn and confirmed after it starts from where it is now."""
    street = Street()
    street.see({})
    street.apply(main=LEVEL)
    track = replace(
        Tracks.of_boxes(
            np.array([[600, 500, 680, 560]], np.float32),
            np.array([1]),
            np.array([0.8], np.float32),
            np.array([CAR]),
            street.now,
        ),
        origin=np.array([[600, 200, 680, 280]], np.float32),
        since=np.array([-0.1]),
    )
    street.events += street.analyst.update(track, [], SIZE, street.now, WALL)
    assert street.crossings == []


def test_lines_edited_while_running() -> None:
    """A new version counts from zero under its own number; the old total stays and is told once more."""
    street = Street(main=LEVEL, other=wire.Line(points=[(0.0, 0.7), (1.0, 0.7)], version=1))
    street.go(1, (0.5, 0.5), (0.5, 0.65))
    street.rest()
    moved = msgspec.structs.replace(LEVEL, points=[(0.0, 0.55), (1.0, 0.55)], version=2)
    street.apply(main=moved, other=street.settings.lines["other"])
    street.go(1, (0.5, 0.65), (0.5, 0.8))
    street.rest()
    street.go(1, (0.5, 0.8), (0.5, 0.4))
    street.rest()
    assert street.totals.rows == {
        ("main", 1, "AB", "car"): 1,
        ("other", 1, "AB", "car"): 1,
        ("other", 1, "BA", "car"): 1,
        ("main", 2, "BA", "car"): 1,
    }
    told = {(row.line, row.version) for row in street.tally().totals}
    assert told == {("main", 1), ("main", 2), ("other", 1)}
    assert {(row.line, row.version) for row in street.tally().totals} == {("main", 2), ("other", 1)}


@settings(max_examples=25, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(1, 25), st.floats(0.3, 0.7)), max_size=4),
    rate=st.sampled_from([15.0, 5.0]),
)
def test_edits_never_make_a_crossing(edits: list[tuple[int, float]], rate: float) -> None:
    """However often the line is moved over a standing object, nothing is counted."""
    street = Street(rate=rate, main=LEVEL)
    moves = dict(edits)
    for frame in range(30):
        if frame in moves:
            street.apply(main=wire.Line(points=[(0.0, moves[frame]), (1.0, moves[frame])], version=frame))
        street.see({1: (0.5, 0.5), 2: (0.3, 0.6)})
    street.close()
    assert street.crossings == []


def test_an_unchanged_line_goes_on_through_an_edit_of_another() -> None:
    """An object that stands on one line is still counted when another line is drawn meanwhile."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.602))
    street.apply(another=wire.Line(points=[(0.0, 0.2), (1.0, 0.2)]), main=LEVEL)
    street.go(1, (0.5, 0.602), (0.5, 0.8))
    street.rest()
    assert street.crossings == [("AB", "car", 1)]


def test_a_deleted_line_counts_no_more() -> None:
    """Once a line is gone nothing is told of it."""
    street = Street(main=LEVEL)
    street.apply()
    street.go(1, (0.5, 0.4), (0.5, 0.8))
    assert street.crossings == []


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), rate=rates, side=st.floats(0.03, 0.2))
def test_counting_afterwards_agrees_whatever_the_motion(seed: int, rate: float, side: float) -> None:
    """The same places, as a path and as live frames, give the same directions in the same order."""
    random = np.random.default_rng(seed)
    street = Street(rate=rate, main=LEVEL)
    walk = 0.6 + np.cumsum(random.normal(0, 0.05, 60))
    walk = 0.1 + np.abs((walk - 0.1) % 1.6 - 0.8)
    path = []
    for y in walk.tolist():
        path.append((street.now, 0.5, y))
        street.see({1: (0.5, y)}, side=side)
    street.close()
    margin = max(0.005, 0.1 * side)
    later = crossings_of_path(path, LEVEL.points, margin=margin, aspect=SIZE[0] / SIZE[1])
    assert street.ways == [way for _, way in later]
