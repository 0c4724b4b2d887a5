"""The private broker and database leave nothing behind, however their parent ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from deploy import stack

ROOT = Path(__file__).parents[2]
PARENT = """
import sys, time
from pathlib import Path
from deploy.stack import Stack
with Stack(Path(sys.argv[1])) as stack:
    print(*(service.pid for service in stack.services), flush=True)
    time.sleep(60)
"""


def test_neighbours_die_with_their_parent(tmp_path: Path) -> None:
    """After kill -9 of the parent no broker and no database is left."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is bound some time later, so that the system may offer it a second time until then."""

    class Offers(socket.socket):
        """A system that offers each port twice, one after the other."""

        offered: ClassVar[list[int]] = []

        def getsockname(self) -> tuple[str, int]:
            place = len(self.offered) // 2
            self.offered.append(40_001 + place)
            return "127.0.0.1", 40_001 + place

    monkeypatch.setattr(socket, "socket", Offers)
    ports = [stack.free_port() for _ in range(5)]
    assert len(set(ports)) == 5
