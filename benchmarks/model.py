"""How fast the models are on this machine: ratios from rounds that take turns, so that noise hits all alike.

Each finished model runs on its own input size, as float and as an int8 copy made here from noise (its speed
does not depend on what it is calibrated on), through `Detector.detect` on a 720p picture and through the bare
session.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.boxes import letterbox
from agent.infer import Detector
from export.data import Picture
from export.quantize import quantize

MODELS = Path(__file__).parent.parent / "agent" / "models"
ROUNDS = 60


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """Return a picture of coarse patches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return coarse.repeat(16, 0).repeat(16, 1)


def int8_copy(path: Path, folder: Path) -> Path:
    """Write an int8 copy of a model."""
    height, width = Detector(path).input_size
    nothing = (np.zeros((0, 4), np.float32), np.zeros((0, 1), np.bool_), np.zeros(1, np.bool_), "noise")
    target = folder / f"{path.stem}.int8.onnx"
    quantize(path, target, [Picture(noise(height, width, seed), *nothing) for seed in range(8)])
    return target


def take_turns(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median milliseconds of each piece of work, run in turns."""
    took: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 5):
        for name, run in work.items():
            begin = time.perf_counter()
            run()
            if turn >= 5:
                took[name].append(time.perf_counter() - begin)
    return {name: 1000 * float(np.median(times)) for name, times in took.items()}


def measure() -> dict[str, float]:
    """Time every model in the package and return the figures by name."""
    work: dict[str, Callable[[], object]] = {}
    picture = noise(720, 1280, 1)
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(MODELS.glob("*.onnx")):
            detector, small = Detector(path), Detector(int8_copy(path, Path(folder)))
            canvas = letterbox(picture, detector.input_size)[0]
            work[f"{path.stem}_session_ms"] = lambda d=detector, c=canvas: d._run(c)  # type: ignore[misc]
            work[f"{path.stem}_detect_ms"] = lambda d=detector: d.detect(picture)  # type: ignore[misc]
            work[f"{path.stem}_int8_session_ms"] = lambda d=small, c=canvas: d._run(c)  # type: ignore[misc]
    return take_turns(work)


def main() -> None:
    """Print the figures; also write them as JSON where BENCH_JSON names a file."""
    figures = measure()
    for name, value in figures.items():
        print(f"{name:40} {value:7.2f}")
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
