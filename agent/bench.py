"""`gb-agent bench`: what each stage costs on this box, and which model, threads and workers fit it.

The built-in street is written as a 720p video and watched with every packaged model, and with those of the
config: one stage after the other, then as the agent does it, with the spool on disk. What always holds: only
cores that this process may use are counted; a model that computes wrongly here is measured but not advised.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from agent import cpu_quota, wire
from agent.bench_report import advise, table
from agent.boxes import letterbox
from agent.camera_loop import run_camera
from agent.config import CameraConfig, Config
from agent.count.analyst import Analyst, Totals
from agent.deliver.spool import Spool, SpoolWorker, this_moment
from agent.percentile import medians
from agent.pipeline import Pipeline
from agent.progress import Bar
from agent.see import self_test
from agent.see.infer import Detector, ModelError
from agent.see.packaged import packaged
from agent.see.sources import Image
from agent.startup import open_detector
from agent.street.scene import Scene
from agent.track.tracker import Tracker, make_tracker
from agent.watchdog import Watchdog

WIDTH = 1280
HEIGHT = 720
WEAK = 0.1


def bench(config: Config | None, frames: int, *, as_json: bool = False) -> int:
    """Measure, print, advise; return the exit code."""
    models = chosen(config)
    ladder = _ladder(cpu_quota.usable())
    bar = Bar(2 + len(models) * (1 + 2 * len(ladder)))
    with tempfile.TemporaryDirectory(dir=_writable(config)) as text:
        folder = Path(text)
        bar.step("drawing a street")
        video = write_street(folder / "street.mp4", frames)
        pictures, decode_ms = decoded(video)
        bar.step("the spool")
        figures: dict[str, Any] = {
            "cores": cpu_quota.usable(),
            "frames": len(pictures),
            "picture": f"{WIDTH}x{HEIGHT}",
            "decode_ms": decode_ms,
            "spool_ms": spool_ms(folder / "bench.db"),
        }
        cameras = [CameraConfig(str(video), name, names, pace="fast") for name, names in models.items()]
        rows = [measure_model(camera, ladder, pictures, bar) for camera in cameras]
    bar.close()
    figures["models"] = rows
    figures["advice"] = advise([row for row in rows if not row.get("error")])
    print(json.dumps(figures, indent=1) if as_json else "\n".join(table(figures)))
    return 1 if any(row.get("error") for row in rows) else 0


def chosen(config: Config | None) -> dict[str, list[str]]:
    """Return the packaged models, as a config names them, and those of the config; with their class names."""
    models: dict[str, list[str]] = {name: [] for name in packaged()}
    for camera in config.camera.values() if config else ():
        models[camera.model] = camera.names
    return models


def _ladder(most: int) -> list[int]:
    """Return 1, 2, 4 ... and `most`."""
    return sorted({min(2**step, most) for step in range(most.bit_length() + 1)})


def _writable(config: Config | None) -> str | None:
    """Return the state folder, whose disk the spool will have, or None for the usual one."""
    if config is None or not Path(config.state_dir).is_dir():
        return None
    try:
        with tempfile.TemporaryFile(dir=config.state_dir):
            return config.state_dir
    except OSError:
        return None


def write_street(path: Path, frames: int) -> Path:
    """Write the built-in street as a video (MPEG-4, 720p)."""
    scene = Scene(7, 960, 540, 15)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (WIDTH, HEIGHT))
    for number in range(frames):
        writer.write(cv2.resize(scene.frame(100 + number), (WIDTH, HEIGHT)))
    writer.release()
    return path


def decoded(video: Path) -> tuple[list[Image], float]:
    """Return a video's frames and the milliseconds that decoding one takes."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    pictures: list[Image] = []
    times: list[float] = []
    while True:
        begun = time.perf_counter()
        good, image = capture.read()
        times.append(time.perf_counter() - begun)
        if not good:
            capture.release()
            return pictures, median(times[:-1]) * 1000
        if len(pictures) < 50:
            pictures.append(np.asarray(image, np.uint8))


def spool_ms(path: Path) -> float:
    """Return the milliseconds until one event is on disk."""
    spool = Spool.open(path, 8 << 20)
    now = this_moment()
    event = wire.CameraState(now.wall, "bench", "ok", "")
    times = [_seconds(lambda: spool.append([event], now)) for _ in range(20)]
    spool.close()
    return median(times) * 1000


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# ── one model ─────────────────────────────────────────────────────────────────────────────────────


