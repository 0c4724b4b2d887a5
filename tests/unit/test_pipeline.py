"""The parts of a camera's loop that can be judged without a camera."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import cv2
import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from agent import wire
from agent.boxes import Detections
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.minute import Ledger
from agent.pipeline import Pipeline
from agent.preview import picture, rows
from agent.see.infer import Detector, InferenceError
from agent.see.slot import Frame
from agent.street.scene import Scene
from agent.track.tracker import Tracks, make_tracker


def test_time_between_frames_is_watched() -> None:
    """Ten frames a second for two seconds are two seconds watched."""
    watch = Ledger()
    for number in range(21):
        watch.frame(number / 10)
    assert watch.take() == (2000, {})
    assert watch.take() == (0, {})


def test_a_gap_between_frames_was_not_watched() -> None:
    """Five seconds without a frame are blind time, though the camera never said that it was lost."""
    watch = Ledger()
    watch.frame(0.0)
    watch.frame(1.0)
    watch.frame(6.0)
    watch.frame(7.0)
    assert watch.take() == (2000, {"stalled": 5000})


def test_lost_camera_is_blind_with_its_reason_and_not_booked_twice() -> None:
    """The first frame after a loss does not book the loss again."""
    watch = Ledger()
    watch.frame(0.0)
    watch.missed("absent", 0.5)
    watch.missed("absent", 0.5)
    watch.frame(60.0)
    watch.frame(60.5)
    assert watch.take() == (500, {"absent": 1000})


def test_the_wait_before_a_loss_is_known_belongs_to_the_loss() -> None:
    """A stall is known only after seconds of waiting; they are blind too. Those of a slow camera are not."""
    watch = Ledger()
    watch.frame(0.0)
    watch.waited(0.5)
    watch.frame(1.0)
    watch.waited(2.5)
    watch.missed("stalled", 0.5)
    assert watch.silent == 3.0
    assert watch.take() == (1000, {"stalled": 3000})


def test_what_was_in_the_picture_of_a_lost_camera_ends_soon() -> None:
    """The tracks of a camera that is lost are told and counted while it is away, not when it is back."""
    now = 0.0
    camera = CameraConfig(source="scene:?seed=7")
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals(), monotonic=lambda: now)
    scene = Scene(7, 960, 540, 15)
    for number in range(20):
        tracks, _ = pipeline.look(Frame(scene.frame(number * 2), number, number / 7.5, 1e9 + number / 7.5))
    assert tracks is not None
    assert len(tracks)
    now = 9.0
    assert not [event for event in pipeline.step().events if isinstance(event, wire.Track)]
    now = 11.0
    ended = [event for event in pipeline.step().events if isinstance(event, wire.Track) and event.ended]
    assert len(ended) >= len(tracks)


def test_what_is_wanted_while_settings_are_taken_up_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop asks at any moment of the camera's thread: here at each line that it runs."""
    camera = CameraConfig(source="scene:?seed=7")
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals())
    taken: list[float] = []
    monkeypatch.setattr(pipeline.follower, "apply", lambda settings: taken.append(settings.confidence))

    def wants(confidence: float) -> None:
        pipeline.apply(wire.CameraSettings(confidence=confidence), detector)

    traced = sys.gettrace()
    left = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "line" and frame.f_code.co_filename.endswith("agent/pipeline.py"):
            left -= 1
            if left == 0:
                wants(0.9)
        return trace

    for line in range(1, 20):
        left = line
        wants(0.5)
        sys.settrace(trace)
        pipeline._take_settings()
        sys.settrace(traced)
        pipeline._take_settings()
        if left > 0:
            break
        assert taken[-1] == 0.9
    assert 3 < line < 19


def test_a_live_row_takes_twelve_bytes_and_gives_the_box_back() -> None:
    """A box on the wire is 12 bytes and right to a thousandth of the frame."""
    tracks = Tracks.of_boxes(
        xyxy=np.array([[96, 54, 480, 270]], np.float32),
        track_id=np.array([7]),
        confidence=np.array([0.876], np.float32),
        class_id=np.array([2]),
        at_seconds=0.0,
    )
    packed = rows(tracks, (960, 540))
    assert len(packed) == 12
    track, *box, kind, score = wire.unpack_rows(packed)[0]
    assert (track, kind, score) == (7, 2, 88)
    np.testing.assert_allclose(box, [0.1, 0.1, 0.5, 0.5], atol=1e-3)


