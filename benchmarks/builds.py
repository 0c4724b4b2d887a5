"""Two builds of the centre side by side: this one, and version 0.2.0 out of the project's own history.

Each has a broker and a database of its own, so both can be asked in turns within one run, on the same cores.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from pymongo import MongoClient

from deploy.stack import Stack, die_with_parent

HERE = Path(__file__).resolve().parents[1]
BEFORE = "0d7ed46"  # version 0.2.0
TOKEN = "a-token-of-the-benchmark"
DATABASE = "gb_fleet"


class Build:
    """An aggregator of one build on its own stack, while `running`.

    Args:
        name: for the table.
        code: the folder whose packages run.
        folder: an empty folder for its data.
    """

    def __init__(self, name: str, code: Path, folder: Path) -> None:
        self.name = name
        self.url = ""
        self.stack = Stack(folder / "stack")
        self._code = code
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Build]:
        """Run the broker, the database and the aggregator while this is open."""
        with self.stack:
            self.start()
            try:
                yield self
            finally:
                self.stop()

    def start(self) -> None:
        """Start the aggregator and wait until it serves."""
        config = self._folder / "aggregator.toml"
        config.write_text(
            f'[broker]\nurl = "{self.stack.mqtt_url}"\n[mongodb]\nuri = "{self.stack.mongodb_uri}"\n'
            f'[http]\nport = 0\ntoken = "{TOKEN}"\n[site]\ntimezone = "Europe/Berlin"\n'
        )
        with (self._folder / "aggregator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aggregator", "run", "--config", str(config)],
                cwd=self._code,
                env=os.environ | {"PYTHONPATH": str(self._code)},
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().removeprefix("ready").strip()
        if not self.url:
            raise RuntimeError(f"{self.name}: {(self._folder / 'aggregator.log').read_text()[-300:]}")

    def stop(self) -> None:
        """End the aggregator as an operator would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def cpu_seconds(self) -> float:
        """Return what the aggregator and its database have computed since their starts."""
        assert self._process is not None
        assert self.stack.mongod is not None
        times = [psutil.Process(pid).cpu_times() for pid in (self._process.pid, self.stack.mongod.pid)]
        return sum(time.user + time.system for time in times)

    def memory_mb(self) -> float:
        """Return the aggregator's resident memory."""
        assert self._process is not None
        return float(psutil.Process(self._process.pid).memory_info().rss / 1e6)

    def disk_bytes(self) -> int:
        """Return what the database holds on disk with its indexes, written out."""
        client: MongoClient[dict[str, object]] = MongoClient(self.stack.mongodb_uri)
        with client:
            client.admin.command("fsync")
            names = client[DATABASE].list_collection_names()
            found = [client[DATABASE].command("collStats", name) for name in names]
        return int(sum(one["storageSize"] + one["totalIndexSize"] for one in found))


@contextlib.contextmanager
def version_0_2_0(folder: Path) -> Iterator[Path]:
    """Check version 0.2.0 out into a folder while this is open; raise CalledProcessError without history."""
    _git("worktree", "add", "--detach", "--force", str(folder), BEFORE)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(HERE), *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@contextlib.contextmanager
def both(folder: Path) -> Iterator[tuple[Build, Build]]:
    """Run this build and version 0.2.0 while this is open."""
    with version_0_2_0(folder / "before") as code, contextlib.ExitStack() as stack:
        builds = []
        for name, source in (("now", HERE), ("0.2.0", code)):
            place = folder / name
            place.mkdir()
            builds.append(stack.enter_context(Build(name, source, place).running()))
        yield builds[0], builds[1]
