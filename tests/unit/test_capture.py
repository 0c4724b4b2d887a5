"""Capture without a network: files, folders, the scene; the slot, the clocks and the states."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.see.capture import Camera
from agent.see.health import Stillness
from agent.see.probe import probe
from agent.see.slot import Frame
from agent.see.sources import LOOKS, SourceError, open_source, redact
from agent.see.status import StateChange
from agent.street.scene import Scene
from tests.unprivileged import unprivileged

FRAMES = 40


def striped(number: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Return a picture that carries its number in eight wide stripes."""
    bits = [(number >> i) & 1 for i in range(8)]
    row = np.repeat(np.array(bits, np.uint8) * 220 + 16, width // 8)
    return np.repeat(np.repeat(row[None, :], height, axis=0)[..., None], 3, axis=2)


def number_of(image: np.ndarray) -> int:
    """Read the number back."""
    means = image[..., 0].reshape(image.shape[0], 8, -1).mean(axis=(0, 2))
    return int(sum(1 << i for i, mean in enumerate(means) if mean > 126))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 40 numbered frames at 20 a second."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (128, 96))
    for number in range(FRAMES):
        writer.write(striped(number))
    writer.release()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five numbered pictures of three kinds, one broken picture and one other file."""
    path = tmp_path_factory.mktemp("pictures")
    for number, kind in enumerate(("png", "jpg", "webp", "JPG", "png")):
        cv2.imwrite(str(path / f"{number:03}.{kind.lower()}"), striped(number))
        (path / f"{number:03}.{kind.lower()}").rename(path / f"{number:03}.{kind}")
    (path / "002a.jpg").write_bytes(b"no picture")
    (path / "notes.txt").write_text("not shown")
    return path


def drain(camera: Camera, enough: int = 10_000, seconds: float = 10.0) -> list[Frame]:
    """Take frames until the source has ended, or `enough` came."""
    frames: list[Frame] = []
    until = time.monotonic() + seconds
    while len(frames) < enough and time.monotonic() < until:
        frame = camera.take(0.2)
        if frame is not None:
            frames.append(frame)
        elif camera.state == "ended":
            break
    return frames


def wait_for(camera: Camera, state: str, seconds: float = 10.0) -> None:
    """Wait until the camera is in the state."""
    until = time.monotonic() + seconds
    while camera.state != state:
        assert time.monotonic() < until, f"still {camera.state}: {camera.reason}"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["video", "folder", "scene"])
def test_every_source_keeps_the_same_promises(kind: str, video: Path, folder: Path) -> None:
    """At pace fast: numbers count from 0, the clock grows strictly, pictures are whole, nothing is lost."""
    url = {"video": str(video), "folder": f"{folder}?seconds=0.5", "scene": "scene:?width=128&height=96"}[
        kind
    ]
    with Camera("cam0", url, pace="fast") as camera:
        frames = drain(camera, 5)
        assert [frame.image.shape for frame in frames] == [(96, 128, 3)] * 5
        assert all(frame.image.dtype == np.uint8 for frame in frames)
        assert all(b.seconds > a.seconds and b.number > a.number for a, b in pairwise(frames))
        assert frames[0].number == 0
        assert frames[0].seconds == pytest.approx(0, abs=0.1)
        assert abs(frames[-1].wall - time.time()) < 30
        assert camera.state in ("ok", "ended")


def test_fast_gives_every_frame_of_a_file_once_and_in_order(video: Path) -> None:
    """A slow worker loses nothing, and the end comes after the last frame."""
    changes: list[StateChange] = []
    with Camera("cam0", str(video), pace="fast", on_state=changes.append) as camera:
        frames = []
        while len(frames) < FRAMES:
            frame = camera.take(5)
            assert frame is not None
            assert camera.state == "ok"
            frames.append(frame)
            time.sleep(0.003)
        assert camera.take(1.0) is None
        assert [number_of(frame.image) for frame in frames] == list(range(FRAMES))
        assert [frame.number for frame in frames] == list(range(FRAMES))
        assert np.allclose(np.diff([frame.seconds for frame in frames]), 1 / 20, atol=2e-3)
        assert (camera.captured, camera.dropped, camera.state) == (FRAMES, 0, "ended")
    assert [change.state for change in changes] == ["ok", "ended"]


def test_real_keeps_the_files_clock(video: Path) -> None:
    """Two seconds of video take two seconds, and a worker that keeps up gets nearly all of it."""
    with Camera("cam0", str(video)) as camera:
        begun = time.monotonic()
        frames = drain(camera)
        took = time.monotonic() - begun
    assert 1.8 < took < 3.5
    assert len(frames) > FRAMES * 0.7
    assert camera.captured == FRAMES
    assert camera.captured == len(frames) + camera.dropped


def test_real_keeps_the_newest_for_a_slow_worker(video: Path) -> None:
    """Who looks rarely gets the newest frame, and what was not seen is counted."""
    with Camera("cam0", str(video)) as camera:
        first = camera.take(5)
        time.sleep(1.0)
        second = camera.take(5)
        assert first is not None
        assert second is not None
        assert second.number - first.number > 12
        assert number_of(second.image) == second.number
        drain(camera)
        assert camera.dropped > 12
        assert camera.state == "ended"


def test_a_loop_is_a_new_pass_with_a_growing_clock(video: Path) -> None:
    """After the last frame comes the first again, one pass further, with no jump in time."""
    with Camera("cam0", str(video), pace="fast", loop=True) as camera:
        frames = drain(camera, FRAMES * 2 + 5)
    assert [number_of(frame.image) for frame in frames] == [*range(FRAMES), *range(FRAMES), *range(5)]
    assert [frame.pass_ for frame in frames] == [0] * FRAMES + [1] * FRAMES + [2] * 5
    assert np.allclose(np.diff([frame.seconds for frame in frames]), 1 / 20, atol=2e-3)


def test_the_scene_is_the_scene(tmp_path: Path) -> None:
    """Frame n of the source is frame n of the scene, also when frames are passed over to keep the clock."""
    scene = Scene(8, 128, 96, 60.0)
    with Camera("cam0", "scene:?seed=8&width=128&height=96&fps=60") as camera:
        for _ in range(12):
            frame = camera.take(5)
            assert frame is not None
            assert np.array_equal(frame.image, scene.frame(frame.number))
            assert frame.seconds == pytest.approx(frame.number / 60, abs=1e-3)
            time.sleep(0.07)


def test_a_folder_is_a_slide_show(folder: Path) -> None:
    """Pictures come by name, each for its time and several times; a broken one is passed over and counted."""
    with Camera("cam0", f"{folder}?seconds=0.4", pace="fast") as camera:
        frames = drain(camera)
    assert [number_of(frame.image) for frame in frames] == [n for n in range(5) for _ in range(LOOKS)]
    assert [frame.pass_ for frame in frames] == [n for n in range(5) for _ in range(LOOKS)]
    assert (camera.captured, camera.dropped) == (6 * LOOKS, LOOKS)
    assert frames[LOOKS].seconds == pytest.approx(0.4)
    assert frames[-1].seconds == pytest.approx(2.3)


def test_a_slide_show_keeps_its_clock(folder: Path) -> None:
    """At pace real every picture is seen, and the show takes its time."""
    with Camera("cam0", f"{folder}?seconds=0.2") as camera:
        begun = time.monotonic()
        frames = drain(camera)
    assert sorted({number_of(frame.image) for frame in frames}) == [0, 1, 2, 3, 4]
    assert 1.0 < time.monotonic() - begun < 5


def test_what_is_absent_at_start_is_awaited(tmp_path: Path, video: Path) -> None:
    """A missing file is a state with a reason; when it appears, frames come by themselves."""
    path = tmp_path / "later.avi"
    changes: list[StateChange] = []
    with Camera("cam0", str(path), pace="fast", on_state=changes.append) as camera:
        assert camera.take(0.6) is None
        assert camera.state == "absent"
        assert "no such file" in camera.reason
        path.write_bytes(video.read_bytes())
        assert len(drain(camera)) == FRAMES
    assert [change.state for change in changes] == ["absent", "ok", "ended"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("{tmp}/none.mp4", "no such file"),
        ("joe:secret@camera/x", "for a camera in the network write rtsp:// or http:// before it"),
        ("192.168.1.10", "for a camera in the network write rtsp:// or http:// before it"),
        ("192.168.1.10:554/cam", "for a camera in the network write"),
        ("{tmp}/text.mp4", "cannot be read as a video"),
        ("{tmp}/empty.mp4", "cannot be read as a video"),
        ("file://{tmp}/text.mp4", "cannot be read as a video"),
        ("file://localhost{tmp}/text.mp4", "cannot be read as a video"),
        ("{tmp}/bare", "holds no picture"),
        ("{tmp}/broken", "holds no picture that can be decoded"),
        ("{tmp}/bare?minutes=2", "unknown option 'minutes'"),
        ("{tmp}/bare?seconds=0", "must be more than 0"),
        ("9", "no camera at /dev/video9"),
        ("/dev/video77", "no camera at /dev/video77"),
        ("scene:?seed=seven", "is no number"),
        ("scene:?sed=7", "unknown option 'sed'"),
        ("scene:?width=1", "at least 64"),
        ("ftp://joe:secret@host/x", "no such kind of source"),
        ("rtsp://joe:secret@127.0.0.1:1/cam", "refused"),
        ("rtsp://joe:secret@127.0.0.1:70000/cam", "no number from 1 to 65535"),
        ("rtsp://joe:secret#1@127.0.0.1/cam", "write %40 for @"),
        ("rtsp://joe:[secret@127.0.0.1:1/cam", "is no address"),
        ("rtsp://[nowhere]/cam", "is no address"),
        ("~no-such-user/a.mp4", "give the whole path"),
        ("usb0", "a USB camera is written as its number, 0"),
        ("Webcam 1", "a USB camera is written as its number, 1"),
        ("a" * 300, "File name too long"),
        ("http://host.invalid/stream?token=secret", "no host named"),
    ],
)
def test_a_source_that_cannot_be_opened_says_why(url: str, says: str, tmp_path: Path) -> None:
    """One line, the reason, no password; the camera's thread lives on and stops when asked."""
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"\xff\xd8 half a picture")
    with pytest.raises(SourceError) as caught:
        probe(url.format(tmp=tmp_path), timeout=2.0)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    with Camera("cam0", url.format(tmp=tmp_path)) as camera:
        until = time.monotonic() + 10
        while says not in camera.reason and time.monotonic() < until:
            time.sleep(0.01)
        assert (camera.state, says in camera.reason) == ("absent", True)
        assert "secret" not in camera.reason


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://joe:p@ss@10.0.0.8:554/live?ch=1", "rtsp://***@10.0.0.8:554/live?..."),
        ("http://10.0.0.8/video", "http://10.0.0.8/video"),
        ("http://10.0.0.8/video?user=joe&pwd=secret", "http://10.0.0.8/video?..."),
        ("RTSP://joe:secret@10.0.0.8/live", "rtsp://***@10.0.0.8/live"),
        ("rtsp://joe:sec#ret@10.0.0.8/live", "rtsp://***"),
        ("rtsp://joe:1/secret@10.0.0.8/live", "rtsp://***"),
        ("rtsp://joe:1?secret@10.0.0.8/live", "rtsp://***"),
        ("rtsp://joe:[secret@[::1]:554/live", "rtsp://***@[::1]:554/live"),
        ("http://10.0.0.8/video?user=joe@home&pwd=secret", "http://10.0.0.8/video?..."),
        ("odd://joe:secret@host/x", "odd://***@host/x"),
        ("joe:secret@10.0.0.8:554/live?ch=1", "***@10.0.0.8:554/live?..."),
        ("joe:1/secret@camera/live", "***"),
        ("10.0.0.8/live?pwd=secret", "10.0.0.8/live?..."),
        ("0", "0"),
        ("/srv/clip.mp4", "/srv/clip.mp4"),
        ("/srv/joe:x@home.mp4", "/srv/joe:x@home.mp4"),
        ("10.0.0.8.mp4", "10.0.0.8.mp4"),
        ("scene:?seed=8", "scene:?seed=8"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    """User, password and query of a network address are hidden; the rest stays readable."""
    assert redact(url) == shown


def test_a_folder_that_may_not_be_entered_is_a_reason(tmp_path: Path) -> None:
    """A file behind a closed door, such as another user's home, makes the camera absent; it ends nothing."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    code = "try: probe(sys.argv[1])\nexcept SourceError as error: print(error)"
    needed = "from agent.see.probe import probe\nfrom agent.see.sources import SourceError"
    done = unprivileged(needed, code, str(closed / "a.mp4"))
    assert "cannot be read: Permission denied" in done.stdout, done.stderr


def test_probe_tells_size_and_rate(video: Path, folder: Path) -> None:
    """What `check` shows is what the source has."""
    assert probe(str(video)) == (128, 96, pytest.approx(20))
    assert probe(video.as_uri()) == (128, 96, pytest.approx(20))
    assert probe(f"{folder}?seconds=2") == (128, 96, LOOKS / 2)
    assert probe("scene:?seed=3&fps=12&width=160&height=90") == (160, 90, 12)


def test_stillness_counts_from_the_last_change() -> None:
    """Equal pictures, and those that differ by rounding, are still; a small moving thing is not."""
    still = Stillness()
    picture = np.full((96, 128, 3), 90, np.uint8)
    assert still.seconds(picture, 100.0) == 0
    assert still.seconds(picture + 1, 104.0) == 4
    moved = picture.copy()
    moved[40:56, 40:56] = 200
    assert still.seconds(moved, 105.0) == 0
    assert still.seconds(moved, 107.5) == 2.5
    assert still.seconds(np.zeros((48, 64, 3), np.uint8), 108.0) == 0


def test_stopping_wakes_everybody(video: Path) -> None:
    """`stop` ends a thread that waits for an empty slot, and a `take` that waits for a frame, at once."""
    camera = Camera("cam0", str(video), pace="fast")
    camera.start()
    wait_for(camera, "ok")
    time.sleep(0.1)
    begun = time.monotonic()
    camera.stop()
    assert time.monotonic() - begun < 1
    idle = Camera("cam1", "/no/such/file")
    idle.start()
    threading.Timer(0.2, idle.stop).start()
    assert idle.take(10) is None
    assert time.monotonic() - begun < 3
    idle.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("capture")]


def test_a_camera_that_never_started_stops() -> None:
    """`stop` before `start` does nothing."""
    Camera("cam0", "0").stop()


def test_a_dead_thread_is_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault nobody expected ends the process: the next `take` raises instead of waiting for ever."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with Camera("cam0", "scene:?width=128&height=96") as camera:
        camera._intake = None  # type: ignore[assignment]
        until = time.monotonic() + 10
        while camera._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(RuntimeError, match="has died"):
            camera.take(0.2)


def test_a_query_may_belong_to_a_files_name(tmp_path: Path, video: Path) -> None:
    """A file whose name holds a question mark is that file."""
    path = tmp_path / "what?.avi"
    path.write_bytes(video.read_bytes())
    assert probe(str(path))[:2] == (128, 96)


def test_opencv_stays_quiet(tmp_path: Path) -> None:
    """A source that fails leaves nothing on standard error, whatever imported OpenCV first."""
    (tmp_path / "text.mp4").write_text("this is no video")
    code = (
        "import sys, cv2\nfrom agent.see.probe import probe\nfrom agent.see.sources import SourceError\n"
        "for url in sys.argv[1:]:\n    try: probe(url, 1.0)\n    except SourceError: pass\n"
        "cv2.VideoCapture(77)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "text.mp4"), "rtsp://127.0.0.1:1/x", "77"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_sources_close_twice(video: Path) -> None:
    """Closing is safe in any order."""
    source = open_source(str(video))
    source.close()
    source.close()
    assert source.read() is None
