"""Zones: who came and left, how full they are, who queues, and where objects go from and to."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.count.analyst import Analyst, Totals
from agent.track.tracker import Tracks
from tests.unit.watched import CAR, LEVEL, MASKS, SIZE, TRUCK, VEHICLES, WALL, Street, boxes

STOP = wire.Zone(points=[(0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)], version=3)
LOW = wire.Zone(points=[(0.0, 0.7), (1.0, 0.7), (1.0, 1.0), (0.0, 1.0)], version=1)
any_rate = pytest.mark.parametrize("rate", [15.0, 5.0, 2.5])


def zoned(rate: float = 15.0, names: dict[int, str] = VEHICLES, **zones: wire.Zone) -> Street:
    """Return a street with zones, and with the line that all tests know."""
    street = Street(names=names, rate=rate)
    street.analyst.apply(wire.CameraSettings(lines={"main": LEVEL}, zones=zones))
    return street


@any_rate
def test_a_stay_is_told_with_its_dwell(rate: float) -> None:
    """A stay is told when the object has left; a moment outside does not end it."""
    street = zoned(rate, stop=STOP)
    street.go(1, (0.2, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.395), (0.5, 0.5), (0.9, 0.5))
    street.go(1, (0.9, 0.5), (0.9, 0.5))
    (stay,) = street.told(wire.Stay)
    assert (stay.zone, stay.version, stay.label, stay.track) == ("stop", 3, "car", 1)
    leg = 1000 * round(rate) / rate
    assert stay.dwell == pytest.approx(leg * (1 / 3 + 3 + 1 / 4), abs=10)
    assert street.totals.zones == {("stop", 3, "car"): [1, 1]}


def test_who_ends_in_a_zone_has_left_it() -> None:
    """An object that is lost inside is told with its dwell so far, and counted out."""
    street = zoned(stop=STOP)
    street.go(2, (0.5, 0.5), (0.5, 0.5), seconds=2.0)
    assert street.totals.zones == {("stop", 3, "car"): [1, 0]}
    street.now += 1.0
    street.close()
    (stay,) = street.told(wire.Stay)
    assert stay.dwell == pytest.approx(2000, abs=2)
    assert stay.at == WALL + 2000
    assert street.totals.zones == {("stop", 3, "car"): [1, 1]}


@any_rate
@pytest.mark.parametrize("away", [-0.003, 0.0, 0.003])
def test_jitter_on_the_border(away: float, rate: float) -> None:
    """What is parked on the border of a zone and trembles stays once, or never, for however long."""
    street = zoned(rate, stop=STOP)
    random = np.random.default_rng(3)
    for _ in range(1000):
        street.see({1: (0.5, 0.4 + away + random.normal(0, 0.002))}, side=0.2)
    street.close()
    assert len(street.told(wire.Stay)) <= 1


@pytest.mark.parametrize("rate", [15.0, 10.0, 5.0, 2.5, 2.0])
@pytest.mark.parametrize("start", [(0.1, 0.6), (0.13, 0.5), (0.3, 0.1), (0.25, 0.75)])
def test_passing_through_quickly_counts(start: tuple[float, float], rate: float) -> None:
    """Who was in a zone between two frames only was there, and for as long as the way through took."""
    street = zoned(rate, stop=STOP)
    end = (1 - start[0], 1.2 - start[1])
    street.go(1, start, end)
    street.go(1, end, end)
    (stay,) = street.told(wire.Stay)
    across = min(0.2 / abs(end[0] - start[0]), 0.4 / max(abs(end[1] - start[1]), 1e-9))
    assert stay.dwell == pytest.approx(1000 * across * round(rate) / rate, abs=30)
    assert stay.at == pytest.approx(WALL + 1000 * round(rate) / rate * (0.5 + across / 2), abs=30)
    assert street.totals.zones == {("stop", 3, "car"): [1, 1]}


@pytest.mark.parametrize("rate", [15.0, 5.0, 2.0])
def test_cutting_a_corner_by_less_than_the_margin_does_not_count(rate: float) -> None:
    """The way through must be clear of the border, in a frame or between two."""
    street = zoned(rate, stop=STOP)
    street.go(1, (0.2, 0.595), (0.605, 0.19))
    street.go(2, (0.1, 0.398), (0.9, 0.405), seconds=0.5)
    street.close()
    assert street.told(wire.Stay) == []


def test_passing_beside_does_not_count() -> None:
    """An anchor that touches the border from outside is not there."""
    street = zoned(stop=STOP)
    street.go(1, (0.1, 0.398), (0.9, 0.398))
    street.go(2, (0.1, 0.403), (0.9, 0.403), seconds=0.5)
    street.close()
    assert street.told(wire.Stay) == []
    assert street.totals.zones == {}


def test_anchor_and_labels_of_a_zone() -> None:
    """A zone looks at its own anchor and counts its own labels, even if the vote finds them late."""
    street = zoned(
        low=msgspec.structs.replace(LOW, labels=["truck"]),
        high=msgspec.structs.replace(LOW, anchor="center", labels=["truck"]),
    )
    street.see({1: (0.5, 0.72)}, kind=CAR, sure=0.3, side=0.2)
    for _ in range(30):
        street.see({1: (0.5, 0.72)}, kind=TRUCK, side=0.2)
    street.go(2, (0.2, 0.9), (0.2, 0.9), kind=CAR)
    street.close()
    assert street.totals.zones == {("low", 1, "truck"): [1, 1]}
    assert [(stay.zone, stay.label) for stay in street.told(wire.Stay)] == [("low", "truck")]


def test_who_came_under_a_label_leaves_under_it() -> None:
    """A mask that is taken off inside changes neither what was counted in nor what is counted out."""
    street = zoned(names=MASKS, low=LOW)
    for step in range(900):
        street.see({1: (0.5, 0.9)}, kind=0 if step < 60 else 1)
    assert street.told(wire.Detection)[-1].label == "without_mask"
    street.close()
    assert street.totals.zones == {("low", 1, "with_mask"): [1, 1]}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([10.0, 2.5]), edits=st.booleans())
def test_entered_less_left_is_who_is_there(seed: int, rate: float, edits: bool) -> None:
    """Whatever objects do, appear, vanish, and whatever is redrawn: the totals and the occupancy agree."""
    random = np.random.default_rng(seed)
    street = zoned(rate, stop=STOP, low=LOW)
    where: dict[int, np.ndarray] = {}
    for frame in range(60):
        if random.random() < 0.2:
            where[frame + 1] = random.uniform(0.05, 0.95, 2)
        gone = tuple(number for number in where if random.random() < 0.02)
        for number in gone:
            del where[number]
        for number in where:
            where[number] = np.clip(where[number] + random.normal(0, 0.06, 2), 0.02, 0.98)
        street.see({n: (float(x), float(y)) for n, (x, y) in where.items()}, ended=gone, side=0.05)
        if edits and frame == 30:
            street.analyst.apply(wire.CameraSettings(zones={"stop": STOP}))
        now = {row.zone: row.now for row in street.analyst._meter.take(street.analyst._zones.drawn)}
        there: dict[str, int] = {}
        for (zone, _, _), (entered, left) in street.totals.zones.items():
            there[zone] = there.get(zone, 0) + entered - left
        if frame != 30:  # the meter takes note of an edit with the next frame
            assert all(there.get(zone, 0) == count for zone, count in now.items())
            assert "low" in now or there.get("low", 0) == 0
    street.close()
    assert all(entered == left for entered, left in street.totals.zones.values())
    stays = [stay for stay in street.told(wire.Stay) if stay.zone == "stop"]
    assert len(stays) == sum(n for (zone, _, _), (_, n) in street.totals.zones.items() if zone == "stop")


# ── at the border of the picture ──────────────────────────────────────────────────────────────────

CUT = {  # where the anchor is that an edge cuts off, and the zone along that edge
    "lower": ((0.5, 1.0), [(0.3, 0.7), (0.7, 0.7), (0.7, 0.99), (0.3, 0.99)]),
    "upper": ((0.5, 0.0), [(0.3, 0.01), (0.7, 0.01), (0.7, 0.3), (0.3, 0.3)]),
    "left": ((0.0, 0.5), [(0.01, 0.3), (0.3, 0.3), (0.3, 0.7), (0.01, 0.7)]),
    "right": ((1.0, 0.5), [(0.7, 0.3), (0.99, 0.3), (0.99, 0.7), (0.7, 0.7)]),
}


@any_rate
@pytest.mark.parametrize("edge", CUT)
def test_who_is_cut_off_by_the_border_is_in_the_zone_there(edge: str, rate: float) -> None:
    """Occupancy, entry and exit are right for who comes from the middle and stays on any edge for seconds."""
    (x, y), points = CUT[edge]
    down = 0.1 if edge != "lower" else 0.0  # the lower edge for feet, the others for the middle of the box
    anchor = "bottom" if edge == "lower" else "center"
    street = zoned(rate, here=wire.Zone(points=points, anchor=anchor))
    street.go(1, (0.5, 0.5 + down), (x, y + down), side=0.2)
    street.go(1, (x, y + down), (x, y + down), seconds=3.0, side=0.2)
    (row,) = street.tally().occupancy
    assert (row.now, row.peak) == (1, 1)
    street.go(1, (x, y + down), (0.5, 0.5 + down), (0.5, 0.5 + down), side=0.2)
    (stay,) = street.told(wire.Stay)
    assert street.totals.zones == {("here", 0, "car"): [1, 1]}
    assert 3000 < stay.dwell < 5500


# ── how full ──────────────────────────────────────────────────────────────────────────────────────


@any_rate
def test_occupancy_is_weighted_by_time(rate: float) -> None:
    """Two objects for a quarter of the time and one for another are 0.75 on average, the peak is two."""
    street = zoned(rate, low=LOW)
    frames = round(60 * rate)
    for frame in range(frames + 1):
        share = frame / frames
        there = {1: (0.3, 0.9), 2: (0.6, 0.9)} if share < 0.25 else {1: (0.3, 0.9)} if share < 0.5 else {}
        ended = (2,) if 0.25 <= share < 0.25 + 1 / frames else (1,) if 0.5 <= share < 0.5 + 1 / frames else ()
        street.see(there, ended=ended)
    (row,) = street.tally().occupancy
    assert (row.zone, row.version, row.peak, row.now) == ("low", 1, 2, 0)
    assert row.mean == pytest.approx(75, abs=5)
    assert (row.queue_mean, row.queue_peak, row.queue_now) == (0, 0, 0)


def test_occupancy_does_not_know_what_was_not_watched() -> None:
    """A hole of half a minute is no time: the mean is that of the seconds that were seen."""
    street = zoned(low=LOW)
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=5.0)
    street.now += 30.0
    street.see({}, ended=(1,))
    for _ in range(74):
        street.see({})
    (row,) = street.tally().occupancy
    assert row.mean == pytest.approx(50, abs=8)


def test_a_blind_minute_has_no_occupancy() -> None:
    """Where nothing was looked at nothing is told, not zero; the next minute begins with who is there."""
    street = zoned(low=LOW)
    assert street.tally().occupancy == []
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=2.0)
    assert [row.now for row in street.tally().occupancy] == [1]
    assert street.tally().occupancy == []
    street.see({1: (0.5, 0.9)})
    assert [(row.peak, row.mean) for row in street.tally().occupancy] == [(1, 100)]


def test_a_queue_is_who_stands_in_the_zone() -> None:
    """Standing for three seconds makes a queue, driving through does not; outside nobody queues."""
    street = zoned(low=LOW)
    three = boxes([(0.2, 0.9), (0.5, 0.9), (0.8, 0.3)])
    for frame in range(60):
        still = np.array([frame / 15, 0.0, 60.0])
        sure = np.full(3, 0.8, np.float32)
        tracks = Tracks.of_boxes(three, np.array([1, 2, 3]), sure, np.full(3, CAR), frame / 15)
        tracks = replace(tracks, still=still)
        street.analyst.update(tracks, [], SIZE, frame / 15, WALL)
    (row,) = street.tally().occupancy
    assert (row.now, row.queue_now, row.queue_peak) == (2, 1, 1)
    assert row.queue_mean == pytest.approx(100 * 14 / 59, abs=3)


def test_a_tracker_that_does_not_tell_who_stands() -> None:
    """Then nothing queues, and all else goes on."""
    street = zoned(low=LOW)
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=6.0)
    (row,) = street.tally().occupancy
    assert (row.now, row.queue_now) == (1, 0)


def test_editing_one_zone_leaves_the_others_minute_alone() -> None:
    """The mean of a zone goes on over the edit of another; a moved one begins anew under its version."""
    street = zoned(low=LOW, stop=STOP)
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=5.0)
    moved = msgspec.structs.replace(STOP, version=4)
    street.analyst.apply(wire.CameraSettings(zones={"low": LOW, "stop": moved}))
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=5.0)
    low, stop = street.tally().occupancy
    assert low.mean >= 85
    assert (stop.version, stop.mean, stop.peak) == (4, 0, 0)


# ── from where to where ───────────────────────────────────────────────────────────────────────────


def test_gates_and_trips() -> None:
    """What an object passed is told in order when it ends, and its first and last gate make its trip."""
    street = zoned(stop=STOP, low=LOW)
    street.go(1, (0.2, 0.5), (0.5, 0.5), (0.5, 0.99), (0.5, 0.5))
    street.go(1, (0.5, 0.5), (0.1, 0.5))
    street.go(2, (0.1, 0.5), (0.1, 0.65))
    street.close()
    one, two = sorted(street.told(wire.Track), key=lambda track: track.track)
    assert [(gate.name, gate.kind) for gate in one.gates] == [
        ("stop", "in"), ("main", "AB"), ("low", "in"), ("stop", "in"), ("main", "BA"),
    ]  # fmt: skip
    times = [gate.after for gate in one.gates]
    assert times == sorted(times)
    assert times[1] == pytest.approx(1000 + 204, abs=130)  # steadied over a sharp turn 0.2 s before
    assert two.gates == []
    assert street.totals.trips == {("stop", "main:BA", "car"): 1}
    assert street.tally().trips == [wire.TripTotal("stop", "main:BA", "car", 1)]


def test_gates_only_on_the_last_part() -> None:
    """A life of several parts tells its gates once, at its end, the early ones too."""
    street = zoned(rate=2.0, low=LOW)
    street.go(1, (0.5, 0.5), (0.5, 0.9), seconds=10.0)
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=130.0)
    street.close()
    *parts, last = street.told(wire.Track)
    assert len(parts) == 2
    assert all(part.gates == [] for part in parts)
    assert [gate.name for gate in last.gates] == ["main", "low"]


def test_gates_are_bounded() -> None:
    """Who goes to and fro for ever tells 32 gates, the first ones and the last."""
    street = zoned(rate=10.0)
    for turn in range(41):
        street.go(1, *([(0.5, 0.5), (0.5, 0.7)] if turn % 2 == 0 else [(0.5, 0.7), (0.5, 0.5)]))
    street.close()
    (track,) = street.told(wire.Track)
    assert len(track.gates) == wire.MAX_GATES
    assert track.gates[-1].after > track.gates[-2].after + 5000
    assert street.totals.trips == {("main:AB", "main:AB", "car"): 1}
    assert wire.decode_event(wire.encode_event(track, WALL), WALL) == track


# ── totals ────────────────────────────────────────────────────────────────────────────────────────


def test_totals_of_zones_and_trips_survive_a_restart() -> None:
    """They go on from where they were; who was inside is taken as gone; an old memory still loads."""
    totals = Totals()
    totals.entered("low", 1, "car")
    totals.entered("low", 1, "car")
    totals.left("low", 1, "car")
    totals.travelled("main:AB", "low", "car")
    restored = Totals.restore(totals.snapshot())
    assert restored.zones == {("low", 1, "car"): [2, 2]}
    assert restored.trips == totals.trips
    old = Totals.restore(b'{"rows":[["main",1,"AB","car",7]],"objects":{"car":9}}')
    assert (old.rows, old.objects) == ({("main", 1, "AB", "car"): 7}, {"car": 9})
    assert (old.zones, old.trips) == ({}, {})


def test_totals_of_old_zones_are_told_once_more() -> None:
    """A zone that was redrawn tells the totals of its old version in one more tally."""
    street = zoned(low=LOW)
    street.go(1, (0.5, 0.9), (0.5, 0.9))
    street.analyst.apply(wire.CameraSettings(zones={"low": msgspec.structs.replace(LOW, version=2)}))
    assert street.tally().zones == [wire.ZoneTotal("low", 1, "car", 1, 1)]
    street.go(1, (0.5, 0.9), (0.5, 0.9), seconds=2.0)
    assert street.tally().zones == [wire.ZoneTotal("low", 2, "car", 1, 0)]


def test_a_tally_of_very_many_trips_stays_small() -> None:
    """Of thousands of trips a minute tells those that changed and some others, within a payload."""
    street = zoned()
    for one in range(60):
        for two in range(60):
            street.totals.travelled(f"origin {one}:AB", f"destination {two}:BA", "motorcycle")
    assert len(street.tally().trips) == 3600
    street.totals.travelled("origin 59:AB", "destination 59:BA", "motorcycle")
    told = street.tally()
    assert told.trips[0] == wire.TripTotal("origin 59:AB", "destination 59:BA", "motorcycle", 2)
    assert len(wire.encode_event(told, WALL)) < 16_000


def test_an_analyst_without_zones_tells_none() -> None:
    """Nothing of zones is told where there are none."""
    analyst = Analyst("cam0", wire.CameraSettings(), VEHICLES, Totals())
    assert not analyst.wants_sharpness
    assert analyst._meter.take([]) == []
