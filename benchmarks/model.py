"""`make bench-model`: how fast the family is on this machine, and what each step from YOLOv5n to `n` brings.

Weights are as they begin, which does not change the speed. Everything runs on one thread, in rounds that take
turns, so that noise hits all alike; twice each turn, and the second run counts, so that nobody pays for what
the one before left in the cache. Time is that of the thread, so that waiting for the processor counts for
nobody. Ratios are of medians. Then the models of the package, with what the agent does round them. With
BENCH_JSON=FILE all figures go there; ROUNDS=30 says how many rounds.

"as published": SiLU, its own head on anchors, a graph as exporters write it, int8 by the usual script.
"same head": ReLU, the head, the exporter and the int8 form of GB-YOLO.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from agent.boxes import letterbox
from agent.see.infer import Detector
from benchmarks.figures import leave
from export.data.sample import Picture
from export.model.baseline import PANet, yolov5
from export.model.network import Head, Network, ghost_stages
from export.model.zoo import FAMILY, cost
from export.onnx.parity import noise
from export.onnx.quantize import Calibration, feeds, quantize
from export.onnx.to_onnx import describe, folded_copy, write
from export.onnx.writer import PARTS, PLAIN

MODELS = Path(__file__).parent.parent / "agent" / "models"
ROUNDS = int(os.environ.get("ROUNDS", "30"))
NAMES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
WIDTHS = (16, 32, 64, 128, 256)
DEPTHS = (1, 2, 3, 1)
Build = Callable[[int], Network]


def ghost_with_panet(classes: int) -> Network:
    """Return the backbone of `n` under the neck of YOLOv5."""
    heads = [Head(width, 64, classes) for width in WIDTHS[2:]]
    return Network(classes, ghost_stages(WIDTHS, DEPTHS), PANet(WIDTHS[2:], smooth=False), heads)


LADDER: dict[str, tuple[Build, str, bool]] = {  # network, form of the graph, fusion weights folded
    "YOLOv5n as published": (FAMILY["yolov5n-published"], PLAIN, True),
    "+ ReLU": (lambda c: yolov5(c, 0.25, 0.33, published=True, smooth=False), PLAIN, True),
    "+ head without anchors": (FAMILY["yolov5n"], PLAIN, True),
    "+ stem 3x3": (lambda c: yolov5(c, 0.25, 0.33, stem=3), PLAIN, True),
    "+ Ghost": (ghost_with_panet, PLAIN, True),
    "+ BiFPN": (FAMILY["n"], PLAIN, False),
    "+ fusion weights folded": (FAMILY["n"], PLAIN, True),
    "+ graph without concatenations": (FAMILY["n"], PARTS, True),
}
SAME_HEAD = {
    "n": "n",
    "s": "s",
    "paper": "paper",
    "YOLOv5n same head": "yolov5n",
    "YOLOv5s same head": "yolov5s",
}
GOALS = (  # a figure, the one that it is compared with, the least ratio
    ("n", "YOLOv5n as published", 2.6),
    ("n", "YOLOv5n same head", 2.3),
    ("n int8", "YOLOv5n as published int8", 1.9),
    ("n int8", "YOLOv5n same head int8", None),
    ("n int8", "n", None),
    ("s", "YOLOv5s as published", 2.7),
    ("s", "YOLOv5s same head", None),
    ("paper", "YOLOv5n as published", None),
)


def cpu() -> str:
    """Name the processor and what of int8 it can."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = dict(tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
    flags = facts.get("flags", "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flag in flags]
    return f"{facts.get('model name', platform.processor())}, {os.cpu_count()} processors, {' '.join(known)}"


def save(build: Build, name: str, path: Path, size: tuple[int, int], form: str, fusions: bool = True) -> Path:
    """Write a network with the weights that it begins with."""
    torch.manual_seed(0)
    recipe = {"name": name, "task": "speed", "names": NAMES, "licence": "none", "model": name}
    metadata = describe(recipe, size, 0, "0")
    onnx.save(write(folded_copy(build(len(NAMES)).eval(), fusions=fusions), size, metadata, form)[0], path)
    return path


def scenery(size: tuple[int, int], count: int = 4) -> list[Picture]:
    """Return pictures of noise: speed does not depend on what is calibrated on."""
    nothing = (np.zeros((0, 4), np.float32), np.zeros((0, 1), np.bool_), np.zeros(1, np.bool_), "noise")
    return [Picture(noise(size, seed), *nothing) for seed in range(count)]


def usual_int8(source: Path, target: Path, size: tuple[int, int]) -> Path:
    """Quantize as the usual script does: U8S8 per channel, every operator up to the last convolution."""
    nodes = list(onnx.load(source).graph.node)
    last = max(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    names = [node.name for node in nodes[: last + 1]]
    quantize_static(
        str(source),
        str(target),
        Calibration(feeds(scenery(size), size)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=names,
    )
    return target


def files(folder: Path, size: tuple[int, int], *, ladder: bool) -> dict[str, Path]:
    """Write all files of one size: the ladder, the family, and the int8 copies."""
    label = f"{size[0]}x{size[1]}"
    written: dict[str, Path] = {}
    for at, (name, (build, form, fusions)) in enumerate(LADDER.items()):
        if ladder or at == 0:
            written[name] = save(build, "n", folder / f"{label}-step{at}.onnx", size, form, fusions)
    big = FAMILY["yolov5s-published"]
    written["YOLOv5s as published"] = save(big, "", folder / f"{label}-big.onnx", size, PLAIN)
    for name, model in SAME_HEAD.items():
        written[name] = save(FAMILY[model], model, folder / f"{label}-{model}.onnx", size, PARTS)
        copy = written[f"{name} int8"] = folder / f"{label}-{model}.int8.onnx"
        quantize(written[name], copy, scenery(size))
    published = written["YOLOv5n as published"]
    target = folder / f"{label}-published.int8.onnx"
    written["YOLOv5n as published int8"] = usual_int8(published, target, size)
    return written


def take_turns(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median milliseconds of each piece of work, run in turns; the thread's own time."""
    took: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 3):
        for name, run in work.items():
            run()
            begin = time.thread_time()
            run()
            if turn >= 3:
                took[name].append(time.thread_time() - begin)
    return {name: 1000 * float(np.median(times)) for name, times in took.items()}


def measure(paths: dict[str, Path]) -> dict[str, float]:
    """Time the bare sessions of files of one size."""
    detectors = {name: Detector(path, confidence=0.5) for name, path in paths.items()}
    size = next(iter(detectors.values())).input_size
    canvas = noise(size, 1)
    return take_turns({name: lambda d=d: d._run(canvas) for name, d in detectors.items()})  # type: ignore[misc]


def report(size: tuple[int, int], *, ladder: bool = False) -> dict[str, float]:
    """Measure one size and print its tables; return milliseconds and ratios by name."""
    with tempfile.TemporaryDirectory() as folder:
        paths = files(Path(folder), size, ladder=ladder)
        weights = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
        took = measure(paths)
    first = took["YOLOv5n as published"]
    print(f"\n{size[0]}x{size[1]:<28} {'ms':>7} {'x published':>12} {'file MB':>8}")
    for name, value in took.items():
        print(f"{name:32} {value:7.2f} {first / value:12.2f} {weights[name]:8.2f}")
    figures = {f"{name} ms": value for name, value in took.items()}
    print()
    for name, other, goal in GOALS:
        ratio = figures[f"{name} / {other}"] = took[other] / took[name]
        wanted = "" if goal is None else f"  goal {goal}: {'reached' if ratio >= goal else 'missed'}"
        print(f"{name} is {ratio:.2f} x {other}{wanted if size == (640, 640) else ''}")
    return figures


def packaged() -> dict[str, float]:
    """Time every model in the package, alone and with what the agent does round it, on a 720p picture."""
    work: dict[str, Callable[[], object]] = {}
    picture = noise((720, 1280), 1)
    for path in sorted(MODELS.glob("gb-yolo-*.onnx")):
        detector = Detector(path)
        canvas = letterbox(picture, detector.input_size)[0]
        work[f"{path.stem} session ms"] = lambda d=detector, c=canvas: d._run(c)  # type: ignore[misc]
        work[f"{path.stem} detect ms"] = lambda d=detector: d.detect(picture)  # type: ignore[misc]
    return take_turns(work)


def main() -> None:
    """Print the figures; also write them as JSON where BENCH_JSON names a file."""
    torch.set_num_threads(1)
    print(f"{cpu()}; load {os.getloadavg()[0]:.1f}; one thread, {ROUNDS} rounds in turns")
    for name in FAMILY:
        numbers = cost(FAMILY[name], len(NAMES))
        print(f"{name:20} {numbers.parameters:10,} parameters {numbers.gflops:7.2f} GFLOPs at 640x640")
    figures: dict[str, object] = {"cpu": cpu(), "rounds": ROUNDS}
    for size in ((640, 640), (416, 416), (384, 640)):
        figures[f"{size[0]}x{size[1]}"] = report(size, ladder=size == (640, 640))
    figures["package"] = shipped = packaged()
    print()
    for name, value in shipped.items():
        print(f"{name:40} {value:7.2f}")
    leave(figures)


if __name__ == "__main__":
    main()
