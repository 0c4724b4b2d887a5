"""A recording that keeps only motion: its clock jumps between the pieces, and each object is counted once."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent import wire
from agent.boxes import Detections
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline

WIDTH = 160
HEIGHT = 120
FPS = 10
PIECES = 10
WALKS = 3  # in each piece of fifteen seconds, one after the other
FRAMES = PIECES * WALKS * 5 * FPS


class BrightDetector:
    """Finds the one white box in a dark picture, as surely as a model that is never wrong."""

    names = {0: "person"}  # noqa: RUF012 - as a detector's
    sha256 = ""

    def detect(self, image: np.ndarray) -> Detections:
        rows, columns = np.nonzero(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) > 128)
        if len(rows) < 50:
            return Detections.empty()
        box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
        return Detections(np.array(box, np.float32), np.array([0.9], np.float32), np.zeros(1, np.int64))


def picture(number: int) -> np.ndarray:
    """Return a frame (H,W,3): a walker comes from the top or, each second time, from the bottom."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    walk, step = divmod(number, 5 * FPS)
    if step < 4 * FPS:
        way = step / (4 * FPS - 1)
        y = round(10 + (way if walk % 2 == 0 else 1 - way) * 80)
        image[y : y + 24, 70:86] = 255
    return image


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 s of pictures in ten pieces; 300 s of nothing between two of them, as the file's clock says."""
    path = tmp_path_factory.mktemp("motion") / "motion.mkv"
    jumps = f"setpts='(N/{FPS}+floor(N/{15 * FPS})*300)/TB'"
    command = [
        "ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}",
        "-r", str(FPS), "-i", "-", "-vf", jumps, "-fps_mode", "vfr", "-c:v", "libx264", "-preset",
        "ultrafast", str(path),
    ]  # fmt: skip
    frames = b"".join(picture(number).tobytes() for number in range(FRAMES))
    subprocess.run(command, input=frames, check=True)
    return path


def test_each_crossing_of_a_motion_only_recording_is_counted_once(recording: Path) -> None:
    """Thirty walkers in ten pieces are thirty crossings, fifteen each way, and 150 s watched, not 2,850."""
    camera = CameraConfig(
        source=str(recording), pace="fast", lines={"main": wire.Line([(0.0, 0.6), (1.0, 0.6)])}
    )
    detector: Any = BrightDetector()
    pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals())
    pipeline.camera.start()
    events: list[wire.AnyEvent] = []
    try:
        while not any(isinstance(event, wire.CameraState) and event.state == "ended" for event in events):
            events += pipeline.step().events
        events += pipeline.close()
    finally:
        pipeline.stop()
    crossings = [event for event in events if isinstance(event, wire.Crossing)]
    assert Counter(event.direction for event in crossings) == {"AB": 15, "BA": 15}
    assert max(event.total for event in crossings if event.direction == "AB") == 15
    tallies = [event for event in events if isinstance(event, wire.Tally)]
    assert sum(tally.inferred + tally.skipped for tally in tallies) == FRAMES
    assert sum(tally.watched for tally in tallies) == pytest.approx(150_000, abs=3000)
