"""A whole fleet goes at once: how many messages that makes, when, and how long pages take meanwhile.

    python -m benchmarks.gone [--nodes N] [--hold SECONDS]

A mosquitto, a mongod and `gb-aggregator run`, each a process of its own; one more process is all the boxes,
each with a connection and a last will of its own. It is killed, so the broker tells a thousand last wills. A
rule on `offline` sends to a webhook here. Pages of 100 nodes, single nodes and the history of alerts are
asked for in turn, from before the kill until a minute after the first message.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, web

from agent import wire
from agent.mqtt.client import BrokerSettings, Message, connect
from benchmarks.figures import leave
from benchmarks.settings import API, DOCUMENT, TOKEN, ask, running, until
from deploy.stack import die_with_parent

_AFTER = 60.0  # seconds after the first message, in which another would be one too many
_OPEN_AT_ONCE = 32


def state_of(name: str, *, online: bool) -> bytes:
    """Return what a box says of itself."""
    at = int(time.time() * 1000)
    camera = wire.CameraReport("cam0", "ok", at, labels=["car"], size=(640, 360))
    state = wire.State(name, online, at, cameras=[camera], config=wire.ConfigReport(0, "", DOCUMENT))
    return msgspec.json.encode(state)


async def be_boxes(mqtt_url: str, nodes: int) -> None:
    """Be so many boxes, each with a last will, until this process is killed."""
    opening = asyncio.Semaphore(_OPEN_AT_ONCE)

    async def be(name: str) -> None:
        topic = wire.topic(name, "state")
        settings = BrokerSettings.parse(mqtt_url, client_id=name)
        async with contextlib.AsyncExitStack() as stack:
            async with opening:
                will = Message(topic, state_of(name, online=False), 1, True)
                client = await stack.enter_async_context(connect(settings, will))
                await client.publish(topic, state_of(name, online=True), 1, True)
            async for _ in client.messages:
                pass

    async with asyncio.TaskGroup() as group:
        for number in range(nodes):
            group.create_task(be(f"gone-{number:04}"), name=f"box {number}")


@contextlib.contextmanager
def boxes(mqtt_url: str, nodes: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that is all the boxes."""
    command = [sys.executable, "-m", "benchmarks.gone", "--nodes", str(nodes), "--boxes", mqtt_url]
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def hook(got: list[tuple[float, Any]]) -> AsyncIterator[str]:
    """Take webhooks, with when they came; give the address."""

    async def take(request: web.Request) -> web.Response:
        got.append((time.monotonic(), await request.json()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def watch_for(client: ClientSession, address: str, hold: int) -> None:
    """Make the rule and its outlet."""
    outlet = {"outlet": {"kind": "webhook", "url": address}}
    rule = {
        "name": "A box is gone",
        "condition": {"kind": "offline"},
        "hold_seconds": hold,
        "outlets": ["ops"],
    }
    async with client.put(f"{API}/alerts/outlets/ops", json=outlet) as response:
        assert response.status in (200, 201), await response.text()
    async with client.post(f"{API}/alerts", json=rule) as response:
        assert response.status == 201, await response.text()


async def look(client: ClientSession, nodes: int, taken: dict[str, list[float]]) -> None:
    """Ask for pages in turn, for ever."""
    number = 0
    while True:
        offset = (number * 100) % nodes
        paths = {
            "fleet": f"/fleet?limit=100&offset={offset}&sort=name",
            "node": f"/nodes/gone-{number % nodes:04}",
            "alerts": "/alerts/history?limit=50",
        }
        for kind, path in paths.items():
            taken[kind].append(await ask(client, path))
        number += 1
        await asyncio.sleep(0.05)


async def measure(url: str, mqtt_url: str, nodes: int, hold: int) -> dict[str, Any]:
    """Return the figures by their names."""
    got: list[tuple[float, Any]] = []
    taken: dict[str, list[float]] = {"fleet": [], "node": [], "alerts": []}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with ClientSession(url, headers=headers) as client, hook(got) as address:
        with boxes(mqtt_url, nodes) as process:
            await until(client, nodes)
            await watch_for(client, address, hold)
            looking = asyncio.create_task(look(client, nodes, taken), name="pages")
            await asyncio.sleep(10)
            for quiet in taken.values():
                quiet.clear()
            begun = time.monotonic()
            process.send_signal(signal.SIGKILL)
            while not got:
                await asyncio.sleep(0.1)
                assert time.monotonic() - begun < hold + 120, "no message has come"
            await asyncio.sleep(_AFTER)
            looking.cancel()
    figures = {
        "gone_messages": len(got),
        "gone_told": got[0][1]["data"]["count"],
        "gone_first_message_s": round(got[0][0] - begun, 1),
    }
    for kind, seconds in taken.items():
        seconds.sort()
        figures[f"gone_{kind}_pages"] = len(seconds)
        figures[f"gone_{kind}_p95_ms"] = round(1000 * seconds[int(0.95 * len(seconds))], 1)
    return figures


def main() -> None:
    """Measure, print, and add the figures to BENCH_JSON; or be the boxes."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--nodes", type=int, default=1000)
    words.add_argument("--hold", type=int, default=30, help="seconds, of the rule")
    words.add_argument("--boxes", default="", help="the broker's address: be the boxes")
    options = words.parse_args()
    if options.boxes:
        asyncio.run(be_boxes(options.boxes, options.nodes))
        return
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (url, mqtt_url):
        figures = asyncio.run(measure(url, mqtt_url, options.nodes, options.hold))
    print(json.dumps(figures))
    leave(figures, beside=True)


if __name__ == "__main__":
    main()
