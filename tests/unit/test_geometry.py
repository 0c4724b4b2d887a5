"""Lines, zones and paths, also where others fail: vertical, at ends and joints, exactly on the line."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.count.geometry import (
    Areas,
    Gates,
    distance,
    inside,
    moment,
    settle,
)
from agent.count.lines import crossings_of_path
from agent.count.object_table import anchors
from agent.count.path import simplify, steadied, steady_moment

LEVEL = [(0.0, 0.6), (1.0, 0.6)]
UPRIGHT = [(0.5, 1.0), (0.5, 0.0)]
BENT = [(0.2, 0.2), (0.5, 0.6), (0.8, 0.2)]

fractions = st.floats(0.0, 1.0, allow_nan=False)
spots = st.tuples(fractions, fractions)


def timed(*places: tuple[float, float]) -> list[tuple[float, float, float]]:
    """Return a path that is at each place three seconds after the one before: nothing is undone in one."""
    return [(3.0 * number, *place) for number, place in enumerate(places)]


def directions(places: list[tuple[float, float]], points: list[tuple[float, float]]) -> list[str]:
    return [direction for _, direction in crossings_of_path(timed(*places), points)]


@pytest.mark.parametrize(
    ("points", "places", "expected"),
    [
        (LEVEL, [(0.5, 0.4), (0.5, 0.8)], ["AB"]),
        (LEVEL, [(0.5, 0.8), (0.5, 0.4)], ["BA"]),
        (LEVEL[::-1], [(0.5, 0.4), (0.5, 0.8)], ["BA"]),
        (UPRIGHT, [(0.3, 0.5), (0.7, 0.5)], ["AB"]),
        (UPRIGHT, [(0.7, 0.5), (0.3, 0.5)], ["BA"]),
        (UPRIGHT, [(0.7, 0.2), (0.3, 0.9)], ["BA"]),
        (LEVEL, [(0.5, 0.4), (0.5, 0.6), (0.5, 0.8)], ["AB"]),
        (LEVEL, [(0.5, 0.4), (0.5, 0.6), (0.5, 0.6), (0.5, 0.4)], []),
        (LEVEL, [(0.5, 0.8), (0.5, 0.6), (0.5, 0.6), (0.5, 0.8)], []),
        (LEVEL, [(0.5, 0.4), (0.5, 0.7), (0.5, 0.4)], ["AB", "BA"]),
        (LEVEL, [(0.5, 0.4), (0.5, 0.605), (0.5, 0.4)], []),
        (LEVEL, [(0.5, 0.4), (0.5, 0.605), (0.5, 0.598), (0.5, 0.604), (0.5, 0.7)], ["AB"]),
        (LEVEL, [(0.5, 0.6)] * 3, []),
        ([(0.2, 0.6), (0.4, 0.6)], [(0.41, 0.4), (0.41, 0.8)], []),
        ([(0.2, 0.6), (0.4, 0.6)], [(0.39, 0.4), (0.39, 0.8)], ["AB"]),
        ([(0.2, 0.6), (0.4, 0.6)], [(0.1, 0.6), (0.5, 0.6)], []),
        (BENT, [(0.5, 0.4), (0.5, 0.9)], ["AB"]),
        (BENT, [(0.1, 0.3), (0.9, 0.3)], ["BA", "AB"]),
        (UPRIGHT, [(0.3, 1.0), (0.7, 1.0)], ["AB"]),
        (UPRIGHT, [(0.7, 1.0), (0.3, 1.0)], ["BA"]),
        (LEVEL, [(0.0, 0.4), (0.0, 0.8), (0.0, 0.4)], ["AB", "BA"]),
        (BENT, [(0.1, 0.3), (0.5, 0.3), (0.9, 0.3)], ["BA", "AB"]),
    ],
)
def test_crossings(points, places, expected) -> None:
    """Each case of lines, motions and jitter gives the crossings that a person would count."""
    assert directions(places, points) == expected


@pytest.mark.parametrize("eighth", range(8))
@pytest.mark.parametrize("aspect", [1.0, 16 / 9, 0.5])
def test_direction_in_all_octants(eighth: int, aspect: float) -> None:
    """Whoever walks along the line has A on the left hand, whatever way the line runs."""
    turn = eighth * math.pi / 4
    along = (math.cos(turn), math.sin(turn))  # y is down
    right = (-math.sin(turn), math.cos(turn))
    points = [(0.5 - 0.3 * along[0], 0.5 - 0.3 * along[1]), (0.5 + 0.3 * along[0], 0.5 + 0.3 * along[1])]
    path = timed(*((0.5 + right[0] * far, 0.5 + right[1] * far) for far in (-0.2, -0.1, 0.0, 0.1, 0.2)))
    assert [way for _, way in crossings_of_path(path, points, aspect=aspect)] == ["AB"]
    back = [(12 - t, x, y) for t, x, y in path[::-1]]
    assert [way for _, way in crossings_of_path(back, points, aspect=aspect)] == ["BA"]


def test_time_of_a_crossing_is_when_the_line_was_passed() -> None:
    """The time told is that of the pass, not of the frame in which the object was clear of the line."""
    path = [(10.0, 0.5, 0.5), (12.0, 0.5, 0.605), (20.0, 0.5, 0.605), (21.0, 0.5, 0.7)]
    (at, way), *rest = crossings_of_path(path, LEVEL)
    assert (way, rest) == ("AB", [])
    assert at == pytest.approx(10 + 2 * 0.1 / 0.105)


@settings(deadline=None, max_examples=25)
@given(st.lists(spots, min_size=2, max_size=30))
def test_crossings_alternate_on_a_line_through_the_frame(places) -> None:
    """On a line from edge to edge, whatever the motion, AB and BA alternate: no side is entered twice."""
    found = directions(places, LEVEL)
    assert all(one != two for one, two in pairwise(found))


@given(st.lists(spots, min_size=2, max_size=20), spots, spots, st.floats(0.3, 3.0))
def test_a_line_and_its_parts_pass_alike(places, start, end, aspect) -> None:
    """A joint in the middle of a straight line neither leaks nor counts twice."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    before = np.array(places[:-1])
    after = np.array(places[1:])
    whole, _, _ = Gates([[start, end]], aspect).passes(before, after)
    halves, _, _ = Gates([[start, middle, end]], aspect).passes(before, after)
    apart = np.abs(distance(after, np.array(start), np.array(end))).min() > 1e-6
    apart &= np.abs(distance(before, np.array(start), np.array(end))).min() > 1e-6
    if apart and math.dist(start, end) > 1e-3:
        assert (whole == halves).all()


