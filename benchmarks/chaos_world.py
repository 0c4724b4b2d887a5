"""What chaos reigns over: a broker, a database, two aggregators, an agent, and boxes without cameras."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import wire
from agent.deliver.publish import Delivery
from agent.deliver.spool import Spool, SpoolWorker, read_status
from agent.mqtt.client import BrokerSettings
from agent.street.scene import DEFAULT_LINE
from deploy.stack import Service, Stack, die_with_parent

WATCHER = "chaos-1"  # the agent with a camera
BOXES = ("chaos-2", "chaos-3")
NODES = (WATCHER, *BOXES)
DATABASE = "chaos"
QUIET = "quiet"


class ChaosError(Exception):
    """What the oracle found, or what did not start."""


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
        return wire.State(self._node, True, wall(), epoch=self._spool.epoch)

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
        now = wall()
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


def wall() -> int:
    """Return now in Unix ms."""
    return int(time.time() * 1000)


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
