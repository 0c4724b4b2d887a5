"""A model by name: which a box has, what is refused, and that counting goes on with another one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import config as configuration
from agent import startup, wire
from agent.command import Desired, Refused
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.named_models import NamedModels
from agent.pipeline import Pipeline
from agent.see.capture import Frame
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from agent.street.scene import Scene


@pytest.fixture
def box(tmp_path: Path) -> tuple[configuration.Config, NamedModels, Desired]:
    """A box with one camera and a model of its owner's making beside the packaged ones."""
    (tmp_path / "models").mkdir()
    shutil.copy(MODELS / "gb-yolo-n-traffic-square.onnx", tmp_path / "models" / "street-2.onnx")
    path = tmp_path / "agent.toml"
    path.write_text(f'node = "box-1"\nstate_dir = "{tmp_path}"\n[camera.cam0]\nsource = "scene:"\n')
    config = configuration.load(path)
    detectors = startup.load_models(config)
    models = NamedModels(config, detectors)
    labels = {name: list(detector.names.values()) for name, detector in detectors.items()}
    return config, models, Desired(config.document(), None, labels, (), models.labels)


def wanted(version: int, **settings: Any) -> bytes:
    """Return a document for the one camera."""
    return msgspec.json.encode(wire.Document(version, {"cam0": wire.CameraSettings(**settings)}))


def test_a_model_is_chosen_by_its_name(box: tuple[configuration.Config, NamedModels, Desired]) -> None:
    """A packaged one, one in the state folder, and the owner's own; none: the owner's again."""
    _, models, desired = box
    known = {
        "traffic-int8": "gb-yolo-n-traffic-int8", "street-2": "street-2", "traffic": "gb-yolo-n-traffic",
        "": "gb-yolo-n-traffic",
    }  # fmt: skip
    for version, (name, stem) in enumerate(known.items(), 1):
        payload = wanted(version, model=name)
        models.prepare(payload)
        assert desired.want(payload), desired.error
        assert models.detector("cam0", name).path.stem == stem
        models.keep(desired.document)
        assert desired.report().refused == {}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"model": "nosuch"},
            "cam0, model: this box has no model 'nosuch'; it has mask, mask-free, mask-int8,",
        ),
        ({"model": "../agent"}, "'../agent' is no name of a model; only the box's owner gives a path"),
        (
            {"model": "mask", "labels": ["car"]},
            "cam0, camera: the model does not know 'car'; it knows with_mask",
        ),
        (
            {"model": "mask", "lines": {"main": wire.Line([(0.0, 0.5), (1.0, 0.5)], labels=["bus"])}},
            "cam0, line 'main': the model does not know 'bus'",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_and_what_runs_goes_on(
    box: tuple[configuration.Config, NamedModels, Desired], settings: dict[str, Any], why: str
) -> None:
    """With the reason, whole: a line whose labels would vanish keeps the model that knows them."""
    _, models, desired = box
    payload = wanted(3, **settings)
    models.prepare(payload)
    assert not desired.want(payload)
    assert why in desired.error
    assert (desired.document.version, desired.document.cameras["cam0"].model) == (0, "")


def test_a_file_that_is_no_model_is_refused(
    box: tuple[configuration.Config, NamedModels, Desired],
) -> None:
    """And once it is one, the same document is taken: nothing is remembered against it."""
    config, models, _ = box
    place = Path(config.state_dir) / "models" / "broken.onnx"
    place.write_bytes(b"no model")
    models.prepare(wanted(4, model="broken"))
    with pytest.raises(Refused, match=r"broken\.onnx"):
        models.labels("cam0", "broken")
    shutil.copy(MODELS / "gb-yolo-n-mask.onnx", place)
    models.prepare(wanted(4, model="broken"))
    assert "with_mask" in models.labels("cam0", "broken")


def test_a_model_that_is_gone_at_a_start_leaves_the_owners(
    box: tuple[configuration.Config, NamedModels, Desired],
) -> None:
    """The box counts on with its owner's model, and says why not with the other."""
    config, models, desired = box
    payload = wanted(5, model="street-2")
    models.prepare(payload)
    assert desired.want(payload)
    (Path(config.state_dir) / "models" / "street-2.onnx").unlink()
    detectors = startup.load_models(config)
    fresh = NamedModels(config, detectors)
    labels = {"cam0": list(detectors["cam0"].names.values())}
    again = Desired(config.document(), desired.remember(), labels, (), fresh.labels)
    assert "this box has no model 'street-2'" in again.report().error
    assert fresh.detector("cam0", "street-2") is detectors["cam0"]


def test_counting_goes_on_with_another_model() -> None:
    """The camera stays open, objects end where the model changes, and no running total begins anew."""
    camera = CameraConfig(source="scene:?seed=7")
    lines = {"main": wire.Line([(0.05, 0.62), (0.95, 0.62)])}
    settings = msgspec.structs.replace(camera.settings(), lines=lines)
    totals = Totals()
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline("cam0", camera, detector, settings, totals)
    scene = Scene(7, 960, 540, 15)
    events: list[wire.AnyEvent] = []

    def watch(first: int, last: int) -> None:
        for number in range(first, last):
            seconds = number / 7.5
            events.extend(pipeline.look(Frame(scene.frame(number * 2), number, seconds, 1e9 + seconds))[1])

    watch(0, 150)
    before = sum(totals.rows.values())
    assert before > 0
    other = Detector(MODELS / "gb-yolo-n-traffic-square.onnx", confidence=0.1)
    pipeline.apply(msgspec.structs.replace(settings, model="traffic-square"), other)
    watch(150, 300)
    assert pipeline.report().model == "gb-yolo-n-traffic-square"
    crossings = [event for event in events if isinstance(event, wire.Crossing)]
    assert sum(totals.rows.values()) == len(crossings) > before
    by_row: dict[tuple[str, str], list[int]] = {}
    for event in crossings:
        by_row.setdefault((event.direction, event.label), []).append(event.total)
    assert all(row == list(range(1, len(row) + 1)) for row in by_row.values())


def test_a_camera_that_has_gone_while_its_model_was_to_be_opened_is_refused(
    box: tuple[configuration.Config, NamedModels, Desired],
) -> None:
    """Models are opened on other threads, so a camera may be taken away meanwhile."""
    config, models, _ = box
    models.renew(msgspec.structs.replace(config, camera={}), "cam0", None)
    with pytest.raises(Refused, match="no camera 'cam0' now"):
        models.borrow("cam0", "street-2")
