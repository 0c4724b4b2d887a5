"""The analyst: what is told of an object, when, and what is left of it."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agent import wire
from agent.count.analyst import Totals
from agent.count.lines import crossings_of_path
from agent.track.tracker import Tracks
from benchmarks.count import LINES, NOISES, Score, count, match, seen, street
from tests.unit.watched import CAR, LEVEL, SIZE, TRUCK, WALL, Street, boxes


def test_lines_and_cameras_count_only_their_labels() -> None:
    """A line with labels of its own counts only those; so does a camera."""
    street = Street(main=msgspec.structs.replace(LEVEL, labels=["truck"]))
    street.go(1, (0.5, 0.4), (0.5, 0.8), kind=CAR)
    street.go(2, (0.5, 0.4), (0.5, 0.8), kind=TRUCK)
    street.rest()
    assert street.crossings == [("AB", "truck", 1)]
    street.analyst.apply(wire.CameraSettings(labels=["bus"], lines={"main": LEVEL}))
    street.events.clear()
    street.go(3, (0.5, 0.4), (0.5, 0.8), kind=TRUCK)
    street.see({}, ended=(3,))
    assert street.events == []


@pytest.mark.parametrize("rate", [30.0, 15.0, 4.0, 2.5])
def test_detection_is_told_once_and_within_a_second(rate: float) -> None:
    """Each object is told once, at most a second after its first sight, even if the vote is open."""
    street = Street(rate=rate)
    for step in range(round(3 * rate)):
        street.see({1: (0.3, 0.5)}, kind=CAR if step % 2 else TRUCK)
    (told,) = street.told(wire.Detection)
    assert (told.track, told.label in ("car", "truck")) == (1, True)
    assert told.at - WALL <= 1000


def test_detection_is_told_again_only_when_the_label_changes() -> None:
    """A settled label that later loses the vote is told once more."""
    street = Street()
    for step in range(150):
        street.see({1: (0.3, 0.5)}, kind=CAR if step < 30 else TRUCK)
    assert [event.label for event in street.told(wire.Detection)] == ["car", "truck"]
    box = wire.unpack_box(street.told(wire.Detection)[0].box)
    assert box == pytest.approx([0.3 - 36 / 1280, 0.4, 0.3 + 36 / 1280, 0.5], abs=1e-4)
    assert len(wire.encode_event(street.told(wire.Detection)[0], WALL)) <= 40


# ── tracks, totals ─────────────────────────────────────────────────────────────────────────────────


def test_a_track_tells_a_life() -> None:
    """Age, frames, label and path are those of the object; the path begins at 0 and has few points."""
    street = Street()
    street.go(4, (0.2, 0.4), (0.8, 0.4), (0.8, 0.9), seconds=2.0)
    street.see({}, ended=(4,))
    (track,) = street.told(wire.Track)
    path = wire.unpack_path(track.path)
    assert (track.track, track.label, track.ended, track.votes) == (4, "car", True, {})
    assert (track.frames, track.age) == (61, pytest.approx(4000, abs=2))
    assert track.at == pytest.approx(WALL + 4000, abs=2)
    assert path[0] == pytest.approx([0, 0.2, 0.4], abs=0.001)
    assert path[-1] == pytest.approx([4.0, 0.8, 0.9], abs=0.01)
    assert len(path) <= 5


def test_a_long_life_is_told_each_minute() -> None:
    """Parts come each minute, their paths join, and only the last one says ended."""
    street = Street(rate=5.0)
    random = np.random.default_rng(2)
    for frame in range(5 * 150):
        street.see({1: (0.2 + 0.6 * frame / 750, 0.5 + random.normal(0, 0.002))})
    street.close()
    parts = street.told(wire.Track)
    assert [part.ended for part in parts] == [False, False, True]
    ends = [wire.unpack_path(part.path) for part in parts]
    for one, two in pairwise(ends):
        assert two[0][1:] == one[-1][1:]
    starts = [part.at - 1000 * path[-1][0] for part, path in zip(parts, ends, strict=True)]
    assert starts[1:] == pytest.approx([part.at for part in parts[:-1]], abs=15)


def test_counting_afterwards_agrees_with_live() -> None:
    """The paths that are kept give the crossings that were told live, at about the same times."""
    street = Street(main=LEVEL)
    random = np.random.default_rng(9)
    for number in range(1, 30):
        way = [(float(x), float(y)) for x, y in random.uniform(0.1, 0.9, (5, 2))]
        street.go(number, *way, seconds=4.0)
        street.see({}, ended=(number,))
    live = [(event.direction, event.at) for event in street.told(wire.Crossing)]
    later = []
    for track in street.told(wire.Track):
        path = np.array(wire.unpack_path(track.path))
        start = track.at - 1000 * path[-1, 0]
        for at, direction in crossings_of_path(path, LEVEL.points, aspect=16 / 9):
            later.append((direction, start + 1000 * at))
    assert len(live) > 30
    assert [way for way, _ in live] == [way for way, _ in later]
    assert [at for _, at in live] == pytest.approx([at for _, at in later], abs=150)


def test_close_ends_everything_at_its_last_sight() -> None:
    """At a seam all tracks are told as ended when they were last seen, and nothing is left."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.5))
    last = WALL + round((street.now - 1 / 15) * 1000)
    street.now += 1
    street.close()
    (track,) = street.told(wire.Track)
    assert (track.at, len(street.analyst)) == (last, 0)
    assert street.totals.objects == {"car": 1}
    assert len(street.told(wire.Detection)) == 1


