"""Versions side by side: real agents and centres of earlier versions, out of the project's own history.

A fleet is upgraded box by box. Until the last one, each side has to do with the other's older version.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from benchmarks.builds import BEFORE, HERE, TOKEN, Build
from deploy.stack import die_with_parent

from .test_agent import events_of, take, write_config

HOUR = 3_600_000
NODE = "mixed-1"
OLDER = {  # the last commits of these versions
    "0.9.0": "4408247",
    "0.8.0": "cb8b1bc",
    "0.7.0": "fd2a76f",
    "0.6.0": "dfd1e0c",
    "0.5.0": "da21698",
    "0.4.0": "84fd8b9",
    "0.2.0": BEFORE,
    "0.1.0": "76a72e5",
}


@pytest.fixture(scope="module", params=OLDER)
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an older version."""
    commit = OLDER[request.param]
    found = subprocess.run(["git", "archive", commit], cwd=HERE, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"version {request.param} ({commit}) is not in this checkout: it has no whole history")
    folder = tmp_path_factory.mktemp("older")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=found.stdout, check=True)
    return folder


class Agent:
    """`gb-agent` of one version. `code`: the folder whose packages run."""

    def __init__(self, code: Path, config: Path) -> None:
        self._command = [sys.executable, "-m", "agent"]
        self._config = ["--config", str(config)]
        self._where = {"cwd": code, "env": os.environ | {"PYTHONPATH": str(code)}}

    def start(self) -> subprocess.Popen[bytes]:
        """Run it."""
        command = [*self._command, "run", *self._config]
        return subprocess.Popen(command, preexec_fn=die_with_parent, **self._where)  # type: ignore[call-overload, no-any-return]

    def amount(self, name: str) -> int:
        """Return how many events its `status` says are `committed` or `acked`."""
        command = [*self._command, "status", "--json", *self._config]
        said = subprocess.run(command, capture_output=True, check=True, **self._where).stdout  # type: ignore[call-overload]
        return sum(int(epoch[name]) for epoch in json.loads(said)["epochs"])


def asked(build: Build, path: str) -> Any:
    """Return the JSON of a centre's answer."""
    request = urllib.request.Request(
        f"{build.url}/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def acknowledged(messages: list[tuple[str, bytes, float]]) -> list[bytes]:
    """Return the batches that were confirmed, each once, however often it was sent."""
    batches: dict[tuple[int, int], bytes] = {}
    confirmed: set[tuple[int, int]] = set()
    for kind, payload, _ in messages:
        if kind == "ev":
            batch = wire.decode_batch(payload)
            batches[batch.epoch, batch.seq] = payload
            continue
        for epoch, ranges in wire.decode_ack(payload).stored.items():
            confirmed |= {(epoch, seq) for first, last in ranges for seq in range(first, last + 1)}
    return [payload for name, payload in batches.items() if name in confirmed]


@pytest.mark.parametrize("which", ["agent", "centre"])
async def test_versions_work_together_both_ways(which: str, older: Path, tmp_path: Path) -> None:
    """One of the two is of an older version, and the centre is away for a while: all is stored once."""
    build = Build("centre", older if which == "centre" else HERE, tmp_path)
    with build.running():
        (tmp_path / "box").mkdir()
        camera: dict[str, object] = {"source": "scene:?seed=7"}
        config = write_config(tmp_path / "box", build.stack.mqtt_url, NODE, {"cam0": camera})
        agent = Agent(older if which == "agent" else HERE, config)
        async with connect(BrokerSettings.parse(build.stack.mqtt_url)) as client:
            for kind in ("ev", "ack"):
                await client.subscribe(wire.topic(NODE, kind))
            process = await asyncio.to_thread(agent.start)
            try:
                sent = await take(client, 7)
                await asyncio.to_thread(build.stop)
                sent += await take(client, 5)
                await asyncio.to_thread(build.start)
                told = await asyncio.to_thread(agent.amount, "committed")
                async with asyncio.timeout(40):
                    while await asyncio.to_thread(agent.amount, "acked") < told:
                        sent += await take(client, 1)
                process.send_signal(signal.SIGTERM)
                sent += await take(client, 4)
                assert process.wait(15) == 0
                committed = await asyncio.to_thread(agent.amount, "committed")
            finally:
                process.kill()
                process.wait()
        delivery = asked(build, f"/nodes/{NODE}/delivery")
        at = int(time.time() * 1000)
        rows = asked(build, f"/nodes/{NODE}/counts?bucket=hour&from={at - HOUR}&to={at + HOUR}")["rows"]
    events = [event for payload in acknowledged(sent) for event in events_of(payload)]
    crossings = sum(isinstance(event, wire.Crossing) for event in events)
    stored = sum(epoch["stored"] for epoch in delivery["epochs"])
    assert (stored, delivery["lost"], delivery["conflicts"], delivery["quarantined"]) == (
        len(events),
        0,
        0,
        0,
    )
    assert told <= stored <= committed  # what was not confirmed at the end waits on the box's disk
    counted = sum(row["count"] for row in rows)
    assert (
        0 < crossings <= counted <= crossings + committed - stored
    )  # a tally tells of what still waits, too
