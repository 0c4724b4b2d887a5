"""A setting for a whole fleet while people look: when all boxes run it, and how long pages take meanwhile.

    python -m benchmarks.settings [--nodes N]

A mosquitto, a mongod and `gb-aggregator run`, each a process of its own; this process is all the boxes, over
one connection: each applies what is wanted of it at once, and says so. Pages of 100 nodes and single nodes
are asked for in turn, from before the setting is sent until no box drifts any more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession

from agent import wire
from agent.mqtt.client import BrokerSettings, Client, connect
from benchmarks.figures import leave
from deploy.stack import Stack, die_with_parent, free_port

API = "/api/v1"
TOKEN = "a-token-of-the-benchmark"
_PATIENCE = 120.0
DOCUMENT = wire.Document(
    0, {"cam0": wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.6), (1.0, 0.6)])})}
)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a centre; give its address and its broker's."""
    with Stack(folder / "stack") as stack:
        port = free_port()
        config = folder / "aggregator.toml"
        config.write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
            f'database = "settings"\n[http]\nport = {port}\ntoken = "{TOKEN}"\n'
        )
        centre = subprocess.Popen(
            [sys.executable, "-m", "aggregator", "run", "--config", str(config)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        assert centre.stdout
        try:
            centre.stdout.readline()
            yield f"http://127.0.0.1:{port}", stack.mqtt_url
        finally:
            centre.terminate()
            centre.wait(20)
            centre.stdout.close()


async def say(client: Client, name: str, document: wire.Document) -> None:
    """Publish the state of a box that runs this document."""
    at = int(time.time() * 1000)
    camera = wire.CameraReport("cam0", "ok", at, labels=["car"], size=(640, 360))
    config = wire.ConfigReport(document.version, "", document)
    state = wire.State(name, True, at, cameras=[camera], config=config)
    await client.publish(wire.topic(name, "state"), msgspec.json.encode(state), 1, False)


async def obey(client: Client, told: dict[str, float]) -> None:
    """Be all boxes: apply what is wanted of each, and say so; note when."""
    async for message in client.messages:
        name, _ = wire.parse_topic(message.topic)
        if message.payload:
            await say(client, name, wire.decode_document(message.payload))
            told[name] = time.monotonic()


async def ask(client: ClientSession, path: str) -> float:
    """Return the seconds that an answer took."""
    begun = time.monotonic()
    async with client.get(API + path) as response:
        await response.read()
        assert response.status == 200, path
    return time.monotonic() - begun


async def look(client: ClientSession, names: list[str], taken: dict[str, list[float]]) -> None:
    """Ask for pages in turn, for ever."""
    number = 0
    while True:
        offset = (number * 100) % len(names)
        for kind, path in (
            ("fleet", f"/fleet?limit=100&offset={offset}&sort=name"),
            ("node", f"/nodes/{names[number % len(names)]}"),
        ):
            taken[kind].append(await ask(client, path))
        number += 1
        await asyncio.sleep(0.05)


async def until(client: ClientSession, nodes: int) -> None:
    """Wait until the centre knows all boxes, and none drifts."""
    end = time.monotonic() + _PATIENCE
    while True:
        async with client.get(f"{API}/fleet?limit=1") as response:
            known = (await response.json())["summary"]["online"]
        async with client.get(f"{API}/drift") as response:
            drift = len((await response.json())["rows"])
        if known >= nodes and not drift:
            return
        assert time.monotonic() < end, f"{known} of {nodes} are known, {drift} drift"
        await asyncio.sleep(0.5)


async def measure(url: str, mqtt_url: str, nodes: int) -> dict[str, Any]:
    """Return the figures by their names."""
    names = [f"crowd-{number:04}" for number in range(nodes)]
    told: dict[str, float] = {}
    taken: dict[str, list[float]] = {"fleet": [], "node": []}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    settings = BrokerSettings.parse(mqtt_url, client_id="the-crowd")
    async with ClientSession(url, headers=headers) as client, connect(settings) as crowd:
        await crowd.subscribe(f"{wire.PREFIX}/+/want")
        async with asyncio.TaskGroup() as group:
            boxes = group.create_task(obey(crowd, told), name="boxes")
            for name in names:
                await say(crowd, name, DOCUMENT)
            await until(client, nodes)
            looking = group.create_task(look(client, names, taken), name="pages")
            await asyncio.sleep(5)
            for quiet in taken.values():
                quiet.clear()
            begun = time.monotonic()
            body = {"everywhere": True, "settings": {"confidence": 0.4}}
            async with client.post(f"{API}/settings", json=body) as response:
                assert response.status == 202
                await response.read()
            answered = time.monotonic() - begun
            await until(client, nodes)
            applied = time.monotonic() - begun
            looking.cancel()
            boxes.cancel()
    figures = {"setting_answered_s": round(answered, 1), "setting_applied_s": round(applied, 1)}
    for kind, seconds in taken.items():
        seconds.sort()
        figures[f"{kind}_pages"] = len(seconds)
        figures[f"{kind}_p95_ms"] = round(1000 * seconds[int(0.95 * len(seconds))], 1)
    return figures


def main() -> None:
    """Measure, print, and add the figures to BENCH_JSON."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--nodes", type=int, default=1000)
    nodes = words.parse_args().nodes
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (url, mqtt_url):
        figures = asyncio.run(measure(url, mqtt_url, nodes))
    print(json.dumps(figures))
    leave(figures, beside=True)


if __name__ == "__main__":
    main()
