"""The analyst: what counts, what must never count, and what is told of an object."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.analyse import Analyst, Totals
from agent.boxes import Detections
from agent.geometry import crossings_of_path
from agent.track import Tracker, Tracks
from benchmarks.count import LINES, NOISES, Score, count, match, seen, street

SIZE = (1280, 720)
WALL = 1_700_000_000_000
VEHICLES = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 4: "bus", 5: "truck"}
MASKS = {0: "with_mask", 1: "without_mask", 2: "mask_worn_incorrectly"}
LEVEL = wire.Line(points=[(0.0, 0.6), (1.0, 0.6)], version=1)
CAR, TRUCK = 2, 5

Place = tuple[float, float]  # bottom centre, fractions


class Street:
    """An analyst with its totals and all events, fed by what is where; 15 frames a second."""

    def __init__(self, names: dict[int, str] = VEHICLES, rate: float = 15.0, **drawn: wire.Line) -> None:
        self.totals = Totals()
        self.settings = wire.CameraSettings(lines=drawn)
        self.analyst = Analyst("cam0", self.settings, names, self.totals)
        self.events: list[wire.AnyEvent] = []
        self.size, self.rate, self.now = SIZE, rate, 0.0

    def see(
        self,
        places: dict[int, Place],
        kind: int = CAR,
        sure: float = 0.8,
        ended: tuple[int, ...] = (),
        side: float = 0.1,
    ) -> None:
        """One frame: the tracks that are there, each a square box of `side` frame heights."""
        width, height = self.size
        half = side * height / 2
        boxes = [
            [x * width - half, y * height - 2 * half, x * width + half, y * height]
            for x, y in places.values()
        ]
        tracks = Tracks(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(list(places), np.int64),
            np.full(len(places), sure, np.float32),
            np.full(len(places), kind, np.int64),
        )
        self.events += self.analyst.update(tracks, ended, self.size, self.now, WALL + round(self.now * 1000))
        self.now += 1 / self.rate

    def go(self, track: int, *way: Place, seconds: float = 1.0, **how: float) -> None:
        """Move one track from place to place, `seconds` for each leg."""
        for (x0, y0), (x1, y1) in pairwise(way):
            steps = max(round(seconds * self.rate), 1)
            for step in range(steps):
                part = step / steps
                self.see({track: (x0 + part * (x1 - x0), y0 + part * (y1 - y0))}, **how)
        self.see({track: way[-1]}, **how)

    def apply(self, **drawn: wire.Line) -> None:
        self.settings = wire.CameraSettings(lines=drawn)
        self.analyst.apply(self.settings)

    def close(self) -> None:
        self.events += self.analyst.close(WALL + round(self.now * 1000))

    def told(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def crossings(self) -> list[tuple[str, str, int]]:
        """(direction, label, total) of each crossing told."""
        return [(event.direction, event.label, event.total) for event in self.told(wire.Crossing)]


# ── what counts ───────────────────────────────────────────────────────────────────────────────────


def test_a_crossing_is_told_with_all_that_belongs_to_it() -> None:
    """Line, version, direction, label, track and running total are right; the time is that of the pass."""
    street = Street(main=LEVEL)
    street.go(7, (0.5, 0.5), (0.5, 0.7))
    street.go(8, (0.2, 0.5), (0.2, 0.7))
    street.go(8, (0.2, 0.7), (0.2, 0.5))
    one, two, three = street.told(wire.Crossing)
    assert (one.camera, one.line, one.version, one.direction, one.label) == ("cam0", "main", 1, "AB", "car")
    assert (one.track, one.total, one.score) == (7, 1, 80)
    assert (two.track, two.total, three.direction, three.total) == (8, 2, "BA", 1)
    assert one.at == pytest.approx(WALL + 500, abs=5)


@settings(max_examples=60, deadline=None)
@given(
    eighth=st.integers(0, 7),
    tilt=st.floats(-0.6, 0.6),
    line_turn=st.floats(0, 2 * math.pi),
    side=st.floats(0.02, 0.3),
    rate=st.sampled_from([30.0, 15.0, 10.0, 4.0, 2.5]),
    pace=st.floats(0.15, 1.0),
)
def test_directions_slopes_sizes_speeds_and_rates(
    eighth: int, tilt: float, line_turn: float, side: float, rate: float, pace: float
) -> None:
    """Whatever way line and motion run, at any size, speed and frame rate: one crossing, right direction."""
    heading = eighth * math.pi / 4 + tilt
    along, ahead = _turned(line_turn), _turned(heading)
    across = along[0] * ahead[1] - along[1] * ahead[0]
    if abs(across) < 0.35:
        return
    aspect = SIZE[0] / SIZE[1]
    ends = [(0.5 + far * along[0] / aspect, 0.5 + far * along[1]) for far in (-0.45, 0.45)]
    street = Street(rate=rate, main=wire.Line(points=ends))
    reach = 0.4
    way = [(0.5 + far * ahead[0] / aspect, 0.5 + far * ahead[1]) for far in (-reach, reach)]
    street.go(1, *way, seconds=2 * reach / pace, side=side)
    assert [direction for direction, _, _ in street.crossings] == ["AB" if across > 0 else "BA"]


def _turned(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


def test_exactly_vertical_line_and_motion() -> None:
    """A vertical line counts, and so does vertical motion over a horizontal line."""
    street = Street(upright=wire.Line(points=[(0.5, 1.0), (0.5, 0.0)]), level=LEVEL)
    street.go(1, (0.3, 0.5), (0.7, 0.5))
    street.go(2, (0.2, 0.4), (0.2, 0.8))
    assert [(event.line, event.direction) for event in street.told(wire.Crossing)] == [
        ("upright", "AB"),
        ("level", "AB"),
    ]


def test_the_way_before_confirmation_counts() -> None:
    """An object that crossed before it was confirmed is counted: its first sight comes with the track."""
    street, tracker = Street(rate=2.5, main=LEVEL), Tracker()
    for step in range(5):
        bottom = 0.5 + 0.14 * step
        box = np.array([[600, 720 * bottom - 80, 680, 720 * bottom]], np.float32)
        found = Detections(box, np.array([0.8], np.float32), np.array([CAR]))
        tracks = tracker.update(found, street.now, SIZE)
        street.events += street.analyst.update(
            tracks, tracker.ended(), SIZE, street.now, WALL + round(street.now * 1000)
        )
        street.now += 0.4
    assert street.crossings == [("AB", "car", 1)]


def test_anchor_center() -> None:
    """A line on the centre counts when the centre passes, not the bottom."""
    street = Street(main=wire.Line(points=[(0.0, 0.6), (1.0, 0.6)], anchor="center"), low=LEVEL)
    street.go(1, (0.5, 0.5), (0.5, 0.64), side=0.2)
    assert [event.line for event in street.told(wire.Crossing)] == ["low"]
    street.go(1, (0.5, 0.64), (0.5, 0.8), side=0.2)
    assert [event.line for event in street.told(wire.Crossing)] == ["low", "main"]


# ── what must never count ─────────────────────────────────────────────────────────────────────────


def test_parked_object_is_never_counted() -> None:
    """An object parked on the line, with the jitter of a real detector, adds nothing in ten minutes."""
    street, random = Street(main=LEVEL), np.random.default_rng(5)
    for _ in range(9000):
        street.see({1: (0.5, 0.6 + random.normal(0, 0.02) * 0.2)}, side=0.2)
    assert street.crossings == []


def test_straddling_for_ever_and_then_leaving_counts_once() -> None:
    """A queue on the line counts each object once, when it goes on, however long it stood."""
    street, random = Street(main=LEVEL), np.random.default_rng(6)
    street.go(1, (0.5, 0.4), (0.5, 0.6))
    for _ in range(900):
        street.see({1: (0.5, 0.602 + random.normal(0, 0.002))})
    assert street.crossings == []
    street.go(1, (0.5, 0.602), (0.5, 0.8))
    assert street.crossings == [("AB", "car", 1)]


def test_stop_and_go_queue() -> None:
    """Cars that creep over the line one behind the other, stopping on it, count one each."""
    street = Street(main=LEVEL)
    for frame in range(1800):
        creep = 0.012 * (frame // 60) + 0.012 * min(frame % 60, 15) / 15
        street.see({n: (0.5, 0.55 - 0.11 * n + creep) for n in range(1, 4)})
    assert [event.track for event in street.told(wire.Crossing)] == [1, 2]
    assert {event.direction for event in street.told(wire.Crossing)} == {"AB"}


def test_u_turn() -> None:
    """Turning back on the line counts nothing; turning back behind it counts one each way."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.603), (0.5, 0.4))
    assert street.crossings == []
    street.go(2, (0.5, 0.4), (0.5, 0.8), (0.5, 0.4))
    assert [direction for direction, _, _ in street.crossings] == ["AB", "BA"]


