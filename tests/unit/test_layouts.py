"""Files as other exporters write them, made here: each plain layout is read, the rest is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent import startup
from agent.config import CameraConfig
from agent.see.infer import Detector, InferenceError, ModelError
from agent.see.packaged import MODELS

NAMES = "{0: 'person', 1: 'car'}"
CANVAS = np.zeros((64, 96, 3), np.uint8)
# left, top, right, bottom, score, class; the second overlaps the first, the last is weak
TRUE = [(10, 20, 30, 40, 0.9, 1), (11, 20, 31, 40, 0.6, 0), (50, 10, 90, 50, 0.5, 0), (0, 0, 9, 9, 0.01, 1)]
GRID = 8 * 12 + 4 * 6 + 2 * 3


def centred(classes: int, *, objectness: bool) -> np.ndarray:
    """Return TRUE as rows of centre, size, (objectness,) class scores, among rows of nothing."""
    rows = np.zeros((GRID * (3 if objectness else 1), 4 + objectness + classes), np.float32)
    for row, (x1, y1, x2, y2, score, kind) in zip(rows[5:], TRUE, strict=False):
        row[:4] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        row[4 + objectness + kind % classes] = score / 0.95 if objectness else score
        if objectness:
            row[4] = 0.95
    return rows


def write(
    path: Path,
    *outputs: np.ndarray,
    names: str = NAMES,
    shape: tuple[Any, ...] = (1, 3, 64, 96),
    kind: int = TensorProto.FLOAT,
    **metadata: str,
) -> Path:
    """Write a file with these answers for every picture; they depend on it only in their last bit."""
    nodes = [helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0)]
    nodes.append(helper.make_node("Mul", ["least", "zero"], ["nothing"]))
    constants = [numpy_helper.from_array(np.asarray(0, helper.tensor_dtype_to_np_dtype(kind)), "zero")]
    for number, output in enumerate(outputs):
        constants.append(numpy_helper.from_array(output, f"answer{number}"))
        nodes.append(helper.make_node("Add", [f"answer{number}", "nothing"], [f"output{number}"]))
    ports = [helper.make_tensor_value_info("images", kind, shape)]
    results = [helper.make_tensor_value_info(f"output{n}", kind, None) for n in range(len(outputs))]
    graph = helper.make_graph(nodes, "foreign", ports, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, ({"names": names} if names else {}) | metadata)
    onnx.save(model, path)
    return path


ANSWERS = {
    "anchor-free": centred(2, objectness=False).T[None].copy(),
    "with anchors": centred(2, objectness=True)[None],
    "suppressed": np.asarray([TRUE], np.float32),
    "suppressed without a batch": np.asarray(TRUE, np.float32),
}


@pytest.mark.parametrize("layout", ANSWERS)
@pytest.mark.parametrize("shape", [(1, 3, 64, 96), ("batch", 3, "height", "width")])
def test_each_layout_gives_the_same_boxes(tmp_path: Path, layout: str, shape: tuple[Any, ...]) -> None:
    """Whatever the layout, fixed or open in size, what was put in comes out."""
    path = write(tmp_path / "m.onnx", ANSWERS[layout], shape=shape, imgsz="[64, 96]")
    detector = Detector(path)
    assert detector.names == {0: "person", 1: "car"}
    assert detector.input_size == (64, 96)
    found = detector.detect(CANVAS.repeat(2, 0).repeat(2, 1))
    np.testing.assert_allclose(found.xyxy, [[20, 40, 60, 80], [100, 20, 180, 100]], atol=1e-3)
    np.testing.assert_allclose(found.confidence, [0.9, 0.5], atol=1e-5)
    assert found.class_id.tolist() == [1, 0]


def test_six_columns_of_one_class_are_told_by_their_length(tmp_path: Path) -> None:
    """With one class, objectness and finished boxes look alike; a row for each anchor is no finished list."""
    anchors = Detector(write(tmp_path / "a.onnx", centred(1, objectness=True)[None], names="['face']"))
    np.testing.assert_allclose(anchors.detect(CANVAS).xyxy[0], [10, 20, 30, 40], atol=1e-3)
    rows = np.asarray([[(*row[:5], 0) for row in TRUE]], np.float32)
    done = Detector(write(tmp_path / "b.onnx", rows, names="['face']"))
    np.testing.assert_allclose(done.detect(CANVAS).xyxy[0], [10, 20, 30, 40], atol=1e-3)


def test_the_config_may_tell_the_names(tmp_path: Path) -> None:
    """Where the file is silent, the owner's names are taken; without them, the reason says what to write."""
    path = write(tmp_path / "m.onnx", ANSWERS["anchor-free"], names="")
    camera = CameraConfig(source="scene:", model=str(path), names=["a", "b"], labels=["b"])
    assert startup.load_model("cam0", camera).names == {0: "a", 1: "b"}
    with pytest.raises(ModelError, match="take `names` out"):
        Detector(MODELS / "gb-yolo-n-mask.onnx", names=["a", "b"])
    with pytest.raises(ModelError, match=r"m\.onnx: it tells no class names; write them into the config"):
        Detector(path)
    with pytest.raises(ModelError, match=r"its output is \(1, 6, 126\), with 3 class names"):
        Detector(path, names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("{1: 'car'}", "no list of classes from 0"),
        ("'car'", "no list of classes"),
        ("['car', 7]", "has not 1 to 48 characters"),
        ("__import__('os')", "tells no class names"),
        ("(" * 5000, "tells no class names"),
    ],
)
def test_names_are_read_and_never_run(tmp_path: Path, names: str, reason: str) -> None:
    """The metadata's names are a literal; anything else is refused in one line."""
    with pytest.raises(ModelError, match=reason) as caught:
        Detector(write(tmp_path / "m.onnx", ANSWERS["anchor-free"], names=names))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Several outputs, strange shapes and other inputs are refused with their names, types and shapes."""
    masks = np.zeros((1, 32, 16, 24), np.float32)
    with pytest.raises(
        ModelError, match=r"unknown layout: .* and \(1, 32, 16, 24\).*output1 tensor\(float\)"
    ):
        Detector(write(tmp_path / "m.onnx", ANSWERS["anchor-free"], masks))
    with pytest.raises(ModelError, match=r"unknown layout: its output is \(1, 32, 16, 24\)"):
        Detector(write(tmp_path / "m.onnx", masks))
    with pytest.raises(ModelError, match=r"not one picture.*images tensor\(float\) \[1, 64, 96, 4\]"):
        Detector(write(tmp_path / "m.onnx", masks, shape=(1, 64, 96, 4)))
    with pytest.raises(ModelError, match=r"input size .* makes no sense"):
        Detector(write(tmp_path / "m.onnx", masks, shape=(1, 3, "h", "w"), imgsz="[-1, 64]"))
    with pytest.raises(ModelError, match=r"not one picture, float or uint8 .*int32"):
        Detector(write(tmp_path / "m.onnx", ANSWERS["anchor-free"].astype(np.int32), kind=TensorProto.INT32))


def test_foreign_nonsense_is_an_error_of_that_frame(tmp_path: Path) -> None:
    """Not-a-number and a class beyond the names never become detections."""
    broken = ANSWERS["anchor-free"].copy()
    broken[0, 4, 50] = np.nan
    with pytest.raises(InferenceError, match="not finite"):
        Detector(write(tmp_path / "m.onnx", broken)).detect(CANVAS)
    with pytest.raises(InferenceError, match="no name"):
        Detector(write(tmp_path / "m.onnx", np.asarray([[1, 1, 9, 9, 0.9, 5]], np.float32))).detect(CANVAS)
