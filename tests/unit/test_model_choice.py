"""The way back to the model before, where another one that was chosen cannot judge."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from agent import wire
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.capture import Frame
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from agent.street.scene import Scene
from tests.unit.onnx_files import write
from tests.unit.test_layouts_read import yolov8

LINE = {"main": wire.Line([(0.05, 0.62), (0.95, 0.62)])}


@pytest.fixture
def broken(tmp_path: Path) -> Detector:
    """A real file that opens and passes for a detector, and whose scores are no numbers."""
    (answer,) = yolov8()
    answer[0, 4, 50] = np.nan
    return Detector(write(tmp_path / "broken.onnx", [answer]), names=["person", "car"])


class Watched:
    """A camera before the built-in street, frame by frame; `clock` stands still."""

    def __init__(self, model: Detector | None = None) -> None:
        camera = CameraConfig(source="scene:?seed=7")
        self.own = model or Detector(camera.model_path, confidence=0.1)
        self.settings = msgspec.structs.replace(camera.settings(), lines=LINE)
        self.totals = Totals()
        self.pipeline = Pipeline("cam0", camera, self.own, self.settings, self.totals)
        self.pipeline.camera.status.become("ok", "")
        self.events: list[wire.AnyEvent] = []
        self._scene = Scene(7, 960, 540, 15)
        self._number = 0

    def watch(self, frames: int) -> None:
        """See so many more frames."""
        for number in range(self._number, self._number + frames):
            at = number / 7.5
            frame = Frame(self._scene.frame(number * 2), number, at, 1e9 + at)
            self.events += self.pipeline.look(frame)[1]
        self._number += frames

    @property
    def shown(self) -> tuple[str, str, str]:
        """Return the camera's state, reason and model as the node tells them."""
        report = self.pipeline.report()
        return report.state, report.reason, report.model


def test_the_model_before_looks_again_after_fifty(broken: Detector) -> None:
    """The fiftieth failure brings the earlier model back: the blind time is told, and counting goes on."""
    camera = Watched()
    camera.watch(100)
    before = sum(camera.totals.rows.values())
    assert before > 0
    camera.pipeline.apply(msgspec.structs.replace(camera.settings, model="broken"), broken)
    camera.watch(49)
    assert camera.shown[::2] == ("failed", "broken")
    camera.watch(101)
    state, reason, model = camera.shown
    assert (state, model) == ("ok", "gb-yolo-n-traffic")
    assert reason.startswith(
        "the model broken failed too often in a row: gb-yolo-n-traffic, which judged before"
    )
    tally = camera.pipeline.tally()
    assert tally.dropped == 50
    assert tally.blind == {"model": pytest.approx(50 / 7.5 * 1000, abs=2)}
    assert sum(camera.totals.rows.values()) > before
    states = [event.state for event in camera.events if isinstance(event, wire.CameraState)]
    assert states == ["failed", "failed", "ok"]


def test_it_is_tried_again_when_a_model_is_chosen_not_when_a_line_is_drawn(broken: Detector) -> None:
    """The same document with another line leaves the earlier model; another model, or it anew, is taken."""
    camera = Watched()
    camera.watch(5)
    wanted = msgspec.structs.replace(camera.settings, model="broken")
    camera.pipeline.apply(wanted, broken)
    camera.watch(55)
    assert camera.shown[2] == "gb-yolo-n-traffic"
    camera.pipeline.apply(msgspec.structs.replace(wanted, lines={}), broken)
    camera.watch(3)
    assert camera.shown[2] == "gb-yolo-n-traffic"
    other = Detector(MODELS / "gb-yolo-n-traffic-square.onnx", confidence=0.1)
    camera.pipeline.apply(msgspec.structs.replace(wanted, model="traffic-square"), other)
    camera.watch(3)
    assert camera.shown == ("ok", "", "gb-yolo-n-traffic-square")
    camera.pipeline.apply(wanted, broken)
    camera.watch(5)
    assert camera.shown[::2] == ("failed", "broken")


def test_without_a_better_one_it_stays_and_says_so(broken: Detector) -> None:
    """A camera whose only model fails has failed; nothing is returned to that never judged a picture."""
    camera = Watched(broken)
    camera.watch(60)
    state, reason, _ = camera.shown
    assert state == "failed"
    assert "has failed 50 times in a row" in reason
    assert camera.pipeline.detector is broken
