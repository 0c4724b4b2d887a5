"""The judge of enlarged faces: crops of pictures, a short training, and the file that the agent opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.infer import ModelError
from agent.look.judge import NOT_JUDGED, PACKAGED, UNTOLD, Judge, cut_crops, open_judge
from export.crops.assess import folds, right
from export.crops.cut import NO_FACE, STATES, STORED, Crops, cut
from export.crops.learn import Schedule, learn, probabilities, seen_by_judge
from export.crops.write import write_judge
from export.data.sample import Picture
from export.errors import TrainError
from export.judge.evaluate import detector_for
from export.judge.twice import Twice

MODELS = Path(__file__).parents[2] / "agent" / "models"
NAMES = ["with_mask", "without_mask"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Learn on one thread: two that wait for each other on a busy machine take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(count: int = 60, seed: int = 0) -> Crops:
    """Return crops that a glance tells apart: blue below, red below, all grey."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 140, (count, STORED, STORED, 3)).astype(np.uint8)
    state = np.arange(count) % 3
    for crop, kind in zip(pixels, state, strict=True):
        if kind != NO_FACE:
            crop[STORED // 2 :, :, 0 if kind == 0 else 2] = 255
    return Crops(pixels, state, np.full(count, 40.0, np.float32), np.arange(count) // 2)


def test_faces_and_places_without_any_are_cut() -> None:
    """Each labelled face of known state gives one crop, an unknown one none; elsewhere there is no face."""
    image = np.zeros((200, 300, 3), np.uint8)
    boxes = np.asarray([(10, 10, 50, 60), (100, 100, 140, 150), (200, 20, 230, 50)], np.float32)
    allowed = np.asarray([(True, False), (False, True), (False, False)])
    picture = Picture(image, boxes, allowed, np.zeros(2, np.bool_), "here")
    crops = cut([picture, picture], NAMES)
    assert (crops.state == 0).sum() == (crops.state == 1).sum() == 1
    assert set(crops.owner.tolist()) == {0}
    assert crops.pixels.shape[1:] == (STORED, STORED, 3)


def test_a_crop_shows_the_middle_of_its_box_whatever_its_size() -> None:
    """Small, large and at the edge of the picture: the middle is white, what is outside is grey."""
    for size in (8, 60, 600):
        image = np.zeros((700, 700, 3), np.uint8)
        image[:size, :size] = 255
        crop = cut_crops(image, np.asarray([(0, 0, size, size)], np.float32), 48)[0]
        assert crop[24, 24].tolist() == [255, 255, 255]
        assert crop[2, 2].tolist() == [114, 114, 114]
        assert crop[45, 45].max() < 30


def test_what_was_learnt_is_written_and_judged_alike(tmp_path: Path) -> None:
    """A short training tells blue from red; the file says what PyTorch says; the agent gives the class."""
    crops = made()
    network = learn(crops, Schedule(steps=40, batch=24))
    says = probabilities(network, crops)
    assert right(crops, says, 0).value > 0.9
    path = tmp_path / "judge.onnx"
    assert write_judge(network, path, {"licence": "for tests"}) < 1e-4
    judge = Judge(path, NAMES)
    assert judge.states == list(STATES)
    np.testing.assert_allclose(judge.probabilities(seen_by_judge(crops.pixels[:7])), says[:7], atol=1e-3)
    verdicts = judge.judge(crops.pixels[0], np.asarray([(30, 30, 60, 60), (40, 40, 44, 44)], np.float32))
    assert verdicts.class_id[1] == UNTOLD, "a face of 4 pixels has nothing to see"
    with pytest.raises(ModelError, match="judges 'with_mask', and the detector knows car"):
        Judge(path, ["car"])


def test_a_state_without_crops_cannot_be_learnt() -> None:
    """One line says which is missing."""
    crops = made()
    with pytest.raises(TrainError, match="no crop without_mask"):
        learn(crops.some(crops.state != 1), Schedule(steps=1))


def test_folds_never_divide_a_picture() -> None:
    """Six folds hold every crop once, and the crops of one picture together."""
    crops = made()
    held = [judged for _, judged in folds(crops)]
    assert sorted(np.concatenate(held).tolist()) == list(range(len(crops)))
    for mine, judged in folds(crops):
        assert not set(crops.owner[mine].tolist()) & set(crops.owner[judged].tolist())


def test_the_packaged_judge_is_for_models_that_tell_masks() -> None:
    """ "auto" is the packaged one for a mask model and none for traffic; "off" is none."""
    judge = open_judge("auto", NAMES)
    assert judge is not None
    assert judge.path == PACKAGED
    assert set(judge.states) == {*NAMES, NOT_JUDGED}
    assert open_judge("auto", ["car", "bus"]) is None
    assert open_judge("off", NAMES) is None


def test_both_looks_are_judged_as_one_detector() -> None:
    """`gb-export evaluate --look` judges the same file, by what both looks see."""
    path = MODELS / "gb-yolo-n-mask.onnx"
    image = np.full((90, 120, 3), 114, np.uint8)
    twice = Twice(path, 0.25)
    assert twice.sha256 == detector_for(path).sha256
    assert twice.names == {0: "with_mask", 1: "without_mask"}
    assert len(twice.detect(image)) == 0
