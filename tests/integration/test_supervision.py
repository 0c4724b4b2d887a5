"""What must not end in silence: the agent as a process whose tasks die, or hang, or whose disk is away."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from deploy.stack import Stack, die_with_parent, free_port

from .test_agent import ROOT, events_of, gb_agent, node_name, running, write_config

BROKEN = textwrap.dedent(
    """
    import asyncio, sys, time
    from agent import node, watchdog
    from agent.deliver import outgoing, publish
    from agent.see import prefetch
    from agent.__main__ import main

    async def cancelled(*_):
        await asyncio.sleep(3)
        raise asyncio.CancelledError

    async def returned(*_):
        await asyncio.sleep(3)

    async def raised(*_):
        await asyncio.sleep(3)
        raise KeyError("broken")

    async def hangs(*_):
        await asyncio.Event().wait()

    async def blocks(*_):
        await asyncio.sleep(3)
        time.sleep(3600)

    def stuck(*_):
        time.sleep(3600)

    way = globals()[sys.argv[1]]
    where, name = sys.argv[2].split(".")
    modules = {"Delivery": publish, "Outgoing": outgoing, "Node": node, "Watchdog": watchdog}
    modules["OrderedDetector"] = prefetch
    owner = getattr(modules[where], where)
    getattr(owner, name)  # what is not there cannot be broken
    setattr(owner, name, way)
    publish._CONNECT_SECONDS = publish._SLACK_SECONDS = 3.0
    sys.exit(main(["run", "--config", sys.argv[3]]))
    """
)


def broken(way: str, part: str, config: Path, **environment: str) -> subprocess.Popen[str]:
    """Start an agent one part of which ends in some way after three seconds."""
    return subprocess.Popen(
        [sys.executable, "-c", BROKEN, way, part, str(config)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "part", "words"),
    [
        ("cancelled", "Delivery.run", "the task 'delivery' has ended: it was cancelled"),
        ("returned", "Delivery.run", "the task 'delivery' has ended: it returned"),
        ("raised", "Delivery.run", "the task 'delivery' has ended: it raised KeyError('broken')"),
        ("cancelled", "Delivery._pause", "the task 'delivery' has ended: it was cancelled"),
        ("cancelled", "Delivery._receive", "the task 'publish-receive' has ended: it was cancelled"),
        ("returned", "Outgoing.run", "the task 'publish-send' has ended: it returned"),
        ("cancelled", "Node._sample", "the task 'resources' has ended: it was cancelled"),
        ("cancelled", "Node._watch_one", "the task 'camera cam0' has ended: it was cancelled"),
        ("returned", "Watchdog.run", "the task 'watchdog' has ended: it returned"),
    ],
)
def test_a_task_that_ends_in_whatever_way_ends_the_process(
    tmp_path: Path, stack: Stack, way: str, part: str, words: str
) -> None:
    """Exit 1 and a line of the log that names the task: then the supervisor starts the agent again."""
    url = f"mqtt://127.0.0.1:{free_port()}" if part == "Delivery._pause" else stack.mqtt_url
    config = write_config(tmp_path, url, node_name(), {"cam0": {"source": "scene:?seed=7"}})
    with broken(way, part, config) as agent:
        try:
            said, _ = agent.communicate(timeout=120)
        finally:
            agent.kill()
    assert agent.returncode == 1, said
    assert f"CRITICAL {words}" in said


def pings(systemd: socket.socket, seconds: float) -> list[str]:
    """Return what systemd hears in so many seconds."""
    heard = []
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        systemd.settimeout(left)
        try:
            heard.append(systemd.recv(300).decode())
        except TimeoutError:
            break
    return heard


def heard_of(way: str, part: str, config: Path, after: float) -> list[str]:
    """Return what systemd hears in 4 s of an agent with a broken part, some seconds after it was ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = f"\0gb-test-{os.getpid()}-{part}"
        systemd.bind(address)
        environment = {"NOTIFY_SOCKET": f"@{address[1:]}", "WATCHDOG_USEC": "4000000"}
        with broken(way, part, config, **environment) as agent:
            try:
                systemd.settimeout(60)
                while "READY=1" not in systemd.recv(300).decode():
                    assert agent.poll() is None
                pings(systemd, after)
                heard = pings(systemd, 4)
                assert agent.poll() is None
            finally:
                agent.kill()
    return heard


@pytest.mark.parametrize("part", ["Delivery._pause", "Delivery._connect_and_serve"])
def test_a_delivery_that_neither_stands_nor_tries_again_stops_the_ping(tmp_path: Path, part: str) -> None:
    """systemd is told that delivery is blocked and hears no ping, though cameras and disk are well."""
    config = write_config(
        tmp_path, f"mqtt://127.0.0.1:{free_port()}", node_name(), {"cam0": {"source": "scene:?seed=7"}}
    )
    heard = heard_of(way="hangs", part=part, config=config, after=10)
    assert heard
    assert set(heard) == {"STATUS=blocked: delivery"}