@given(st.lists(spots, min_size=1, max_size=20))
def test_a_closed_walk_never_adds_up_across_a_frame_wide_line(places) -> None:
    """Who comes back to where he started has passed as often one way as the other."""
    walk = np.array([*places, places[0]])
    net, _, _ = Gates([[(-1.0, 0.6), (2.0, 0.6)]]).passes(walk[:-1], walk[1:])
    assert net.sum() == 0


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_many_lines_at_once_are_the_same_as_each_alone(moves: int, seed: int) -> None:
    """Lines with different numbers of pieces do not mix."""
    random = np.random.default_rng(seed)
    lines = [[tuple(p) for p in random.random((size, 2))] for size in (2, 5, 3)]
    before = random.random((moves, 2))
    after = random.random((moves, 2))
    together = Gates(lines, 1.5).passes(before, after)
    for number, line in enumerate(lines):
        for all_, one in zip(together, Gates([line], 1.5).passes(before, after), strict=True):
            assert np.array_equal(all_[:, number : number + 1], one)


def test_no_lines_and_no_moves() -> None:
    """Nothing to do is not an error."""
    assert Gates([]).passes(np.zeros((3, 2)), np.zeros((3, 2)))[0].shape == (3, 0)
    assert Gates([LEVEL]).passes(np.zeros((0, 2)), np.zeros((0, 2)))[0].shape == (0, 1)
    assert crossings_of_path(np.zeros((0, 3)), LEVEL) == []
    assert simplify(np.zeros((0, 3)), 0.1).shape == (0, 3)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_line_needs_two_to_eight_points(count: int) -> None:
    """What is no line is refused with a reason."""
    with pytest.raises(ValueError, match="2 to 8 points"):
        Gates([[(0.1 * n, 0.5) for n in range(count)]])