def test_passing_just_beyond_the_end() -> None:
    """Who passes beside the line is not counted, on either end."""
    street = Street(main=wire.Line(points=[(0.3, 0.6), (0.6, 0.6)]))
    street.go(1, (0.29, 0.4), (0.29, 0.8))
    street.go(2, (0.61, 0.4), (0.61, 0.8))
    assert street.crossings == []
    street.go(3, (0.31, 0.4), (0.31, 0.8))
    assert street.crossings == [("AB", "car", 1)]


def test_unconfirmed_ids_are_ignored() -> None:
    """Tracks numbered 0 or -1, as other trackers give them, are nothing."""
    street = Street(main=LEVEL)
    for number in (-1, 0):
        street.go(number, (0.5, 0.4), (0.5, 0.8))
    street.close()
    assert street.events == []
    assert len(street.analyst) == 0


def test_id_reuse_is_another_object() -> None:
    """A number that ended and comes back starts afresh: its jump over the line is no crossing."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.3), (0.5, 0.4))
    street.see({}, ended=(1,))
    street.go(1, (0.5, 0.8), (0.5, 0.9))
    street.close()
    assert street.crossings == []
    assert [event.frames for event in street.told(wire.Track)] == [16, 16]
    assert street.totals.objects == {"car": 2}


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
    street.apply(main=LEVEL)
    street.go(1, (0.5, 0.8), (0.5, 0.8), (0.5, 0.9))
    street.apply(main=msgspec.structs.replace(LEVEL, points=[(0.0, 0.95), (1.0, 0.95)], version=2))
    street.go(1, (0.5, 0.9), (0.5, 0.9))
    assert street.crossings == []
    street.go(1, (0.5, 0.9), (0.5, 0.99))
    assert [(event.version, event.total) for event in street.told(wire.Crossing)] == [(2, 1)]


def test_a_first_sight_older_than_the_line_does_not_count() -> None:
    """An object seen before the line was drawn and confirmed after it starts from where it is now."""
    street = Street()
    street.see({})
    street.apply(main=LEVEL)
    track = Tracks(
        np.array([[600, 500, 680, 560]], np.float32),
        np.array([1]),
        np.array([0.8], np.float32),
        np.array([CAR]),
        origin=np.array([[600, 200, 680, 280]], np.float32),
        since=np.array([-0.1]),
    )
    street.events += street.analyst.update(track, [], SIZE, street.now, WALL)
    assert street.crossings == []


def test_editing_a_line_zeroes_nothing() -> None:
    """A new version counts from zero under its own number; the old total stays and is told once more."""
    street = Street(main=LEVEL, other=wire.Line(points=[(0.0, 0.7), (1.0, 0.7)], version=1))
    street.go(1, (0.5, 0.5), (0.5, 0.65))
    moved = msgspec.structs.replace(LEVEL, points=[(0.0, 0.55), (1.0, 0.55)], version=2)
    street.apply(main=moved, other=street.settings.lines["other"])
    street.go(1, (0.5, 0.65), (0.5, 0.8))
    street.go(1, (0.5, 0.8), (0.5, 0.4))
    assert street.totals.rows == {
        ("main", 1, "AB", "car"): 1,
        ("other", 1, "AB", "car"): 1,
        ("other", 1, "BA", "car"): 1,
        ("main", 2, "BA", "car"): 1,
    }
    assert {(row.line, row.version) for row in tally(street).totals} == {
        ("main", 1),
        ("main", 2),
        ("other", 1),
    }
    assert {(row.line, row.version) for row in tally(street).totals} == {("main", 2), ("other", 1)}


def test_an_unchanged_line_goes_on_through_an_edit_of_another() -> None:
    """An object that stands on one line is still counted when another line is drawn meanwhile."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.602))
    street.apply(another=wire.Line(points=[(0.0, 0.2), (1.0, 0.2)]), main=LEVEL)
    street.go(1, (0.5, 0.602), (0.5, 0.8))
    assert street.crossings == [("AB", "car", 1)]