@pytest.mark.parametrize(
    ("way", "part", "told"),
    [
        ("stuck", "OrderedDetector.judge", {"STATUS=blocked: infer cam0"}),
        ("blocks", "Node._sample", set()),
    ],
)
def test_a_step_that_never_ends_stops_the_ping_be_it_the_first(
    data: Path, tmp_path: Path, stack: Stack, way: str, part: str, told: set[str]
) -> None:
    """A look, or the loop: 20 s after the last step no ping goes out any more."""
    film = data / "videos" / "intel_car-detection.mp4"  # its first picture is there at once
    config = write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": {"source": str(film)}})
    assert set(heard_of(way, part, config, after=24)) == told


def test_a_delivery_that_tries_again_keeps_the_ping_and_says_why(tmp_path: Path) -> None:
    """A broker that is away is no fault of the agent; status and check say it in words, and a hang too."""
    port = free_port()
    config = write_config(
        tmp_path, f"mqtt://127.0.0.1:{port}", node_name(), {"cam0": {"source": "scene:?seed=7"}}
    )
    with running(config) as agent:
        assert agent.stdout is not None
        while "nothing listens" not in agent.stdout.readline():
            assert agent.poll() is None
        told = json.loads(gb_agent("status", "--json", "--config", str(config), seconds=300).stdout)
        lines = gb_agent("status", "--config", str(config), seconds=300).stdout.splitlines()
        checked = gb_agent("check", "--config", str(config), seconds=300)
        os.kill(agent.pid, signal.SIGSTOP)
        hung = gb_agent("status", "--config", str(config), seconds=300)
        os.kill(agent.pid, signal.SIGCONT)
    assert told["pid"] == agent.pid
    assert told["connection"]["connected"] is False
    assert abs(told["connection"]["since"] - time.time() * 1000) < 120_000
    assert "nothing listens" in told["connection"]["problem"]
    assert told["storage"] == {"problem": "", "in_memory": 0, "damaged": 0}
    assert lines[0].startswith("not connected to mqtt://")
    assert f"nothing listens on port {port}" in lines[0]
    assert checked.returncode == 1
    assert "FAIL  broker: the agent is running, not connected to" in checked.stdout
    assert hung.stdout.splitlines()[0] == "the agent runs, but has not answered for 3 s: it hangs"
    gone = json.loads(gb_agent("status", "--json", "--config", str(config), seconds=300).stdout)
    assert (gone["pid"], gone["connection"]) == (None, None)
    assert gone["agent"].startswith("no agent is running")


READ_ONLY = """\
set -e
mount -t tmpfs -o size=16m tmpfs {disk}
mount -o remount,ro {disk}
{python} -m agent run --config {config} &
agent=$!
for _ in $(seq 3000); do [ -e {folder}/heal ] && break; kill -0 $agent; sleep 0.1; done
{python} -m agent status --config {config} >{folder}/status 2>&1
{python} -m agent check --config {config} >{folder}/check 2>&1 || true
mount -o remount,rw {disk}
for _ in $(seq 3000); do [ -e {folder}/end ] && break; kill -0 $agent; sleep 0.1; done
{python} -m agent status --json --config {config} >{folder}/healed 2>&1
kill $agent
wait $agent
"""


async def test_a_box_with_a_read_only_disk_counts_says_so_and_heals(tmp_path: Path, stack: Stack) -> None:
    """Its facts reach the broker, its state carries a warning, and takes it back when the disk is healed."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("this is not root: no disk to mount")
    node = node_name()
    disk = tmp_path / "state"
    disk.mkdir()
    config = write_config(tmp_path, stack.mqtt_url, node, {"cam0": {"source": "scene:?seed=7"}})
    script = READ_ONLY.format(disk=disk, python=sys.executable, config=config, folder=tmp_path)
    warnings: list[str] = []
    kinds: set[type] = set()
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        for kind in ("ev", "state"):
            await client.subscribe(wire.topic(node, kind))
        box = await asyncio.create_subprocess_exec(
            "unshare", "-m", "sh", "-c", script, cwd=ROOT, preexec_fn=die_with_parent
        )
        async with asyncio.timeout(300):
            async for message in client.messages:
                if message.topic.endswith("/state"):
                    warnings = wire.decode_state(message.payload).warnings
                else:
                    kinds |= {type(event) for event in events_of(message.payload)}
                if warnings and wire.Detection in kinds:
                    (tmp_path / "heal").touch()
                if not warnings and (tmp_path / "heal").exists():
                    break
        (tmp_path / "end").touch()
        async with asyncio.timeout(60):
            assert await box.wait() == 0
    first, second = (tmp_path / "status").read_text().splitlines()[:2]
    assert first.startswith("connected to")
    assert "cannot be written" in second
    assert "in memory only" in second
    assert f"FAIL  state_dir {disk}: Read-only file system" in (tmp_path / "check").read_text()
    healed = json.loads((tmp_path / "healed").read_text())
    assert healed["storage"]["problem"] == ""
    assert healed["pending"] > 0
    assert healed["lost"] == 0