def test_settle_tells_only_what_is_clear() -> None:
    """Passes wait until the anchor is clear of the line, and are then gone."""
    pending, told = settle(np.array([1, 1, 0]), np.array([0, -1, -1]), np.array([0.005, 0.02, 0.02]), 0.01)
    assert pending.tolist() == [1, 0, 0]
    assert told.tolist() == [0, 0, -1]


def test_margin_is_isotropic() -> None:
    """The same step sideways counts for more in a wide frame than in a narrow one."""
    path = [(0.0, 0.49, 0.5), (3.0, 0.508, 0.5)]
    assert crossings_of_path(path, UPRIGHT, margin=0.01, aspect=16 / 9)
    assert not crossings_of_path(path, UPRIGHT, margin=0.01, aspect=1.0)


@given(st.integers(0, 10**6), st.integers(2, 200), st.floats(0.001, 0.1))
def test_simplified_paths_stay_within_the_tolerance(seed: int, count: int, tolerance: float) -> None:
    """At each of the original times the simplified path is where the original was, but for the tolerance."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.random(count) + 0.01)
    path = np.column_stack([times, np.cumsum(random.normal(0, 0.02, (count, 2)), axis=0)])
    short = simplify(path, tolerance, aspect=1.5)
    assert (short[0] == path[0]).all()
    assert (short[-1] == path[-1]).all()
    off = [np.interp(times, short[:, 0], short[:, axis]) - path[:, axis] for axis in (1, 2)]
    assert np.hypot(off[0] * 1.5, off[1]).max() <= tolerance + 1e-9


def test_simplify_keeps_a_stop() -> None:
    """Waiting is part of a path, even on a straight one."""
    path = [(0, 0.0, 0.0), (1, 0.1, 0.0), (2, 0.2, 0.0), (3, 0.2, 0.0), (9, 0.2, 0.0), (10, 0.3, 0.0)]
    assert simplify(path, 0.01)[:, 0].tolist() == [0, 2, 9, 10]


def test_inside() -> None:
    """A point is in exactly one of two zones that share an edge, also beyond the border of the picture."""
    left = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    right = [(0.5, 0), (1, 0), (1, 1), (0.5, 1)]
    points = [(0.25, 0.5), (0.5, 0.5), (0.75, 0.5), (1.2, 0.5), (0.5, 0.0)]
    assert inside(points, left).tolist() == [True, False, False, False, False]
    assert inside(points, right).tolist() == [False, True, True, True, True]
    concave = [(0, 0), (1, 0), (1, 1), (0.5, 0.2), (0, 1)]
    assert inside([(0.5, 0.1), (0.5, 0.5), (0.1, 0.7)], concave).tolist() == [True, False, True]
    assert (inside(points, left) == inside(points, left[::-1])).all()


def test_anchors() -> None:
    """Bottom centre, centre and size of a box in fractions and frame heights."""
    bottom, center, size = anchors([[100, 100, 300, 200]], (1000, 500))
    assert bottom[0].tolist() == [0.2, 0.4]
    assert center[0] == pytest.approx([0.2, 0.3])
    assert size[0] == pytest.approx(math.sqrt(200 * 100) / 500)


@given(st.integers(0, 10**6), st.floats(0.4, 2.5))
def test_several_areas_are_the_same_as_each_alone(seed: int, aspect: float) -> None:
    """Zones with different numbers of corners do not mix; each looks at its own column of spots."""
    random = np.random.default_rng(seed)
    zones = [[tuple(corner) for corner in random.random((size, 2))] for size in (3, 7, 4)]
    spots = random.random((9, 3, 2))
    moved = random.random((9, 3, 2))
    together = Areas(zones, aspect)
    for number, zone in enumerate(zones):
        alone = Areas([zone], aspect)
        column = slice(number, number + 1)
        assert np.array_equal(together.inside(spots)[:, column], alone.inside(spots[:, column]))
        assert np.array_equal(together.away(spots)[:, column], alone.away(spots[:, column]))
        for whole, part in zip(
            together.met(spots, moved), alone.met(spots[:, column], moved[:, column]), strict=True
        ):
            assert np.array_equal(whole[:, column], part, equal_nan=True)


def test_where_a_move_meets_a_border() -> None:
    """First and last meeting are shares of the move; a move that meets nothing has none."""
    square = Areas([[(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)]])
    before = np.array([[[0.0, 0.5]], [[0.5, 0.5]], [[0.0, 0.5]], [[0.0, 0.9]]])
    after = np.array([[[1.0, 0.5]], [[0.5, 1.0]], [[0.5, 0.5]], [[1.0, 0.9]]])
    first, last = square.met(before, after)
    assert first[:3, 0] == pytest.approx([0.4, 0.2, 0.8])
    assert last[:3, 0] == pytest.approx([0.6, 0.2, 0.8])
    assert np.isnan([first[3, 0], last[3, 0]]).all()
    assert square.away(np.array([[[0.5, 0.45]], [[0.7, 0.7]]]))[:, 0] == pytest.approx(
        [0.05, math.hypot(0.1, 0.1)]
    )


@given(st.integers(0, 10**6), st.floats(0.4, 2.5))
def test_a_pass_is_a_change_of_sides(seed: int, aspect: float) -> None:
    """Whoever passes changes the side of a piece: who only looks at sides misses nobody."""
    random = np.random.default_rng(seed)
    gates = Gates([[tuple(p) for p in random.random((size, 2))] for size in (2, 8, 3)], aspect)
    before = random.random((30, 2))
    after = random.random((30, 2))
    net, _, _ = gates.passes(before, after)
    changed = (gates.sides(before) != gates.sides(after)).any(axis=1)
    assert changed[(net != 0).any(axis=1)].all()


def test_the_moment_of_a_pass_knows_perspective() -> None:
    """Half way is half the time for what keeps its size; what grows smaller was there sooner."""
    here = np.array([[0.2, 0.2, 0.4, 0.4]])
    small = np.array([[0.5, 0.5, 0.6, 0.6]])
    cut = np.array([[0.2, 0.0, 0.4, 0.1]])
    wide = np.array([[0.2, 0.3, 0.4, 0.9]])
    half = np.array([[0.5]])
    assert moment(half, here, here) == pytest.approx(0.5)
    assert moment(half, here, small) == pytest.approx(1 / 3)
    assert moment(half, small, here) == pytest.approx(2 / 3)
    assert moment(half, cut, wide) == pytest.approx(0.5), "a side that is cut off tells nothing"
    assert moment(np.array([[0.0, 1.0]]), here, small).tolist() == [[0.0, 1.0]]


@given(seed=st.integers(0, 10**6), count=st.integers(0, 40))
def test_a_straight_run_is_steady_already(seed: int, count: int) -> None:
    """What goes straight at a constant speed stays where it is, to both ends, whatever the times."""
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, 3, count)) + np.arange(count) * 0.01
    path = np.column_stack([times, 0.2 + 0.1 * times, 0.7 - 0.2 * times])
    np.testing.assert_allclose(steadied(path), path, atol=1e-6)


def test_a_trembling_path_is_steadied() -> None:
    """Of what trembles in each frame less than half is left, and it comes neither early nor late."""
    random = np.random.default_rng(2)
    times = np.arange(0, 20, 1 / 15)
    true = np.column_stack([times, 0.5 + 0.2 * np.sin(times / 2), 0.02 * times])
    steady = steadied(true + random.normal(0, 0.02, true.shape) * [0, 1, 1])
    assert np.abs(steady - true)[:, 1:].mean() < 0.4 * 0.02 * math.sqrt(2 / math.pi)


def test_when_a_trembling_path_passed() -> None:
    """A foot that jumps back over the line passed when its path did; too few sights leave it where it was."""
    points = [(0.0, 0.5), (1.0, 0.5)]
    times = np.arange(0, 6, 0.1)
    line = Gates([points])
    path = np.column_stack([times, np.full(60, 0.5), 0.35 + 0.05 * times])
    path[36:38, 2] -= 0.05
    jumped = 3.73  # when it was over the line for good
    moment, reach = steady_moment(path, line, "AB", jumped)
    assert moment == pytest.approx(3.0, abs=0.25)
    assert reach == pytest.approx(0.08, abs=0.02)
    assert steady_moment(path, line, "BA", jumped)[0] == jumped
    assert steady_moment(path[::10], line, "AB", jumped)[0] == jumped
    with pytest.raises(ValueError, match="2 lines"):
        steady_moment(path, Gates([points, points]), "AB", jumped)


# ── the border of the picture ─────────────────────────────────────────────────────────────────────

EDGES = ["lower", "upper", "left", "right"]


def at_edge(edge: str, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Turn what is drawn for the lower edge of the picture to another one."""
    turn = {
        "lower": lambda x, y: (x, y),
        "upper": lambda x, y: (x, 1 - y),
        "left": lambda x, y: (1 - y, x),
        "right": lambda x, y: (y, x),
    }[edge]
    return [turn(x, y) for x, y in points]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("side", "reaches"), [(1.0, True), (0.985, True), (0.98, False)])
