"""The watchdog's ping is fed by progress."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from agent.watchdog import Watchdog


async def pings(watchdog: Watchdog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the watchdog for a moment and return what systemd would have heard."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "40000")
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0.1)
        task.cancel()
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(systemd.recv(200).decode())
        assert heard.pop(0) == "WATCHDOG_USEC=40000", "its period is systemd's again after a reload"
        return heard


async def test_pings_while_all_parts_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With recent progress the ping goes out, several times in each watchdog period."""
    watchdog = Watchdog(limit_seconds=5)
    watchdog.progress("infer cam0")
    heard = await pings(watchdog, tmp_path, monkeypatch)
    assert heard.count("WATCHDOG=1") >= 3


async def test_blocked_part_stops_the_ping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One part without progress is enough: no ping, and the status names it."""
    now = [0.0]
    watchdog = Watchdog(limit_seconds=5, clock=lambda: now[0])
    watchdog.progress("infer cam0")
    watchdog.progress("spool")
    now[0] = 6.0
    watchdog.progress("spool")
    heard = await pings(watchdog, tmp_path, monkeypatch)
    assert "WATCHDOG=1" not in heard
    assert heard[0] == "STATUS=blocked: infer cam0"


def test_ended_part_is_not_waited_for() -> None:
    """A camera that ended as it should does not hold the ping back."""
    now = [0.0]
    watchdog = Watchdog(limit_seconds=5, clock=lambda: now[0])
    watchdog.progress("infer cam0")
    watchdog.forget("infer cam0")
    now[0] = 60.0
    assert watchdog.blocked() == []
