"""What became of small faces: one cause each, by boxes and scores whose story is known."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections
from benchmarks.missed import CAUSES, Recorder, Told, cause, counted, missed, tell
from export.data.sample import Picture
from tests.unit.test_look import SMALL, Sees, picture

FACE = np.asarray((100, 100, 120, 120), np.float32)
BESIDE = (108, 100, 128, 120)  # overlaps it by 0.43


def one(score: float, box: tuple[int, ...] = (100, 100, 120, 120)) -> Detections:
    return Detections(np.asarray([box], np.float32), np.asarray([score], np.float32), np.zeros(1, np.int64))


NONE = Detections.empty()


@pytest.mark.parametrize(
    ("both", "look", "told"),
    [
        (one(0.6), one(0.6), 0),
        (one(0.4), one(0.6), 1),
        (one(0.9, BESIDE), NONE, 2),
        (one(0.9, BESIDE), one(0.3), 3),
        (one(0.2), one(0.4), 4),
        (one(0.2), one(0.2), 5),
        (NONE, one(0.1), 5),
        (one(0.2, BESIDE), NONE, 6),
        (NONE, NONE, 6),
    ],
)
def test_a_face_has_the_first_cause_that_is_true_of_it(both: Detections, look: Detections, told: int) -> None:
    """The bound is 0.5; what one look sees from 0.25 on and the end does not hold was lost between."""
    assert cause(FACE, both, [NONE, look], 0.5) == CAUSES[told]


def shown(*boxes: tuple[float, ...]) -> Picture:
    """Return a picture of bare faces."""
    allowed = np.asarray([(False, True)] * len(boxes))
    xyxy = np.asarray(boxes, np.float32)
    return Picture(np.zeros((1, 1, 3), np.uint8), xyxy, allowed, np.zeros(2, np.bool_), "here")


def test_faces_are_counted_by_size() -> None:
    """Of two faces of 20 pixels one is found, one unseen; one of 10 is found; a large one is left out."""
    faces = shown((100, 100, 120, 120), (200, 200, 220, 220), (300, 300, 310, 310), (400, 400, 500, 500))
    found = Detections(faces.boxes[[0, 2]], np.asarray([0.8, 0.7], np.float32), np.ones(2, np.int64))
    counts = dict(counted([Told(faces, found, [found])], 2))
    assert counts["16-32"] == {CAUSES[0]: 1, CAUSES[6]: 1}
    assert counts["8-16"] == {CAUSES[0]: 1}


def test_a_picture_is_told_with_all_that_its_looks_saw() -> None:
    """Small boxes that the first look misses are in what regions saw, in the picture's own pixels."""
    detector = Sees()
    detector.names = {0: "with_mask", 1: "without_mask"}
    image = picture(*SMALL)
    told = tell(
        detector, Picture(image, shown(*SMALL).boxes, np.ones((3, 2), bool), np.zeros(2, bool), "here")
    )
    assert len(told.looks[0]) == 0
    assert len(told.looks) > 10
    for box in np.asarray(SMALL, np.float32):
        assert cause(box, told.both, told.looks, 0.1) == CAUSES[0]
    assert Recorder(detector).input_size == detector.input_size
    table = missed(
        detector, [Picture(image, shown(*SMALL).boxes, shown(*SMALL).allowed, np.zeros(2, bool), "here")]
    )
    assert "| found | - | 3 (1.000) |" in table
