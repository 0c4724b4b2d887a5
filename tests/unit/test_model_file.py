"""What a file says before a runtime opens it: versions too new, weights elsewhere, a baked confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from agent.see import model_file
from agent.see.infer import Detector, ModelError
from tests.unit.onnx_files import write

ROWS = [np.asarray([[1, 1, 9, 9, 0.9, 0]], np.float32)]
OPSET = 26  # the newest of onnxruntime 1.31.1
IR = 13


def newest() -> tuple[int, int]:
    """Return the newest versions that this onnxruntime opens, found by files that onnx made."""

    def opens(opset: int, ir: int) -> bool:
        port = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", port[:1], port[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = ir
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
            return False
        return True

    return (
        max(n for n in range(24, 31) if opens(n, 8)),
        max(n for n in range(11, 16) if opens(17, n)),
    )


@pytest.mark.parametrize("opset", [27, 28, 99])
def test_a_too_new_opset_says_which_one_to_export(tmp_path: Path, opset: int) -> None:
    """The newest opset that this runtime really opens is named, and none of its insides."""
    most, _ = newest()
    with pytest.raises(ModelError) as caught:
        Detector(write(tmp_path / "m.onnx", ROWS, opset=opset, ir=8), names=["car"])
    told = str(caught.value)
    assert f"its opset is {opset}, and onnxruntime {onnxruntime.__version__} does not open it" in told
    assert told.endswith(f"export with opset {most} or older")
    assert "::" not in told
    assert "\n" not in told


def test_a_too_new_ir_says_which_one_to_save(tmp_path: Path) -> None:
    """onnx writes the newest IR version by default, which a runtime of the same day may not open."""
    _, most = newest()
    with pytest.raises(
        ModelError, match=rf"its IR version is {most + 1}, and .* save it with ir_version = {most} or"
    ):
        Detector(write(tmp_path / "m.onnx", ROWS, ir=most + 1), names=["car"])


@pytest.mark.skipif(onnxruntime.__version__ != "1.31.1", reason="figures of onnxruntime 1.31.1")
def test_the_figures_of_this_runtime() -> None:
    """What the documentation says of onnxruntime 1.31.1 is so, and asked of it without onnx too."""
    assert newest() == (OPSET, IR)


def test_weights_in_another_file_are_told(tmp_path: Path) -> None:
    """PyTorch writes weights beside the file by default; the reason says how to have one file."""
    path = write(tmp_path / "m.onnx", ROWS)
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(4096, np.float32), "large"))
    onnx.save_model(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    with pytest.raises(ModelError, match=r"its weights lie in another file: .* external_data=False"):
        Detector(path, names=["car"])


def with_suppression(path: Path, score: float, *, as_node: bool) -> Path:
    """Write a file of finished boxes whose graph holds a suppression with this least score."""
    write(path, ROWS)
    model = onnx.load(path)
    arrays = {
        "boxes": np.asarray([[[1, 1, 9, 9]]], np.float32),
        "scores": np.asarray([[[0.9]]], np.float32),
        "most": np.asarray([10], np.int64),
        "overlap": np.asarray([0.5], np.float32),
        "floor": np.asarray([score], np.float32),
    }
    for name, array in arrays.items():
        if name == "floor" and as_node:
            model.graph.node.append(
                helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, "v"))
            )
        else:
            model.graph.initializer.append(numpy_helper.from_array(array, f"nms_{name}"))
    names = [f"nms_{name}" for name in list(arrays)[:4]] + ["floor" if as_node else "nms_floor"]
    model.graph.node.append(helper.make_node("NonMaxSuppression", names, ["chosen"]))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("as_node", [True, False])
def test_a_baked_confidence_is_found(tmp_path: Path, as_node: bool) -> None:
    """The least score of a suppression inside the graph is read; a file without one has none."""
    path = with_suppression(tmp_path / "m.onnx", 0.35, as_node=as_node)
    assert Detector(path, names=["car"], layout="end2end").baked == pytest.approx(0.35)
    plain = Detector(write(tmp_path / "p.onnx", ROWS), names=["car"], layout="end2end")
    assert plain.baked is None


def test_the_metadata_tell_a_baked_confidence(tmp_path: Path) -> None:
    """`args` of the exporter say with which confidence boxes were suppressed."""
    path = write(tmp_path / "m.onnx", ROWS, args="{'nms': True, 'conf': 0.4}")
    assert Detector(path, names=["car"]).baked == 0.4


@given(st.binary(max_size=200))
def test_any_bytes_say_something_or_nothing(content: bytes) -> None:
    """Bytes that are no protocol buffer raise nothing."""
    ir, opset = model_file.versions(content)
    assert ir >= 0
    assert opset >= 0
    model_file.has_other_file(content)
    model_file.baked_confidence(content)
