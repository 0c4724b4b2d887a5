"""How fast the agent looks at a file, beside bare onnxruntime sessions on frames that are already decoded.

Rounds of the two are interleaved, so a machine that drifts drifts for both; the ratio is what counts. Files
are read with one worker and with two, at 720p where ffmpeg can make such a file.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnxruntime

from agent.bench import file_rate
from agent.boxes import letterbox
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.deliver.spool import Spool, SpoolWorker
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.see.slot import Frame
from agent.street.scene import Scene

Look = float | Literal["half"]  # the budget of the second look

FRAMES = 200
ROUNDS = 5


def video(folder: Path) -> Path:
    """Return a real video where there is one, else the built-in street as a file."""
    real = Path(os.environ.get("GB_DATA", "")) / "videos" / "ahmetozlu_input_video.mp4"
    if os.environ.get("GB_DATA") and real.exists():
        return real
    path = folder / "street.mp4"
    scene = Scene(seed=7)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (960, 540))
    for number in range(FRAMES):
        writer.write(scene.frame(number))
    writer.release()
    return path


def in_720p(path: Path, folder: Path) -> Path:
    """Return a video's first frames as H.264 in 720p; the video itself where there is no ffmpeg."""
    if not shutil.which("ffmpeg"):
        return path
    made = folder / "720p.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-frames:v", str(FRAMES)]
    subprocess.run([*command, "-vf", "scale=1280:720", "-c:v", "libx264", str(made)], check=True)
    return made


def decoded(path: Path) -> list[np.ndarray]:
    """Return the first frames of a video."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while len(frames) < FRAMES:
        ok, image = capture.read()
        if not ok:
            break
        frames.append(image)
    capture.release()
    return frames


def bare_round(detector: Detector, path: Path, frames: list[np.ndarray]) -> Callable[[], float]:
    """Return a round of `session.run` alone, on prepared input; it gives seconds a frame."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    weakest = np.array([detector.confidence], np.float32).reshape(session.get_inputs()[1].shape)
    inputs = [letterbox(frame, detector.input_size)[0][None] for frame in frames]

    def once() -> float:
        started = time.perf_counter()
        for each in inputs:
            session.run(None, {"picture": each, "confidence": weakest})
        return (time.perf_counter() - started) / len(inputs)

    return once


def pipeline(source: str, model: str, workers: int = 1, *, look: Look = 0.0, gate: bool = True) -> Pipeline:
    """Return a camera's loop with one line, as by default but for the second look's budget and the gate."""
    camera = CameraConfig(source=source, model=model, pace="fast", look_budget=look, gate=gate)
    detector = Detector(camera.model_path, confidence=0.1)
    return Pipeline("cam0", camera, detector, camera.settings(), Totals(), workers=workers)


def memory_round(model: str, frames: list[np.ndarray]) -> float:
    """Return the agent's seconds a frame without decoding: infer, track, analyse."""
    looker = pipeline("scene:", model)
    started = time.perf_counter()
    for number, image in enumerate(frames):
        looker.look(Frame(image, number, number / 25, 1.7e9 + number / 25, 0))
    return (time.perf_counter() - started) / len(frames)


async def side_by_side(loops: Sequence[Pipeline]) -> list[float]:
    """Return frames a second of each camera of one agent: decoding and the spool on disk included."""
    with tempfile.TemporaryDirectory() as folder:
        async with SpoolWorker(Spool.open(Path(folder) / "spool.db", 64 << 20)) as spool:
            return await asyncio.gather(*(file_rate(loop, spool) for loop in loops))


def file_rates(source: Path, models: Sequence[str], *, look: Look) -> list[float]:
    """Return frames a second of one camera for each model, side by side, that looks at every frame."""
    return asyncio.run(
        side_by_side([pipeline(str(source), model, look=look, gate=False) for model in models])
    )


def measure(model: str = "traffic") -> dict[str, float]:
    """Measure in interleaved rounds; return medians."""
    with tempfile.TemporaryDirectory() as folder:
        path = in_720p(video(Path(folder)), Path(folder))
        frames = decoded(path)
        looker = pipeline(str(path), model)
        bare = bare_round(looker.detector, looker.config.model_path, frames)
        bare_s = []
        agent_s = []
        from_file: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            bare_s.append(bare())
            agent_s.append(memory_round(model, frames))
            for other in ("traffic", "mask"):
                for workers in (1, 2):
                    rate = asyncio.run(side_by_side([pipeline(str(path), other, workers)]))[0]
                    from_file.setdefault(f"{other}_file_fps_{workers}_workers", []).append(rate)
    bare_ms = statistics.median(bare_s) * 1000
    agent_ms = statistics.median(agent_s) * 1000
    one = from_file[f"{model}_file_fps_1_workers"]
    return {
        "bare_session_ms": bare_ms,
        "agent_ms_without_decode": agent_ms,
        "overhead_ms_a_frame": statistics.median(a - b for a, b in zip(agent_s, bare_s, strict=True)) * 1000,
        "agent_fps_from_file": statistics.median(one),
        "bare_fps": 1000 / bare_ms,
        "file_over_bare": statistics.median(f * b for f, b in zip(one, bare_s, strict=True)),
        **{name: statistics.median(rates) for name, rates in from_file.items()},
    }
