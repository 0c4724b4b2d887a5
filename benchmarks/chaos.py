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
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from agent import wire
from agent.deliver.publish import Delivery
from agent.deliver.spool import Spool, SpoolError, SpoolWorker, read_status
from agent.mqtt.client import BrokerSettings
from agent.street.scene import DEFAULT_LINE
from aggregator.store import codec
from aggregator.store.detail import Stored, events_of
from deploy.stack import Service, Stack, StackError, die_with_parent

WATCHER = "chaos-1"  # the agent with a camera
BOXES = ("chaos-2", "chaos-3")
NODES = (WATCHER, *BOXES)
DRAIN_SECONDS = 30.0
FRESH_SECONDS = 20.0
JUDGE_EVERY = 50
DATABASE = "chaos"
QUIET = "quiet"


class ChaosError(Exception):
    """What the oracle found, or what did not start."""


# ── a box without cameras ─────────────────────────────────────────────────────────────────────────


class Box:
    """A real spool and a real delivery, fed by a clock instead of a camera.

    While the file `quiet` is there it makes no events.
    """

    def __init__(self, folder: Path, node: str, url: str) -> None:
        self._node = node
        self._diary = (folder / f"{node}.committed").open("a")
        self._quiet = folder / QUIET
        self._spool = SpoolWorker(Spool.open(folder / node / "spool.db", 64 << 20))
        broker = BrokerSettings.parse(url, client_id=node)
        self._delivery = Delivery(
            self._spool, broker, node, state=self._state, on_want=_ignore, on_command=_ignore, delay_cap=5.0
        )

    def _state(self) -> wire.State:
        return wire.State(self._node, True, _wall(), epoch=self._spool.epoch)

    async def run(self, making: bool) -> None:
        """Feed and deliver until SIGTERM."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async with self._spool, asyncio.TaskGroup() as group:
            group.create_task(self._delivery.run(), name="delivery")
            feeder = group.create_task(self._feed(), name="feed") if making else None
            await stop.wait()
            if feeder:
                feeder.cancel()
            self._delivery.stop()

    async def _feed(self) -> None:
        total = int(await self._spool.recall("total") or b"0")
        while True:
            await asyncio.sleep(0.02)
            if self._quiet.exists():
                continue
            total += 1
            stored = await self._spool.append(self._events(total), {"total": str(total).encode()})
            if stored:
                print(total, file=self._diary, flush=True)

    def _events(self, total: int) -> list[wire.AnyEvent]:
        now = _wall()
        box = wire.pack_box(0.1, 0.2, 0.3, 0.4)
        events: list[wire.AnyEvent] = [
            wire.Detection(now, "cam0", total, "car", 80, box),
            wire.Crossing(now, "cam0", "main", 1, "AB", "car", total, total, 80),
        ]
        if total % 20 == 0:
            row = wire.LineTotal("main", 1, "AB", "car", total)
            events.append(wire.Tally(now, "cam0", 60_000, {}, [row], {"car": total}, 900, 900, 0, 9, 9))
            events.append(wire.Resources(now, "", 5, 5, 1, 1, 1, None, 0, 0, False, {"cam0": 150}))
        return events


async def _ignore(_payload: bytes) -> None:
    """A box without cameras takes no orders."""


def _wall() -> int:
    return int(time.time() * 1000)


# ── the processes ─────────────────────────────────────────────────────────────────────────────────


class Program:
    """One of our own processes, to kill and start again."""

    def __init__(self, name: str, arguments: Iterable[str], log: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it; it is not waited for."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *more],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        """Send a signal that ends it, and wait."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(with_signal)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                raise ChaosError(f"{self.name} does not end on signal {with_signal}") from None

    def forget(self) -> None:
        """It is meant to be down."""
        self._process = None

    def revive(self) -> bool:
        """Start it again if it has ended by itself, as a supervisor does; True if so.

        Ending with a reason is allowed (the database was killed while it connected), a traceback is not.
        """
        if self._process is None or self._process.poll() is None:
            return False
        log = self._log.read_text(errors="replace")
        if "Traceback" in log:
            tail = " | ".join(log.strip().splitlines()[-6:])
            raise ChaosError(f"{self.name} ended by itself with {self._process.returncode}: {tail}")
        self.start()
        return True


@dataclass
class World:
    """Everything that runs."""

    folder: Path
    stack: Stack
    watcher: Program
    boxes: list[Program]
    drain: Program  # the watcher's spool and delivery without its camera
    aggregators: list[Program]
    killed: Counter[str] = field(default_factory=Counter)
    revived: Counter[str] = field(default_factory=Counter)

    @classmethod
    def make(cls, folder: Path, stack: Stack) -> World:
        """Write the configurations; nothing is started yet."""
        (folder / "agent.toml").write_text(
            f'node = "{WATCHER}"\nstate_dir = "{folder / WATCHER}"\n[broker]\nurl = "{stack.mqtt_url}"\n'
            '[camera.cam0]\nsource = "scene:?seed=21&fps=5&width=480&height=270"\n'
            f"[camera.cam0.lines.main]\npoints = {json.dumps([list(point) for point in DEFAULT_LINE])}\n"
        )
        (folder / "aggregator.toml").write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n'
            f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "{DATABASE}"\n'
            '[http]\nhost = "127.0.0.1"\nport = 0\ntoken = "chaos-chaos-chaos"\n'
        )

        def program(name: str, *arguments: str) -> Program:
            return Program(name, arguments, folder / f"{name}.log")

        def box(node: str, *more: str) -> Program:
            return program(
                node, "benchmarks.chaos", "--box", node, stack.mqtt_url, "--folder", str(folder), *more
            )

        centre = ("aggregator", "run", "--config", str(folder / "aggregator.toml"))
        return cls(
            folder,
            stack,
            program(WATCHER, "agent", "run", "--config", str(folder / "agent.toml")),
            [box(node) for node in BOXES],
            box(WATCHER, "--quiet"),
            [program(f"aggregator-{n}", *centre) for n in (1, 2)],
        )

    @property
    def programs(self) -> list[Program]:
        """Our own processes."""
        return [self.watcher, *self.boxes, *self.aggregators]

    @property
    def mortals(self) -> list[Program | Service]:
        """Everything that is killed."""
        return [*self.programs, *self.stack.services]

    def start(self) -> None:
        """Start downstream first."""
        for program in (*self.aggregators, *self.boxes, self.watcher):
            program.start()

    def stop(self) -> None:
        """End what is ours, at once."""
        for program in (*self.programs, self.drain):
            program.kill()

    def supervise(self) -> None:
        """Start again what has ended with a reason; raise ChaosError for a traceback."""
        for program in self.programs:
            self.revived[program.name] += program.revive()

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return each node's spool account, read from outside."""
        return {node: read_status(self.folder / node / "spool.db") for node in NODES}


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
    since = _wall()
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
