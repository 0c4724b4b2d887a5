"""`gb-agent`: run a box, check it, ask it, measure it, join it to a centre."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from agent import config as configuration
from agent import status
from agent.config import Config, ConfigError
from agent.deliver.spool_db import SpoolError
from agent.watchdog import notify

DEFAULT_CONFIG = Path("/etc/gb-agent/agent.toml")


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
    add("check", check, "Try the config, each camera, each model and the broker; say what is wrong.")
    shown = add(
        "status", show_status, "Show whether it is connected, what waits, and what the centre has confirmed."
    )
    shown.add_argument("--json", action="store_true", help="for programs")
    told = add("logs", show_logs, "Print the last log messages, without secrets.")
    told.add_argument("--lines", type=_count, default=200, help="the last so many (default: %(default)s)")
    support = add(
        "support", pack, "Write a support archive: versions, config, log, checks; no secrets, no pictures."
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
        raise argparse.ArgumentTypeError(f"{text}: give a whole number, 1 or more")
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
    from agent.check import check

    return 0 if check(configuration.load(options.config), options.config) else 1


def show_status(options: argparse.Namespace) -> int:
    """Show how the running agent stands, and the spool's account."""
    try:
        status.show(configuration.load(options.config), options.json)
    except SpoolError as error:
        print(f"gb-agent: {error}", file=sys.stderr)
        return 1
    return 0


def show_logs(options: argparse.Namespace) -> int:
    """Print the last lines of the agent's log."""
    from agent import logs
    from agent.redact import redactor_of

    config = configuration.load(options.config)
    try:
        text = logs.read(Path(config.state_dir), options.lines, redactor_of(config))
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
    told, answer = status.ask(config)
    try:
        account = {**status.account(config, answer), "agent": told}
    except SpoolError as error:
        account = {"agent": told, "spool": str(error)}
    named = f"support-{config.node}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"
    path = options.output or Path(named)
    try:
        names = support.write(path, config, options.config, account, said.getvalue())
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


def command_line() -> NoReturn:
    """Run one command, and end the process with its exit code.

    Python ends daemon threads where they come back from a library, and in the middle of C++ that aborts the
    process (Python 3.11 to 3.13 with OpenCV 4: SIGABRT). So where one is left, such as that of a camera that
    does not close, the process ends at once; what had to be kept is on disk by then.
    """
    code = main()
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command_line()
