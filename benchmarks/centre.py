"""`make bench-centre`: what a city's centre costs and how fast it tells a history, beside version 0.2.0.

Both builds run in one run, in turns, each on a broker and a database of its own. With BENCH_JSON=FILE the
figures go there under flat names; a `_ratio` of times is version 0.2.0's over ours, the ratio of CPU seconds
ours over version 0.2.0's. `--full` plays a tally each minute as boxes do, and takes long.

    history    reading: `year_day`, `hundred_days_hour`, `five_years_month`, `site_month`
    cost       CPU seconds of aggregator and database for a million events, events a second, bytes on disk
    alone      bytes on disk of an event that comes alone in its batch
    fleet      this build alone with 10,000 simulated nodes: pages of the API, the page in Chromium, memory
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import history, ingest, large_fleet
from benchmarks.builds import Build, both
from benchmarks.figures import leave

PACE = 4000  # events a second while CPU seconds are counted
ROUNDS = 3  # in turns: what else runs on the machine touches both


def _offer(build: Build, events: int, rate: float, batch: int, epoch: int) -> tuple[float, float]:
    """Store events; return the CPU seconds of aggregator and database, and how long it took."""
    work = ingest.make_work(events, batch, epoch)
    before = build.cpu_seconds()
    _, took = asyncio.run(ingest.drive(build.stack, work, rate, batch))
    return build.cpu_seconds() - before, took


def cost(now: Build, before: Build, full: bool) -> dict[str, float]:
    """Return what a million events cost, how many a second are stored at most, and their bytes on disk."""
    events = 500_000 if full else 60_000
    cpu = {now.name: 0.0, before.name: 0.0}
    room = {}
    for build in (now, before):
        room[build.name] = build.disk_bytes()
    for number in range(ROUNDS):
        for build in (now, before):
            cpu[build.name] += _offer(build, events, PACE, 50, 1000 * (number + 1))[0]
    stored = ROUNDS * events
    found = {f"cpu_seconds_per_million_{_word(name)}": cpu[name] / stored * 1e6 for name in cpu}
    found["cpu_seconds_per_million_ratio"] = cpu[now.name] / cpu[before.name]
    for build in (now, before):
        found[f"disk_bytes_per_event{_suffix(build)}"] = (build.disk_bytes() - room[build.name]) / stored
    for build in (now, before):
        found[f"events_per_s{_suffix(build)}"] = events / _offer(build, events, 1e9, 50, 10_000)[1]
    return found


def alone(now: Build, before: Build, full: bool) -> dict[str, float]:
    """Return the bytes on disk of an event that comes alone in its batch, as a quiet place sends them.

    In databases of its own: room that other events left free would be used again and not be seen.
    """
    events = 100_000 if full else 20_000
    found = {}
    for build in (now, before):
        held = build.disk_bytes()
        _offer(build, events, 3000, 1, 1000)
        found[f"disk_bytes_per_event_alone{_suffix(build)}"] = (build.disk_bytes() - held) / events
    return found


def _suffix(build: Build) -> str:
    return "" if build.name == "now" else "_before"


def _word(name: str) -> str:
    return "now" if name == "now" else "before"


def reading(now: Build, before: Build, full: bool) -> dict[str, float]:
    """Return how long histories take to read."""
    scale = history.Scale(every=1, site_every=1, site_labels=3, rounds=40) if full else history.Scale()
    return history.measure(now, before, scale)


def _beside(part: Callable[[Build, Build, bool], dict[str, float]]) -> Callable[[bool], dict[str, float]]:
    """Return a part that runs beside version 0.2.0, on fresh databases."""

    def run(full: bool) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as (now, before):
            return part(now, before, full)

    return run


def fleet(full: bool) -> dict[str, float]:
    """Return what a fleet of 10,000 asks of one centre; it takes as long in full."""
    return large_fleet.measure()


PARTS: dict[str, Callable[[bool], dict[str, float]]] = {
    "history": _beside(reading),
    "cost": _beside(cost),
    "alone": _beside(alone),
    "fleet": fleet,
}


def main() -> int:
    """Measure all parts, or those that are named."""
    parser = argparse.ArgumentParser(prog="benchmarks.centre", description="The centre beside version 0.2.0.")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--full", action="store_true", help="a tally each minute, more events")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        print(f"no such part: {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    figures: dict[str, float] = {}
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for name in arguments.parts or list(PARTS):
        print(f"{name} ...", flush=True)
        found = PARTS[name](arguments.full)
        figures |= found
        for key, value in found.items():
            print(f"  {key:<36}{value:>14,.3f}", flush=True)
        leave(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
