"""Chaos: everything that can be killed is killed with -9 at random, then an oracle judges.

    python -m benchmarks.chaos [--cycles N] [--seed N] [--folder DIR]

Real processes on this machine: a mosquitto that forgets everything, a mongod, two aggregators, one agent on
the built-in scene, and two boxes without cameras (real spool and delivery, more events). Each cycle kills one
of them, sometimes two, and starts it again. When the faults have stopped it must hold, for each node:

* committed = stored + declared lost, epoch by epoch (committed: the spool's append had returned);
* each row's running totals are 1, 2, 3, … in the database: none missing, none twice;
* what a box had written down as committed before it was killed is there;
* no conflict, nothing in quarantine, everything drained within 30 s, and a fresh event arrives.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from agent import wire
from agent.deliver.spool import SpoolError
from aggregator.store import codec
from aggregator.store.detail import Stored, events_of
from benchmarks.chaos_world import (
    BOXES,
    DATABASE,
    NODES,
    QUIET,
    WATCHER,
    Box,
    ChaosError,
    Program,
    World,
    wall,
)
from deploy.stack import Stack, StackError

DRAIN_SECONDS = 30.0
FRESH_SECONDS = 20.0
JUDGE_EVERY = 50


def torment(world: World, chance: random.Random) -> None:
    """One cycle: kill one, or two, and start them again."""
    victims = chance.sample(world.mortals, 2 if chance.random() < 0.2 else 1)
    for victim in victims:
        victim.kill()
        world.killed[victim.name] += 1
    time.sleep(chance.uniform(0.0, 0.5))
    for victim in sorted(victims, key=lambda one: isinstance(one, Program)):
        victim.start()
    time.sleep(chance.uniform(0.2, 1.5))
    world.supervise()


# ── the oracle ────────────────────────────────────────────────────────────────────────────────────


def quiet(world: World) -> None:
    """Let no more events be made; what is on disk goes on to be delivered."""
    (world.folder / QUIET).touch()
    world.watcher.kill(signal.SIGTERM)
    world.watcher.forget()
    world.drain.start()


def go_on(world: World) -> None:
    """Make events again."""
    world.drain.kill(signal.SIGTERM)
    world.watcher.start()
    (world.folder / QUIET).unlink()


def drained(world: World) -> float:
    """Wait until every spool is empty; return the seconds; raise ChaosError if that takes too long."""
    began = time.monotonic()
    while any(account["pending"] for account in world.accounts().values()):
        if time.monotonic() - began > DRAIN_SECONDS:
            waiting = {node: account["pending"] for node, account in world.accounts().items()}
            raise ChaosError(f"not drained in {DRAIN_SECONDS:.0f} s: {waiting}")
        world.supervise()
        time.sleep(0.1)
    return time.monotonic() - began


def events(database: Any, since: int = 0) -> Iterator[Stored]:
    """Yield the events from Unix ms `since` on, in documents of their own or in their batches'."""
    for name in ("events", "batches"):
        for row in database[name].find({"a": {"$gte": since}}):
            yield from events_of(row)


def stored_by_epoch(database: Any) -> Counter[tuple[str, int]]:
    """Count the stored events of each (node, epoch); resource samples share a document."""
    stored: Counter[tuple[str, int]] = Counter()
    for one in events(database):
        stored[one.node, codec.split_id(one.id)[1]] += 1
    for name in ("tallies", "losses"):
        for row in database[name].find({}, {"_id": 1}):
            node, epoch, _, _ = row["_id"].split(":")
            stored[node, int(epoch)] += 1
    for row in database["resources"].find({}, {"_id": 1, "i": 1}):
        node, epoch, _ = row["_id"].split(":")
        stored[node, int(epoch)] += len(row["i"])
    return stored


