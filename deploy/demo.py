"""`make demo`: the whole product on this machine, with no Docker. Reads its parameters from the environment.

What always holds: it says `ready ...` only once the page answers and both nodes are online. What is wrong
with a camera is told on standard error before that, and whenever it changes. Ctrl-C ends everything,
downstream last, with exit 0; if one of its processes ends by itself, it says which, shows the end of its log,
ends the rest and exits 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from agent.street.scene import DEFAULT_LINE
from deploy.cameras import Cameras, fleet
from deploy.stack import Stack, StackError, die_with_parent, free_port

READY_SECONDS = 60.0
OPEN_SECONDS = 5.0  # so long a camera may take to open before "ready" comes without it
LOOK_SECONDS = 1.0
RESEARCH = "the mask model's weights are for research use; MODEL=mask-free may be used for anything"
NODES = ("demo-1", "demo-2")
MIDDLE = ((0.0, 0.6), (1.0, 0.6))


class DemoError(Exception):
    """What stops the demo; the text says why and what to do."""


class Stopped(Exception):
    """Somebody asked the demo to end."""


@dataclass(frozen=True)
class Options:
    """The demo's parameters, from the environment that `make demo NAME=value` sets."""

    source: str
    model: str
    line: str
    pace: str
    loop: bool
    port: int
    token: str
    folder: Path

    @classmethod
    def read(cls, env: dict[str, str]) -> Options:
        """Read and check the parameters; raise DemoError naming the wrong one."""
        source = env.get("SOURCE") or "scene"
        scene = source == "scene" or source.startswith("scene:")
        pace = env.get("PACE") or "real"
        loop = env.get("LOOP") or ("1" if scene else "0")
        port = env.get("PORT") or "8080"
        if pace not in ("real", "fast"):
            raise DemoError(f"PACE={pace}: it is real or fast")
        if loop not in ("0", "1"):
            raise DemoError(f"LOOP={loop}: it is 0 or 1")
        if not port.isdecimal() or not 0 <= int(port) < 65536:
            raise DemoError(f"PORT={port}: it is a number up to 65535; 0 takes a free one")
        if env.get("LINE"):
            parse_line(env["LINE"])
        return cls(
            source="scene:?seed=7" if source == "scene" else source,
            model=env.get("MODEL") or ("mask" if source.isdigit() else "traffic"),
            line=env.get("LINE") or "",
            pace=pace,
            loop=loop == "1",
            port=int(port) or free_port(),
            token=env.get("TOKEN") or secrets.token_urlsafe(18),
            folder=Path(env["DIR"]).absolute()
            if env.get("DIR")
            else Path(tempfile.mkdtemp(prefix="gb-demo-")),
        )


def parse_line(text: str) -> tuple[str, list[list[float]]]:
    """Read `name:x1,y1,x2,y2`; raise DemoError."""
    name, _, numbers = text.rpartition(":")
    try:
        flat = [float(number) for number in numbers.split(",")]
    except ValueError:
        flat = []
    if not name or len(flat) < 4 or len(flat) % 2 or not all(0 <= number <= 1 for number in flat):
        raise DemoError(f"LINE={text}: write it as name:x1,y1,x2,y2 in fractions of the frame")
    return name, [flat[i : i + 2] for i in range(0, len(flat), 2)]


def camera_table(options: Options, source: str) -> dict[str, Any]:
    """Return camera `cam0` of a demo node."""
    scene = source.startswith("scene:")
    points = [list(point) for point in (DEFAULT_LINE if scene else MIDDLE)]
    name, points = parse_line(options.line) if options.line else ("main", points)
    file = source == options.source
    return {
        "source": source,
        "model": options.model if file else "traffic",
        "pace": options.pace if file else "real",
        "loop": options.loop if file else True,
        "lines": {name: {"points": points}},
    }


def toml(value: str | bool | list[list[float]]) -> str:
    """Return a value as TOML writes it: as JSON does, but for its surrogates."""
    return json.dumps(value, ensure_ascii=False)


def agent_toml(folder: Path, node: str, mqtt_url: str, camera: dict[str, Any]) -> Path:
    """Write a demo node's configuration."""
    lines = camera.pop("lines")
    text = [f'node = "{node}"', f"state_dir = {toml(str(folder / node))}", "[broker]", f'url = "{mqtt_url}"']
    text += ["[camera.cam0]", *(f"{key} = {toml(value)}" for key, value in camera.items())]
    for name, line in lines.items():
        text += [f"[camera.cam0.lines.{toml(name)}]", f"points = {toml(line['points'])}"]
    path = folder / f"{node}.toml"
    path.write_text("\n".join(text) + "\n")
    return path


