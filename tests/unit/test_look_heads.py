"""Where the heads of followed people must be, a face is looked for until one is found."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections, iou
from agent.look.heads import Heads
from agent.look.live import CameraLook
from agent.track.tracks import Tracks
from tests.unit.test_look import Sees, picture

NAMES = {0: "person", 1: "without_mask", 2: "car"}
PERSON = (1100, 600, 1180, 900)
FACE = (1122, 602, 1158, 640)
EMPTY = np.zeros(0)


def seen(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Return detections from rows of left, top, right, bottom, confidence, class."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def heads(found: Detections, names: dict[int, str], *classes: int) -> list[list[float]]:
    """Return the heads to look for of one track of each class, all at PERSON."""
    boxes = np.asarray([PERSON] * len(classes), np.float32)
    return Heads(names).unseen(boxes, np.asarray(classes), found).round(1).tolist()


def test_a_head_is_a_seventh_of_a_person_in_the_middle_of_the_upper_edge() -> None:
    """A person 300 pixels tall has a head of 43, whatever the width of the box."""
    (head,) = heads(seen(), NAMES, 0)
    assert head == pytest.approx([1118.6, 600.0, 1161.4, 642.9], abs=0.01)


@pytest.mark.parametrize(
    ("found", "names", "kind"),
    [
        (seen((*FACE, 0.3, 1)), NAMES, 0),  # its face was found
        (seen(), NAMES, 2),  # a car has no head
        (seen(), {0: "person", 1: "car"}, 0),  # no face would be told
        (seen(), {0: "with_mask", 1: "without_mask"}, 0),  # nobody knows where people are
    ],
)
def test_no_head_is_looked_for_where_none_can_be_new(
    found: Detections, names: dict[int, str], kind: int
) -> None:
    """What was found, what has no head, and a model that knows but one of both ask for nothing."""
    assert heads(found, names, kind) == []


def test_a_face_of_somebody_else_does_not_count() -> None:
    """A face beside the head, as of somebody behind, leaves the head to be looked for."""
    assert len(heads(seen((1170, 640, 1190, 660, 0.9, 1)), NAMES, 0)) == 1


class Street(Sees):
    """Find green people and blue faces of 12 pixels and more on the canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.names = NAMES

    def detect(self, image_bgr: np.ndarray) -> Detections:
        people = super().detect(image_bgr)
        faces = super().detect(np.ascontiguousarray(image_bgr[:, :, [1, 0, 2]]))
        self.calls -= 1
        return Detections(
            np.concatenate((people.xyxy, faces.xyxy)),
            np.concatenate((people.confidence, faces.confidence)),
            np.concatenate((people.class_id, faces.class_id + 1)),
        )


def street(step: int) -> np.ndarray:
    """Return a picture of a person with a face, a few pixels further on at each step."""
    image = picture(tuple(edge + (4 * step if n % 2 == 0 else 0) for n, edge in enumerate(PERSON)))
    left, top, right, bottom = FACE
    image[top:bottom, left + 4 * step : right + 4 * step] = (220, 40, 40)
    return image


def frames_until_a_face(followed_as: int) -> int:
    """Return in which frame a small face of someone who walks is first found."""
    detector = Street()
    camera = CameraLook(detector, None, None)
    for number in range(40):
        image = street(number % 20)
        found = camera.refine(image, detector.detect(image), number / 10)
        assert isinstance(found, Detections)
        if (found.class_id == 1).any():
            return number
        box = found.xyxy[found.class_id == 0][:1]
        count = np.zeros(len(box))
        kind = np.full(len(box), followed_as)
        camera.judge(image, Tracks(box, kind, count, kind, box, count, EMPTY, count, box), None, np.isnan)
    return 40


def test_the_face_of_someone_followed_is_found_sooner() -> None:
    """The first look sees the person and not the face; the head's place leads the second look there."""
    image = street(0)
    first = Street().detect(image)
    assert first.class_id.tolist() == [0]
    assert iou(first.xyxy, np.asarray([PERSON], np.float32)).item() > 0.8
    assert frames_until_a_face(followed_as=0) < frames_until_a_face(followed_as=2)
