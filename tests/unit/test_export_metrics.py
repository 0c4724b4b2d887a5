"""The arithmetic of judging, beside somebody else's; and what is counted of faces."""

import numpy as np
import pytest

from agent.boxes import Detections
from export.data.sample import Picture
from export.judge.evaluate import Seen, confusion, judge, pair
from export.judge.mask_metrics import by_size, find, gather, roc_points, tell, turn
from export.judge.metrics import auc, draw, match_picture, precision_interval, ratio, recall_at, roc

NAMES = ["with_mask", "without_mask"]


def jittered(seed: int, pictures: int = 40) -> list[tuple[np.ndarray, Detections]]:
    """Return truths, and detections near some of them and elsewhere; the same for a seed for ever."""
    state = np.random.RandomState(seed)
    result = []
    for _ in range(pictures):
        corner = state.uniform(0, 400, (state.randint(1, 9), 2))
        truths = np.concatenate((corner, corner + state.uniform(30, 120, corner.shape)), 1).astype(np.float32)
        near = truths[state.rand(len(truths)) < 0.8]
        near = near + state.normal(0, 4, near.shape)
        away = state.uniform(0, 400, (state.randint(0, 5), 2))
        boxes = np.concatenate((near, np.concatenate((away, away + state.uniform(8, 120, away.shape)), 1)))
        scores = np.round(
            state.beta(2, 2, len(boxes)) * np.r_[np.ones(len(near)), np.full(len(away), 0.7)], 4
        )
        order = np.argsort(-scores, kind="stable")
        result.append((truths, Detections(boxes[order], scores[order], np.zeros(len(boxes), np.int64))))
    return result


# COCOeval of pycocotools 2.0.11 on the same boxes, maxDets 300, all areas: AP50, AP50-95
COCO = {1: (0.607668828, 0.363711541), 2: (0.673925790, 0.433440086), 3: (0.652686689, 0.420773397)}


@pytest.mark.parametrize("seed", COCO)
def test_average_precision_is_cocos(seed: int) -> None:
    """AP50 and AP50-95 are those of COCO's own program, and the interval lies round them."""
    nothing = np.zeros((0, 4), np.float32)
    matched = [match_picture(found, truths, np.asarray([0]), nothing) for truths, found in jittered(seed)]
    ap50, ap = precision_interval(matched, draw(len(matched)))
    assert (ap50.value, ap.value) == pytest.approx(COCO[seed], abs=1e-6)
    assert ap50.low < ap50.value < ap50.high
    assert precision_interval(matched, draw(len(matched)))[0] == ap50


def test_the_interval_covers_what_it_should() -> None:
    """Of 200 samples with a known share, the interval holds it in about 95 of 100."""
    rng = np.random.default_rng(4)
    inside = 0
    for seed in range(200):
        bottom = rng.integers(1, 6, 80)
        top = rng.binomial(bottom, 0.7)
        share = ratio(top, bottom, draw(80, seed))
        inside += share.low <= 0.7 <= share.high
    assert 180 <= inside <= 198


def test_the_area_under_the_roc() -> None:
    """Worked out by hand, ties half; the curve's own area is the same."""
    scores = np.asarray([0.9, 0.5, 0.5, 0.1])
    positive = np.asarray([True, True, False, False])
    assert auc(scores, positive, np.arange(4), draw(4)).value == pytest.approx(3.5 / 4)
    wrong, right = roc(scores, positive)
    assert wrong.tolist() == [0, 0, 0.5, 1]
    assert right.tolist() == [0, 0.5, 1, 1]
    assert np.trapezoid(right, wrong) == pytest.approx(3.5 / 4)