def measure_model(camera: CameraConfig, ladder: list[int], pictures: list[Image], bar: Bar) -> dict[str, Any]:
    """Return one model's figures, or why there are none. The camera's source is the street."""
    name = camera.model
    bar.step(f"{name}: the stages")
    try:
        detector = open_detector(camera, WEAK, 1)
    except ModelError as error:
        return {"model": name, "error": str(error)}
    row: dict[str, Any] = {
        "model": name,
        "task": detector.metadata.get("task", name),
        "input": detector.inputs,
        "precision": detector.metadata.get("precision", "float").partition(" ")[0],
        "right": is_right(detector),
        **stages(detector, camera, pictures),
        "infer_ms": {},
        "frames_per_second": {},
    }
    for count in ladder:
        bar.step(f"{name}: {count} thread(s)")
        row["infer_ms"][str(count)] = infer_ms(open_detector(camera, WEAK, count), pictures)
    for count in ladder:
        bar.step(f"{name}: {count} worker(s)")
        looker = Pipeline("bench", camera, detector, camera.settings(), Totals(), workers=count)
        row["frames_per_second"][str(count)] = asyncio.run(_file_rate(looker, Path(camera.source).parent))
    return row


def is_right(detector: Detector) -> bool:
    """Tell whether a model gives its stored answer here."""
    try:
        self_test.check(detector)
    except ModelError:
        return False
    return True


def stages(detector: Detector, camera: CameraConfig, pictures: list[Image]) -> dict[str, float]:
    """Return median milliseconds of fitting, following and counting one frame."""
    tracker = make_tracker(camera.confidence, detector.names)
    analyst = Analyst("b", camera.settings(), detector.names, Totals())
    times = np.array([list(_laps(detector, tracker, analyst, *each)) for each in enumerate(pictures)])
    fit, track, analyse = medians(times) * 1000
    return {"letterbox_ms": float(fit), "track_ms": float(track), "analyse_ms": float(analyse)}


def _laps(
    detector: Detector, tracker: Tracker, analyst: Analyst, number: int, image: Image
) -> Iterator[float]:
    """Take one frame through; yield the seconds of three stages."""
    size = (image.shape[1], image.shape[0])
    yield _seconds(lambda: letterbox(image, detector.input_size))
    found = detector.detect(image)
    begun = time.perf_counter()
    tracks = tracker.update(found, number / 15, size)
    yield time.perf_counter() - begun
    yield _seconds(lambda: analyst.update(tracks, tracks.ended, size, number / 15, number * 67))


def infer_ms(detector: Detector, pictures: list[Image]) -> float:
    """Return the median milliseconds of one picture from bytes to boxes, letterbox apart."""
    canvases = [letterbox(image, detector.input_size)[0] for image in pictures]
    return median(_seconds(lambda canvas=canvas: detector.detect(canvas)) for canvas in canvases) * 1000  # type: ignore[misc]


class Laps(Watchdog):
    """Note when the loop had seen how many frames."""

    def __init__(self, looker: Pipeline) -> None:
        super().__init__()
        self._looker = looker
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)

    def progress(self, part: str, within: float | None = None) -> None:
        """Note a step that brought a frame."""
        super().progress(part, within)
        came = self._looker.camera.captured  # also those that were not worth a look
        if came != self._last[0]:
            self._last = (came, time.perf_counter())
            self._first = self._first or self._last

    @property
    def rate(self) -> float:
        """Return frames a second, from the first to the last."""
        seen, since = self._first or (0, 0.0)
        return (self._last[0] - seen) / max(self._last[1] - since, 1e-9)


async def file_rate(looker: Pipeline, spool: SpoolWorker) -> float:
    """Run a camera's loop over a file, decoding and the spool included; return frames a second."""
    laps = Laps(looker)

    def ended() -> None:
        if looker.camera.state == "ended":
            looker.end()

    await run_camera(looker, spool, laps, lambda live: None, ended)
    return laps.rate


async def _file_rate(looker: Pipeline, folder: Path) -> float:
    async with SpoolWorker(Spool.open(folder / "bench.db", 64 << 20)) as spool:
        return await file_rate(looker, spool)
