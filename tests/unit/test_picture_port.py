"""How a picture lies in memory as it goes in: types and orders of other exporters, the same boxes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.see.infer import Detector, ModelError
from agent.see.preprocess import Preprocess
from tests.unit.onnx_files import Answer, write
from tests.unit.test_layouts_read import HEIGHT, NAMES, PICTURE, TRUE, WIDTH, assert_true, end2end, yolov8

FLOAT = TensorProto.FLOAT
HALF = TensorProto.FLOAT16
BYTES = TensorProto.UINT8
DOUBLE = TensorProto.DOUBLE
FIRST = (1, 3, HEIGHT, WIDTH)
LAST = (1, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kind", [FLOAT, HALF, BYTES, DOUBLE])
@pytest.mark.parametrize("shape", [FIRST, LAST, ("batch", 3, "height", "width"), (1, "height", "width", 3)])
def test_every_kind_of_picture_gives_the_same_boxes(
    tmp_path: Path, kind: int, shape: tuple[int | str, ...]
) -> None:
    """Half precision, whole numbers, channels last, open sizes: boxes, scores and classes are the same."""
    ports = Answer(picture=kind, shape=shape)
    size = json.dumps([HEIGHT, WIDTH])
    path = write(tmp_path / "m.onnx", yolov8(), ports, names=json.dumps(NAMES), imgsz=size)
    detector = Detector(path)
    assert detector.layout == "yolov8"
    assert_true(detector.detect(PICTURE))


def test_answers_of_half_precision_are_read(tmp_path: Path) -> None:
    """A file that was made half as large answers in half precision: right to a pixel of its canvas."""
    halves = [array.astype(np.float16) for array in yolov8()]
    path = write(tmp_path / "m.onnx", halves, Answer(picture=HALF), names=json.dumps(NAMES))
    found = Detector(path).detect(PICTURE)
    np.testing.assert_allclose(found.xyxy, np.asarray(TRUE)[:, :4] * 2, atol=1)
    np.testing.assert_allclose(found.confidence, [0.9, 0.5], atol=2e-3)


def seeing(path: Path, kind: int, shape: tuple[int, ...]) -> Path:
    """Write a file whose one box tells the picture: left is its first channel's mean, bottom its last's."""
    axis = shape.index(3)
    parts = [
        helper.make_node("Cast", ["images"], ["as float"], to=FLOAT),
        helper.make_node("Split", ["as float"], ["one", "two", "three"], axis=axis, num_outputs=3),
        helper.make_node("ReduceMean", ["one"], ["left"], keepdims=0),
        helper.make_node("ReduceMean", ["three"], ["bottom"], keepdims=0),
        helper.make_node("Reshape", ["left", "single"], ["l"]),
        helper.make_node("Reshape", ["bottom", "single"], ["b"]),
        helper.make_node("Concat", ["l", "top", "right", "b", "rest"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "whole"], ["output"]),
    ]
    constants = {
        "single": np.asarray([1], np.int64), "top": np.asarray([0], np.float32),
        "right": np.asarray([90], np.float32), "rest": np.asarray([0.9, 0], np.float32),
        "whole": np.asarray([1, 6], np.int64),
    }  # fmt: skip
    graph = helper.make_graph(
        parts,
        "seeing",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("output", FLOAT, [1, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("shape", [FIRST, LAST])
@pytest.mark.parametrize(("kind", "scale"), [(FLOAT, 255.0), (HALF, 255.0), (BYTES, 1.0)])
def test_the_values_arrive_in_their_channels(
    tmp_path: Path, kind: int, shape: tuple[int, ...], scale: float
) -> None:
    """Red comes first, 0..1 where the port takes fractions and 0..255 where it takes whole numbers."""
    blue, green, red = 60, 30, 10
    picture = np.full((HEIGHT, WIDTH, 3), (blue, green, red), np.uint8)
    path = seeing(tmp_path / "m.onnx", kind, shape)
    said = Preprocess(boxes="pixels")
    (box,) = Detector(path, names=NAMES, layout="end2end", preprocess=said).detect(picture).xyxy
    np.testing.assert_allclose(box, [red / scale, 0, 90, blue / scale], atol=0.05)


def test_a_mean_for_whole_numbers_is_refused(tmp_path: Path) -> None:
    """A network that takes 0..255 scales by itself: an owner's mean would be lost, so it is refused."""
    path = write(tmp_path / "m.onnx", end2end(), Answer(picture=BYTES))
    said = Preprocess(std=[255.0, 255.0, 255.0])
    with pytest.raises(ModelError, match=r"0\.\.255 as they are: take `mean` and `std` out of the config"):
        Detector(path, names=NAMES, preprocess=said)


@pytest.mark.parametrize(
    "shape", [(4, 3, HEIGHT, WIDTH), (3, HEIGHT, WIDTH), (1, 4, HEIGHT, WIDTH), (1, 3, 99999, 8)]
)
def test_other_inputs_say_what_to_export(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Four pictures at once, no batch, a fourth channel, an absurd size: one line that says what to do."""
    path = write(tmp_path / "m.onnx", end2end(), Answer(shape=shape))
    with pytest.raises(ModelError, match=r"export it for one picture at a time|makes no sense") as refused:
        Detector(path, names=NAMES)
    assert "\n" not in str(refused.value)
