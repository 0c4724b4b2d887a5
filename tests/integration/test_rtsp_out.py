"""RTSP out: the annotated picture as H.264 at a real RTSP server, read back by ffprobe and OpenCV."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from agent import config
from agent.boxes import Uint8
from agent.show.rtsp import RtspOut
from agent.show.showing import Shown
from agent.track.tracker import Tracks
from deploy.stack import die_with_parent, free_port

from .test_agent import running

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg: sudo apt-get install ffmpeg")
SIZE = (320, 180)


def server(url: str, film: Path) -> subprocess.Popen[bytes]:
    """Start ffmpeg as an RTSP server that takes one push and keeps it as it came."""
    arguments = ["-rtsp_flags", "listen", "-i", url, "-c", "copy", "-flush_packets", "1", "-y", str(film)]
    return subprocess.Popen(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", *arguments], preexec_fn=die_with_parent
    )


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def size_of(film: Path) -> int:
    return film.stat().st_size if film.exists() else 0


def shown(number: int, image: Uint8 | None = None) -> Shown:
    """Return a picture, one whose colour changes unless it is said."""
    if image is None:
        image = np.full((SIZE[1], SIZE[0], 3), (40, 40 + number % 100, 200), np.uint8)
    none = Tracks.of_boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32),
                           np.zeros(0, np.int64), 0.0)  # fmt: skip
    return Shown(image, none, SIZE, number)


@pytest.fixture
def push(request: pytest.FixtureRequest) -> Iterator[RtspOut]:
    """A push to an address that no one has yet."""
    out = RtspOut("cam0", f"rtsp://user:hidden1@127.0.0.1:{free_port()}/live", lambda one: one.image)
    out.start()
    yield out
    out.stop()
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def feed(
    push: RtspOut, until_: Callable[[], object], seconds: float = 60, image: Uint8 | None = None
) -> None:
    """Push as the showing thread does, until something is so."""
    numbers = iter(range(10**9))

    def once() -> object:
        if push.watchers():
            push.take(shown(next(numbers), image))
        return until_()

    until(once, seconds)


def test_a_server_that_is_away_is_told_and_found_when_it_comes(push: RtspOut, tmp_path: Path) -> None:
    """Without a server the problem is one line without the password; once it is there it gets the pictures; a
    child that is killed is started again.
    """
    feed(push, lambda: push.problem)
    assert "the server does not take it" in push.problem
    assert "hidden1" not in push.problem
    film = tmp_path / "film.mkv"
    address = push._address.replace("user:hidden1@", "")
    listening = server(address, film)
    try:
        feed(push, lambda: size_of(film) > 2000)
        assert push.problem == ""
        (child,) = (one for one in psutil.Process().children() if push._address in one.cmdline())
        child.kill()
        listening.wait(20)  # its one guest has gone
        again = tmp_path / "again.mkv"
        listening = server(address, again)
        feed(push, lambda: size_of(again) > 2000)
    finally:
        listening.kill()
        listening.wait()


def test_a_server_that_hangs_is_told_and_left(push: RtspOut, tmp_path: Path) -> None:
    """A server that keeps its connection and takes nothing any more is given up in seconds, told without the
    password, and pushed to again once there is one that takes pictures.
    """
    address = push._address.replace("user:hidden1@", "")
    film = tmp_path / "film.mkv"
    listening = server(address, film)
    rng = np.random.default_rng(1)
    try:
        feed(push, lambda: size_of(film) > 2000)
        os.kill(listening.pid, signal.SIGSTOP)
        noise = rng.integers(0, 255, (720, 1280, 3), np.uint8)  # fills what lies between both in a moment
        feed(push, lambda: push.problem, image=noise)
        assert "the server does not take it" in push.problem
        assert "hidden1" not in push.problem
        listening.kill()
        listening.wait()
        again = tmp_path / "again.mkv"
        listening = server(address, again)
        feed(push, lambda: size_of(again) > 2000)
        assert push.problem == ""
    finally:
        listening.kill()
        listening.wait()


def test_it_is_dropped_first_while_the_box_is_behind() -> None:
    """Nobody waits for pictures then, and the reason is told."""
    behind = [True]
    out = RtspOut("cam0", "rtsp://127.0.0.1:9/x", lambda one: one.image, lambda: behind[0])
    assert out.watchers() == []
    assert "behind with counting" in out.problem
    behind[0] = False
    assert out.watchers() == [("rtsp://127.0.0.1:9/x", "owner")]
    out.stop()


def test_a_box_pushes_its_annotated_picture(tmp_path: Path) -> None:
    """A player reads H.264 of 640 x 360 with the counting line in it, and the log says that it left."""
    port = free_port()
    url = f"rtsp://127.0.0.1:{port}/street"
    film = tmp_path / "film.mkv"
    path = tmp_path / "agent.toml"
    path.write_text(
        f'node = "push-1"\nstate_dir = "{tmp_path / "state"}"\n'
        f'[camera.cam0]\nsource = "scene:?seed=7"\nrtsp_out = "{url}"\n'
        "[camera.cam0.lines.main]\npoints = [[0.05, 0.62], [0.95, 0.62]]\n"
    )
    listening = server(url, film)
    try:
        with running(path):
            until(lambda: size_of(film) > 150_000, 120)
    finally:
        listening.kill()
        listening.wait()
    probe = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(film)]
    (stream,) = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 640, 360)
    capture = cv2.VideoCapture(str(film))
    frame = [capture.read()[1] for _ in range(3)][-1]
    line = frame[round(0.62 * 360), 100:500].astype(int)  # yellow: red and green high, blue low
    assert ((line[:, 2] - line[:, 0]) > 100).mean() > 0.8
    (left,) = json.loads((tmp_path / "state" / "pictures.json").read_text())
    assert (left["way"], left["who"], left["manner"]) == ("rtsp", url, "drawn")


def test_rtsp_out_of_a_camera_whose_pictures_stay_is_refused(tmp_path: Path) -> None:
    """Two words of the owner that contradict each other are refused in one line."""
    path = tmp_path / "agent.toml"
    path.write_text(
        'node = "push-1"\n[camera.cam0]\nsource = "0"\npreview = "off"\nrtsp_out = "rtsp://127.0.0.1/x"\n'
    )
    with pytest.raises(
        config.ConfigError, match=r'camera\.cam0: rtsp_out sends pictures, and preview = "off"'
    ):
        config.load(path)
