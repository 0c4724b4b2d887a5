"""A centre under load for minutes: is its memory flat, and how late is what it stores?

    python -m benchmarks.sustained [--minutes M] [--rate R]

Events come at a fixed rate in batches of 50 through the real broker into the real database; the resident
memory of the aggregator is read every five seconds. The first fifth of the time counts as warming up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks import ingest
from benchmarks.builds import HERE, Build
from benchmarks.figures import leave

RATE = 5000.0  # events a second
MINUTES = 5.0
_EVERY_SECONDS = 5.0
_WARM = 5  # a part of the time


async def _watch(build: Build, found: list[float]) -> None:
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        found.append(build.memory_mb())


async def _offer(build: Build, work: list[ingest.Sealed], rate: float) -> tuple[list[float], list[float]]:
    """Return each batch's seconds until it was stored, and the aggregator's memory over time in MB."""
    memory: list[float] = []
    watching = asyncio.create_task(_watch(build, memory), name="memory")
    try:
        late, _ = await ingest.drive(build.stack, work, rate)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    return late, memory


def measure(minutes: float = MINUTES, rate: float = RATE) -> dict[str, float]:
    """Return the figures by their names."""
    work = ingest.make_work(round(minutes * 60 * rate))
    with tempfile.TemporaryDirectory() as folder, Build("now", HERE, Path(folder)).running() as build:
        before = build.cpu_seconds()
        late, memory = asyncio.run(_offer(build, work, rate))
        spent = build.cpu_seconds() - before
    late.sort()
    warm = memory[len(memory) // _WARM :]
    half = len(warm) // 2
    grown = statistics.mean(warm[half:]) - statistics.mean(warm[:half])  # in half of the time
    return {
        "sustained_p50_s": statistics.median(late),
        "sustained_p99_s": late[int(len(late) * 0.99)],
        "sustained_most_mb": max(memory),
        "sustained_mb_an_hour": grown / (half * _EVERY_SECONDS) * 3600,
        "sustained_cores": spent / (len(memory) * _EVERY_SECONDS),
    }


def main() -> None:
    """Measure, print, and add the figures to BENCH_JSON."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=MINUTES)
    words.add_argument("--rate", type=float, default=RATE, help="events a second")
    arguments = words.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    figures = measure(arguments.minutes, arguments.rate)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    leave(figures, beside=True)


if __name__ == "__main__":
    main()
