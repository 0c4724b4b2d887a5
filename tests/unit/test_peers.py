"""The tables that show other people's detectors beside ours: their outputs, and what is judged where."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from agent.boxes import Detections
from benchmarks.face_rivals import Rfb
from benchmarks.peers import Question, answer, chosen, matches, of_size, redrawn, rivals, truths
from benchmarks.rivals import FastestDet, PicoDet, Rival, YoloX, cells
from export.data.sample import Picture

NAMES = ["person", "car"]
SHAPE = (64, 64, 3)


def silent(kind: type[Rival], size: tuple[int, int]) -> Rival:
    """Return a rival of some input size without its file."""
    rival = object.__new__(kind)
    rival.size = size
    return rival


def logit(score: float) -> float:
    """Return the logit of a score."""
    return float(np.log(score / (1 - score)))


def test_yolox_is_read() -> None:
    """A cell's offsets and log sizes become pixels of the picture; a class that ours lacks is left out."""
    rival = silent(YoloX, (64, 64))
    corner, stride = cells((64, 64), (8, 16, 32))
    raw = np.zeros((1, len(corner), 85), np.float32)
    row = int(np.flatnonzero((corner == (2, 3)).all(1) & (stride[:, 0] == 8))[0])
    raw[0, row, :5] = (0.5, 0.5, np.log(2), np.log(1), 0.9)
    raw[0, row, 5 + 5] = 1.0  # bus of COCO
    raw[0, row + 20, :5] = (0.5, 0.5, 0, 0, 0.9)
    raw[0, row + 20, 5 + 16] = 1.0  # a dog
    found = rival.read([raw], SHAPE, 0.5)
    assert found.class_id.tolist() == [4]
    assert found.confidence.tolist() == pytest.approx([0.9])
    assert found.xyxy[0].tolist() == pytest.approx([24, 48, 56, 64])


def test_picodet_is_read() -> None:
    """Distances are the mean of a distribution over strides, from the middle of a cell."""
    rival = silent(PicoDet, (64, 64))
    scores = []
    sides = []
    for stride in (8, 16, 32, 64):
        count = (-(-64 // stride)) ** 2
        scores.append(np.zeros((1, count, 80), np.float32))
        sides.append(np.zeros((1, count, 32), np.float32))
    scores[1][0, 5, 0] = 0.8  # column 1, row 1 of stride 16
    sides[1][0, 5].reshape(4, 8)[:, 1] = 50.0  # one stride to every side
    found = rival.read([*scores, *sides], SHAPE, 1.0)
    assert found.class_id.tolist() == [0]
    assert found.xyxy[0].tolist() == pytest.approx([8, 8, 40, 40])


def test_fastestdet_is_read() -> None:
    """Sizes are shares of the picture, offsets those of a cell."""
    rival = silent(FastestDet, (352, 352))
    raw = np.full((1, 85, 22, 22), 0.0, np.float32)
    raw[0, 3:5] = logit(0.25)
    raw[0, 0, 11, 11] = 1.0
    raw[0, 5 + 2, 11, 11] = 1.0
    found = rival.read([raw], SHAPE, 1.0)
    assert found.class_id.tolist() == [2]
    assert found.xyxy[0].tolist() == pytest.approx([24, 24, 40, 40])


def test_rfb_is_read() -> None:
    """Its second column is a bare face and its third a masked one: without_mask and with_mask of ours."""
    scores = np.zeros((1, 3, 3), np.float32)
    scores[0, 0, 1] = 0.9
    scores[0, 1, 2] = 0.8
    boxes = np.asarray([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]], np.float32)
    found = silent(Rfb, (480, 640)).read([scores, boxes], (100, 200, 3), 1.0)
    assert found.class_id.tolist() == [1, 0]
    assert found.xyxy.tolist() == [[0, 0, 100, 50], [100, 50, 200, 100]]


@pytest.mark.parametrize("task", ["traffic", "mask"])
def test_what_is_not_there_is_said(tmp_path: Path, task: str) -> None:
    """Without the folder, or without a file in it, each rival says why it is not measured."""
    assert all(why == "GB_PEERS names no folder" for _, why in rivals(None, task))
    reasons = [why for _, why in rivals(tmp_path, task)]
    assert reasons
    assert all(isinstance(why, str) and why.endswith(".onnx in GB_PEERS") for why in reasons)


def picture(*boxes: tuple[int, float], unlabelled: bool = False, name: str = "") -> Picture:
    """Return a picture with square boxes side by side: (class, side), of class -1 hidden."""
    corners = [[100 * n, 0, 100 * n + side, side] for n, (_, side) in enumerate(boxes)]
    allowed = [[label == 0, label == 1] for label, _ in boxes]
    return Picture(
        np.zeros((8, 8, 3), np.uint8),
        np.asarray(corners, np.float32).reshape(-1, 4),
        np.asarray(allowed, np.bool_).reshape(-1, 2),
        np.asarray([unlabelled, False]),
        "here",
        name,
    )


def saw(one: Picture, rows: list[int], label: int = 0) -> Detections:
    """Return some of a picture's boxes as found."""
    return Detections(one.boxes[rows], np.full(len(rows), 0.9), np.full(len(rows), label))


def test_a_class_is_judged_where_it_is_known() -> None:
    """Pictures that leave the class unlabelled, and other sources, are not asked."""
    shown = [picture((0, 20)), picture((0, 20), unlabelled=True)]
    assert chosen(shown, Question("", ("person",), ("here",)), NAMES).tolist() == [0]
    assert chosen(shown, Question("", ("car",), ("here",)), NAMES).tolist() == [0, 1]
    assert chosen(shown, Question("", ("person",), ("there",)), NAMES).tolist() == []


def test_a_question_of_size_leaves_others_out() -> None:
    """Finding a large person neither helps nor hurts among the small; a false box counts by its own size."""
    shown = [picture((0, 20), (0, 80), (0, 25))]
    seen = [saw(shown[0], [0, 1])]
    question = Question("", ("person",), ("here",), 16, 60)
    (matched,) = matches(shown, seen, question, NAMES)
    assert matched.hit[:, 0].tolist() == [True]
    assert len(matched.found) == truths(shown, question, NAMES) == 2
    wrong = Detections(np.asarray([[500, 0, 580, 80]], np.float32), np.ones(1), np.zeros(1))
    (aside,) = matches(shown, [wrong], question, NAMES)
    assert len(aside.scores) == 0
    assert len(of_size(aside, 0, 1e9).scores) == 0


def test_whole_groups_are_drawn() -> None:
    """Frames of one camera are in a redrawn set together, or not at all."""
    drawn = redrawn(["a", "b", "a", "c"])
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert (drawn[:, [0, 1, 3]].sum(1) == 3).all()


def test_the_answer_is_an_average_precision() -> None:
    """Half of the truths found, and nothing false, is half."""
    shown = [picture((0, 20), (0, 30), name="x"), picture((0, 40), (0, 50), name="y")]
    seen = [saw(one, [0]) for one in shown]
    figure = answer(shown, seen, Question("", ("person",), ("here",)), NAMES, {"x": "g", "y": "h"})
    assert figure.value == pytest.approx(0.5, abs=0.01)
