"""A private mosquitto and a real mongod on free loopback ports, for the demo, the tests and the benchmarks.

What always holds: every child dies with its parent (`PR_SET_PDEATHSIG`), even on kill -9; everything
lies in one folder that the caller owns; nothing listens beyond 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

SMALL_MONGOD = [
    "--quiet", "--wiredTigerCacheSizeGB", "0.25",
    "--setParameter", "diagnosticDataCollectionEnabled=false",
    "--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)",
]  # fmt: skip
"""Options of a mongod that lives for a test: its empty journal alone has 300 MB otherwise."""

_PR_SET_PDEATHSIG = 1
_given: set[int] = set()
_libc = ctypes.CDLL(None, use_errno=True)


class StackError(Exception):
    """A neighbour that cannot be had or does not start; the text says what to do."""


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends. For `preexec_fn`."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """Return a TCP port of the loopback address that is free now, and that no other call was given.

    A port is bound some time after, and again after a kill: two neighbours must not wait for one.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def find_mongod() -> str:
    """Return the path of a mongod: the PATH's, else the development wheel's."""
    found = shutil.which("mongod")
    if found:
        return found
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        wheel = Path(folder) / "db" / "bin" / "mongod"
        if wheel.exists():
            return str(wheel)
    raise StackError("no mongod found: run `make setup`, or set GB_MONGODB_URI to a database of yours")


def find_mosquitto() -> str:
    """Return the path of a mosquitto."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise StackError("no mosquitto found: `sudo apt-get install mosquitto`")
    return found


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 30.0) -> None:
    """Wait until something listens; raise StackError with the log's end if it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return
        time.sleep(0.05)
    tail = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
    raise StackError(f"{Path(str(process.args[0])).name} did not start: {' | '.join(tail)}")  # type: ignore[index]


class Service:
    """One neighbour process that can be killed and started again at the same port."""

    def __init__(self, name: str, command: Sequence[str], port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self._command = list(command)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 if it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it in a process group of its own and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        wait_for_port(self.port, self._process, self._log)

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(with_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
                return
            self._process.kill()
            self._process.wait()


class Stack:
    """mosquitto and mongod in one folder.

    A context manager. `mqtt_url`, `mongodb_uri` say where; `mosquitto`, `mongod` are Services
    (`mongod` is None where `mongodb_uri` was given).
    """

    def __init__(self, folder: Path, mongodb_uri: str | None = None, mosquitto_extra: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mosquitto = self._make_mosquitto(mosquitto_extra)
        self.mongod = None if mongodb_uri else self._make_mongod()
        self.mqtt_url = f"mqtt://127.0.0.1:{self.mosquitto.port}"
        self.mongodb_uri = mongodb_uri or f"mongodb://127.0.0.1:{self.mongod.port}"  # type: ignore[union-attr]

    def _make_mosquitto(self, extra: str) -> Service:
        port = free_port()
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"max_queued_messages 100000\nmax_inflight_messages 200\nset_tcp_nodelay true\n"
            f"{'user root' if os.getuid() == 0 else ''}\n{extra}\n"  # another user would not die with us
        )
        return Service(
            "mosquitto", [find_mosquitto(), "-c", str(config)], port, self.folder / "mosquitto.log"
        )

    def _make_mongod(self) -> Service:
        port = free_port()
        data = self.folder / "mongodb"
        data.mkdir(exist_ok=True)
        command = [
            find_mongod(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port),
            *SMALL_MONGOD, "--setParameter", "ttlMonitorSleepSecs=5",
        ]  # fmt: skip
        return Service("mongod", command, port, self.folder / "mongod.log")

    @property
    def services(self) -> list[Service]:
        """Those that this stack runs itself."""
        return [self.mosquitto] + ([self.mongod] if self.mongod else [])

    def __enter__(self) -> Stack:
        try:
            for service in self.services:
                service.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End what runs, the database gently."""
        for service in self.services:
            service.kill(signal.SIGTERM)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