def aggregator_toml(options: Options, stack: Stack) -> Path:
    """Write the centre's configuration."""
    token = options.folder / "token"
    token.touch(0o600)
    token.write_text(options.token)
    path = options.folder / "aggregator.toml"
    path.write_text(
        f'[broker]\nurl = "{stack.mqtt_url}"\n'
        f"[mongodb]\nuri = {toml(stack.mongodb_uri)}\n"
        f'[http]\nhost = "127.0.0.1"\nport = {options.port}\ntoken_file = {toml(str(token))}\n'
    )
    return path


class Processes:
    """The product's own processes, in the order in which they start; they end in the other order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start `python -m ...` with its output in a log file."""
        with (self._folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise DemoError if one has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                log = (self._folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise DemoError(f"{name} ended: {' | '.join(log[-3:])}")

    def stop(self) -> None:
        """End them, newest first, and wait."""
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.running.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
                continue
            process.kill()
            process.wait()


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Give the product's processes and end them on the way out."""
    running = Processes(folder)
    try:
        yield running
    finally:
        running.stop()


def wait_until_ready(options: Options, running: Processes) -> list[dict[str, Any]]:
    """Wait until both nodes are online and their cameras had time to open; return them, raise DemoError."""
    deadline = time.monotonic() + READY_SECONDS
    opened = float("inf")
    while True:
        nodes = fleet(options.port, options.token)
        if sum(node["state"] == "online" for node in nodes) == len(NODES):
            opened = min(opened, time.monotonic() + OPEN_SECONDS)
            absent = any(camera["state"] == "absent" for node in nodes for camera in node["cameras"])
            if not absent or time.monotonic() > opened:
                return nodes
        running.check()
        if time.monotonic() > deadline:
            raise DemoError(
                f"not healthy after {READY_SECONDS:.0f} s; run it with DIR=FOLDER and see the logs there"
            )
        time.sleep(0.1)


def describe(options: Options, stack: Stack, running: Processes) -> None:
    """Write demo.json: what runs where."""
    pids = {name: process.pid for name, process in running.running.items()}
    pids |= {service.name: service.pid for service in stack.services}
    (options.folder / "demo.json").write_text(
        json.dumps(
            {
                "processes": pids,
                "mqtt": stack.mqtt_url,
                "mongodb_uri": stack.mongodb_uri,
                "spools": {node: str(options.folder / node / "spool.db") for node in NODES},
                "configs": {node: str(options.folder / f"{node}.toml") for node in NODES},
            },
            indent=2,
        )
    )


def need_port(port: int) -> None:
    """Raise DemoError if the page cannot be served there."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise DemoError(f"PORT={port}: {error.strerror}; choose another, or 0 for a free one") from None


def run(options: Options) -> None:
    """Start the neighbours, the centre and two nodes; watch them until somebody says stop."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"DIR={options.folder}: {error.strerror}; name a folder that can be made") from None
    need_port(options.port)
    with (
        Stack(options.folder, os.environ.get("GB_MONGODB_URI")) as stack,
        processes(options.folder) as running,
    ):
        running.start("aggregator", "aggregator", "run", "--config", str(aggregator_toml(options, stack)))
        for node, source in zip(NODES, (options.source, "scene:?seed=8"), strict=True):
            config = agent_toml(options.folder, node, stack.mqtt_url, camera_table(options, source))
            running.start(node, "agent", "run", "--config", str(config))
        describe(options, stack, running)
        cameras = Cameras()
        cameras.tell(wait_until_ready(options, running))
        if options.model in ("mask", "mask-int8"):
            print(f"demo: {RESEARCH}", file=sys.stderr, flush=True)
        print(f"ready http://127.0.0.1:{options.port}/#token={options.token}", flush=True)
        while True:
            running.check()
            cameras.tell(fleet(options.port, options.token))
            time.sleep(LOOK_SECONDS)


def stop(signum: int, frame: FrameType | None) -> None:
    """Turn the first signal into an orderly end; later ones change nothing."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def main() -> int:
    """Run the demo; return its exit code."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    try:
        options = Options.read(dict(os.environ))
        try:
            run(options)
        finally:
            if not os.environ.get("DIR"):
                shutil.rmtree(options.folder, ignore_errors=True)
    except Stopped:
        return 0
    except (DemoError, StackError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
