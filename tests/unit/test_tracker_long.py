"""The tracker over long times: what stands still, what is parked and hidden, what nobody saw, and memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.boxes import Detections
from agent.track.assignment import assign, match, near
from agent.track.tracker import Tracker

Step = tuple[float, list[tuple[float, float]]]


def squares(places: list[tuple[float, float]] | np.ndarray, size: float = 40.0) -> Detections:
    """Return sure detections of squares round some places (N,2)."""
    center = np.array(places, np.float32).reshape(-1, 2)
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=1)
    return Detections(boxes, np.full(len(boxes), 0.8, np.float32), np.zeros(len(boxes), np.int64))


def follow(tracker: Tracker, steps: list[Step]) -> list[list[int]]:
    """Return the numbers told at each step (seconds, places)."""
    return [tracker.update(squares(places), now).track_id.tolist() for now, places in steps]


def test_still_counts_from_the_last_noticeable_move() -> None:
    """What moves has not been still; what stopped has, for as long as it stands, trembling or not."""
    random = np.random.default_rng(4)
    tracker = Tracker()
    for n in range(300):
        now = n / 10
        x = 50 + 60 * min(now, 10.0)
        y = 100.0
        tracks = tracker.update(squares([tuple(np.array([x, y]) + random.normal(0, 0.8, 2))]), now)
        assert tracks.still is not None
        if 1 < now < 10:
            assert tracks.still.tolist() == [0.0]
        if now > 12:
            assert tracks.still[0] == pytest.approx(now - 10, abs=1.0)


def test_going_on_ends_the_stillness() -> None:
    """Stop and go: one number, and still falls back to zero."""
    tracker = Tracker()
    told = list[tuple[int, float]]()
    for n in range(400):
        now = n / 10
        x = 50 + 50 * (min(now, 5) + max(0.0, min(now, 25) - 20) + max(0.0, now - 35))
        tracks = tracker.update(squares([(x, 100)]), now)
        assert tracks.still is not None
        told += zip(tracks.track_id.tolist(), tracks.still.tolist(), strict=True)
    assert {number for number, _ in told} == {1}
    assert max(still for _, still in told) == pytest.approx(15, abs=0.6)
    assert told[-20][1] == 0


@pytest.mark.parametrize(("parked", "hidden", "same"), [(40, 30, True), (40, 50, False), (5, 10, False)])
def test_what_is_parked_is_remembered_as_long_as_it_stood(parked: int, hidden: int, same: bool) -> None:
    """Behind a bus a parked car keeps its number for as long as it had been parked, and no longer."""
    tracker = Tracker()
    before = follow(tracker, [(n / 5, [(300, 200)]) for n in range(parked * 5)])
    follow(tracker, [(parked + n / 5, []) for n in range(hidden * 5)])
    after = follow(tracker, [(parked + hidden + n / 5, [(300, 200)]) for n in range(10)])
    assert before[-1] == [1]
    assert (after[-1] == [1]) is same


def test_no_car_is_remembered_for_more_than_a_minute() -> None:
    """However long it was parked, what is hidden for over a minute is somebody new."""
    tracker = Tracker()
    follow(tracker, [(n / 2, [(300, 200)]) for n in range(400)])
    follow(tracker, [(200 + n / 2, []) for n in range(124)])
    assert len(tracker) == 0


def test_who_passes_a_hidden_parked_car_is_not_it() -> None:
    """The memory of a parked object stays at its place and takes nobody who drives past."""
    tracker = Tracker()
    follow(tracker, [(n / 10, [(300, 200)]) for n in range(400)])
    passing = follow(tracker, [(40 + n / 10, [(60 + 9 * n, 235)]) for n in range(60)])
    back = follow(tracker, [(46 + n / 10, [(300, 200)]) for n in range(5)])
    assert {number for row in passing for number in row} == {2}
    assert 1 in back[-1]


@pytest.mark.parametrize("gap", [4.5, 10.0, 30.0, 300.0])
def test_a_lost_half_minute_links_nobody_who_moves(gap: float) -> None:
    """After a time without any frame those who moved are new, though they stand where others are expected."""
    tracker = Tracker()
    drive = [(n / 10, [(100 + 5 * n, 200), (700 - 5 * n, 260)]) for n in range(30)]
    assert follow(tracker, drive)[-1] == [1, 2]
    now = 2.9 + gap
    x = 245 + 50 * gap  # just where the first would be
    later = [(now + n / 10, [(x % 900 + 5 * n, 200), (555 - 5 * n, 260)]) for n in range(5)]
    told = follow(tracker, later)
    assert not {1, 2} & {number for row in told for number in row}
    assert told[-1] == [3, 4]


def test_empty_updates_end_what_moves_and_change_nothing_else() -> None:
    """Frames without detections are no error, and the next object begins anew."""
    tracker = Tracker()
    assert follow(tracker, [(n / 10, []) for n in range(20)]) == [[]] * 20
    follow(tracker, [(2 + n / 10, [(100 + 5 * n, 200)]) for n in range(10)])
    follow(tracker, [(3 + n / 10, []) for n in range(50)])
    assert len(tracker) == 0
    assert follow(tracker, [(8 + n / 10, [(100, 200)]) for n in range(3)])[-1] == [2]


def test_nothing_but_broken_boxes_is_an_empty_frame() -> None:
    """Boxes and confidences that are no numbers are passed over, and harm nobody who is there."""
    tracker = Tracker()
    follow(tracker, [(n / 10, [(100, 200)]) for n in range(5)])
    bad = Detections(
        np.array([[np.nan] * 4, [0, 0, np.inf, 5], [80, 180, 120, 220]], np.float32),
        np.array([0.9, 0.9, np.nan], np.float32),
        np.zeros(3, np.int64),
    )
    assert len(tracker.update(bad, 0.5)) == 0
    assert follow(tracker, [(0.6, [(100, 200)])]) == [[1]]


def test_the_weak_do_not_count() -> None:
    """What is doubtful on the average is never confirmed, however long it is there."""
    tracker = Tracker()
    for n in range(100):
        found = squares([(100 + 3 * n, 200), (100 + 3 * n, 300)])
        found.confidence[:] = 0.8, 0.27
        tracks = tracker.update(found, n / 15)
    assert tracks.track_id.tolist() == [1]


def test_what_travels_needs_not_be_surer_than_the_weak_elsewhere() -> None:
    """On a camera that sees sure objects, one that is less sure counts if it is seen all along its way."""
    tracker = Tracker()
    told = set[int]()
    for n in range(200):
        found = squares([(200, 100), (400, 100), (600, 100), (100 + 3 * max(n - 150, 0), 300)])
        found.confidence[:] = 0.6, 0.62, 0.64, 0.5 if n >= 150 else 0.01
        told |= set(tracker.update(found, n / 15).track_id.tolist())
    assert told == {1, 2, 3, 4}


@pytest.mark.parametrize(("sure", "told"), [(0.7, 3), (0.85, 4)])
def test_what_a_confidence_is_worth_depends_on_the_camera(sure: float, told: int) -> None:
    """Where all others have 0.95 and more, what stands at 0.7 is doubted, and what stands at 0.85 is not."""
    tracker = Tracker()
    random = np.random.default_rng(5)
    for n in range(200):
        found = squares([(200, 100), (400, 100), (600, 100), (300, 300)])
        found.confidence[:] = [*random.uniform(0.95, 0.99, 3), sure if n >= 100 else 0.01]
        tracks = tracker.update(found, n / 15)
    assert len(tracks) == told


def resident() -> float:
    """Return the resident megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def test_a_hundred_thousand_tracks_leave_nothing_behind() -> None:
    """100,000 objects come and go; state and memory stay as after the first tenth."""
    tracker = Tracker()
    random = np.random.default_rng(2)
    at_tenth = 0.0
    most = 0
    place = np.stack(np.meshgrid(np.arange(20) * 200.0, np.arange(10) * 200.0), axis=-1).reshape(-1, 2)
    for round_ in range(500):
        moved = place + random.uniform(0, 90, (200, 2))
        for n in range(3):
            tracker.update(squares(moved + n, 20), 5.0 * round_ + 0.2 * n)
        most = max(most, len(tracker))
        if round_ == 50:
            at_tenth = resident()
    assert tracker.update(Detections.empty(), 1e5).track_id.size == 0
    assert tracker.ended()[-1] == 100_000
    assert most <= 200
    assert len(tracker) == 0
    assert resident() - at_tenth < 8


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6))
def test_listed_pairs_are_matched_as_the_whole_matrix(rows: int, columns: int, seed: int) -> None:
    """Taking lone pairs first costs exactly what the assignment of the whole matrix costs."""
    random = np.random.default_rng(seed)
    full = np.where(random.random((rows, columns)) < 0.15, random.normal(5, 6, (rows, columns)), 1e9)
    one, two = np.nonzero(full < 1e8)
    row, column = match(one, two, full[one, two], full.shape, 14.0)
    best_row, best_column = assign(full, 14.0)
    assert len(set(row.tolist())) == len(row) == len(set(column.tolist()))
    cost = full[row, column].sum() - 14.0 * len(row)
    assert cost == pytest.approx(full[best_row, best_column].sum() - 14.0 * len(best_row))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 10**6))
def test_no_near_pair_is_overlooked(rows: int, columns: int, seed: int) -> None:
    """Every pair within reach is listed, and none twice."""
    random = np.random.default_rng(seed)
    place = random.uniform(0, 100, rows)
    others = random.uniform(0, 100, columns)
    reach = random.uniform(0, 10, rows)
    one, two = near(place, reach, others)
    listed = set(zip(one.tolist(), two.tolist(), strict=True))
    assert len(listed) == len(one)
    assert listed >= set(map(tuple, np.argwhere(np.abs(place[:, None] - others) <= reach[:, None]).tolist()))
