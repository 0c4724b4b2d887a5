"""Boxes against tables made by hand, and against what must hold for any boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.boxes import GREY, Detections, iou, letterbox, nms


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.asarray(rows, np.float32).reshape(-1, 4)


@st.composite
def any_boxes(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    corner = st.integers(0, 60)
    side = st.integers(1, 40)
    rows = draw(st.lists(st.tuples(corner, corner, side, side), max_size=most))
    return boxes(*((x, y, x + w, y + h) for x, y, w, h in rows))


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (5, 5, 15, 15), 25 / 175),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (2, 2, 4, 4), 0.04),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0.0),
        ((5, 5, 2, 2), (0, 0, 10, 10), 0.0),
    ],
)
def test_iou_table(a: tuple, b: tuple, share: float) -> None:
    """Overlaps computed by hand come out, also for empty and inverted boxes."""
    assert iou(boxes(a), boxes(b))[0, 0] == pytest.approx(share)


@given(any_boxes(), any_boxes())
def test_iou_holds_for_any_boxes(a: np.ndarray, b: np.ndarray) -> None:
    """The overlap is symmetric, within 0..1, and 1 with itself."""
    share = iou(a, b)
    assert share.shape == (len(a), len(b))
    assert share.dtype == np.float32
    np.testing.assert_allclose(share, iou(b, a).T)
    assert ((share >= 0) & (share <= 1)).all()
    np.testing.assert_allclose(np.diag(iou(a, a)), 1)


def test_iou_refuses_other_shapes() -> None:
    """A wrong shape is named."""
    with pytest.raises(ValueError, match="b must have the shape"):
        iou(boxes((0, 0, 1, 1)), np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("rows", "scores", "classes", "kept"),
    [
        ([], [], [], []),
        ([(0, 0, 10, 10)], [0.5], [0], [0]),
        ([(0, 0, 10, 10), (1, 0, 11, 10)], [0.5, 0.9], [0, 0], [1]),
        ([(0, 0, 10, 10), (1, 0, 11, 10)], [0.5, 0.9], [0, 1], [1, 0]),
        ([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], [0.9, 0.8, 0.7], [0, 0, 0], [0, 1, 2]),
        ([(0, 0, 10, 10), (1, 0, 11, 10), (3, 0, 13, 10)], [0.9, 0.8, 0.7], [0, 0, 0], [0, 2]),
    ],
)
def test_nms_table(rows: list, scores: list, classes: list, kept: list) -> None:
    """Suppression is greedy, per class, and a suppressed box suppresses nothing."""
    result = nms(boxes(*rows), np.asarray(scores, np.float32), np.asarray(classes, np.int64), 0.6, 300)
    assert result.tolist() == kept


@given(any_boxes(), st.integers(1, 5))
def test_nms_holds_for_any_boxes(rows: np.ndarray, limit: int) -> None:
    """What is kept does not overlap, comes best first, and whatever is dropped overlaps a better one."""
    rng = np.random.default_rng(len(rows))
    scores = rng.permutation(len(rows)).astype(np.float32)
    classes = rng.integers(0, 2, len(rows))
    kept = nms(rows, scores, classes, 0.5, 300)
    assert (np.diff(scores[kept]) < 0).all()
    clash = (iou(rows, rows) > 0.5) & (classes[:, None] == classes[None])
    assert not (clash[np.ix_(kept, kept)] & ~np.eye(len(kept), dtype=bool)).any()
    for row in set(range(len(rows))) - set(kept.tolist()):
        assert any(clash[row, other] and scores[other] > scores[row] for other in kept)
    np.testing.assert_array_equal(nms(rows, scores, classes, 0.5, limit), kept[:limit])


def test_detections_are_checked_and_cut() -> None:
    """Rows can be chosen by mask, numbers or slice; arrays of other lengths are refused with a reason."""
    found = Detections(boxes((0, 0, 1, 1), (2, 2, 3, 3)), np.asarray([0.9, 0.5]), np.asarray([1, 0]))
    assert found.confidence.dtype == np.float32
    assert found.class_id.dtype == np.int64
    assert found[found.class_id == 0].xyxy.tolist() == [[2, 2, 3, 3]]
    assert found[np.asarray([1, 0])].class_id.tolist() == [0, 1]
    assert len(found[:1]) == 1
    assert Detections.empty().xyxy.shape == (0, 4)
    with pytest.raises(ValueError, match="class_id must have the shape"):
        Detections(boxes((0, 0, 1, 1)), np.ones(1, np.float32), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="xyxy must have the shape"):
        Detections(np.zeros((2, 3), np.float32), np.ones(2, np.float32), np.zeros(2, np.int64))


@given(st.integers(1, 90), st.integers(1, 90))
def test_letterbox_keeps_the_shape(height: int, width: int) -> None:
    """The picture lies centred and undistorted on grey, and the returned numbers say where."""
    image = np.full((height, width, 3), 200, np.uint8)
    canvas, scale, (pad_x, pad_y) = letterbox(image, (32, 64))
    assert canvas.shape == (32, 64, 3)
    assert scale == min(32 / height, 64 / width)
    inner_w = max(1, round(width * scale))
    inner_h = max(1, round(height * scale))
    inside = canvas[pad_y : pad_y + inner_h, pad_x : pad_x + inner_w]
    assert (inside == 200).all()
    assert int((canvas == 200).sum()) == inside.size
    assert canvas[canvas != 200].size == 0 or (canvas[canvas != 200] == GREY).all()
    assert 0 <= 64 - inner_w - 2 * pad_x <= 1
    assert 0 <= 32 - inner_h - 2 * pad_y <= 1


def test_letterbox_refuses_what_is_no_picture() -> None:
    """Grey, empty and floating pictures are refused by shape and type."""
    for image in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match="a picture must be"):
            letterbox(image, (32, 32))