def test_totals_survive_a_restart() -> None:
    """Totals restored from their snapshot go on from where they were."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.8))
    street.close()
    restored = Totals.restore(street.totals.snapshot())
    assert restored.rows == street.totals.rows
    assert restored.objects == street.totals.objects
    assert restored.crossed("main", 1, "AB", "car") == 2
    assert Totals.restore(None).rows == {}


def test_the_tally_repeats_the_running_totals() -> None:
    """A tally has the camera's totals beside the figures it is given; a minute without movement too."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.8))
    street.close()
    for _ in range(2):
        told = street.tally()
        assert told.totals == [wire.LineTotal("main", 1, "AB", "car", 1)]
        assert (told.objects, told.watched, told.blind) == ({"car": 1}, 59_000, {"stalled": 1000})


def test_a_living_object_is_counted_after_seconds() -> None:
    """A parked car is among the objects before it leaves, and only once."""
    street = Street()
    street.go(1, (0.5, 0.5), (0.5, 0.5), seconds=6.0)
    assert street.totals.objects == {"car": 1}
    street.close()
    assert street.totals.objects == {"car": 1}


def test_times_survive_a_clock_that_steps() -> None:
    """The wall clock may step; events keep sane, non-negative times and ages."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.59))
    tracks = Tracks.of_boxes(
        np.array([[600, 500, 680, 560]], np.float32),
        np.array([1]),
        np.array([0.8], np.float32),
        np.array([CAR]),
        street.now,
    )
    street.events += street.analyst.update(tracks, [], SIZE, street.now, 1000)
    street.close()
    assert all(event.at >= 0 for event in street.events)


def test_the_street_is_counted_as_it_is() -> None:
    """Exact boxes of the street at 15 frames a second give its true crossings, live and afterwards."""
    place = street(250, seconds=16.0)
    events = count(seen(place, 15.0, NOISES["exact"]), place.size)
    score = Score()
    score.add(place, events, 15.0)
    assert score.hits == score.true == score.told > 4
    for name, line in LINES.items():
        live = [
            (event.at / 1000, event.direction)
            for event in events
            if isinstance(event, wire.Crossing) and event.line == name
        ]
        later = []
        for track in (event for event in events if isinstance(event, wire.Track)):
            path = np.array(wire.unpack_path(track.path))
            start = track.at / 1000 - path[-1, 0]
            for at, direction in crossings_of_path(path, line.points, aspect=16 / 9):
                later.append((start + at, direction))
        assert match(live, later, 1.0) == len(live) == len(later)


def test_state_is_bounded_over_many_tracks() -> None:
    """A hundred thousand tracks, 500 at a time, leave nothing behind but totals."""
    street = Street(main=LEVEL)
    place = np.random.default_rng(1).uniform(0.1, 0.9, (500, 2))
    places = boxes([tuple(spot) for spot in place.tolist()])
    seconds = 0.0
    for batch in range(200):
        numbers = np.arange(500) + 500 * batch + 1
        sure = np.full(500, 0.8, np.float32)
        tracks = Tracks.of_boxes(places, numbers, sure, np.full(500, CAR), seconds)
        for _ in range(2):
            street.analyst.update(tracks, numbers - 500, SIZE, seconds, WALL)
            seconds += 0.1
    assert len(street.analyst) == 500
    assert len(street.analyst._objects) <= 1024
    assert street.totals.objects == {"car": 99_500}
