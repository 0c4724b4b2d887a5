"""What an object is: votes by confidence, size and sharpness, an honest unknown, each person once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import wire
from agent.count.analyst import Analyst, Totals
from agent.count.object_table import ObjectTable
from agent.count.vote import FADE_SECONDS, Vote
from tests.unit.watched import CAR, LEVEL, MASKS, TRUCK, VEHICLES, Street


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


@pytest.mark.parametrize(("sharp", "label"), [(True, "with_mask"), (False, "without_mask")])
def test_sharper_sightings_weigh_more(sharp: bool, label: str) -> None:
    """Five sharp looks beat ten blurred ones; without a word on sharpness the ten win."""
    street = Street(names=MASKS)
    assert street.analyst.wants_sharpness
    for step in range(15):
        look = (0.9 if step >= 10 else 0.2) if sharp else None
        street.see({1: (0.3, 0.5)}, kind=0 if step >= 10 else 1, sharp=look)
    street.close()
    assert street.told(wire.Track)[0].label == label


def test_only_states_want_sharpness() -> None:
    """A car is a car, blurred or not: its picture is not measured."""
    assert not Analyst("cam0", wire.CameraSettings(), VEHICLES, Totals()).wants_sharpness


def test_what_is_all_blurred_still_has_a_vote() -> None:
    """Sharpness of nought does not make an object that nobody judged."""
    street = Street(names=MASKS)
    for _ in range(10):
        street.see({1: (0.3, 0.5)}, kind=0, sharp=0.0)
    street.close()
    (track,) = street.told(wire.Track)
    assert (track.label, track.score) == ("with_mask", 80)


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


@settings(max_examples=25, deadline=None)
@given(kinds=st.lists(st.integers(0, 2), min_size=1, max_size=150))
def test_one_person_is_counted_once(kinds: list[int]) -> None:
    """Whatever is seen of a face, and however often its label changes, it is one among the objects."""
    street = Street(names=MASKS)
    for kind in kinds:
        street.see({1: (0.3, 0.5)}, kind=kind)
    street.close()
    assert sum(street.totals.objects.values()) == 1
    told = [event.label for event in street.told(wire.Detection)]
    assert all(one != two for one, two in pairwise(told))
    assert told[-1] == street.told(wire.Track)[0].label


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([10.0, 0.5, 0.01]))
def test_votes_fade_by_half_in_their_time(seed: int, rate: float) -> None:
    """The votes stand to each other as if each had been halved every FADE_SECONDS since it was cast."""
    random = np.random.default_rng(seed)
    vote = Vote(VEHICLES)
    objects = ObjectTable()
    box = np.array([[0.4, 0.4, 0.6, 0.6]])
    rows = objects.meet(np.array([1]), np.array([1000.0]), box, (1.0, 1.0), 0)
    expected = np.zeros(len(VEHICLES))
    now = 1000.0
    for _ in range(40):
        step = random.exponential(1 / rate)
        now += step
        kind = int(random.integers(0, 6))
        sure = float(random.uniform(0.1, 1))
        expected *= 0.5 ** (step / FADE_SECONDS)
        expected[kind] += sure
        vote.cast(objects, rows, np.array([kind]), np.array([sure], np.float32), None, now)
    votes = vote._rows.votes[rows[0]]
    assert np.isfinite(votes).all()
    np.testing.assert_allclose(votes / votes.sum(), expected / expected.sum(), rtol=1e-5, atol=1e-9)
