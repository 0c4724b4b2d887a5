"""The detector on small ONNX files made here: what it accepts, what it refuses, what it returns."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.boxes import iou
from agent.see.infer import FORMAT, Detector, InferenceError, ModelError
from agent.see.packaged import MODELS
from agent.street.scene import Scene

GOOD = {"format": FORMAT, "names": json.dumps(["person", "car"])}
BOXES = [[10, 20, 30, 40], [-50, 0, 8, 8], [60, 30, 70, 31], [70, 40, 90, 60]]
SCORES = [0.9, 0.5, 0.3, 0.002]
CLASSES = [1, 0, 1, 0]


def write(
    path: Path, boxes: list, scores: list, classes: list, metadata: dict, size: tuple = (64, 96)
) -> Path:
    """Write a model that finds the same things in every picture; scores must fall."""
    arrays = (
        ("b", np.asarray(boxes, np.float32).reshape(-1, 4)),
        ("s", np.asarray(scores, np.float32)),
        ("k", np.asarray(classes, np.int64)),
        ("axes", np.asarray([0, 1, 2], np.int64)),
        ("zero", np.asarray(0, np.float32)),
    )
    nodes = [
        helper.make_node("Greater", ["s", "confidence"], ["above"]),
        helper.make_node("Compress", ["b", "above"], ["boxes"], axis=0),
        helper.make_node("Compress", ["s", "above"], ["scores"], axis=0),
        helper.make_node("Compress", ["k", "above"], ["classes"], axis=0),
    ]
    inputs = [
        helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, *size, 3]),
        helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("classes", TensorProto.INT64, None),
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays]
    graph = helper.make_graph(nodes, "fixed", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "m.onnx", BOXES, SCORES, CLASSES, GOOD)


def test_boxes_come_back_to_the_picture(model: Path) -> None:
    """Padding and scale are undone, boxes are cut at the edges, order and types are kept."""
    found = Detector(model).detect(np.zeros((128, 192, 3), np.uint8))
    assert found.xyxy.tolist() == [[20, 40, 60, 80], [0, 0, 16, 16], [120, 60, 140, 62]]
    assert found.class_id.tolist() == [1, 0, 1]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5, 0.3])
    tall = Detector(model).detect(np.zeros((64, 32, 3), np.uint8))  # padded by 32 left and right
    assert tall.xyxy.tolist() == [[28, 30, 32, 31]]


def test_confidence_reaches_down(model: Path) -> None:
    """A threshold of 0.001 lets through what 0.25 hides; 0.99 leaves nothing, in the right shape."""
    picture = np.zeros((64, 96, 3), np.uint8)
    assert len(Detector(model, confidence=0.001).detect(picture)) == 4
    nothing = Detector(model, confidence=0.99).detect(picture)
    assert nothing.xyxy.shape == (0, 4)
    assert nothing.class_id.dtype == np.int64
    with pytest.raises(ValueError, match="confidence must be within"):
        Detector(model, confidence=2)


def test_a_model_says_what_it_is(model: Path) -> None:
    """Names, input size, hash and metadata are read from the file alone."""
    detector = Detector(model)
    assert detector.names == {0: "person", 1: "car"}
    assert detector.input_size == (64, 96)
    assert len(detector.sha256) == 64
    assert detector.metadata["format"] == FORMAT


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The reason names the path and what to do, in one line."""
    with pytest.raises(ModelError, match=r"gone\.onnx: no such model file; give"):
        Detector(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match=r"trafic: no such model file; give .*\. Did you mean 'traffic'\?"):
        Detector(Path("trafic"))
    with pytest.raises(ModelError, match="cannot be read"):
        Detector(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 50])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no model end in one line, not in the runtime's traceback."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx: .*; give") as caught:
        Detector(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, r"a foreign model .* inputs picture tensor\(uint8\) .*, outputs boxes"),
        ({"format": "other 3", "names": "[]"}, "a foreign model"),
        ({"format": FORMAT}, "no class names"),
        ({"format": FORMAT, "names": "{broken"}, "no class names"),
        ({"format": FORMAT, "names": "[]"}, "no class names"),
        ({"format": FORMAT, "names": json.dumps(["car", ""])}, "no class names of 1 to 48 characters"),
        ({"format": FORMAT, "names": json.dumps(["c" * 49])}, "no class names of 1 to 48 characters"),
    ],
)
def test_a_foreign_model_is_refused(tmp_path: Path, metadata: dict, reason: str) -> None:
    """A model without our metadata is never run."""
    with pytest.raises(ModelError, match=reason):
        Detector(write(tmp_path / "m.onnx", BOXES, SCORES, CLASSES, metadata))


def test_numbers_that_make_no_sense_are_an_error(tmp_path: Path) -> None:
    """Not-a-number, infinity and a class without a name never become detections."""
    picture = np.zeros((64, 96, 3), np.uint8)
    wrong = (
        ([[0, 0, float("nan"), 1]], [0.9], [0], "not finite"),
        ([[0, 0, 5, 5]], [float("inf")], [0], "not finite"),
        ([[0, 0, 5, 5]], [0.9], [7], "no name"),
    )
    for boxes, scores, classes, reason in wrong:
        detector = Detector(write(tmp_path / "m.onnx", boxes, scores, classes, GOOD))
        with pytest.raises(InferenceError, match=reason):
            detector.detect(picture)


def test_threads_with_their_own_detectors_agree(model: Path) -> None:
    """Several cameras may look at once, each through its own detector."""
    results: list[list] = []

    def look() -> None:
        detector = Detector(model)
        results.extend(detector.detect(np.zeros((64, 96, 3), np.uint8)).xyxy.tolist() for _ in range(20))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 60
    assert all(result == results[0] for result in results)


def test_an_8k_picture_is_looked_at_as_any_other() -> None:
    """The street at 7680 x 4320 gives the boxes that it gives at 960 x 540, in its own pixels."""
    detector = Detector(MODELS / "gb-yolo-n-traffic.onnx")
    small = Scene(7, 960, 540, 15).frame(60)
    few = detector.detect(small)
    many = detector.detect(cv2.resize(small, (7680, 4320), interpolation=cv2.INTER_NEAREST))
    assert len(few) >= 3
    best = iou(few.xyxy * 8, many.xyxy).max(axis=1)
    assert (best >= 0.8).mean() >= 0.75
