"""What a box looks into for a while: a confidence from unlabelled minutes, and a second model beside."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from agent import wire
from agent.boxes import Detections
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.infer import Detector, InferenceError
from agent.see.slot import Frame
from agent.study.aside import Aside
from agent.study.beside import Beside
from agent.study.calibrate import Calibration
from agent.track.tracker import make_tracker
from tests.unprivileged import unprivileged

FPS = 10
PICTURE = np.zeros((480, 640, 3), np.uint8)
LINES = {"gate": wire.Line([(0.5, 0.0), (0.5, 1.0)])}
SETTINGS = wire.CameraSettings(lines=LINES)


def frame(number: int) -> Frame:
    """Return the frame of a number, at ten a second."""
    return Frame(PICTURE, number, number / FPS, 1e9 + number / FPS)


def boxes(*rows: tuple[float, float, float]) -> Detections:
    """Return cars of 60 by 40 pixels; a row is the centre and the score."""
    xyxy = [(x - 30, y - 20, x + 30, y + 20) for x, y, _ in rows]
    count = len(rows)
    return Detections(
        np.asarray(xyxy, np.float32).reshape(count, 4),
        np.asarray([score for *_, score in rows], np.float32),
        np.zeros(count, np.int64),
    )


def passing(number: int, score: float = 0.6) -> list[tuple[float, float, float]]:
    """Return one car that crosses the picture in four seconds, again and again."""
    at = number % 50
    return [(40 + at * 14.0, 240.0, score)] if at < 40 else []


def calibrated(frames: int, *more: Any) -> list[str]:
    """Return what a calibration says of passing cars, and what `more` adds to each frame."""
    tracker = make_tracker(0.25, {0: "car"})
    calibration = Calibration({0: "car"}, 0.25)
    for number in range(frames):
        found = boxes(*passing(number), *(row for each in more for row in each(number)))
        calibration.saw(frame(number), found, tracker.update(found, number / FPS, (640, 480)))
    return calibration.report()


def flicker(number: int) -> list[tuple[float, float, float]]:
    """Return a box that is there in one frame and gone in the next three, about the same place."""
    return [(90.0 + number % 7, 70.0, 0.30)] if number % 4 == 0 else []


def test_a_confidence_is_advised_above_what_flickers() -> None:
    """Twelve cars of 0.6 are followed and flickers of 0.3 are not: 0.35 is the lowest that leaves them out;
    the place where they flicker is named, and no car would be lost.
    """
    said = "\n".join(calibrated(600, flicker))
    assert "objects followed: 12 car" in said
    assert "speak for confidence 0.35, the lowest at which 90% of the boxes are followed" in said
    assert "0 of 12 objects would not be counted with it" in said
    assert "lie at 0.1 to 0.2 of the width, 0.1 to 0.2 of the height" in said


def test_where_too_little_passes_nothing_is_advised() -> None:
    """Two cars are no ground for a confidence, and it is said how many would be."""
    said = "\n".join(calibrated(100))
    assert "Too little passed to advise a confidence: 2 objects, 10 are needed" in said
    assert "speak for" not in said


def test_what_stands_all_the_time_is_named() -> None:
    """It is followed as an object is; a person has to look whether it is one."""
    (told,) = [line for line in calibrated(300, lambda _: [(500.0, 400.0, 0.7)]) if "Stands at" in line]
    assert told.startswith("Stands at 0.78, 0.83 for ")
    assert told.endswith("car, score up to 0.70. Look whether it is one.")


class Model:
    """A model whose answers are a rule. `see`: from a frame's number to its boxes; pictures hold theirs."""

    sha256 = "0" * 64

    def __init__(self, name: str, names: dict[int, str], see: Any) -> None:
        self.path = Path(f"{name}.onnx")
        self.names = names
        self._see = see
        self._number = -1

    def detect(self, image: Any) -> Detections:
        """Answer for the next frame."""
        self._number += 1
        return boxes(*self._see(self._number))


def beside(other: Model, frames: int) -> tuple[Beside, Aside]:
    """Run a model beside another one over some frames; return the comparison, and its own counts."""
    running: Any = Model("running", {0: "car"}, passing)
    second: Any = other
    own = Aside("cam0", SETTINGS, running)
    compared = Beside(own, Aside("cam0", SETTINGS, second), lambda: False)
    tracker = make_tracker(0.25, {0: "car"})
    for number in range(frames):
        found = boxes(*passing(number))
        compared.saw(frame(number), found, tracker.update(found, number / FPS, (640, 480)))
        if compared._running is not None:
            compared._running.exception()
    return compared, own