def test_a_deleted_line_counts_no_more() -> None:
    """Once a line is gone nothing is told of it."""
    street = Street(main=LEVEL)
    street.apply()
    street.go(1, (0.5, 0.4), (0.5, 0.8))
    assert street.crossings == []


def test_resolution_change_with_stored_lines() -> None:
    """Lines are fractions: they keep their place when the stream changes its size, and nothing jumps."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.55))
    street.size = (640, 480)
    street.go(1, (0.5, 0.55), (0.5, 0.55))
    assert street.crossings == []
    street.go(1, (0.5, 0.55), (0.5, 0.8))
    assert street.crossings == [("AB", "car", 1)]


# ── labels ────────────────────────────────────────────────────────────────────────────────────────


def test_label_flicker_at_the_crossing_frame() -> None:
    """The label of a crossing is the vote, not what the detector said in that frame."""
    street = Street(main=LEVEL)
    for step in range(30):
        street.see({1: (0.5, 0.4 + step / 75)}, kind=TRUCK if 14 <= step <= 18 else CAR)
    assert street.crossings == [("AB", "car", 1)]


def test_lines_and_cameras_count_only_their_labels() -> None:
    """A line with labels of its own counts only those; so does a camera."""
    street = Street(main=msgspec.structs.replace(LEVEL, labels=["truck"]))
    street.go(1, (0.5, 0.4), (0.5, 0.8), kind=CAR)
    street.go(2, (0.5, 0.4), (0.5, 0.8), kind=TRUCK)
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


def test_larger_and_surer_sightings_weigh_more() -> None:
    """Near and sure beats far and unsure, though there were fewer of them."""
    street = Street()
    for _ in range(12):
        street.see({1: (0.3, 0.5)}, kind=TRUCK, sure=0.3, side=0.05)
    for _ in range(6):
        street.see({1: (0.3, 0.5)}, kind=CAR, sure=0.9, side=0.3)
    street.close()
    (track,) = street.told(wire.Track)
    assert track.label == "car"
    assert set(track.votes) == {"car", "truck"}
    assert sum(track.votes.values()) == 100


def test_mask_votes_that_are_not_clear_are_unknown() -> None:
    """Nobody is said to wear a mask, or none, on a vote near half; the unknown are counted apart."""
    street = Street(names=MASKS, main=LEVEL)
    for step in range(60):
        street.see({1: (0.3, 0.4 + step / 150), 2: (0.7, 0.5)}, kind=step % 2)
    street.close()
    assert {event.label for event in street.told(wire.Detection)} == {"unknown"}
    assert street.crossings == [("AB", "unknown", 1)]
    assert street.totals.objects == {"unknown": 2}


def test_clear_mask_votes_are_told() -> None:
    """A clear vote is told, also after an open beginning, and who takes the mask off is told again."""
    street = Street(names=MASKS)
    for step in range(20):
        street.see({1: (0.3, 0.5)}, kind=step % 2)
    for _ in range(60):
        street.see({1: (0.3, 0.5)}, kind=0)
    for _ in range(600):
        street.see({1: (0.3, 0.5)}, kind=1)
    labels = [event.label for event in street.told(wire.Detection)]
    assert labels == ["unknown", "with_mask", "unknown", "without_mask"]


# ── tracks, stays, totals ─────────────────────────────────────────────────────────────────────────


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
    street, random = Street(rate=5.0), np.random.default_rng(2)
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
        street.go(number, *way)
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


def test_stays_in_a_zone() -> None:
    """A stay is told when the object has left, with its dwell; a moment outside does not end it."""
    zone = wire.Zone(points=[(0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)], version=3)
    street = Street()
    street.analyst.apply(wire.CameraSettings(zones={"stop": zone}))
    street.go(1, (0.2, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.39), (0.5, 0.5), (0.9, 0.5))
    street.go(1, (0.9, 0.5), (0.9, 0.5))
    (stay,) = street.told(wire.Stay)
    assert (stay.zone, stay.version, stay.label, stay.track) == ("stop", 3, "car", 1)
    assert stay.dwell == pytest.approx(3650, abs=150)
    street.go(2, (0.5, 0.5), (0.5, 0.5))
    street.close()
    assert len(street.told(wire.Stay)) == 2


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
        told = tally(street)
        assert told.totals == [wire.LineTotal("main", 1, "AB", "car", 1)]
        assert (told.objects, told.watched, told.blind) == ({"car": 1}, 59_000, {"stalled": 1000})


def test_a_living_object_is_counted_after_seconds() -> None:
    """A parked car is among the objects before it leaves, and only once."""
    street = Street()
    street.go(1, (0.5, 0.5), (0.5, 0.5), seconds=6.0)
    assert street.totals.objects == {"car": 1}
    street.close()
    assert street.totals.objects == {"car": 1}


def test_state_is_bounded_over_many_tracks() -> None:
    """Ten thousand tracks leave nothing behind but totals."""
    street = Street(main=LEVEL)
    for number in range(1, 10_001):
        street.see({number: (0.5, 0.5)}, ended=(number - 1,))
        street.events.clear()
    assert len(street.analyst) == 1
    assert len(street.analyst._objects) == 16


def test_times_survive_a_clock_that_steps() -> None:
    """The wall clock may step; events keep sane, non-negative times and ages."""
    street = Street(main=LEVEL)
    street.go(1, (0.5, 0.4), (0.5, 0.59))
    tracks = Tracks(
        np.array([[600, 500, 680, 560]], np.float32),
        np.array([1]),
        np.array([0.8], np.float32),
        np.array([CAR]),
    )
    street.events += street.analyst.update(tracks, [], SIZE, street.now, 1000)
    street.close()
    assert all(event.at >= 0 for event in street.events)


def tally(street: Street) -> wire.Tally:
    """Return a minute's tally with figures as the loop gives them."""
    return street.analyst.tally(
        WALL,
        watched=59_000,
        blind={"stalled": 1000},
        captured=900,
        inferred=890,
        dropped=10,
        p50=20,
        p95=40,
    )


def test_the_street_is_counted_as_it_is() -> None:
    """Exact boxes of the street at 15 frames a second give its true crossings, live and afterwards."""
    place = street(250, seconds=30.0)
    events = count(seen(place, 15.0, NOISES["exact"]), place.size)
    score = Score()
    score.add(place, events, 15.0)
    assert score.hits == score.true == score.told > 10
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
