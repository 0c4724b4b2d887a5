"""`gb-agent bench`: what each stage costs on this box, in milliseconds a frame, camera after camera."""

from __future__ import annotations

import sys
import time

import numpy as np

from agent.analyse import Analyst, Totals
from agent.capture import Camera, Frame
from agent.config import CameraConfig, Config
from agent.infer import Detector, ModelError
from agent.track import Tracker

STAGES = ("capture", "infer", "track", "analyse")


def bench(config: Config, frames: int) -> int:
    """Measure every camera of a config and print a table; return the exit code."""
    print(f"{'camera':<16}{'frames':>8}" + "".join(f"{stage:>12}" for stage in STAGES) + f"{'frames/s':>12}")
    results = [_bench_camera(name, camera, frames) for name, camera in config.camera.items()]
    print("median milliseconds a frame; capture: the wait for the next frame, decoding runs beside the rest")
    return 0 if all(results) else 1


def _bench_camera(name: str, camera: CameraConfig, frames: int) -> bool:
    try:
        detector = Detector(camera.model_path, confidence=min(camera.confidence, 0.1), threads=camera.threads)
    except ModelError as error:
        print(f"{name:<16}{error}")
        return False
    times = _measure(name, camera, detector, frames)
    if not len(times):
        return False
    median = np.median(times, axis=0) * 1000
    rate = 1 / times[:, 1:].sum(axis=1).mean()
    print(f"{name:<16}{len(times):>8}" + "".join(f"{ms:>12.2f}" for ms in median) + f"{rate:>12.1f}")
    return True


def _measure(name: str, camera: CameraConfig, detector: Detector, frames: int) -> np.ndarray:
    """Return the seconds of each stage, (frames, 4)."""
    tracker = Tracker(confident=camera.confidence)
    analyst = Analyst(name, camera.settings(), detector.names, Totals())
    rows: list[list[float]] = []
    with Camera(name, camera.source, pace="fast", loop=True) as source:
        while len(rows) < frames:
            clock = [time.perf_counter()]
            frame = source.take(10.0)
            if frame is None:
                print(f"{name:<16}{source.state}: {source.reason}")
                break
            rows.append(_one(frame, clock, detector, tracker, analyst))
            _progress(name, len(rows), frames)
    return np.array(rows).reshape(-1, len(STAGES))


def _one(
    frame: Frame, clock: list[float], detector: Detector, tracker: Tracker, analyst: Analyst
) -> list[float]:
    """Take one frame through all stages; return the seconds of each."""
    size = (frame.image.shape[1], frame.image.shape[0])

    clock.append(time.perf_counter())
    found = detector.detect(frame.image)
    clock.append(time.perf_counter())
    tracks = tracker.update(found, frame.seconds, size)
    clock.append(time.perf_counter())
    analyst.update(tracks, tracks.ended, size, frame.seconds, round(frame.wall * 1000))
    clock.append(time.perf_counter())
    return list(np.diff(clock))


def _progress(name: str, done: int, frames: int) -> None:
    if sys.stderr.isatty():
        end = "\r" if done < frames else "\r\033[K"
        print(f"{name}: {done} of {frames} frames", end=end, file=sys.stderr, flush=True)
