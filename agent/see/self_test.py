"""The stored answer: what a model said about a picture where it was made, and whether it says so here too.

A CPU, a runtime or a damaged file that computes wrongly (int8 is the usual victim) is caught before it counts
anything. What always holds: the picture is drawn by whole numbers alone, so it is the same on every machine;
a file without a stored answer passes.

The metadata's `gb_check` is JSON: {"seed": 3, "boxes": [[left, top, right, bottom, score, class], ...]}.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from agent.boxes import Detections, Float32, Uint8, iou
from agent.see.infer import Detector, ModelError

KEY = "gb_check"
SEEDS = 16  # so many pictures are tried for the one about which a model says most
SURE = 0.2  # only boxes with such a score are stored, and so many
MOST = 8
SAME_PLACE = 0.7  # least overlap, largest difference, least share found
SAME_SCORE = 0.05
SAME_SHARE = 0.75
_CPU = ("vendor_id", "model name", "cpu family", "model", "stepping", "flags")
_ARM = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features")


def picture(seed: int, size: tuple[int, int]) -> Uint8:
    """Draw things that look a little like faces and vehicles on a soft ground; (h,w,3)."""
    height, width = size
    draw = _numbers(seed)
    y, x = np.ogrid[:height, :width]
    canvas = np.empty((height, width, 3), np.int64)
    for channel in range(3):
        base = 60 + next(draw) % 80
        right = next(draw) % 60
        down = next(draw) % 60
        canvas[..., channel] = base + x * right // width + y * down // height
    for _ in range(24):
        _thing(canvas, draw)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _numbers(seed: int) -> Iterator[int]:
    """Yield numbers of 24 bits without an end: a linear congruential generator modulo 2^32."""
    state = seed * 2654435761 % 2**32
    while True:
        state = (state * 1664525 + 1013904223) % 2**32
        yield state >> 8


def _thing(canvas: Any, draw: Iterator[int]) -> None:
    """Paint one thing: an ellipse or a block, two dark spots, perhaps a bright patch below."""
    height, width = canvas.shape[:2]
    y, x = np.ogrid[:height, :width]
    tall = 16 + next(draw) % (height // 3)
    wide = tall * (6 + next(draw) % 12) // 10
    x = x - next(draw) % width
    y = y - next(draw) % height
    if next(draw) % 2:
        body = (x * tall) ** 2 + (y * wide) ** 2 <= (tall * wide // 2) ** 2
    else:
        body = (abs(x) <= wide // 2) & (abs(y) <= tall // 2)
    colour = [next(draw) % 256 for _ in range(3)]
    canvas[body] = [120 + part % 60 for part in colour] if next(draw) % 2 else colour
    for side in (-1, 1):
        spot = (abs(x - side * wide // 5) <= wide // 12) & (abs(y + tall // 8) <= tall // 20)
        canvas[spot] = next(draw) % 90
    if next(draw) % 2:
        canvas[(abs(x) <= wide // 3) & (abs(y - tall // 5) <= tall // 8)] = 200 + next(draw) % 50


def ask(detector: Detector) -> str:
    """Return what is to be stored for a model, or nothing if it is sure of nothing in any picture."""
    answers = [_sure(detector.detect(picture(seed, detector.input_size))) for seed in range(SEEDS)]
    seed = max(range(SEEDS), key=lambda number: float(answers[number].confidence.sum()))
    best = answers[seed]
    rows = zip(best.xyxy.tolist(), best.confidence.tolist(), best.class_id.tolist(), strict=True)
    boxes = [[*(round(side, 1) for side in box), round(score, 4), kind] for box, score, kind in rows]
    return json.dumps({"seed": seed, "boxes": boxes}) if boxes else ""


def _sure(found: Detections) -> Detections:
    return found[found.confidence >= SURE][:MOST]


def check(detector: Detector) -> None:
    """Compare a model's answer with the stored one; raise ModelError if it is another."""
    if not detector.metadata.get(KEY):
        return
    try:
        stored = json.loads(detector.metadata[KEY])
        rows = np.asarray(stored["boxes"], np.float32).reshape(-1, 6)
        seed = int(stored["seed"])
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{detector.path}: its stored answer cannot be read; fetch the file again") from None
    found = detector.detect(picture(seed, detector.input_size))
    right = _again(rows, found)
    if right.sum() < SAME_SHARE * len(rows):
        remedy = "use the float model" if _int8(detector) else "fetch the file again, or use another box"
        share = f"{right.sum()} of {len(rows)} stored boxes come out"
        raise ModelError(f"{detector.path}: wrong answers on this CPU, {share}; {remedy}")


def _again(rows: Float32, found: Detections) -> Any:
    """Return which stored rows (N,6) are found again. (N,) bool"""
    overlap = iou(np.ascontiguousarray(rows[:, :4]), found.xyxy) >= SAME_PLACE  # (N,M)
    alike = abs(rows[:, 4, None] - found.confidence) <= SAME_SCORE
    return (overlap & alike & (rows[:, 5, None] == found.class_id)).any(1)


def _int8(detector: Detector) -> bool:
    return detector.metadata.get("precision", "").startswith("int8")


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return a short name of what computes here: this CPU, its abilities, and the runtime's version."""
    try:
        first = cpuinfo.read_text().partition("\n\n")[0]
    except OSError:
        first = ""
    lines = [line for line in first.splitlines() if line.partition(":")[0].strip() in (*_CPU, *_ARM)]
    text = "\n".join([platform.machine(), onnxruntime.__version__, *lines])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