def totals_by_row(database: Any) -> dict[tuple[Any, ...], list[int]]:
    """Return every running total that was stored, by (node, camera, line, version, direction, label)."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    for stored in events(database):
        one = stored.event
        if isinstance(one, wire.Crossing):
            row = stored.node, one.camera, one.line, one.version, one.direction, one.label
            rows.setdefault(row, []).append(one.total)
    return rows


def judge(world: World, database: Any) -> dict[str, int]:
    """Compare what was committed with what is stored; raise ChaosError with every difference."""
    accounts = world.accounts()
    stored = stored_by_epoch(database)
    wrong = [
        f"{node} epoch {epoch['epoch']}: committed {epoch['committed']}, stored {here}, lost {epoch['lost']}"
        for node, account in accounts.items()
        for epoch in account["epochs"]
        if epoch["committed"] != (here := stored[node, epoch["epoch"]]) + epoch["lost"]
    ]
    rows = totals_by_row(database)
    for row, totals in rows.items():
        if sorted(totals) != list(range(1, len(totals) + 1)):
            twice = [total for total, count in Counter(totals).items() if count > 1]
            missing = set(range(1, max(totals))) - set(totals)
            wrong.append(f"{row}: {len(missing)} totals missing, {len(twice)} twice")
    for node in BOXES:
        diary = (world.folder / f"{node}.committed").read_text().split()
        known = len(rows.get((node, "cam0", "main", 1, "AB", "car"), []))
        if diary and int(diary[-1]) > known:
            wrong.append(f"{node} had committed {diary[-1]}, {known} are stored")
    wrong += [
        f"{n} in {name}" for name in ("conflicts", "quarantine") if (n := database[name].count_documents({}))
    ]
    lost = sum(account["lost"] for account in accounts.values())
    declared = sum(row["o"] for row in database["losses"].find({}))
    if lost != declared:
        wrong.append(f"{lost} lost, {declared} declared")
    if wrong:
        raise ChaosError("; ".join(wrong))
    committed = sum(epoch["committed"] for account in accounts.values() for epoch in account["epochs"])
    watched = sum(len(totals) for row, totals in rows.items() if row[0] == WATCHER)
    return {"committed": committed, "stored": sum(stored.values()), "lost": lost, "seen_crossings": watched}


def fresh(world: World, database: Any) -> float:
    """Wait for an event of each node that is younger than this call; return the seconds."""
    since = wall()
    began = time.monotonic()
    waiting = set(NODES)
    while waiting:
        world.supervise()
        waiting -= {one.node for one in events(database, since + 1)}
        if time.monotonic() - began > FRESH_SECONDS:
            raise ChaosError(f"no fresh event of {', '.join(sorted(waiting))} in {FRESH_SECONDS:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


# ── the run ───────────────────────────────────────────────────────────────────────────────────────


def run(cycles: int, seed: int, folder: Path) -> dict[str, Any]:
    """Torment and judge; return the figures; raise ChaosError."""
    chance = random.Random(seed)
    slowest = 0.0
    with Stack(folder / "stack") as stack:
        world = World.make(folder, stack)
        database: Any = MongoClient(stack.mongodb_uri, serverSelectionTimeoutMS=20_000)[DATABASE]
        with contextlib.closing(database.client), _running(world):
            fresh(world, database)
            for cycle in range(1, cycles + 1):
                torment(world, chance)
                if cycle % JUDGE_EVERY == 0 or cycle == cycles:
                    quiet(world)
                    slowest = max(slowest, drained(world))
                    figures = judge(world, database)
                    print(f"{cycle:4d} cycles: {figures}", flush=True)
                    go_on(world)
            waited = fresh(world, database)
        return {
            "cycles": cycles, "seed": seed, **figures, "killed": dict(world.killed),
            "revived": world.revived.total(),
            "drain_seconds": round(slowest, 1), "fresh_seconds": round(waited, 1),
        }  # fmt: skip


@contextlib.contextmanager
def _running(world: World) -> Iterator[None]:
    world.start()
    try:
        yield
    finally:
        world.stop()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep everything there")
    parser.add_argument("--box", nargs=2, metavar=("NODE", "URL"), help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.box:
        return _box(options)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gb-chaos-"))
    try:
        figures = run(options.cycles, options.seed, folder)
    except (ChaosError, StackError, SpoolError) as error:
        print(f"chaos: {error}\nthe logs are in {folder}", file=sys.stderr)
        return 1
    print("BENCH_JSON", json.dumps({"chaos": figures}))
    if not options.folder:
        shutil.rmtree(folder)
    return 0


def _box(options: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)

    async def run_box() -> None:
        node, url = options.box
        await Box(options.folder, node, url).run(making=not options.quiet)

    asyncio.run(run_box())
    return 0


if __name__ == "__main__":
    sys.exit(main())