def test_recall_at_a_precision() -> None:
    """The furthest point of the curve that still has the precision, even after a dip; none gives 0."""
    scores = np.asarray([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    yes = True
    no = False
    assert recall_at(0.75, scores, np.asarray([yes, no, yes, yes, no]), 6) == (0.5, pytest.approx(0.6))
    assert recall_at(0.9, scores, np.asarray([no, yes, yes, yes, yes]), 5)[0] == 0
    assert np.isnan(recall_at(0.9, scores, np.asarray([no] * 5), 0)[0])


def faces() -> Seen:
    """Four faces of 10, 20, 40 and 100 pixels and what was said of them.

    masked, found and right | masked, called bare | bare, found and right | bare, not found | and an invention
    """
    boxes = np.asarray([[0, 0, 10, 10], [20, 0, 40, 20], [50, 0, 90, 40], [100, 0, 200, 100]], np.float32)
    masked = np.asarray([True, True, False, False])
    picture = Picture(
        np.zeros((220, 220, 3), np.uint8), boxes, np.stack((masked, ~masked), 1), np.zeros(2, np.bool_), "s"
    )
    said = np.concatenate((boxes[:3], [[150, 150, 170, 170]])).astype(np.float32)
    return Seen(picture, Detections(said, np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([0, 1, 1, 0])))


def test_both_ways_of_counting_faces() -> None:
    """The state of those that were found, and all true faces end to end, worked out by hand."""
    said = tell(gather([faces()], NAMES))
    assert said["faces"] == {"masked": 2, "bare": 2}
    assert said["found"].value == 0.75
    given = {name: figure.value for name, figure in said["given found"].items()}
    assert given == {
        "mask right": 0.5,
        "no mask right": 1,
        "accuracy, eq. 5": pytest.approx(2 / 3),
        "AUC": 0.5,
    }
    whole = {name: figure.value for name, figure in said["end to end"].items()}
    assert whole == {
        "TPR": 0.5,
        "FNR": 0.5,
        "FPR": 0,
        "precision": 0.5,  # one right, one invention
        "recall": 0.5,
        "mask found and right": 0.5,
        "no mask found and right": 0.5,
        "accuracy, eq. 5": 0.75,
        "AUC": 0.5,  # 0.9 above both, -0.8 below both
    }


def test_sizes_are_kept_apart() -> None:
    """Each face is counted in its own size, an invention in that of its own box."""
    sizes = by_size(gather([faces()], NAMES))
    assert {name: sum(part["faces"].values()) for name, part in sizes.items()} == {
        "8-16": 1,
        "16-32": 1,
        "32-96": 1,
        ">96": 1,
    }
    assert sizes["16-32"]["end to end"]["precision"].value == 0  # called bare, and an invention of 20 pixels
    found, whole = find([faces()], NAMES)
    assert {name: size.recall.value for name, size in found.items()} == {
        "8-16": 1,
        "16-32": 1,
        "32-96": 1,
        ">96": 0,
    }
    assert found["16-32"].recall_at_90 == 1  # the invention comes after the face
    assert whole == (0.75, pytest.approx(0.7))
    assert roc_points(gather([faces()], NAMES))[1][-1] == 1


def test_the_confusion_counts_everything_once() -> None:
    """Each true face is in one cell of its row, each invention in the last row."""
    assert confusion([faces()], NAMES) == {
        "with_mask": [1, 1, 0],
        "without_mask": [0, 1, 1],
        "nothing there": [1, 0, 0],
    }
    assert pair(faces()).missed.tolist() == [3]
    scores = {score.label: score for score in judge([faces()], NAMES)}
    assert (scores["with_mask"].recall, scores["with_mask"].precision) == (0.5, 0.5)
    assert scores["with_mask"].by_size["8-16"].ap50 == 1


@pytest.mark.parametrize("degrees", [30, 60])
def test_a_turned_face_is_inside_its_turned_box(degrees: float) -> None:
    """The box round a bright ellipse, turned with it, is the box round the turned bright pixels."""
    import cv2

    image = np.zeros((200, 260, 3), np.uint8)
    cv2.ellipse(image, (150, 90), (24, 36), 0, 0, 360, (255, 255, 255), -1)
    boxes = np.asarray([[126, 54, 174, 126], [0, 0, 10, 10]], np.float32)
    allowed = np.asarray([[True, False], [False, True]])
    picture = turn(Picture(image, boxes, allowed, np.zeros(2, np.bool_), "s"), degrees)
    rows, columns = np.nonzero(picture.image.min(2) > 200)
    bright = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert picture.image.shape == image.shape
    np.testing.assert_allclose(picture.boxes[0], bright, atol=1.6)
    assert picture.allowed[0].tolist() == [True, False]
    assert not picture.allowed[1:].any()  # the corner has left the canvas
