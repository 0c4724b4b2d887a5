"""Other people's programs as they are installed: Debian's Prometheus scrapes, Node-RED reads what we tell.

Node-RED runs where `GB_NODE_RED` names its `red.js`, of the npm package `node-red`; Home Assistant is
in `test_outside.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientSession

from deploy.stack import Stack, die_with_parent, free_port

from .box import TOKEN, batch, box, crossing, until
from .test_alerts import config_of, name_of, running


@contextlib.contextmanager
def process(log: Path, *command: str) -> Iterator[Path]:
    """Run a program while this is open; give the file of what it says."""
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=die_with_parent)
    try:
        yield log
    finally:
        child.kill()
        child.wait()


async def until_found(read: Any, wanted: Any, seconds: float = 60.0) -> None:
    """Ask again and again until the answer is the wanted one."""
    found: Any = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (found := await read()) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    assert found == wanted


async def test_prometheus_scrapes_counters_from_zero_on(own_stack: Stack, tmp_path: Path) -> None:
    """Debian's server takes every sample; a crossing is the step from 0 to 1 that `increase` needs."""
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("no Prometheus: `sudo apt-get install prometheus`")
    name = name_of("prom")
    port = free_port()
    async with (
        running(config_of(own_stack, prometheus={"crossings": True})) as (one, client),
        box(own_stack.mqtt_url, name) as node,
        ClientSession(f"http://127.0.0.1:{port}") as asked,
    ):
        await node.state()
        await until(lambda: one.fleet.known(name))
        place = urlsplit(str(client._base_url))
        job = {
            "job_name": "centre",
            "scrape_interval": "1s",
            "authorization": {"credentials": TOKEN},
            "static_configs": [{"targets": [f"{place.hostname}:{place.port}"]}],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))

        async def query(text: str) -> list[float]:
            try:
                async with asked.get("/api/v1/query", params={"query": text}) as response:
                    rows = (await response.json())["data"]["result"]
            except ClientError:
                return []
            return sorted(float(row["value"][1]) for row in rows)

        crossings = f'gb_crossings_total{{node="{name}"}}'
        options = [
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with process(tmp_path / "log", prometheus, *options):
            await until_found(lambda: query(crossings), [0.0] * 4)
            await node.send(batch(7, 1, [crossing(1)]))
            await until_found(lambda: query(crossings), [0.0, 0.0, 0.0, 1.0])
            steps = f"max_over_time({crossings}[5m]) - min_over_time({crossings}[5m])"
            assert await query(steps) == [0.0, 0.0, 0.0, 1.0]
            assert await query('up{job="centre"}') == [1.0]
            async with asked.get("/api/v1/targets") as response:
                (target,) = (await response.json())["data"]["activeTargets"]
            assert target["lastError"] == ""
            scraped = await query('scrape_samples_scraped{job="centre"}')
            assert scraped == await query('scrape_samples_post_metric_relabeling{job="centre"}')
        assert "duplicate" not in (tmp_path / "log").read_text().lower()


def flow(stack: Stack, topic: str, target: Path) -> list[dict[str, Any]]:
    """Return a flow of Node-RED: one *mqtt in* node that gives parsed JSON, and a file for what it gave."""
    broker = urlsplit(stack.mqtt_url)
    taken = "[msg.topic, typeof msg.payload, msg.payload.id, msg.payload.line, msg.payload.total].join(' ')"
    return [
        {"id": "t", "type": "tab", "label": "gb"},
        {"id": "b", "type": "mqtt-broker", "broker": broker.hostname, "port": str(broker.port),
         "autoConnect": True, "protocolVersion": "4", "keepalive": "60", "cleansession": True},
        {"id": "i", "type": "mqtt in", "z": "t", "topic": topic, "qos": "1", "datatype": "json",
         "broker": "b", "wires": [["f"]]},
        {"id": "f", "type": "function", "z": "t", "func": f"msg.payload = {taken}; return msg;",
         "outputs": 1, "wires": [["w"]]},
        {"id": "w", "type": "file", "z": "t", "filename": str(target), "filenameType": "str",
         "appendNewline": True, "overwriteFile": "false", "wires": [[]]},
    ]  # fmt: skip


async def test_node_red_reads_the_mirror_as_json(own_stack: Stack, tmp_path: Path) -> None:
    """One node with *a parsed JSON object* gives each crossing as an object with the API's own fields."""
    red = os.environ.get("GB_NODE_RED", "")
    if not red:
        pytest.skip("GB_NODE_RED does not name the red.js of the npm package node-red")
    name = name_of("red")
    target = tmp_path / "taken"
    mirror = {"enabled": True, "topic": "gb/json"}
    (tmp_path / "flows.json").write_text(json.dumps(flow(own_stack, "gb/json/+/crossing", target)))
    command = ["node", red, "-u", str(tmp_path), "-p", str(free_port()), str(tmp_path / "flows.json")]
    async with (
        contextlib.AsyncExitStack() as stack,
        running(config_of(own_stack, mirror=mirror)),
        box(own_stack.mqtt_url, name) as node,
    ):
        log = stack.enter_context(process(tmp_path / "log", *command))
        await node.state()
        await until(lambda: "Connected to broker" in log.read_text(), 120)
        await node.send(batch(7, 1, [crossing(1), crossing(2)]))
        await until(lambda: target.exists() and len(target.read_text().splitlines()) == 2, 60)
    assert sorted(target.read_text().splitlines()) == [
        f"gb/json/{name}/crossing object {name}:7:1:{place} main {place + 1}" for place in (0, 1)
    ]
