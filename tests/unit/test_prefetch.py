"""Workers that look ahead: the order of frames, the place of a fault, the end in the middle."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from agent import wire
from agent.boxes import Detections, Uint8
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see import slot, status
from agent.see.capture import Camera
from agent.see.infer import Detector, InferenceError
from agent.see.prefetch import OrderedDetector
from agent.see.slot import Frame
from agent.street.scene import Scene

NOW = 1.7e9


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write some seconds of the built-in street as a file."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    scene = Scene(7, 480, 270, 15)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (480, 270))
    for number in range(100, 160):
        writer.write(scene.frame(number))
    writer.release()
    return path


def told(street: Path, workers: int) -> tuple[bytes, int, int, int]:
    """Return a whole run's events as bytes, and how many frames were captured, judged and skipped."""
    line = wire.Line([(0.0, 0.6), (1.0, 0.6)])
    camera = CameraConfig(source=str(street), pace="fast", workers=workers, lines={"main": line})
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline(
        "cam0", camera, detector, camera.settings(), Totals(), wall=lambda: NOW, monotonic=lambda: 0
    )
    events: list[wire.AnyEvent] = []
    with pipeline.camera:
        while not any(isinstance(event, wire.CameraState) and event.state == "ended" for event in events):
            events += pipeline.step().events
    events += pipeline.close()
    return (
        b"".join(wire.encode_event(event, 0) for event in events),
        pipeline.camera.captured,
        pipeline.minutes.seen,
        pipeline.camera.skipped,
    )


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all frames and changes of a camera have one time of the day."""
    clock = SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic)
    monkeypatch.setattr(slot, "time", clock)
    monkeypatch.setattr(status, "time", clock)


def test_any_number_of_workers_tells_the_same(street: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One, two and three workers tell the same events in the same order, byte for byte, and drop nothing."""
    stop_the_clock(monkeypatch)
    one, two, three = (told(street, workers) for workers in (1, 2, 3))
    assert one[1] == one[2] + one[3] == 60
    assert len(one[0]) > 500, "the street must give events to compare"
    assert one == two == three


def looped(street: Path, workers: int) -> list[bytes]:
    """Return what is told of the first frames of a looped file, over its seam."""
    camera = CameraConfig(source=str(street), pace="fast", loop=True, workers=workers)
    detector = Detector(camera.model_path, confidence=0.1)
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals(), wall=lambda: NOW)
    events: list[wire.AnyEvent] = []
    with pipeline.camera:
        while pipeline.minutes.seen < 80:
            events += pipeline.step().events
    pipeline.close()
    return [wire.encode_event(event, 0) for event in events]


def test_a_seam_is_where_it_was(street: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A looped file ends its tracks between the same two frames, however many are looked at ahead."""
    stop_the_clock(monkeypatch)
    one = looped(street, 1)
    three = looped(street, 3)
    assert sum(wire.decode_event(event, 0).__class__ is wire.Track for event in one) > 0
    assert one == three


class Eyes:
    """Tell a picture's own brightness as a box, the even ones late; some cannot be judged."""

    def __init__(self) -> None:
        self.together = self.most = 0
        self._lock = threading.Lock()

    def detect(self, image: Uint8) -> Detections:
        """Take longer over every second picture."""
        with self._lock:
            self.together += 1
            self.most = max(self.most, self.together)
        value = int(image[0, 0, 0])
        time.sleep(0.02 if value % 2 == 0 else 0.001)
        with self._lock:
            self.together -= 1
        if value % 5 == 4:
            raise InferenceError(f"picture {value}")
        box = np.array([[0, 0, 1 + value, 1]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))


def shades(folder: Path, count: int = 20) -> Path:
    """Write pictures whose brightness is their number."""
    for value in range(count):
        cv2.imwrite(str(folder / f"{value:03}.png"), np.full((8, 8, 3), value, np.uint8))
    return folder


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_frames_come_out_in_order_and_a_fault_takes_one_place(tmp_path: Path, workers: int) -> None:
    """A slow frame keeps its place before a quick one; a frame that cannot be judged stands alone."""
    eyes = Eyes()
    with Camera("c", f"{shades(tmp_path)}?seconds=1", pace="fast") as camera:
        ahead = OrderedDetector(camera, eyes.detect, workers, 0.2)
        sights = [ahead.next() for _ in range(80)]
        ahead.stop()
    assert [sight.frame.number for sight in sights if sight.frame] == list(range(80))
    for sight in sights:
        assert sight.frame is not None
        value = int(sight.frame.image[0, 0, 0])
        if value % 5 == 4:
            assert str(sight.found) == f"picture {value}"
        else:
            assert isinstance(sight.found, Detections)
            assert sight.found.xyxy[0, 2] == 1 + value
    assert eyes.most == workers


def test_an_end_in_the_middle_keeps_what_was_taken(tmp_path: Path) -> None:
    """`rest` gives every frame that left the slot, takes no other, and leaves no thread."""
    with Camera("middle", f"{shades(tmp_path)}?seconds=1", pace="fast") as camera:
        ahead = OrderedDetector(camera, Eyes().detect, 2, 0.2)
        numbers = [sight.frame.number for sight in (ahead.next(), ahead.next()) if sight.frame]
        numbers += [sight.frame.number for sight in ahead.rest() if sight.frame]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) <= 2 + 3
    assert camera.captured - len(numbers) <= 2, "at most one in the slot and one in the hand"
    assert not [thread for thread in threading.enumerate() if "middle" in thread.name]


