"""The finds of two resolutions become one set: tables of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from agent.look.merge import DOUBT, ENOUGH, UNSURE, finds, mend, merge
from agent.look.region import Region

STATES = np.zeros(2, np.int64)  # two states of one thing are one kind
KINDS = np.arange(6)  # six things

Row = tuple[float, float, float, float, float, int]  # box, confidence, class


def seen(*rows: Row) -> Detections:
    """Return detections from rows of left, top, right, bottom, confidence, class."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def rows(found: Detections) -> list[tuple[float, ...]]:
    """Return detections as rows again."""
    return [
        (*(round(float(edge), 2) for edge in box), round(float(sure), 3), int(kind))
        for box, sure, kind in zip(found.xyxy, found.confidence, found.class_id, strict=True)
    ]


def both(first: Detections, second: Detections, kinds: np.ndarray = KINDS) -> list[tuple[float, ...]]:
    """Merge a first look at half the pixels with a second look at twice as many."""
    return rows(merge(finds(first, 0.5), finds(second, 2.0), kinds, 0.5))


def test_what_only_the_first_look_sees_stays_as_it_was() -> None:
    """Nothing found again changes nothing, in order, score, class or box."""
    first = seen((0, 0, 20, 20, 0.9, 1), (50, 50, 60, 60, 0.3, 2))
    assert both(first, Detections.empty()) == rows(first)


def test_the_sharper_look_gives_box_and_class_of_a_small_object() -> None:
    """An object of 20 pixels was 10 input pixels in the first look and 40 in the second: the second wins."""
    first = seen((10, 10, 30, 30, 0.6, 0))
    second = seen((11, 11, 29, 31, 0.5, 1))
    assert both(first, second, STATES) == [(11, 11, 29, 31, 0.6, 1)]


def test_a_far_less_sure_look_does_not_win_by_being_sharp() -> None:
    """Under SURE_TOO of the first look's score it only confirms."""
    first = seen((10, 10, 30, 30, 0.9, 0))
    second = seen((11, 11, 29, 31, 0.4, 1))
    assert both(first, second, STATES) == [(10, 10, 30, 30, 0.9, 0)]


def test_what_the_first_look_saw_large_enough_stays_as_it_was() -> None:
    """From ENOUGH input pixels on a closer look shows nothing new, however sure it is."""
    side = 2 * ENOUGH
    first = seen((0, 0, side, side, 0.6, 0))
    assert both(first, seen((0, 0, side, side - 9, 0.9, 1)), STATES) == rows(first)


def test_what_leans_is_told_by_the_turned_region_where_that_is_surer() -> None:
    """An upright box fits a leaning face badly; a turned find that is less sure changes nothing."""
    first = seen((0, 0, 100, 100, 0.3, 0))
    worth = pytest.approx(0.7**DOUBT, abs=1e-3)
    for sure, told in ((0.7, (5, 0, 95, 110, worth, 1)), (0.2, (0, 0, 100, 100, 0.3, 0))):
        turned = finds(seen((5, 0, 95, 110, sure, 1)), 0.0)
        assert rows(merge(finds(first, 0.5), turned, STATES, 0.5)) == [told]


def test_what_the_first_look_is_sure_of_is_not_told_anew_by_a_turned_region() -> None:
    """A face that stands upright keeps box, class and score, however sure a turned region is."""
    first = seen((0, 0, 100, 100, UNSURE + 0.05, 0))
    turned = finds(seen((5, 0, 95, 110, 0.95, 1)), 0.0)
    assert rows(merge(finds(first, 0.5), turned, STATES, 0.5)) == rows(first)


def test_a_region_alone_does_not_make_sure_what_the_first_look_doubted() -> None:
    """Two weak words are no strong one: a first look of 0.2 and a region of 0.4 stay at 0.2."""
    first = seen((10, 10, 30, 30, 0.2, 0))
    ((*_, sure, kind),) = both(first, seen((11, 11, 29, 31, 0.4, 0)))
    assert (sure, kind) == (0.2, 0)


def test_what_the_first_look_would_have_seen_is_no_news() -> None:
    """What the first look had 100 input pixels of, and did not find, is a part of something else."""
    assert both(Detections.empty(), seen((0, 0, 200, 200, 0.9, 0))) == []


@pytest.mark.parametrize(
    ("second", "objects"),
    [
        ((12, 12, 26, 26, 0.7, 2), 1),  # all of it inside, half as large: the same car
        ((12, 12, 26, 26, 0.7, 0), 2),  # a person before the car
        ((12, 12, 17, 17, 0.7, 2), 2),  # so much smaller: another car behind it
        ((25, 12, 45, 30, 0.7, 2), 2),  # overlaps by a quarter: the next car
        ((12, 10, 32, 30, 0.7, 4), 1),  # overlaps by most: a bus and not a car
    ],
)
def test_one_object_is_one_box_by_overlap_or_containment(second: Row, objects: int) -> None:
    """Overlap joins whatever the class; containment joins what is of one kind and of like size."""
    assert len(both(seen((10, 10, 30, 30, 0.8, 2)), seen(second))) == objects


