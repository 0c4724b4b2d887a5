"""Clocks that jump, names of cameras, what is asked of a USB camera, and how often a change is told."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.config import CameraConfig
from agent.see import flaps
from agent.see.capture import Camera
from agent.see.feed import device, names
from agent.see.feed.clock import FileClock, StreamClock
from agent.see.feed.device import DeviceSource, ask
from agent.see.feed.wish import Wish
from agent.see.flaps import Flaps
from agent.see.probe import inspect
from agent.see.slot import Frame

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="there is no ffmpeg to make a film with"
)

# ── the clock of a recording ──────────────────────────────────────────────────────────────────────


def times(said: list[float], fps: float = 10) -> tuple[list[float], list[int]]:
    """Return the clock's times, and at which pictures it was cut."""
    clock = FileClock(fps)
    moments = []
    cuts = []
    for place, second in enumerate(said):
        moments.append(clock.moment(second))
        if clock.take_cut():
            cuts.append(place)
    return moments, cuts


def test_after_a_jump_the_recordings_own_differences_hold() -> None:
    """Motion-only recording: 15 s, 300 s of nothing, 15 s ...: a cut and one step at each, true times
    between.
    """
    said = [n / 10 + n // 150 * 300 for n in range(600)]
    moments, cuts = times(said)
    assert np.allclose(moments, np.arange(600) / 10)
    assert cuts == [150, 300, 450]


@pytest.mark.parametrize(
    "said",
    [
        [n // 2 * 2 / 10 for n in range(80)],
        [float(n // 10) for n in range(80)],
        [n / 10 - 0.15 * (n % 7 == 3) for n in range(80)],
    ],
    ids=["each time twice", "whole seconds", "a little back"],
)
def test_times_that_do_not_grow_make_a_recording_no_longer(said: list[float]) -> None:
    """Eight seconds at 10 fps stay eight, whatever the rounding of their times; no cut, and times grow."""
    moments, cuts = times(said)
    assert cuts == []
    assert moments[-1] - moments[0] == pytest.approx(7.9, abs=0.2)
    assert np.diff(moments).min() > 0
    assert np.abs(np.array(moments) - np.arange(80) / 10).max() <= 0.2


def test_uneven_pictures_keep_their_distances_over_many_jumps() -> None:
    """At a varying rate the container's own differences are kept, forwards and backwards jumps between
    them.
    """
    steps = np.random.default_rng(0).uniform(0.02, 2.0, 100)
    own = np.cumsum(steps)
    said = own + np.repeat([0, 5000, -40, 5000, 100], 20)
    moments, cuts = times(list(said))
    expected = steps.copy()
    expected[[20, 40, 60, 80]] = 0.1
    assert np.allclose(np.diff(moments), expected[1:])
    assert cuts == [20, 40, 60, 80]


@pytest.mark.parametrize(
    ("said", "steps", "cuts"),
    [
        ([0.0, 0.1, 0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.05, 0.05, 0.1], []),  # the same moment twice
        ([0.0, 0.1, 0.05, 0.2, 0.3, 0.4, 0.5], [0.1, 0.1, 0.05, 0.05, 0.1, 0.1], []),  # a rounding
        ([0.0, 0.1, 9.1, 9.2], [0.1, 9.0, 0.1], []),  # a gap that is one
        ([0.0, 0.1, 10.2, 10.3], [0.1, 0.1, 0.1], [2]),
        ([5.0, 5.1, 0.0, 0.1], [0.1, 0.1, 0.1], [2]),
        ([0.0, 0.0, 0.0], [0.1, 0.1], []),  # no clock at all
        ([0.0, float("nan"), 0.2], [0.1, 0.2], []),
    ],
)
def test_each_odd_step_has_its_meaning(said: list[float], steps: list[float], cuts: list[int]) -> None:
    """A jump is a cut; a rounding, a repeated time and no time are one step, and half ones make up for it."""
    moments, seen = times(said)
    assert np.allclose(np.diff(moments), steps)
    assert seen == cuts


@pytest.mark.parametrize("fps", [0.7, 10.0])
def test_a_cut_takes_one_of_the_recordings_own_steps(fps: float) -> None:
    """A container's rate may be its mean over all jumps (MP4's is): it is no step, and no measure of a jump
    back.
    """
    moments, cuts = times([0.0, 0.1, 0.2, 300.0, 300.1, 300.2, 299.0, 299.1], fps)
    assert np.allclose(np.diff(moments), 0.1)
    assert cuts == [3, 6]


@needs_ffmpeg
def test_an_mp4_of_motion_alone_is_as_long_as_its_pictures(tmp_path: Path) -> None:
    """Its mean rate is 0.28 pictures a second; between two pictures is a tenth of a second all the same."""
    path = tmp_path / "motion.mp4"
    source = "-f lavfi -i testsrc=size=128x96:rate=10:duration=6 -vf setpts='(N/10+floor(N/15)*60)/TB'"
    subprocess.run(
        f"ffmpeg -v error {source} -fps_mode vfr -c:v libx264 -bf 2 {path}", shell=True, check=True
    )
    with Camera("cam0", str(path), pace="fast") as camera:
        frames = [camera.take(10) for _ in range(60)]
    seconds = [frame.seconds for frame in frames if frame is not None]
    assert np.allclose(np.diff(seconds), 0.1, atol=2e-3)
    assert [frame.pass_ for frame in frames if frame is not None] == [n // 15 for n in range(60)]


@needs_ffmpeg
def test_a_recording_without_times_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bare H.264 stream, as a Raspberry Pi's tools write it, knows no rate: what it is taken for is told,
    and how to give it one.
    """
    bare = tmp_path / "bare.h264"
    source = "-f lavfi -i testsrc=size=128x96:rate=10:duration=1"
    subprocess.run(f"ffmpeg -v error {source} -c:v libx264 {bare}", shell=True, check=True)
    assert "it holds no times and is taken for 25 pictures a second" in inspect(str(bare)).note
    assert "ffmpeg -r RATE -i FILE -c copy FILE.mp4" in caplog.text
    subprocess.run(f"ffmpeg -v error -r 10 -i {bare} -c copy {bare}.mp4", shell=True, check=True)
    timed = inspect(f"{bare}.mp4")
    assert (timed.fps, timed.note) == (10, "")


@pytest.fixture(scope="module")
def jumping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures at ten a second, with a jump of 300 s after each fifteen."""
    path = tmp_path_factory.mktemp("jumps") / "motion.mkv"
    source = "-f lavfi -i testsrc=size=128x96:rate=10:duration=6 -vf setpts='(N/10+floor(N/15)*300)/TB'"
    command = f"ffmpeg -v error {source} -fps_mode vfr -c:v libx264 -g 15 {path}"
    subprocess.run(command, shell=True, check=True)
    return path


@needs_ffmpeg
@pytest.mark.parametrize("pace", ["fast", "real"])
def test_a_motion_only_recording_is_as_long_as_its_pictures(jumping: Path, pace: Any) -> None:
    """Six seconds of pictures span six seconds, with a cut at each jump, at both paces."""
    frames: list[Frame] = []
    with Camera("cam0", str(jumping), pace=pace) as camera:
        while camera.state != "ended" or frames[-1].number < camera.captured - 1 - camera.dropped:
            frame = camera.take(0.3)
            if frame is None and camera.state == "ended":
                break
            frames += [frame] if frame is not None else []
    assert camera.captured == 60
    assert frames[-1].seconds - frames[0].seconds == pytest.approx(5.9, abs=0.05 if pace == "fast" else 0.5)
    assert {frame.pass_ for frame in frames} == {0, 1, 2, 3}
    if pace == "fast":
        assert np.allclose(np.diff([frame.seconds for frame in frames]), 0.1, atol=2e-3)
        assert [frame.pass_ for frame in frames] == [n // 15 for n in range(60)]


def test_a_live_streams_pictures_are_spaced_as_it_says() -> None:
    """Held back by the network and then let go at once, they keep the camera's distances."""
    clock = StreamClock()
    arrivals = [1000 + n / 10 + 0.01 for n in range(50)]
    arrivals[20:30] = [1003.0 + n / 1000 for n in range(10)]  # a second of the network, then a burst
    moments = [clock.moment(n / 10, arrival) for n, arrival in enumerate(arrivals)]
    assert np.allclose(np.diff(moments), 0.1, atol=5e-3)


def test_a_live_clock_that_jumps_or_stops_is_left_for_the_arrival() -> None:
    """A camera that sets its clock, or has none, costs nothing but the spacing."""
    clock = StreamClock()
    said = [0.0, 0.1, 500.0, 500.1, 0.0, 0.1, 0.1, 0.1, float("nan")]
    moments = [clock.moment(second, 1000 + n / 10) for n, second in enumerate(said)]
    assert np.allclose(moments, 1000 + np.arange(9) / 10, atol=2e-3)


# ── cameras of this box ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box whose /dev is a folder; /dev/null stands for a camera that is plugged in."""
    folder = tmp_path / "dev"
    (folder / "v4l" / "by-id").mkdir(parents=True)
    (folder / "video0").symlink_to("/dev/null")
    (folder / "v4l" / "by-id" / "usb-cam-index0").symlink_to("../../video0")
    (folder / "cam-front").symlink_to("video0")
    (folder / "cam-back").symlink_to("video2")
    (folder / "shm").mkdir()
    (folder / "shm" / "clip.mp4").touch()
    (tmp_path / "door").symlink_to(folder / "cam-front")
    (tmp_path / "gone").symlink_to(folder / "v4l" / "by-id" / "usb-gone")
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "last").symlink_to("clip.mp4")
    monkeypatch.setattr(names, "DEVICES", folder)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "camera"),
    [
        ("0", True),
        ("7", True),
        ("{box}/dev/video0", True),
        ("{box}/dev/v4l/by-id/usb-cam-index0", True),
        ("{box}/dev/v4l/by-id/usb-other-index0", True),
        ("{box}/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0", True),
        ("{box}/dev/cam-front", True),
        ("{box}/dev/cam-back", True),
        ("{box}/dev/../dev/video3", True),
        ("{box}/door", True),
        ("{box}/gone", True),
        ("file://{box}/door", True),
        ("file://localhost{box}/door", True),
        ("/dev/null", True),
        ("{box}/dev/shm/clip.mp4", False),
        ("{box}/clip.mp4", False),
        ("{box}/last", False),
        ("{box}/absent.mp4", False),
        ("file://{box}/clip.mp4", False),
        ("scene:?seed=7", False),
    ],
)
def test_what_leads_to_a_camera_is_one(box: Path, source: str, camera: bool) -> None:
    """By any name, plugged in or not. A file is no camera, and the scene has no place on the box."""
    path = names.local_path(source.format(box=box))
    assert (path is not None and names.is_camera(path)) is camera


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dev/v4l/by-id/usb-other-index0", "no camera at {box}/dev/v4l/by-id/usb-other-index0; plug one in"),
        ("dev/cam-back", "no camera at {box}/dev/cam-back ({box}/dev/video2); plug one in"),
        ("gone", "no camera at {box}/gone ({box}/dev/v4l/by-id/usb-gone); plug one in"),
        ("door", "{box}/door (/dev/null) does not open as a camera"),
    ],
)
def test_a_camera_that_is_not_there_is_absent_by_its_name(box: Path, name: str, says: str) -> None:
    """The state says which name, and where it leads."""
    with Camera("cam0", str(box / name)) as camera:
        assert camera.take(0.6) is None
        assert camera.state == "absent"
        assert says.format(box=box) in camera.reason


class Webcam:
    """A capture that can do two sizes, as V4L2 does: what is asked is brought to what is possible."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.values: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 640,
            cv2.CAP_PROP_FRAME_HEIGHT: 480,
            cv2.CAP_PROP_FPS: 30,
            cv2.CAP_PROP_FOURCC: int.from_bytes(b"YUYV", "little"),
        }

    def set(self, what: int, value: float) -> bool:
        self.asked.append(what)
        self.values[what] = min(value, 1280) if what == cv2.CAP_PROP_FRAME_WIDTH else value
        if what == cv2.CAP_PROP_FRAME_HEIGHT:
            self.values[what] = min(value, 720)
        return True

    def get(self, what: int) -> float:
        return self.values[what]

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((480, 640, 3), np.uint8)

    def isOpened(self) -> bool:
        return True

    def release(self) -> None:
        """Hold nothing."""


def test_a_usb_camera_is_asked_for_format_then_size_then_rate() -> None:
    """In this order, since a format decides which sizes there are; what it gives is told, and what it does
    not.
    """
    webcam = Webcam()
    assert ask(webcam, Wish((1280, 720), 15.0, "MJPG")) == "MJPG"
    assert webcam.asked == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_FPS,
    ]
    note = ask(Webcam(), Wish((1920, 1080), 0.0, ""))
    assert note == "YUYV; size 1920x1080 was asked for, the camera gives 1280x720"
    assert ask(Webcam(), Wish()) == "YUYV"


def test_a_cameras_wish_reaches_it(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the config through `Camera` to the device that the link leads to."""
    opened: list[tuple[str, int]] = []
    webcam = Webcam()

    def capture(path: str, backend: int) -> Webcam:
        opened.append((path, backend))
        return webcam

    monkeypatch.setattr(device.cv2, "VideoCapture", capture)
    config = CameraConfig(source=str(box / "door"), size=(800, 600), fps=10, format="MJPG")
    source = DeviceSource.open(Path(config.source), config.wish)
    assert opened == [("/dev/null", cv2.CAP_V4L2)]
    assert (source.fps, source.note) == (10, "MJPG")
    picture = source.read()
    assert picture.image.shape == (480, 640, 3)


# ── how often a change is told ────────────────────────────────────────────────────────────────────


def test_a_camera_that_flaps_is_told_a_few_times_with_its_count() -> None:
    """Ten changes a second for five minutes: six at once, then three a minute, each with what was not
    told.
    """
    told: list[tuple[float, str, str]] = []
    now = 0.0
    change = Flaps(lambda state, reason: told.append((now, state, reason)))
    for number in range(3000):
        now = number / 10
        change.become(*(("ok", "") if number % 2 else ("absent", "refused")), now)
    assert len([t for t, _, _ in told if t < 60]) <= flaps.AT_ONCE + 3
    assert len(told) <= flaps.AT_ONCE + 15
    assert "it changed " in told[-1][2]
    for _ in range(300):
        now += 0.1
        change.become("ok", "", now)
    assert told[-1][1] == "ok"
    before = len(told)
    for _ in range(300):
        now += 0.1
        change.become("ok", "", now)
    assert len(told) == before
    change.become("ended", "over", now)
    assert told[-1][1:] == ("ended", "over")


def test_rare_changes_are_told_each_and_at_once() -> None:
    """One a minute is news."""
    told: list[str] = []
    change = Flaps(lambda state, reason: told.append(state))
    states = list(itertools.islice(itertools.cycle(["ok", "absent", "stalled"]), 30))
    for number, state in enumerate(states):
        change.become(state, "", number * 60.0)
        change.become(state, "", number * 60.0 + 1)
    assert told == states


def test_a_camera_that_opens_and_breaks_all_the_time_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real camera thread: its state is true at once, its events are few."""
    monkeypatch.setattr("agent.see.capture.FIRST_WAIT", 0.01)
    monkeypatch.setattr("agent.see.capture.LONGEST_WAIT", 0.01)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    told: list[str] = []
    broken = itertools.count()

    def reason(state: Any) -> None:
        told.append(state.reason)

    with Camera("cam0", str(tmp_path / "broken"), on_state=reason) as camera:
        for _ in range(100):
            camera.status.become("ok" if next(broken) % 2 else "absent", "")
        assert camera.state == "ok"
    assert len(told) <= flaps.AT_ONCE + 1
