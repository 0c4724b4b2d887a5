"""Several looks at one object agree, or they do not: tables of boxes and scores."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from agent.look.agree import agreed, shown
from agent.look.merge import Finds, finds
from agent.look.region import Region

PICTURE = (1000, 1000)
ZOOM = 0.64  # of the first look
KINDS = np.asarray([0, 0, 2])  # two states of a face, and something else
BOX = (100, 100, 120, 120)
UPPER = Region(0, 0, 500, 500)
NEAR = Region(50, 50, 300, 300)
CUTS = Region(0, 0, 110, 500)  # shows the left half of BOX
AWAY = Region(600, 600, 1000, 1000)
LEANING = Region(0, 0, 1000, 1000, 60.0)


def says(score: float | None, box: tuple[int, ...] = BOX, kind: int = 0) -> Detections:
    """Return one box with its score, or none."""
    if score is None:
        return Detections.empty()
    xyxy = np.asarray([box], np.float32)
    return Detections(xyxy, np.asarray([score], np.float32), np.asarray([kind], np.int64))


def told(
    both: float, first: float | None, *looked: tuple[Region, float | None], box: tuple[int, ...] = BOX
) -> float:
    """Return the score that one find of both looks has in the end."""
    regions: list[tuple[Region, Finds]] = [(region, finds(says(s, box), 2.0)) for region, s in looked]
    found = agreed(says(both, box), says(first, box), regions, KINDS, PICTURE, ZOOM)
    assert found.xyxy.tolist() == [list(box)]
    return float(found.confidence[0])


@pytest.mark.parametrize(
    ("both", "first", "looked", "score"),
    [
        (0.64, 0.4, [(UPPER, 0.8), (NEAR, 0.6)], (0.64 * 0.6) ** 0.5),  # all see it
        (0.64, None, [(UPPER, 0.8), (NEAR, None)], (0.64 * 0.8 / 3) ** 0.5),  # one of three does
        (0.64, None, [(UPPER, 0.8), (AWAY, None)], (0.64 * 0.4) ** 0.5),  # another place has no voice
        (0.64, None, [(UPPER, 0.8), (CUTS, None)], (0.64 * 0.4) ** 0.5),  # nor what cuts it
        (0.3, 0.3, [(UPPER, None), (NEAR, None)], (0.3 * 0.1) ** 0.5),  # nearer looks see nothing
        (0.3, 0.3, [], 0.3),  # nobody else was asked
        (0.81, 0.3, [(UPPER, None), (LEANING, 0.9)], 0.81),  # what leans is not weighed
        (0.5, None, [(AWAY, 0.7)], (0.5 * 0.35) ** 0.5),  # joined of pieces: who saw it has a voice
        (0.5, None, [(CUTS, None)], 0.5),  # joined of pieces that overlap it little
    ],
)
def test_what_one_look_sees_and_others_overlook_counts_less(
    both: float, first: float | None, looked: list[tuple[Region, float | None]], score: float
) -> None:
    """The score is the root of what it was times the mean of all looks that show the object whole."""
    assert told(both, first, *looked) == pytest.approx(score, abs=1e-6)


def test_what_is_large_in_the_first_look_stays() -> None:
    """A face of 100 pixels is 64 of the network's input: that nearer looks overlook it says nothing."""
    assert told(0.5, 0.5, (UPPER, None), box=(100, 100, 200, 200)) == pytest.approx(0.5)


def test_a_voice_is_of_the_same_kind_and_the_best_come_first() -> None:
    """A face that a region calls masked is that face; a thing of another kind is no voice for it."""
    other = (300, 300, 320, 320)
    both = Detections(
        np.asarray([BOX, other], np.float32), np.asarray([0.5, 0.45], np.float32), np.asarray([0, 0])
    )
    region = Detections(
        np.asarray([BOX, other], np.float32), np.asarray([0.9, 0.9], np.float32), np.asarray([2, 1])
    )
    found = agreed(both, both, [(UPPER, finds(region, 2.0))], KINDS, PICTURE, ZOOM)
    assert found.xyxy.tolist() == [list(map(float, other)), list(map(float, BOX))]
    assert found.confidence.tolist() == pytest.approx([(0.45 * 0.675) ** 0.5, (0.5 * 0.25) ** 0.5])
    assert found.class_id.tolist() == [0, 0]


def test_one_find_of_a_look_speaks_for_one_object() -> None:
    """Of two boxes on one face the surer has all voices; the other, with none left, stays as it was."""
    other = (100, 106, 120, 126)
    both = Detections(
        np.asarray([BOX, other], np.float32), np.asarray([0.8, 0.3], np.float32), np.zeros(2, np.int64)
    )
    looked = [(UPPER, finds(says(0.8), 2.0)), (NEAR, finds(says(0.8), 2.0))]
    found = agreed(both, both, looked, KINDS, PICTURE, ZOOM)
    assert found.xyxy.tolist() == [list(map(float, BOX)), list(map(float, other))]
    assert found.confidence.tolist() == pytest.approx([0.8, 0.3])


@pytest.mark.parametrize(
    ("silent", "score"), [([False, False], 0.4), ([False, True], 0.6), ([True, True], 0.6)]
)
def test_what_a_region_does_not_show_any_more_may_be_there(silent: list[bool], score: float) -> None:
    """A region that has changed since is no voice against a find, only for what it still shows."""
    both = says(0.8)
    looked = [(UPPER, finds(says(0.8), 2.0)), (NEAR, finds(says(None), 2.0))]
    quiet = np.asarray(silent, np.bool_)
    found = agreed(both, says(0.4), looked, KINDS, PICTURE, ZOOM, quiet)
    assert found.confidence.tolist() == pytest.approx([(0.8 * score) ** 0.5])


def test_a_region_shows_whole_what_ends_at_no_inner_border() -> None:
    """At the picture's own border nothing is cut, however near a box comes to it."""
    boxes = np.asarray([(0, 0, 20, 20), (480, 0, 498, 20), (480, 0, 490, 20)], np.float32)
    assert shown([UPPER, AWAY], boxes, PICTURE).tolist() == [[True, False], [False, False], [True, False]]
    assert shown([], boxes, PICTURE).shape == (3, 0)
