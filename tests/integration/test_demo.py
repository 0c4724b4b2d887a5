"""`make demo`'s runner, as a person uses it: one process group, a ready line, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import pytest

from deploy.stack import free_port
from tests.integration.test_stack import alive

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-test"


class Demo:
    """A running demo and what its API says."""

    def __init__(self, folder: Path, errors: IO[str] | None = None, **parameters: str) -> None:
        self.folder = folder
        self.port = free_port()
        env = os.environ | {"DIR": str(folder), "PORT": str(self.port), "TOKEN": TOKEN} | parameters
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.demo"], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True,
            stderr=errors, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().strip()

    def get(self, path: str) -> Any:
        return self.ask("GET", path, None)

    def ask(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}", method=method,
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.2)
        return value

    def stop(self) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(40)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo on the built-in street for the tests of this module."""
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()
    running.process.stdout.close()  # type: ignore[union-attr]


def crossings(demo: Demo, line: str) -> int:
    rows = demo.get("/nodes/demo-1")["counts_today"]
    return sum(row["count"] for row in rows if row["line"] == line)


def test_ready_line_is_the_address(demo: Demo) -> None:
    """The last word of the start is the address that logs a person in."""
    assert demo.ready == f"ready http://127.0.0.1:{demo.port}/#token={TOKEN}"
    described = json.loads((demo.folder / "demo.json").read_text())
    assert set(described["spools"]) == {"demo-1", "demo-2"}
    assert {"aggregator", "demo-1", "demo-2", "mosquitto"} <= set(described["processes"])


def test_counts_move(demo: Demo) -> None:
    """Both cameras are watched and the default line counts on the street."""
    demo.until(lambda: crossings(demo, "main") >= 3, 60)
    for node in demo.get("/fleet")["nodes"]:
        assert node["state"] == "online"
        assert node["cameras"][0]["state"] == "ok"


def test_a_line_reaches_the_node_and_nothing_is_zeroed(demo: Demo) -> None:
    """A line that is drawn is applied within five seconds, counts, and the other line's counts stay."""
    before = demo.until(lambda: crossings(demo, "main"), 60)
    wanted = demo.ask("PUT", "/nodes/demo-1/cameras/cam0/lines/north", {"points": [[0.1, 0.55], [0.9, 0.55]]})
    demo.until(lambda: demo.get("/nodes/demo-1")["config"]["applied"] == wanted["version"], 5)
    demo.until(lambda: crossings(demo, "north"), 60)
    assert crossings(demo, "main") >= before


def test_bad_line_is_refused_in_words(demo: Demo) -> None:
    """A line of one point is refused by the API with a reason."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        demo.ask("PUT", "/nodes/demo-1/cameras/cam0/lines/bad", {"points": [[0.1, 0.55]]})
    assert refused.value.code in (400, 422)
    assert "points" in json.load(refused.value)["error"]["message"]


def test_share_of_masks_is_on_the_page_when_a_slide_show_ends(data: Path, tmp_path: Path) -> None:
    """All faces of a folder of pictures, seen in the first minute of a new box, are told at its end."""
    pictures = sorted((data / "masks" / "val" / "images").glob("andrewmvd_*"))[:20]
    (tmp_path / "slides").mkdir()
    for picture in pictures:
        (tmp_path / "slides" / picture.name).symlink_to(picture)
    demo = Demo(tmp_path / "demo", SOURCE=str(tmp_path / "slides"), MODEL="mask", PACE="fast")
    try:
        camera = demo.until(
            lambda: [c for c in demo.get("/nodes/demo-1")["cameras"] if c["state"] == "ended"], 60
        )[0]
        demo.until(
            lambda: demo.get("/nodes/demo-1")["cameras"][0]["objects_today"].get("with_mask", 0) > 20, 10
        )
        objects = demo.get("/nodes/demo-1")["cameras"][0]["objects_today"]
        assert objects["with_mask"] > 2 * objects["without_mask"]
        assert camera["reason"].endswith("has come to its end")
    finally:
        demo.stop()
        demo.process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nosuch.mp4", "demo-1 cam0 is absent: nosuch.mp4: no such file or folder; check the path"),
        ("README.md", "demo-1 cam0 is absent: README.md"),
        ("7", "demo-1 cam0 is absent: "),
        ("rtsp://127.0.0.1:9/x", "demo-1 cam0 is absent: rtsp://127.0.0.1:9/x"),
    ],
)
def test_a_wrong_source_is_told_in_the_terminal(tmp_path: Path, source: str, said: str) -> None:
    """The reason stands in the terminal before the ready line, and the demo goes on."""
    with (tmp_path / "said").open("w+") as errors:
        demo = Demo(tmp_path / "demo", errors, SOURCE=source, MODEL="traffic")
        try:
            assert demo.ready.startswith("ready")
            assert said in (tmp_path / "said").read_text()
        finally:
            assert demo.stop() == 0
            demo.process.stdout.close()  # type: ignore[union-attr]


def test_what_changes_later_is_told_too(tmp_path: Path) -> None:
    """A file that comes after the start is told as ok, and its end as ended; nothing is told twice."""
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(tmp_path / "made.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 180))
    for shade in range(60):
        writer.write(np.full((180, 320, 3), shade * 4, np.uint8))
    writer.release()
    with (tmp_path / "said").open("w+") as errors:
        demo = Demo(tmp_path / "demo", errors, SOURCE=str(film), MODEL="traffic")
        try:
            (tmp_path / "made.avi").rename(film)
            demo.until(lambda: "is ended" in (tmp_path / "said").read_text(), 60)
            told = [row for row in (tmp_path / "said").read_text().splitlines() if "demo-1" in row]
            assert "absent" in told[0]
            assert told[-1].startswith(f"demo: demo-1 cam0 is ended: {film}")
            assert len(told) == len(set(told)) <= 4
        finally:
            demo.stop()
            demo.process.stdout.close()  # type: ignore[union-attr]


def test_interrupt_ends_everything(tmp_path: Path) -> None:
    """SIGINT to the process group: exit 0 and no process left."""
    demo = Demo(tmp_path / "demo")
    assert demo.ready.startswith("ready")
    pids = json.loads((demo.folder / "demo.json").read_text())["processes"].values()
    assert demo.stop() == 0
    demo.process.stdout.close()  # type: ignore[union-attr]
    assert not [pid for pid in pids if alive(pid)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"PACE": "slow"}, "PACE=slow"),
        ({"LINE": "main:0,0.6"}, "LINE=main:0,0.6: write it as name:x1,y1,x2,y2"),
        ({"LINE": "main:0,0.6,nan,0.6"}, "in fractions of the frame"),
        ({"PORT": "http"}, "PORT=http"),
        ({"MODEL": "no-such-model"}, "no-such-model"),
    ],
)
def test_bad_parameter_is_named(tmp_path: Path, parameters: dict[str, str], message: str) -> None:
    """A wrong parameter ends the demo with one line that names it."""
    env = os.environ | {"DIR": str(tmp_path / "demo"), "PORT": "0"} | parameters
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo"], env=env, cwd=ROOT, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def refusal(**parameters: str) -> str:
    """Return what a demo that cannot start says."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo"], env=os.environ | parameters, cwd=ROOT, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_port_in_use_and_a_folder_that_cannot_be_are_named(tmp_path: Path) -> None:
    """What is in the way is said before anything is started, and nothing is sent to whoever is there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"PORT={port}: Address already in use" in refusal(PORT=port, DIR=str(tmp_path / "demo"))
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    (tmp_path / "file").touch()
    assert "DIR=" in refusal(PORT="0", DIR=str(tmp_path / "file" / "demo"))