def test_a_zones_side_on_the_border_reaches_beyond_it(edge: str, side: float, reaches: bool) -> None:
    """Who is cut off by the border is in the zone that ends there; nothing changes on its other sides."""
    zone = at_edge(edge, [(0.3, 0.7), (0.6, 0.7), (0.6, side), (0.3, side)])
    spots = [(0.4, 1.0), (0.4, 1.04), (0.4, 0.8), (0.29, 1.0), (0.61, 1.02), (0.4, 0.69)]
    expected = [reaches, reaches, True, False, False, False]
    assert inside(at_edge(edge, spots), zone).tolist() == expected
    away = Areas([zone]).away(np.array(at_edge(edge, [(0.45, 0.975)]))[:, None])[0, 0]
    assert away == pytest.approx(0.15 if reaches else 0.005)


def test_a_zone_in_the_corner_of_the_picture_reaches_beyond_both_edges() -> None:
    """The corner itself, and what lies beyond it, belong to the zone; a zone of the whole picture has all."""
    corner = [(0.7, 0.7), (0.99, 0.7), (0.99, 0.99), (0.7, 0.99)]
    assert inside([(1.0, 1.0), (1.05, 1.1), (1.0, 0.65), (0.65, 1.0)], corner).tolist() == [
        True,
        True,
        False,
        False,
    ]
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert inside([(0.0, 0.0), (1.0, 1.0), (-0.1, 1.1), (0.5, 1.0), (0.0, 0.5)], whole).all()