def test_a_preview_is_a_small_jpeg() -> None:
    """A large frame leaves as at most 640 pixels of width, its shape kept."""
    image = np.full((1080, 1920, 3), 90, np.uint8)
    decoded = cv2.imdecode(np.frombuffer(picture(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (360, 640, 3)


def test_a_doubtful_face_is_told_and_a_doubtful_car_is_not() -> None:
    """Where a state is asked for, a low confidence is no reason to leave a face out; on a road it is."""
    told = {}
    for about_state in (True, False):
        tracker = make_tracker(0.25, {0: "car"}, about_state=about_state)
        for n in range(20):
            found = Detections(
                np.array([[10, 10, 50, 50]], np.float32), np.array([0.3], np.float32), np.zeros(1, int)
            )
            told[about_state] = len(tracker.update(found, n / 10))
    assert told == {True: 1, False: 0}


# ── a model that cannot judge ─────────────────────────────────────────────────────────────────────


class Sick:
    """A detector whose `detect` does what the test says: an error, or boxes."""

    def __init__(self) -> None:
        self.names = {0: "car"}
        self.sha256 = ""
        self.error: Exception | None = None

    def detect(self, image: np.ndarray) -> Detections:
        if self.error is not None:
            raise self.error
        return Detections.empty()


def sick_pipeline(detector: Sick, clock: Callable[[], float] = lambda: 0.0) -> Pipeline:
    camera = CameraConfig(source="scene:?seed=7")
    looker: Detector = detector  # type: ignore[assignment]
    return Pipeline("cam0", camera, looker, camera.settings(), Totals(), monotonic=clock)


def test_a_moved_camera_is_in_the_report_and_its_time_is_watched() -> None:
    """What is judged of a camera that was turned says so beside a state that is not blind."""
    pipeline = sick_pipeline(Sick())
    scene = Scene(7, 480, 270, 15)
    pictures = [scene.frame(30 * number) for number in range(12)]
    for number in range(60):
        image = pictures[number % 12][:, 20:] if number > 20 else pictures[number % 12][:, :-20]
        pipeline.look(Frame(np.ascontiguousarray(image), number, number * 5.0, 1e9 + number * 5.0))
    (ailment,) = pipeline.report().health
    assert ailment.amount == pytest.approx(20 / 460, abs=0.006)
    assert ailment.shift[0] == pytest.approx(-20 / 460, abs=0.006)
    assert 1e12 + 60_000 <= ailment.since <= 1e12 + 160_000
    assert pipeline.report().state != "degraded"


def still(number: int) -> Frame:
    return Frame(np.zeros((96, 128, 3), np.uint8), number, number / 10, 1e9 + number / 10)


ERRORS = [
    InferenceError("the model gave numbers that are not finite"),
    ValueError("cannot reshape array of size 7 into shape (1,6)"),
    IndexError("index 9 is out of bounds"),
    RuntimeError("[ONNXRuntimeError] : 1 : FAIL"),
    Fail("[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Gather node"),
    ZeroDivisionError("division by zero"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_frames_that_a_model_cannot_judge_are_blind_time(error: Exception) -> None:
    """Each is dropped and counted; three in a row and the camera has failed, with the reason; then it is
    ok again.
    """
    detector = Sick()
    pipeline = sick_pipeline(detector)
    events = []
    for number in range(100):
        detector.error = error if 20 <= number < 80 else None
        events += pipeline.look(still(number))[1]
    tally = pipeline.tally()
    assert (tally.inferred, tally.dropped) == (40, 60)
    assert tally.blind == {"model": 6000}
    assert tally.watched == 3900
    states = [event for event in events if isinstance(event, wire.CameraState)]
    assert [state.state for state in states] == ["failed", "failed", "ok"]
    assert states[0].reason.startswith("the model cannot judge the pictures")
    assert "has failed 50 times in a row" in states[1].reason
    assert str(error).split(":")[0] in states[0].reason


def test_a_failed_model_shows_in_the_nodes_state() -> None:
    """The report says `failed` and why, though the camera itself is ok; an absent camera stays absent."""
    detector = Sick()
    detector.error = ERRORS[0]
    pipeline = sick_pipeline(detector)
    for number in range(5):
        pipeline.look(still(number))
    assert pipeline.report().state == "absent"
    pipeline.camera.status.become("ok", "")
    report = pipeline.report()
    assert (report.state, report.reason) == (
        "failed",
        "the model cannot judge the pictures: the model gave numbers that are not finite",
    )


def test_one_bad_frame_is_dropped_and_no_state() -> None:
    """A single failure costs its frame and its tenth of a second."""
    detector = Sick()
    pipeline = sick_pipeline(detector)
    events = []
    for number in range(30):
        detector.error = ERRORS[0] if number % 10 == 5 else None
        events += pipeline.look(still(number))[1]
    assert not events
    assert pipeline.tally().blind == {"model": 300}


def test_a_model_that_flaps_is_told_a_few_times() -> None:
    """Good and bad in turns of five frames for a minute: nine events at most."""
    detector = Sick()
    now = 0.0
    pipeline = sick_pipeline(detector, lambda: now)
    events = []
    for number in range(600):
        now = number / 10
        detector.error = ERRORS[0] if number // 5 % 2 else None
        events += pipeline.look(still(number))[1]
    assert 6 <= len(events) <= 9
