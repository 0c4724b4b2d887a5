"""`gb-agent`: run a box, check it, ask it, measure it, join it to a centre."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from agent import config as configuration
from agent.config import CameraConfig, Config, ConfigError

DEFAULT_CONFIG = Path("/etc/gb-agent/agent.toml")
_EPOCHS = 5  # a start each; `status --json` tells all of them


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code (0 stopped as asked, 1 failed, 2 bad config or arguments)."""
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ConfigError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="gb-agent", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s"
        )
        sub.set_defaults(command=command)
        return sub

    add("run", run, "Watch the cameras, count, and send the facts. Ends on SIGTERM with nothing lost.")
    add("check", check, "Try the config, each camera, each model and the broker; say in words what is wrong.")
    status = add("status", show_status, "Show what is on disk and what the centre has confirmed.")
    status.add_argument("--json", action="store_true", help="for programs")
    bench = add("bench", measure, "Measure each stage on this box, and say which model fits it.")
    bench.add_argument("--frames", type=_count, default=100, help="frames to measure (default: %(default)s)")
    bench.add_argument("--json", action="store_true", help="for programs")
    enrol = add("enrol", join, "Join this box to a centre. `gb-aggregator add-node` prints the whole line.")
    for name, text in (
        ("url", "mqtts://HOST:8883"),
        ("node", "the box's name"),
        ("code", "the code that the centre gave; - reads it from standard input"),
        ("fingerprint", "SHA-256 of the centre's CA"),
    ):
        enrol.add_argument(name, help=text)
    return top


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of frames; give 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run the node until SIGTERM or SIGINT."""
    from agent import node

    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    config = configuration.load(options.config)
    try:
        asyncio.run(_until_signal(config))
    except node.NodeError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    return 0


async def _until_signal(config: Config) -> None:
    """Run the node; SIGTERM and SIGINT ask it to stop."""
    from agent import node

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await node.run(config, stop)


def check(options: argparse.Namespace) -> int:
    """Try everything that `run` needs, one line each."""
    config = configuration.load(options.config)
    print(f"ok    config {options.config}: node {config.node}, {len(config.camera)} camera(s)")
    results = [_check_state_dir(config), asyncio.run(_check_broker(config))]
    for name, camera in config.camera.items():
        results += [_check_model(name, camera), _check_camera(name, camera)]
    return 0 if all(results) else 1


def _say(good: bool, text: str) -> bool:
    print(f"{'ok   ' if good else 'FAIL '} {text}")
    return good


def _check_state_dir(config: Config) -> bool:
    folder = Path(config.state_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".check").touch()
        (folder / ".check").unlink()
    except OSError as error:
        return _say(False, f"state_dir {folder}: {error.strerror}. Make it and let this user write there")
    return _say(True, f"state_dir {folder}")


async def _check_broker(config: Config) -> bool:
    """Connect as this node, unless its agent runs: two connections of one node would throw each other off."""
    from agent import node
    from agent.broker import BrokerError, connect
    from agent.spoolfile import in_use

    broker = node.broker(config)
    try:
        if in_use(config.spool_path):
            return _say(True, f"broker {broker}: not tried, the agent is running; ask `gb-agent status`")
        async with connect(broker):
            return _say(True, f"broker {broker}")
    except OSError as error:
        return _say(False, f"state_dir {config.state_dir}: {error.strerror}")
    except BrokerError as error:
        return _say(False, f"broker {error}")


def _check_model(name: str, camera: CameraConfig) -> bool:
    from agent import answer, node
    from agent.infer import ModelError

    try:
        detector = node.load_model(name, camera)
        answer.check(detector)
    except (node.NodeError, ConfigError, ModelError) as error:
        return _say(False, f"{name} model {error}")
    return _say(True, f"{name} model {camera.model_path.name}: {', '.join(detector.names.values())}")


def _check_camera(name: str, camera: CameraConfig) -> bool:
    from agent.probe import inspect
    from agent.sources import SourceError

    try:
        found = inspect(camera.source, 10.0, camera.wish)
    except SourceError as error:
        return _say(False, f"{name} source {error}")
    note = f" ({found.note})" if found.note else ""
    return _say(True, f"{name} source: {found.width}x{found.height} at {found.fps:.1f} frames/s{note}")


def show_status(options: argparse.Namespace) -> int:
    """Show the spool's account."""
    from agent.spoolfile import SpoolError, read_status

    config = configuration.load(options.config)
    try:
        status = read_status(config.spool_path)
    except SpoolError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(status))
        return 0
    for epoch in status["epochs"][-_EPOCHS:]:
        told = (
            f"{epoch['committed']} event(s), {epoch['acked']} confirmed by the centre, {epoch['lost']} lost"
        )
        print(f"epoch {epoch['epoch']:>15}: {told}")
    print(f"{status['pending']} event(s) wait, {status['lost']} lost, in {len(status['epochs'])} epoch(s)")
    return 0


def measure(options: argparse.Namespace) -> int:
    """Measure this box; before it has joined, with the packaged models alone."""
    from agent.bench import bench

    absent = options.config == DEFAULT_CONFIG and not DEFAULT_CONFIG.exists()
    config = None if absent else configuration.load(options.config)
    return bench(config, options.frames, as_json=options.json)


def join(options: argparse.Namespace) -> int:
    """Join this box to a centre."""
    from agent.enrol import EnrolError, join_centre

    code = sys.stdin.readline().strip() if options.code == "-" else options.code
    try:
        join_centre(options.url, options.node, code, options.fingerprint, options.config)
    except EnrolError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
