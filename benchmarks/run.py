"""`make bench`: the agent's speed, memory, bytes on the wire, the centre's speed and bytes on disk.

Prints a table; with BENCH_JSON=FILE the same figures go there. Ratios are taken in one run; absolute
figures are of this machine, as busy as it is now.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks import day, ingest, speed
from benchmarks.figures import leave
from deploy.stack import Stack, die_with_parent

MODELS = ("traffic", "mask")  # of the two cameras
LOOKS: dict[str, speed.Look] = {"first_look": 0.0, "both_looks": "half"}
ROUNDS = 3


def memory() -> dict[str, float]:
    """Return the agent's resident memory on the built-in street after 20 s, one camera and two."""
    return {
        "agent_mb_one_camera": _memory_of({"cam0": "traffic"}),
        "agent_mb_two_cameras_two_models": _memory_of({"cam0": "traffic", "cam1": "mask"}),
    }


def _memory_of(cameras: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack", mongodb_uri="none") as stack:
        config = Path(folder) / "agent.toml"
        text = [f'node = "bench-1"\nstate_dir = "{folder}"\n[broker]\nurl = "{stack.mqtt_url}"']
        text += [
            f'[camera.{name}]\nsource = "scene:?seed=7"\nmodel = "{model}"' for name, model in cameras.items()
        ]
        config.write_text("\n".join(text))
        command = [sys.executable, "-m", "agent", "run", "--config", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            time.sleep(20)
            return psutil.Process(process.pid).memory_info().rss / 1e6
        finally:
            process.terminate()
            process.wait(20)


def two_cameras() -> dict[str, float]:
    """Return frames a second of two cameras with two models in one agent, and of each alone.

    Once with the first look alone, once with the second look on ("half"); every frame is looked at. What the
    two keep of their pace beside each other is a ratio of neighbouring rounds; of all, medians are told.
    """
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = speed.in_720p(speed.video(Path(folder)), Path(folder))
        for _ in range(ROUNDS):
            for name, budget in LOOKS.items():
                alone = [speed.file_rates(path, [model], look=budget)[0] for model in MODELS]
                together = speed.file_rates(path, list(MODELS), look=budget)
                for model, one, both in zip(MODELS, alone, together, strict=True):
                    rates.setdefault(f"{model}_{name}_alone_fps", []).append(one)
                    rates.setdefault(f"{model}_{name}_together_fps", []).append(both)
                    rates.setdefault(f"{model}_{name}_together_over_alone", []).append(both / one)
    return {key: statistics.median(values) for key, values in rates.items()}


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "speed": speed.measure,
    "two cameras": two_cameras,
    "memory": memory,
    "a day on the wire": day.measure,
    "ingest": ingest.measure,
}


def main() -> int:
    """Measure all parts, or those that are named."""
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"no such part: {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    figures: dict[str, dict[str, float]] = {}
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    )
    for name in wanted:
        print(f"{name} ...", flush=True)
        figures[name] = PARTS[name]()
        for key, value in figures[name].items():
            print(f"  {key:<36}{value:>14,.3f}", flush=True)
    leave(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
