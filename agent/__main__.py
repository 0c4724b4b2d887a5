"""`gb-agent`: run a box, check it, ask it, measure it, join it to a centre."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent import config as configuration
from agent import inquiry
from agent.config import CameraConfig, Config, ConfigError
from agent.deliver.spool_db import SpoolError, read_status
from agent.watchdog import notify

DEFAULT_CONFIG = Path("/etc/gb-agent/agent.toml")
_EPOCHS = 5  # a start each; `status --json` tells all of them


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code (0 stopped as asked, 1 failed, 2 bad config or arguments)."""
    options = parser().parse_args(arguments)
    try:
        code = int(options.command(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read what is printed has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
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
    add("reload", apply, "Look at the changed config, and let the agent take it. `systemctl reload` runs it.")
    add("check", check, "Try the config, each camera, each model and the broker; say in words what is wrong.")
    status = add(
        "status", show_status, "Show whether it is connected, what waits, and what the centre has confirmed."
    )
    status.add_argument("--json", action="store_true", help="for programs")
    told = add("logs", show_logs, "Print what the agent said lately, without secrets.")
    told.add_argument("--lines", type=_count, default=200, help="the last so many (default: %(default)s)")
    support = add(
        "support", pack, "Write one archive that tells how this box fares: no secrets, no pictures."
    )
    support.add_argument("--output", type=Path, metavar="FILE", help="default: support-NODE-TIME.tar.gz here")
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
    from agent import memory

    memory.be_sparing()  # before the libraries that follow have allocated anything
    from agent import logs, reload, startup

    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    config = configuration.load(options.config)
    logs.keep(Path(config.state_dir))
    try:
        anew = asyncio.run(_until_signal(config, options.config))
    except startup.NodeError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    if anew:
        reload.begin_anew()
    return 0


async def _until_signal(config: Config, path: Path) -> bool:
    """Run the node; SIGTERM and SIGINT ask it to stop, SIGHUP to begin anew. Return True for the latter."""
    from agent import node
    from agent.reload import Reload

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reload = Reload(path, stop)

    def end() -> None:
        reload.wanted = False
        notify("STOPPING=1")
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, end)
    hung_up = end if os.isatty(0) else reload.ask  # in a terminal it says that the terminal is gone
    loop.add_signal_handler(signal.SIGHUP, hung_up)
    await node.run(config, stop, reload.ask)
    return reload.wanted


def apply(options: argparse.Namespace) -> int:
    """Try the config as a start would, then tell the agent that runs as this service's main process."""
    from agent.reload import refusal

    if why := refusal(options.config):
        print(f"gb-agent: not taken, the agent goes on as it was: {why}", file=sys.stderr)
        return 2
    process = os.environ.get("MAINPID", "")
    if not process.isdecimal():
        print("ok    the config can be taken. To take it: sudo systemctl reload gb-agent")
        return 0
    os.kill(int(process), signal.SIGHUP)
    return 0


def check(options: argparse.Namespace) -> int:
    """Try everything that `run` needs, one line each."""
    config = configuration.load(options.config)
    print(f"ok    config {options.config}: node {config.node}, {len(config.camera)} camera(s)")
    results = [_check_state_dir(config), asyncio.run(_check_broker(config))]
    for name, camera in config.camera.items():
        results += [_check_model(name, camera), _check_camera(name, camera)]
    if _runs(config):
        print(
            "note  the agent has the config of its last start; sudo systemctl reload gb-agent takes this one"
        )
    return 0 if all(results) else 1


def _runs(config: Config) -> bool:
    """Tell whether an agent works in this state folder; not if this user may not look."""
    from agent.deliver.spool_lock import in_use

    try:
        return in_use(config.spool_path)
    except OSError:
        return False


def _say(good: bool, text: str) -> bool:
    print(f"{'ok   ' if good else 'FAIL '} {text}")
    return good


def _check_state_dir(config: Config) -> bool:
    from agent.deliver.spool_ballast import free_bytes, full, reserve

    folder = Path(config.state_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".check").write_bytes(bytes(4096))
        (folder / ".check").unlink()
        free = free_bytes(config.spool_path)
    except OSError as error:
        return _say(
            False,
            f"state_dir {folder}: {error.strerror}. Make it and let this user write there: "
            "till then events are kept in memory only",
        )
    if free <= reserve(config.spool.limit_mb << 20):
        return _say(False, f"state_dir {folder}: {full(config.spool_path)}")
    return _say(True, f"state_dir {folder}")


async def _check_broker(config: Config) -> bool:
    """Connect as this node, unless its agent runs: two connections of one node would throw each other off."""
    from agent import startup
    from agent.deliver.spool_lock import in_use
    from agent.mqtt.client import BrokerError, connect

    broker = startup.broker(config)
    if broker is None:
        return _say(True, "broker: none; this box works without a centre")
    try:
        answer = inquiry.ask(Path(config.state_dir))
        if answer is not None:
            standing = answer.connection
            return _say(standing.connected, f"broker: the agent is running, {_in_words(standing)}")
        if in_use(config.spool_path):
            return _say(False, f"broker {broker}: an agent is running that does not say how it stands")
        async with connect(broker):
            return _say(True, f"broker {broker}")
    except OSError as error:
        return _say(False, f"state_dir {config.state_dir}: {error.strerror}")
    except (BrokerError, inquiry.SilentError) as error:
        return _say(False, f"broker {error}")


def _in_words(standing: inquiry.Connection) -> str:
    """Return whether the agent is connected, since when, and what is wrong."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(standing.since / 1000))
    if standing.connected:
        doubt = f"; but {standing.problem}" if standing.problem else ""
        return f"connected to {standing.broker} since {since}{doubt}"
    why = standing.problem.removeprefix(f"{standing.broker}: ")
    return f"not connected to {standing.broker} since {since}, tried {standing.tries} time(s): {why}"


def _check_model(name: str, camera: CameraConfig) -> bool:
    from agent import startup
    from agent.see import self_test, trial
    from agent.see.infer import InferenceError, ModelError

    try:
        detector = startup.load_model(name, camera)
        self_test.check(detector)
    except (startup.NodeError, ConfigError, ModelError, InferenceError) as error:
        return _say(False, f"{name} model {error}")
    outcome = trial.try_model(detector)
    text = f"{name} model {camera.model_path.name}: {outcome.told}"
    if not outcome.good:
        return _say(False, text)
    print(f"{'ok   ' if outcome.sure else 'warn '} {text}; knows {', '.join(detector.names.values())}")
    if detector.warning:
        print(f"warn  {name} model {camera.model_path.name}: {detector.warning}")
    return True


def _check_camera(name: str, camera: CameraConfig) -> bool:
    from agent.see.probe import inspect
    from agent.see.sources import SourceError

    try:
        found = inspect(camera.source, 10.0, camera.wish)
    except SourceError as error:
        return _say(False, f"{name} source {error}")
    note = f" ({found.note})" if found.note else ""
    return _say(True, f"{name} source: {found.width}x{found.height} at {found.fps:.1f} frames/s{note}")


def show_status(options: argparse.Namespace) -> int:
    """Show how the running agent stands, and the spool's account."""
    config = configuration.load(options.config)
    told, answer = _ask(config)
    try:
        status = _account(config, answer)
    except SpoolError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    if options.json:
        own = msgspec.to_builtins(answer) if answer else {"pid": None, "connection": None, "storage": None}
        print(json.dumps({**status, "agent": told, **own}))
        return 0
    print(told)
    if config.page.listen:
        print(_page(config))
    for line in _troubles(answer) if answer else []:
        print(line)
    for epoch in status["epochs"][-_EPOCHS:]:
        counts = (
            f"{epoch['committed']} event(s), {epoch['acked']} confirmed by the centre, {epoch['lost']} lost"
        )
        print(f"start {epoch['epoch']:>15}: {counts}")
    print(f"{status['pending']} event(s) wait, {status['lost']} lost, in {len(status['epochs'])} start(s)")
    return 0


def _page(config: Config) -> str:
    """Return where the page is and what lets one in."""
    from agent.page import token

    try:
        known = token.read(Path(config.state_dir))
    except OSError as error:
        return f"page: {config.page.listen}, token: {error.strerror}. Use sudo"
    return f"page: {config.page.listen}, token: {known or 'made when the agent starts'}"


def _troubles(answer: inquiry.Answer) -> list[str]:
    """Return what went wrong with a running agent's disk and connection, a line each."""
    storage = answer.storage
    connection = answer.connection
    found = []
    if storage.problem:
        found.append(f"{storage.problem}; {storage.in_memory} event(s) are in memory only")
    if storage.damaged:
        found.append(
            f"the spool's file was damaged {storage.damaged} time(s) since the start, and was set aside"
        )
    if connection.refusals:
        found.append(f"the broker has refused {connection.refusals} message(s) since the start")
    if connection.live_dropped:
        found.append(f"{connection.live_dropped} live frame(s) were dropped: the connection is away or slow")
    return found


def _ask(config: Config) -> tuple[str, inquiry.Answer | None]:
    """Ask the running agent; return a sentence, and what it says if it says anything."""
    try:
        answer = inquiry.ask(Path(config.state_dir))
    except inquiry.SilentError as error:
        return str(error), None
    if answer is None:
        return "no agent is running here (or it may be asked by root and its own user only)", None
    return _in_words(answer.connection), answer


def _account(config: Config, answer: inquiry.Answer | None) -> dict[str, Any]:
    """Return what is on disk; raise SpoolError. With nothing there, an agent may still run in memory."""
    try:
        return read_status(config.spool_path)
    except SpoolError:
        if answer is None:
            raise
        return {"epochs": [], "pending": answer.storage.in_memory, "lost": 0}


def show_logs(options: argparse.Namespace) -> int:
    """Print the last lines of the agent's log."""
    from agent import logs, support

    config = configuration.load(options.config)
    try:
        text = logs.read(Path(config.state_dir), options.lines, support.redactor_of(config))
    except OSError as error:
        print(f"gb-agent: the log cannot be read: {error.strerror}. Use sudo", file=sys.stderr)
        return 1
    print(text or "nothing is logged yet")
    return 0


def pack(options: argparse.Namespace) -> int:
    """Write the archive for who helps."""
    from agent import support

    config = configuration.load(options.config)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        check(options)
    told, answer = _ask(config)
    try:
        status = {**_account(config, answer), "agent": told}
    except SpoolError as error:
        status = {"agent": told, "spool": str(error)}
    named = f"support-{config.node}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"
    path = options.output or Path(named)
    try:
        names = support.write(path, config, options.config, status, said.getvalue())
    except OSError as error:
        print(f"gb-agent: {path}: {error.strerror}. Name another file with --output", file=sys.stderr)
        return 1
    print(f"{path}: {', '.join(names)}; without secrets and pictures. Look at it before you give it away")
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
