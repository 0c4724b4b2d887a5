"""The tracker on made motions at many frame rates, on real sequences, and its arithmetic against others'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.boxes import Detections
from agent.track.tracker import Tracker, assign
from benchmarks.count import clear_mot, follow, identity_f1, read_boxes

RATES = [30.0, 15.0, 10.0, 4.0, 2.5]


def found(boxes: list[list[float]], confidence: float | list[float] = 0.8, kind: int = 2) -> Detections:
    """Return detections of one class."""
    count = len(boxes)
    sure = confidence if isinstance(confidence, list) else [confidence] * count
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(sure, np.float32), np.full(count, kind, np.int64)
    )


def square(x: float, y: float, size: float = 40.0) -> list[float]:
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2]


def numbers(tracker: Tracker, steps: list[tuple[float, list[list[float]]]]) -> list[list[int]]:
    """Return the numbers of the tracks of each step (seconds, boxes)."""
    return [tracker.update(found(boxes), now).track_id.tolist() for now, boxes in steps]


@pytest.mark.parametrize("rate", RATES)
def test_one_object_is_one_track_at_any_rate(rate: float) -> None:
    """An object that moves 3 sizes a second keeps its one number from 30 down to 2.5 frames a second."""
    steps = [(n / rate, [square(50 + 120 * n / rate, 200)]) for n in range(round(6 * rate))]
    told = numbers(Tracker(), steps)
    assert {number for row in told for number in row} == {1}
    late = [now for (now, _), row in zip(steps, told, strict=True) if not row]
    assert max(late) <= 0.45


@pytest.mark.parametrize("rate", RATES)
def test_a_gap_of_half_a_second_is_bridged(rate: float) -> None:
    """Objects that are hidden for half a second, each in turn, keep their numbers."""
    tracker = Tracker()
    ids = [set[int]() for _ in range(3)]
    for n in range(round(8 * rate)):
        now = n / rate
        shown = [k for k in range(3) if not 2 + k <= now < 2.5 + k]
        tracks = tracker.update(found([square(60 + 70 * now, 100 + 150 * k) for k in shown]), now)
        for number, box in zip(tracks.track_id, tracks.xyxy, strict=True):
            ids[round((box[1] + 20 - 100) / 150)].add(int(number))
    assert [len(each) for each in ids] == [1, 1, 1]


@pytest.mark.parametrize("rate", RATES)
def test_two_that_meet_keep_their_numbers(rate: float) -> None:
    """Two objects on opposite lanes pass each other and go on as who they were."""
    tracker = Tracker()
    left = list[int]()
    right = list[int]()
    for n in range(round(8 * rate)):
        now = n / rate
        tracks = tracker.update(found([square(60 + 80 * now, 200), square(700 - 80 * now, 225)]), now)
        for number, box in zip(tracks.track_id.tolist(), tracks.xyxy, strict=True):
            (left if box[1] < 190 else right).append(number)
    assert len(set(left)) == len(set(right)) == 1
    assert set(left) != set(right)


def test_rate_that_changes() -> None:
    """The frame rate may change from frame to frame."""
    random = np.random.default_rng(3)
    now = 0.0
    steps = []
    while now < 10:
        steps.append((now, [square(50 + 100 * now, 200)]))
        now += random.choice([0.033, 0.1, 0.25, 0.4])
    assert {number for row in numbers(Tracker(), steps) for number in row} == {1}


def test_confirmation() -> None:
    """Nothing is told before it was seen often, long and surely enough; a single glimpse never is."""
    assert numbers(Tracker(), [(0.0, [square(50, 50)])]) == [[]]
    assert numbers(Tracker(), [(n / 15, [square(50, 50)]) for n in range(3)]) == [[], [], [1]]
    assert numbers(Tracker(), [(n / 2.5, [square(50, 50)]) for n in range(3)]) == [[], [1], [1]]
    glimpses = [(n / 15, [square(50, 50)] if n % 15 == 0 else []) for n in range(200)]
    assert not any(numbers(Tracker(), glimpses))


def test_first_sight_is_told_with_the_track() -> None:
    """A confirmed track says when and where it was first seen, so that no way is lost."""
    tracker = Tracker()
    for n in range(4):
        tracks = tracker.update(found([square(50 + 10 * n, 50)]), 7 + n / 15)
    assert tracks.since is not None
    assert tracks.origin is not None
    assert tracks.since.tolist() == [7.0]
    assert tracks.origin[0].tolist() == square(50, 50)


def test_weak_detections_go_on_but_do_not_begin() -> None:
    """A weak detection keeps a track alive and never makes one."""
    tracker = Tracker()
    for n in range(30):
        sure = 0.15 if n > 5 else 0.8
        tracks = tracker.update(found([square(50 + 4 * n, 50), square(400, 300)], [sure, 0.15]), n / 15)
    assert tracks.track_id.tolist() == [1]


def test_two_classes_of_one_object_are_one_track() -> None:
    """A car that is also found as a truck is one object, and a class that flickers keeps its number."""
    tracker = Tracker()
    for n in range(20):
        both = Detections(
            np.array([square(50 + 4 * n, 50), square(51 + 4 * n, 50)], np.float32),
            np.array([0.8, 0.6] if n % 2 else [0.6, 0.8], np.float32),
            np.array([2, 5]),
        )
        tracks = tracker.update(both, n / 15)
    assert tracks.track_id.tolist() == [1]


def test_ended_tracks_are_named_once_and_forgotten() -> None:
    """A track that is not seen any more ends once, after seconds and not after frames."""
    for rate in (30.0, 2.5):
        tracker = Tracker()
        ended = list[tuple[float, int]]()
        for n in range(round(8 * rate)):
            now = n / rate
            tracks = tracker.update(found([square(50, 50)] if now < 2 else []), now)
            assert tracks.ended.tolist() == tracker.ended()
            ended += [(now, number) for number in tracker.ended()]
        assert [number for _, number in ended] == [1]
        assert 0 <= ended[0][0] - 2 - tracker.keep <= 0.5
        assert len(tracker) == 0


def test_leaving_the_picture_ends_a_track_at_once() -> None:
    """Who walks out of the frame does not linger to take the number of the next."""
    tracker = Tracker()
    ended_at = 0.0
    for n in range(60):
        now = n / 15
        x = 500 + 150 * n / 15
        seen = [[x - 20, 180, min(x + 20, 640), 220]] if x < 650 else []
        if tracker.update(found(seen), now, (640, 360)).ended.size:
            ended_at = now
    assert 0.9 < ended_at < 1.6


def test_a_new_frame_size_rescales_the_tracks() -> None:
    """A stream that changes its resolution keeps its tracks."""
    tracker = Tracker()
    ids = set[int]()
    for n in range(60):
        scale = 1.0 if n < 30 else 0.5
        box = [value * scale for value in square(100 + 8 * n, 200)]
        size = (int(1280 * scale), int(720 * scale))
        ids |= set(tracker.update(found([box]), n / 15, size).track_id.tolist())
    assert ids == {1}


def test_clear_ends_all_and_never_reuses_a_number() -> None:
    """After the seam of a loop numbers go on."""
    tracker = Tracker()
    numbers(tracker, [(n / 15, [square(50, 50)]) for n in range(5)])
    assert tracker.clear().tolist() == [1]
    assert numbers(tracker, [(1 + n / 15, [square(50, 50)]) for n in range(3)])[-1] == [2]


@pytest.mark.parametrize("again", [1.0, 0.5, float("nan")])
def test_time_must_grow(again: float) -> None:
    """Time that stands still, runs back or is no number is refused."""
    tracker = Tracker()
    tracker.update(Detections.empty(), 1.0)
    with pytest.raises(ValueError, match="time must grow"):
        tracker.update(Detections.empty(), again)


def test_broken_boxes_are_dropped() -> None:
    """Boxes that are no numbers or have no area do no harm."""
    tracker = Tracker()
    bad = [[np.nan, 0, 5, 5], [5, 5, 5, 9], [9, 9, 3, 3], [0, 0, np.inf, 4]]
    for n in range(5):
        tracks = tracker.update(found([square(50, 50), *bad]), n / 15)
    assert tracks.track_id.tolist() == [1]
    assert len(tracker) == 1


def test_state_is_bounded_over_many_tracks() -> None:
    """Thousands of objects come and go; what is remembered is what is there."""
    tracker = Tracker()
    random = np.random.default_rng(1)
    most = 0
    for n in range(2000):
        now = n * 0.4
        block = n // 3
        places = np.random.default_rng(block).uniform(0, 2000, (10, 2))
        tracker.update(found([square(x, y, 20) for x, y in places + random.normal(0, 0.5, (10, 2))]), now)
        most = max(most, len(tracker))
    assert most <= 120
    assert tracker.update(Detections.empty(), 1e6).track_id.size == 0
    assert len(tracker) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(RATES),
    st.floats(8, 200),
    st.floats(0.0, 3.0),
    st.floats(0, 2 * np.pi),
    st.integers(0, 10**6),
)
def test_any_size_speed_and_heading(rate: float, size: float, pace: float, heading: float, seed: int) -> None:
    """One shaken object of any size, speed (sizes a second) and heading is one track, the same each time."""
    steps = []
    random = np.random.default_rng(seed)
    for n in range(round(5 * rate)):
        far = pace * size * n / rate
        x, y = far * np.array([np.cos(heading), np.sin(heading)]) + random.normal(1000, 0.02 * size, 2)
        steps.append((n / rate, [square(float(x), float(y), size)]))
    told = numbers(Tracker(), steps)
    assert {number for row in told for number in row} == {1}
    assert told == numbers(Tracker(), steps)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 10**6), st.booleans())
def test_assignment_is_the_cheapest(rows: int, columns: int, seed: int, even: bool) -> None:
    """The assignment costs what the best of all possible ones costs, also with ties."""
    cost = np.random.default_rng(seed).normal(5, 8, (rows, columns))
    cost = np.round(cost / 4) * 4 if even else cost
    one, two = assign(cost, 14.0)
    assert len(set(two.tolist())) == len(two)
    assert cost[one, two].sum() + 14.0 * (rows - len(one)) == pytest.approx(_cheapest(cost, 0, frozenset()))


def _cheapest(cost: np.ndarray, row: int, taken: frozenset[int]) -> float:
    if row == len(cost):
        return 0.0
    options = [14.0 + _cheapest(cost, row + 1, taken)]
    options += [
        cost[row, column] + _cheapest(cost, row + 1, taken | {column})
        for column in range(cost.shape[1])
        if column not in taken and cost[row, column] < 14.0
    ]
    return min(options)


@pytest.mark.parametrize(
    ("name", "mota", "idf1"), [("TUD-Campus", 0.526, 0.558), ("TUD-Stadtmitte", 0.564, 0.645)]
)
def test_metrics_agree_with_the_known_scores(data: Path, name: str, mota: float, idf1: float) -> None:
    """MOTA and IDF1 of published results come out as published."""
    folder = data / "tracking" / "metric_fixtures" / name
    truth = read_boxes(folder / "gt.txt")
    told = read_boxes(folder / "test.txt", only_marked=False)
    assert clear_mot(truth, told) == pytest.approx(mota, abs=0.002)
    assert identity_f1(truth, told) == pytest.approx(idf1, abs=0.002)


@pytest.mark.parametrize(
    ("name", "every", "mota", "idf1"),
    [
        ("MOT15-TUD-Campus", 1, 0.5, 0.6),
        ("MOT15-TUD-Stadtmitte", 1, 0.6, 0.6),
        ("MOT15-KITTI-17", 1, 0.5, 0.6),
        ("MOT15-PETS09-S2L1", 1, 0.5, 0.4),
        ("MOT15-PETS09-S2L1", 3, 0.45, 0.4),
    ],
)
def test_real_sequences(data: Path, name: str, every: int, mota: float, idf1: float) -> None:
    """On real people with public detections the tracker stays above a sane bound."""
    truth, told = follow(data / "tracking" / name, every)
    assert clear_mot(truth, told) >= mota
    assert identity_f1(truth, told) >= idf1