def test_two_models_are_compared_on_the_same_pictures() -> None:
    """The second misses every other car: boxes, objects and crossings say so, and what it does not know is no
    zero.
    """
    half: Any = Model("second", {0: "car", 1: "bus"}, lambda n: passing(n) if n // 50 % 2 == 0 else [])
    compared, _ = beside(half, 300)
    lines = compared.report()
    compared.close()
    assert lines[0] == "300 pictures judged by both, 0 passed over"
    cells = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in lines[1:]}
    assert cells["boxes of car"] == ["240", "120"]
    assert cells["objects car"] == ["6", "3"]
    assert cells["gate BA car"] == ["6", "3"]
    assert len(cells["milliseconds a look"]) == 2
    stranger: Any = Model("masks", {0: "with_mask"}, lambda _: [])
    compared, _ = beside(stranger, 100)
    assert compared.report()[-1].split() == ["gate", "BA", "car", "2", "-"]
    compared.close()


def test_pictures_that_come_while_it_is_at_work_are_passed_over_for_both() -> None:
    """The camera's thread is never held up; what both judged is told, and what was passed over."""
    go = threading.Event()
    slow: Any = Model("slow", {0: "car"}, lambda n: go.wait(20) and passing(n))
    running: Any = Model("running", {0: "car"}, passing)
    compared = Beside(Aside("cam0", SETTINGS, running), Aside("cam0", SETTINGS, slow), lambda: False)
    tracker = make_tracker(0.25, {0: "car"})
    for number in range(20):
        found = boxes(*passing(number))
        compared.saw(frame(number), found, tracker.update(found, number / FPS, (640, 480)))
    assert compared.passed_over == 19
    go.set()
    assert compared.report()[0] == "1 pictures judged by both, 19 passed over"
    compared.close()


def test_a_model_that_cannot_judge_is_said_to_and_stops_nothing() -> None:
    """Its reason is kept; nothing was judged by both."""

    def fail(_number: int) -> list[tuple[float, float, float]]:
        raise InferenceError("second.onnx: does not run")

    failing: Any = Model("second", {0: "car"}, fail)
    compared, _ = beside(failing, 3)
    compared.close()
    assert (compared.judged, compared.passed_over, compared.failed) == (0, 3, "second.onnx: does not run")


def test_who_looks_on_changes_no_count() -> None:
    """The camera counts the same with witnesses as without, and aside the same model counts the same."""

    def counted(*, watched: bool) -> tuple[Totals, Aside]:
        camera = CameraConfig(source="scene:?seed=7", lines=LINES, gate=False)
        detector: Any = Detector(camera.model_path, confidence=0.1)
        script = Model("running", {0: "car"}, passing)
        detector.detect = script.detect
        detector.names = script.names
        pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals())
        own = Aside("cam0", camera.settings(), detector)
        compared = Beside(own, Aside("cam0", camera.settings(), detector), lambda: True)
        if watched:
            pipeline.witnesses = (Calibration(detector.names, 0.25), compared, _Following(own))
        for number in range(300):
            pipeline.look(frame(number))
        pipeline.follower.forget(round(1e12))
        own.close(1e9)
        compared.close()
        pipeline.stop()
        return pipeline.running_totals, own

    plain, _ = counted(watched=False)
    seen, aside = counted(watched=True)
    assert plain.rows == seen.rows == aside.totals.rows
    assert sum(plain.rows.values()) == 6
    assert plain.objects == seen.objects == aside.totals.objects == {"car": 6}


class _Following:
    """Counts aside on the camera's own thread."""

    def __init__(self, own: Aside) -> None:
        self._own = own

    def saw(self, frame: Frame, found: Detections, tracks: Any) -> None:
        """Take a frame."""
        self._own.follow(frame, found)


def test_an_agent_that_gives_way_more_already_compares_too() -> None:
    """Below `nice -n 15` an ordinary user's process may not go back to 10; it stays at 15."""
    code = """
os.setpriority(os.PRIO_PROCESS, 0, 15)
with ThreadPoolExecutor(1, "beside", _give_way) as worker:
    print(worker.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result())
"""
    imports = (
        "import os, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from agent.study.beside import _give_way"
    )
    done = unprivileged(imports, code)
    assert done.stdout.split() == ["15"], done.stderr