def test_a_live_camera_gives_its_newest_frame_to_slow_workers() -> None:
    """Workers slower than the camera get new frames, in order; those that nobody could take are counted."""

    def slow(image: Uint8) -> Detections:
        time.sleep(0.15)
        return Detections.empty()

    with Camera("c", "scene:?width=320&height=180&fps=50") as camera:
        ahead = OrderedDetector(camera, slow, 2, 0.5)
        frames: list[Frame] = []
        while len(frames) < 12:  # however long the camera takes to open
            frame = ahead.next().frame
            frames += [] if frame is None else [frame]
        late = time.time() - frames[-1].wall
        ahead.stop()
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    assert camera.dropped > 0
    assert late < 1.0, "frames wait for a worker, not in a queue"


@pytest.mark.parametrize(("seconds", "workers"), [(0.15, 1), (0.5, 1), (0.25, 2)])
def test_a_frame_is_no_older_than_two_frame_times_when_its_look_begins(seconds: float, workers: int) -> None:
    """However slow the model is beside a camera of 10 fps: 99 % of the looks begin on a picture that new."""
    ages: list[float] = []

    def slow(image: Uint8) -> Detections:
        time.sleep(seconds)
        return Detections.empty()

    with Camera("c", "scene:?width=160&height=90&fps=10") as camera:
        take = camera.take

        def timed(timeout: float) -> Frame | None:
            frame = take(timeout)
            ages.extend([] if frame is None else [time.time() - frame.wall])
            return frame

        camera.take = timed  # type: ignore[method-assign]
        ahead = OrderedDetector(camera, slow, workers, 0.5)
        while len(ages) < int(4 / seconds):  # however long the camera takes to open
            ahead.next()
        ahead.stop()
    assert np.percentile(ages, 99) <= 0.2
    assert camera.dropped >= 1


def test_a_lost_camera_is_told_after_its_last_frame(tmp_path: Path) -> None:
    """Frames that were taken before the loss are followed first; then comes the state, then the idle time."""
    camera = CameraConfig(source=f"{shades(tmp_path, 3)}?seconds=0.1", pace="fast", workers=3)
    detector = Detector(camera.model_path)
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals())
    steps = []
    with pipeline.camera:
        while not any(
            isinstance(e, wire.CameraState) and e.state == "ended" for s in steps for e in s.events
        ):
            steps.append(pipeline.step())
            seen = pipeline.minutes.seen
    pipeline.close()
    assert seen == 12
    states = [e.state for s in steps for e in s.events if isinstance(e, wire.CameraState)]
    assert states == ["ok", "ended"]


def test_a_dead_capture_thread_is_not_hidden() -> None:
    """What ends the process without workers ends it with them."""
    camera = Camera("c", "scene:?width=320&height=180")
    camera._run = lambda: None  # type: ignore[method-assign]
    camera._thread = threading.Thread(target=camera._run)
    with camera:
        ahead = OrderedDetector(camera, lambda image: Detections.empty(), 2, 0.2)
        with pytest.raises(RuntimeError, match="has died"):
            ahead.next()
        ahead.stop()


class Flaky(Detector):
    """A real detector that fails at every third picture."""

    looks = 0

    def detect(self, image_bgr: Uint8) -> Detections:
        """Fail at the third, the sixth and so on."""
        self.looks += 1
        if self.looks % 3 == 0:
            raise InferenceError("no answer")
        return super().detect(image_bgr)


def test_a_frame_without_an_answer_is_dropped_and_counted(tmp_path: Path) -> None:
    """The minute tells the frames that could not be judged; the others are judged, and the loop goes on."""
    camera = CameraConfig(source=f"{shades(tmp_path, 3)}?seconds=0.1", pace="fast")
    pipeline = Pipeline("c", camera, Flaky(camera.model_path), camera.settings(), Totals(), wall=lambda: NOW)
    events: list[wire.AnyEvent] = []
    with pipeline.camera:
        while not any(isinstance(event, wire.CameraState) and event.state == "ended" for event in events):
            events += pipeline.step().events
    pipeline.close()
    minutes = [event for event in events if isinstance(event, wire.Tally)]
    assert [(minute.captured, minute.inferred, minute.dropped) for minute in minutes] == [(12, 8, 4)]
