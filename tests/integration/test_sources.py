"""Cameras on a network: a real RTSP server and a real MJPEG server that die, hang, freeze and change."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import wire
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.capture import Camera
from agent.see.infer import Detector
from agent.see.probe import probe
from agent.see.sources import SourceError
from agent.see.status import StateChange
from agent.street.scene import Scene
from deploy.stack import free_port

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parents[1] / "rtsp_server.py"
BINDINGS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def until(true: Callable[[], bool], seconds: float) -> float:
    """Wait until something is true; return how long it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it did not come true in time"
        time.sleep(0.02)
    return time.monotonic() - begun


def fresh_frame_within(camera: Camera, seconds: float) -> bool:
    """Tell whether a frame captured after now arrives in time."""
    camera.take(0)
    return camera.take(seconds) is not None


# ── RTSP ──────────────────────────────────────────────────────────────────────────────────────────


class Rtsp:
    """One RTSP server that can be started, killed and held."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        command = [PYTHON, str(SERVER), str(self.port), *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture
def rtsp() -> Iterator[Rtsp]:
    if subprocess.run([PYTHON, "-c", BINDINGS], capture_output=True, check=False).returncode:
        pytest.skip("no GStreamer RTSP server here: apt install gir1.2-gst-rtsp-server-1.0 python3-gi")
    server = Rtsp()
    yield server
    server.kill()


def test_an_rtsp_camera_that_dies_is_back_within_five_seconds(rtsp: Rtsp) -> None:
    """Absent at boot, then there, then killed and started again: frames come back by themselves."""
    changes: list[StateChange] = []
    with Camera("cam0", rtsp.url, on_state=changes.append) as camera:
        assert camera.take(0.5) is None
        assert camera.state == "absent"
        rtsp.start()
        first = camera.take(15)
        assert first is not None
        assert first.image.shape == (240, 320, 3)
        rtsp.kill()
        until(lambda: camera.state == "absent", 5)
        rtsp.start()
        begun = time.monotonic()
        assert fresh_frame_within(camera, 15)
        assert time.monotonic() - begun < 7.5  # five on a machine that has nothing else to do
        second = camera.take(5)
        assert second is not None
        assert second.seconds > first.seconds
        assert second.number > first.number
    assert [c.state for c in changes if c.state == "ok"] == ["ok", "ok"]


@pytest.mark.parametrize("fps", ["5", "15", "30"])
def test_what_waited_while_rtsp_opened_is_not_taken_for_now(rtsp: Rtsp, fps: str) -> None:
    """Two to three seconds of pictures wait for whoever opens a stream: they are passed over, at a reconnect
    too.

    So the first picture is new, pictures are as far apart as the camera took them, and next to none is
    dropped.
    """
    step = 1 / int(fps)
    with Camera("cam0", rtsp.url) as camera:
        for _ in range(2):
            camera.take(0)  # what was left of the round before
            rtsp.start("ball", "", fps)
            frames = [camera.take(20)]
            arrivals = [time.monotonic()]
            dropped = camera.dropped
            while arrivals[-1] - arrivals[0] < 3:
                frames.append(camera.take(5))
                arrivals.append(time.monotonic())
            seconds = np.array([frame.seconds for frame in frames if frame is not None])
            numbers = np.array([frame.number for frame in frames if frame is not None])
            steps = np.diff(seconds) / np.diff(numbers)
            assert np.quantile(np.abs(steps - step), 0.9) < 0.2 * step
            assert steps.min() > 0.5 * step
            assert seconds[0] == pytest.approx(arrivals[0], abs=1.0)  # the backlog is 2 to 3 s
            expected = (seconds[-1] - seconds[0]) / step
            assert numbers[-1] - numbers[0] == pytest.approx(expected, rel=0.15, abs=2)
            assert camera.dropped - dropped <= 0.7 / step
            rtsp.kill()
            until(lambda: camera.state == "absent", 8)


def test_a_held_rtsp_server_is_a_stall(rtsp: Rtsp) -> None:
    """A server that keeps the connection and sends nothing more is noticed within five seconds, and left."""
    rtsp.start()
    with Camera("cam0", rtsp.url) as camera:
        assert camera.take(15) is not None
        rtsp.send(signal.SIGSTOP)
        took = until(lambda: camera.state == "stalled", 10)
        assert took < 5.5
        rtsp.send(signal.SIGCONT)
        assert fresh_frame_within(camera, 15)
        assert camera.state == "ok"


def test_the_rtsp_server_says_why(rtsp: Rtsp) -> None:
    """A wrong password and a wrong path are told apart, and no password is shown."""
    rtsp.start("ball", "joe:secret")
    place = f"127.0.0.1:{rtsp.port}/cam"
    assert probe(f"rtsp://joe:secret@{place}", 5.0)[:2] == (320, 240)
    for url in (f"rtsp://{place}", f"rtsp://joe:wrong-secret@{place}"):
        with pytest.raises(SourceError, match="401; give the right user and password") as caught:
            probe(url, 5.0)
        assert "secret" not in str(caught.value)


def test_a_frozen_rtsp_picture_is_noticed(rtsp: Rtsp) -> None:
    """A stream that flows with one picture for ever becomes frozen, and nothing of it is handed on."""
    rtsp.start("smpte75")
    with Camera("cam0", rtsp.url, frozen_seconds=2.0) as camera:
        assert camera.take(15) is not None
        until(lambda: camera.state == "frozen", 10)
        assert "not changed" in camera.reason
        camera.take(0)
        assert camera.take(1.0) is None


def test_many_restarts_leave_nothing_behind(rtsp: Rtsp) -> None:
    """Threads and open files are the same after the fifth restart as after the first."""
    with Camera("cam0", rtsp.url) as camera:
        counts = []
        for _ in range(5):
            rtsp.start()
            assert fresh_frame_within(camera, 20)
            rtsp.kill()
            until(lambda: camera.state == "absent", 8)
            counts.append((len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))))
    assert max(files for files, _ in counts[1:]) <= counts[0][0] + 1
    assert max(tasks for _, tasks in counts[1:]) <= counts[0][1] + 1


# ── servers that are none ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        server.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()
        for connection in held:
            connection.close()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_says_nothing_is_absent(scheme: str, mute: int) -> None:
    """It accepts and sends nothing: the camera says so, and stops within its bound."""
    url = f"{scheme}://joe:secret@127.0.0.1:{mute}/cam"
    with pytest.raises(SourceError, match="accepts connections and sends nothing") as caught:
        probe(url, timeout=1.0)
    assert "secret" not in str(caught.value)
    begun = time.monotonic()
    with Camera("cam0", url) as camera:
        assert camera.take(1.0) is None
        assert camera.state == "absent"
    assert time.monotonic() - begun < 12


# ── HTTP MJPEG ────────────────────────────────────────────────────────────────────────────────────


class Mjpeg(ThreadingHTTPServer):
    """An MJPEG camera whose picture the test changes."""

    daemon_threads = True
    size = (320, 240)
    frozen = False
    mute = False
    mark: tuple[float, float] | None = None  # where a red disc stands, in fractions
    raw = b""  # sent in place of a picture
    view: Callable[[int], np.ndarray] | None = None  # what stands before the camera, by milliseconds

    def picture(self) -> bytes:
        if self.raw:
            return self.raw
        if self.view is not None:
            return bytes(cv2.imencode(".jpg", self.view(int(time.monotonic() * 1000)))[1])
        noise = np.full((*self.size[::-1], 3), 120, np.uint8)
        if not self.frozen:
            noise[::2] = int(time.monotonic() * 1000) % 250
        if self.mark is not None:
            place = (round(self.mark[0] * self.size[0]), round(self.mark[1] * self.size[1]))
            cv2.circle(noise, place, max(min(self.size) // 10, 2), (0, 0, 255), -1)
        return bytes(cv2.imencode(".jpg", noise)[1])


class Handler(BaseHTTPRequestHandler):
    """Serve one viewer."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Mjpeg)
        if not self.path.startswith("/stream"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            while True:
                if not server.mute:
                    data = server.picture()
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def handle(self) -> None:
        """Let a viewer leave at any moment."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def mjpeg() -> Iterator[Mjpeg]:
    server = Mjpeg(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_mjpeg_flows_and_its_rate_is_measured(mjpeg: Mjpeg) -> None:
    """Pictures come over HTTP; the rate is what really comes, whatever the stream's 25."""
    url = f"http://127.0.0.1:{mjpeg.server_port}/stream?token=secret"
    width, height, fps = probe(url, 5.0)
    assert (width, height) == (320, 240)
    assert 8 < fps < 22
    with pytest.raises(SourceError, match="404, no such stream") as caught:
        probe(f"http://joe:secret@127.0.0.1:{mjpeg.server_port}/other", 3.0)
    assert "secret" not in str(caught.value)


def test_a_frozen_mjpeg_picture_thaws(mjpeg: Mjpeg) -> None:
    """The state is frozen while the bytes repeat and ok again with the first new picture."""
    changes: list[StateChange] = []
    url = f"http://127.0.0.1:{mjpeg.server_port}/stream"
    with Camera("cam0", url, frozen_seconds=1.0, on_state=changes.append) as camera:
        assert camera.take(10) is not None
        mjpeg.frozen = True
        until(lambda: camera.state == "frozen", 10)
        camera.take(0)
        dropped = camera.dropped
        assert camera.take(0.5) is None
        assert camera.dropped > dropped
        mjpeg.frozen = False
        assert camera.take(10) is not None
        assert camera.state == "ok"
    assert [change.state for change in changes] == ["ok", "frozen", "ok"]


def test_a_stream_may_change_its_size(mjpeg: Mjpeg) -> None:
    """Frames go on, scaled to the first size; a new connection has the new one."""
    url = f"http://127.0.0.1:{mjpeg.server_port}/stream"
    with Camera("cam0", url) as camera:
        first = camera.take(10)
        assert first is not None
        mjpeg.size = (480, 200)
        for _ in range(20):
            frame = camera.take(5)
            assert frame is not None
            assert frame.image.shape == (240, 320, 3)
        assert camera.state == "ok"
        assert probe(url, 5.0)[:2] == (480, 200)


@pytest.mark.parametrize("size", [(1920, 1080), (360, 640), (7680, 4320), (64, 32)])
def test_what_stands_somewhere_stays_there_whatever_size_comes(mjpeg: Mjpeg, size: tuple[int, int]) -> None:
    """Wide, upright, 8K or tiny: scaled to the first size, so that lines lie on what they were drawn on."""
    mjpeg.mark = (0.25, 0.75)
    with Camera("cam0", f"http://127.0.0.1:{mjpeg.server_port}/stream") as camera:
        assert camera.take(10) is not None
        mjpeg.size = size
        time.sleep(2.0)
        frames = [frame for frame in (camera.take(5) for _ in range(3)) if frame is not None]
        assert camera.state == "ok"
    for frame in frames:
        assert frame.image.shape == (240, 320, 3)
        rows, columns = np.nonzero(frame.image[..., 2].astype(int) - frame.image[..., 1] > 60)
        assert (columns.mean() / 320, rows.mean() / 240) == pytest.approx((0.25, 0.75), abs=0.03)
    assert len(frames) == 3


@pytest.mark.parametrize("claim", [(0, 0), (0, 320), (65500, 65500)])
def test_a_picture_of_no_size_or_a_monstrous_one_ends_nothing(mjpeg: Mjpeg, claim: tuple[int, int]) -> None:
    """A JPEG whose head says 0 x 0, or 4 billion pixels, is no picture; the next good one is taken."""
    with Camera("cam0", f"http://127.0.0.1:{mjpeg.server_port}/stream") as camera:
        assert camera.take(10) is not None
        data = mjpeg.picture()
        head = data.index(b"\xff\xc0") + 5  # the height and width of the frame
        mjpeg.raw = data[:head] + struct.pack(">HH", *claim) + data[head + 4 :]
        time.sleep(1.5)
        while camera.take(0.5) is not None:
            pass
        assert camera.take(1.0) is None
        mjpeg.raw = b""
        frame = camera.take(10)
        assert frame is not None
        assert frame.image.shape == (240, 320, 3)
        assert until(lambda: camera.state == "ok", 5) < 5


def covered(milliseconds: int) -> np.ndarray:
    """Return a lens with a hand before it: a sensor's noise alone."""
    noise = np.random.default_rng(milliseconds).normal(20, 5, (270, 480, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def green(milliseconds: int) -> np.ndarray:
    """Return what a decoder makes of nothing."""
    return np.full((270, 480, 3), (0, 135, 0), np.uint8)


@pytest.mark.parametrize("blind", [covered, green])
def test_on_a_blind_lens_nobody_counts_and_its_time_is_booked(
    mjpeg: Mjpeg, blind: Callable[[int], np.ndarray]
) -> None:
    """A street, 16 s of nothing, the street again: told in ten seconds, blind until it is seen again."""
    scene = Scene(7, 480, 270, 15)
    street = [scene.frame(number) for number in range(75)]
    mjpeg.view = lambda milliseconds: street[milliseconds * 15 // 1000 % len(street)]
    line = wire.Line(points=[(0.0, 0.6), (1.0, 0.6)])
    config = CameraConfig(source=f"http://127.0.0.1:{mjpeg.server_port}/stream", lines={"main": line})
    pipeline = Pipeline("cam0", config, Detector(config.model_path), config.settings(), Totals())
    events: list[wire.AnyEvent] = []

    def watch(seconds: float) -> float:
        """Go on for so long; return Unix milliseconds."""
        until_ = time.monotonic() + seconds
        while time.monotonic() < until_:
            events.extend(pipeline.step().events)
        return time.time() * 1000

    pipeline.camera.start()
    try:
        covered_at = watch(6.0)
        mjpeg.view = blind
        seen_at = watch(16.0)
        mjpeg.view = lambda milliseconds: street[milliseconds * 15 // 1000 % len(street)]
        watch(4.0)
        events += pipeline.close()
    finally:
        pipeline.stop()
    states = [event for event in events if isinstance(event, wire.CameraState)]
    assert (states[0].state, states[-1].state) == ("ok", "ok")
    assert {state.state for state in states[1:-1]} <= {"degraded", "frozen"}
    told = states[1]
    assert told.at - covered_at < 10_500
    crossings = [event.at for event in events if isinstance(event, wire.Crossing)]
    assert not [at for at in crossings if covered_at + 500 < at < seen_at]
    blinds = [event.blind for event in events if isinstance(event, wire.Tally)]
    booked = sum(one.get("degraded", 0) + one.get("frozen", 0) for one in blinds)
    assert seen_at - told.at - 1500 < booked < seen_at - covered_at + 1500  # the wait belongs to it too


def test_a_mute_mjpeg_stream_is_a_stall(mjpeg: Mjpeg) -> None:
    """No picture for three seconds is a stall; it ends when pictures come again."""
    with Camera("cam0", f"http://127.0.0.1:{mjpeg.server_port}/stream") as camera:
        assert camera.take(10) is not None
        mjpeg.mute = True
        assert until(lambda: camera.state != "ok", 12) < 7
        assert camera.state == "stalled"
        mjpeg.mute = False
        assert fresh_frame_within(camera, 15)


def test_a_device_that_is_not_there_is_a_state() -> None:
    """Index 99 has no camera: the state says where one was looked for and what to do."""
    with Camera("cam0", "99") as camera:
        assert camera.take(0.7) is None
        assert camera.state == "absent"
        assert camera.reason == "no camera at /dev/video99; plug one in, or choose another source"


def test_real_videos_give_every_frame(data: Path) -> None:
    """Fast reading of a real file gives as many frames as ffprobe counts, on the file's clock."""
    path = data / "videos" / "intel_car-detection.mp4"
    count = subprocess.run(
        ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries",
         "stream=nb_read_packets", "-of", "csv=p=0", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = []
    with Camera("cam0", str(path), pace="fast") as camera:
        while (frame := camera.take(2.0)) is not None:
            seconds.append(frame.seconds)
    assert len(seconds) == int(count.stdout.strip().rstrip(","))
    assert np.allclose(np.diff(seconds), 1 / 12.5, atol=0.01)