def test_a_part_of_what_was_seen_sharply_is_no_object() -> None:
    """A pattern on a large face's mask is not a face, though the closer look takes it for one."""
    face = seen((0, 0, 200, 200, 0.9, 0))
    assert both(face, seen((80, 120, 110, 150, 0.6, 1)), STATES) == rows(face)


def test_one_far_box_round_two_faces_becomes_two() -> None:
    """The closer look tells two faces apart that the first took for one."""
    first = seen((0, 0, 20, 14, 0.5, 1))
    second = seen((0, 0, 11, 14, 0.8, 1), (10, 0, 20, 13, 0.7, 1))
    assert both(first, second, STATES) == [
        (0, 0, 11, 14, pytest.approx(0.8**DOUBT, abs=1e-3), 1),
        (10, 0, 20, 13, pytest.approx(0.7**DOUBT, abs=1e-3), 1),
    ]


def test_what_the_first_look_keeps_apart_stays_apart() -> None:
    """Two boxes of the first look are two objects, however much one find of the second overlaps both."""
    first = seen((0, 0, 20, 20, 0.8, 0), (4, 0, 26, 20, 0.7, 0))
    assert len(both(first, seen((2, 0, 23, 20, 0.9, 0)))) == 2


def test_news_count_less_than_what_both_looks_see() -> None:
    """What one closer look alone shows gets a power of its score: the weaker, the less it is worth."""
    assert both(Detections.empty(), seen((5, 5, 15, 15, 0.5, 1))) == [
        (5, 5, 15, 15, pytest.approx(0.5**DOUBT, abs=1e-3), 1)
    ]


def test_two_regions_that_overlap_tell_an_object_once() -> None:
    """The same find from both is one object, with the greater score."""
    second = seen((40, 40, 60, 60, 0.5, 1), (41, 40, 61, 60, 0.7, 1))
    assert both(Detections.empty(), second) == [(41, 40, 61, 60, pytest.approx(0.7**DOUBT, abs=1e-3), 1)]


LEFT = Region(0, 0, 60, 100)
RIGHT = Region(50, 0, 110, 100)
FAR = Region(0, 100, 60, 200)


def mended(*looked: tuple[Region, Detections]) -> list[tuple[float, ...]]:
    """Mend the finds of regions of a picture of 110 x 200."""
    return rows(mend([(region, finds(found, 1.0)) for region, found in looked], (110, 200)).found)


def test_an_object_cut_by_two_regions_is_joined() -> None:
    """Both halves end at the border that the other goes beyond."""
    halves = (LEFT, seen((20, 30, 60, 60, 0.5, 1))), (RIGHT, seen((50, 31, 90, 60, 0.7, 1)))
    assert mended(*halves) == [(20, 30, 90, 60, 0.7, 1)]


@pytest.mark.parametrize(
    "other",
    [
        (50, 31, 90, 60, 0.7, 2),  # another class
        (50, 60, 90, 95, 0.7, 1),  # not in line
        (62, 31, 90, 60, 0.7, 1),  # whole, and apart
    ],
)
def test_a_piece_without_a_partner_is_no_object(other: Row) -> None:
    """Half an object would be a wrong box: it is left to the first look."""
    told = mended((LEFT, seen((20, 30, 60, 60, 0.5, 1))), (RIGHT, seen(other)))
    assert (20, 30, 60, 60, 0.5, 1) not in told
    assert not any(row[0] == 20 for row in told)


def test_an_edge_of_the_picture_cuts_nothing() -> None:
    """What ends where the picture ends is whole as far as anybody can see."""
    assert mended((LEFT, seen((0, 0, 30, 40, 0.5, 1)))) == [(0, 0, 30, 40, 0.5, 1)]


def test_an_object_over_four_regions_is_one() -> None:
    """Pieces are joined to pieces that are joined: a bus over a corner of four tiles."""
    below = Region(50, 90, 110, 200)
    left_below = Region(0, 90, 60, 200)
    told = mended(
        (LEFT, seen((20, 60, 60, 100, 0.5, 4))),
        (RIGHT, seen((50, 60, 90, 100, 0.6, 4))),
        (left_below, seen((20, 90, 60, 140, 0.4, 4))),
        (below, seen((50, 90, 90, 140, 0.3, 4))),
    )
    assert told == [(20, 60, 90, 140, 0.6, 4)]
