"""The stored answer: made by the exporter, checked on the box, remembered until something changes."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import helper, numpy_helper

from agent import startup
from agent.config import CameraConfig, Config
from agent.see import self_test
from agent.see.infer import Detector, ModelError
from agent.see.model_checks import Known, meet
from agent.see.packaged import MODELS
from export.onnx.self_test import store_answer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the traffic model with a fresh answer."""
    path = tmp_path_factory.mktemp("model") / "traffic.onnx"
    shutil.copy(MODELS / "gb-yolo-n-traffic.onnx", path)
    store_answer(path)
    return path


def changed(model: Path, target: Path, **metadata: str) -> Path:
    """Write a copy with other metadata."""
    proto = onnx.load(model)
    helper.set_model_props(proto, {prop.key: prop.value for prop in proto.metadata_props} | metadata)
    onnx.save(proto, target)
    return target


def miscomputing(model: Path, target: Path) -> Path:
    """Write a copy whose products saturate, as those of a CPU that computes int8 wrongly."""
    proto = onnx.load(model)
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4:
            limit = abs(values).max() * 0.4
            tensor.CopyFrom(numpy_helper.from_array(values.clip(-limit, limit), tensor.name))
    onnx.save(proto, target)
    return target


def test_the_picture_is_the_same_everywhere() -> None:
    """The picture is made of whole numbers alone: its bytes are known."""
    drawn = self_test.picture(3, (96, 128))
    assert drawn.shape == (96, 128, 3)
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "9e8ca03f9f031166"


def test_a_model_finds_its_own_answer_again(model: Path) -> None:
    """What the exporter has stored passes, also at the confidence of a camera."""
    stored = json.loads(Detector(model).metadata[self_test.KEY])
    assert 1 <= len(stored["boxes"]) <= self_test.MOST
    self_test.check(Detector(model, confidence=0.1))


@pytest.mark.parametrize(
    "name", ["traffic", "traffic-int8", "traffic-large", "traffic-square", "mask", "mask-int8", "mask-free"]
)
def test_the_packaged_models_have_an_answer(name: str) -> None:
    """Each model that comes along is small, can be checked on any box, and is right here."""
    path = CameraConfig(source="0", model=name).model_path
    assert path.stat().st_size < 4_000_000
    detector = Detector(path, confidence=0.1)
    assert detector.metadata[self_test.KEY]
    self_test.check(detector)


def test_wrong_answers_are_refused_with_a_way_out(model: Path, tmp_path: Path) -> None:
    """A model that computes otherwise is named, with what to do: int8 has a float twin, float has none."""
    wrong = miscomputing(model, tmp_path / "wrong.onnx")
    with pytest.raises(ModelError, match=r"wrong\.onnx: wrong answers on this CPU, .*fetch the file again"):
        self_test.check(Detector(wrong, confidence=0.1))
    small = changed(wrong, tmp_path / "int8.onnx", precision="int8 (U8S8)")
    with pytest.raises(ModelError, match="use the float model") as caught:
        self_test.check(Detector(small, confidence=0.1))
    assert "\n" not in str(caught.value)


def test_a_wrong_answer_ends_the_start(model: Path, tmp_path: Path) -> None:
    """The node does not start with a model that computes wrongly here, and remembers nothing of it."""
    wrong = miscomputing(model, tmp_path / "wrong.onnx")
    camera = CameraConfig(source="scene:", model=str(wrong))
    config = Config(node="gate-1", state_dir=str(tmp_path / "state"), camera={"cam0": camera})
    with pytest.raises(startup.NodeError, match="wrong answers on this CPU"):
        startup.meet_models(config, startup.load_models(config))
    assert not (tmp_path / "state").exists()


def test_a_file_without_an_answer_passes(model: Path, tmp_path: Path) -> None:
    """Old files and those of others have none; one that is damaged is no answer."""
    self_test.check(Detector(changed(model, tmp_path / "none.onnx", **{self_test.KEY: ""})))
    for text in ("{", "{}", '{"seed": 1, "boxes": [[1]]}'):
        with pytest.raises(ModelError, match="stored answer cannot be read"):
            self_test.check(Detector(changed(model, tmp_path / "bad.onnx", **{self_test.KEY: text})))


def test_a_model_is_met_once(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The licence is told and the answer checked at the first start; again when the CPU is another."""
    caplog.set_level(logging.INFO)
    checks: list[Path] = []
    monkeypatch.setattr(self_test, "check", lambda detector: checks.append(detector.path))
    notes = tmp_path / "state" / "models.json"
    for _ in range(3):
        meet(Detector(model), Known(notes))
    assert len(checks) == 1
    assert [record.message for record in caplog.records if "licence: weights for use" in record.message]
    assert len(caplog.records) == 1
    monkeypatch.setattr(self_test, "machine", lambda: "another")
    meet(Detector(model), Known(notes))
    assert len(checks) == 2
    assert len(caplog.records) == 1


def test_damaged_notes_only_cost_a_check(model: Path, tmp_path: Path) -> None:
    """Notes that cannot be read are made anew; a folder that cannot be written ends nothing."""
    notes = tmp_path / "models.json"
    notes.write_text("{broken")
    meet(Detector(model), Known(notes))
    assert len(json.loads(notes.read_text())) == 2
    (tmp_path / "file").write_text("")
    meet(Detector(model), Known(tmp_path / "file" / "models.json"))


def test_a_machine_has_a_name_of_its_own(tmp_path: Path) -> None:
    """The name changes with the CPU's abilities, and not with its clock or its number of cores."""
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name : A\ncpu MHz : 1000\nflags : avx2\n\nprocessor : 1\n")
    first = self_test.machine(info)
    info.write_text("processor : 0\nmodel name : A\ncpu MHz : 3000\nflags : avx2\n\n")
    assert self_test.machine(info) == first
    info.write_text("processor : 0\nmodel name : A\ncpu MHz : 1000\nflags : avx2 avx512_vnni\n\n")
    assert self_test.machine(info) != first
    assert len(self_test.machine(tmp_path / "none")) == 16