def test_a_corner_of_a_zone_that_touches_the_border_changes_nothing() -> None:
    """Only a side lies on the border; a tip that touches it keeps its slopes."""
    tip = [(0.5, 1.0), (0.3, 0.7), (0.7, 0.7)]
    assert inside([(0.5, 1.01), (0.45, 0.98), (0.5, 0.95)], tip).tolist() == [False, False, True]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("end", "reaches"), [(1.0, True), (0.986, True), (0.97, False)])
def test_the_end_of_a_line_on_the_border_reaches_beyond_it(edge: str, end: float, reaches: bool) -> None:
    """Who passes there cut off by the border has crossed; a line that ends before it lets them pass."""
    line = at_edge(edge, [(0.5, end), (0.45, 0.4)])
    before, after = (np.array(at_edge(edge, [spot])) for spot in ((0.4, 1.0), (0.6, 1.0)))
    net, _, _ = Gates([line], 16 / 9).passes(before, after)
    assert abs(int(net[0, 0])) == reaches
    far, _, _ = Gates([line], 16 / 9).passes(
        *(np.array(at_edge(edge, [s])) for s in ((0.4, 0.35), (0.6, 0.35)))
    )
    assert far[0, 0] == 0


def test_a_line_along_the_border_is_not_drawn_on_along_it() -> None:
    """A line near the lower edge, and along it, does not reach where nobody drew it."""
    net, _, _ = Gates([[(0.3, 0.99), (0.6, 0.99)]]).passes(np.array([[0.2, 0.9]]), np.array([[0.2, 1.0]]))
    assert net[0, 0] == 0
    net, _, _ = Gates([[(0.3, 0.97), (0.6, 0.99)]]).passes(np.array([[0.7, 0.9]]), np.array([[0.7, 1.0]]))
    assert net[0, 0] == 0
