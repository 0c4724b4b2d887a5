"""A changed agent.toml, taken by the running agent: `systemctl reload`, as systemd and the broker see it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from deploy.stack import Stack, die_with_parent
from tests.integration.test_agent import ROOT, gb_agent, node_name, write_config

SCENE = {"source": "scene:?seed=7"}


class Unit:
    """An agent that is started as systemd does it, and what it tells systemd."""

    def __init__(self, config: Path, folder: Path) -> None:
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(folder / "notify"))
        self._told.settimeout(60)
        self.log = folder / "log"
        env = os.environ | {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "10000000"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent", "run", "--config", str(config)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def until(self, word: str) -> list[str]:
        """Return what it told systemd up to this, pings left out."""
        told: list[str] = []
        while word not in told:
            told += [row for row in self._told.recv(4096).decode().splitlines() if row != "WATCHDOG=1"]
        return told

    def until_logged(self, word: str, seconds: float = 60) -> str:
        """Return its log once it holds this."""
        deadline = time.monotonic() + seconds
        while word not in (text := self.log.read_text()):
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._told.close()


@pytest.fixture
def config(tmp_path: Path, stack: Stack) -> Path:
    """A box with one camera."""
    return write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": SCENE})


@pytest.fixture
def unit(config: Path, tmp_path: Path) -> Iterator[Unit]:
    """Its agent, running."""
    made = Unit(config, tmp_path)
    yield made
    made.close()


def cameras(stack: Stack, config: Path) -> set[str]:
    """Return the cameras that the box's retained state names."""
    return asyncio.run(_cameras(stack, config.read_text().split('"')[1]))


async def _cameras(stack: Stack, node: str) -> set[str]:
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic(node, "state"))
        async for message in client.messages:
            state: wire.State = wire.decode_json(message.payload, wire.State)
            if state.online:
                return {camera.camera for camera in state.cameras}
    raise AssertionError


def test_a_second_camera_is_taken_without_a_new_process(
    unit: Unit, config: Path, stack: Stack, tmp_path: Path
) -> None:
    """The same process closes its books, says RELOADING and READY, never STOPPING, and watches both."""
    unit.until("READY=1")
    assert cameras(stack, config) == {"cam0"}
    write_config(tmp_path, stack.mqtt_url, config.read_text().split('"')[1], {"cam0": SCENE, "cam1": SCENE})
    os.kill(unit.process.pid, signal.SIGHUP)
    told = unit.until("READY=1")
    assert "RELOADING=1" in told
    assert any(row.startswith("MONOTONIC_USEC=") for row in told)
    assert "STOPPING=1" not in told
    assert unit.until("WATCHDOG_USEC=10000000"), "the watchdog is as short as before"
    assert unit.process.poll() is None
    assert cameras(stack, config) == {"cam0", "cam1"}
    status = gb_agent("status", "--config", str(config)).stdout
    assert "2 start" in status
    unit.process.send_signal(signal.SIGTERM)
    assert "STOPPING=1" in unit.until("STOPPING=1")
    assert unit.process.wait(30) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("[camera.cam0]", "[camera.cam0]\nsauce = 1"),
            "camera.cam0.sauce: unknown key. Did you mean 'source'?",
        ),
        (('source = "scene:?seed=7"', 'source = "scene:"\nmodel = "no-such.onnx"'), "no-such.onnx"),
        (("[broker]", "[broker"), "agent.toml"),
        (('url = "mqtt', 'url = "http'), "broker.url"),
    ],
)
def test_a_file_that_could_not_run_stops_nothing(
    unit: Unit, config: Path, stack: Stack, change: tuple[str, str], says: str
) -> None:
    """The agent goes on with what it has; its log and the command that systemd runs say why, in one line."""
    unit.until("READY=1")
    good = config.read_text()
    config.write_text(good.replace(*change))
    os.kill(unit.process.pid, signal.SIGHUP)
    said = unit.until_logged("is refused, the running one stays")
    assert says in said
    done = subprocess.run(
        [sys.executable, "-m", "agent", "reload", "--config", str(config)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MAINPID": str(unit.process.pid)},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr
    assert unit.process.poll() is None
    config.write_text(good)
    assert cameras(stack, config) == {"cam0"}
    assert "restarting with it" not in unit.log.read_text()


def test_the_command_that_systemd_runs_reaches_the_agent(unit: Unit, config: Path) -> None:
    """With MAINPID it tells the process; without, it says which command does; `check` says it too."""
    unit.until("READY=1")
    assert "sudo systemctl reload gb-agent" in gb_agent("check", "--config", str(config)).stdout
    assert "sudo systemctl reload gb-agent" in gb_agent("reload", "--config", str(config)).stdout
    env = os.environ | {"MAINPID": str(unit.process.pid)}
    command = [sys.executable, "-m", "agent", "reload", "--config", str(config)]
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=60)
    assert "RELOADING=1" in unit.until("READY=1")


def test_a_reader_that_goes_is_no_traceback(config: Path) -> None:
    """`gb-agent check | head -1` shows one line and nothing else."""
    command = f"{sys.executable} -m agent check --config {config} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("ok    config")
    assert done.stderr == ""


def test_a_terminal_that_is_closed_ends_it(config: Path) -> None:
    """In a terminal SIGHUP says that nobody is there any more: the agent ends in order."""
    owner, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--config", str(config)],
        cwd=ROOT, stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "watching cam0" in line:
            break
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 0
    process.stderr.close()
    for end in (owner, terminal):
        os.close(end)
