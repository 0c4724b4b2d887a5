"""Several aggregators on one broker and one database: real processes, killed with -9."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pymongo
from aiohttp import ClientError, ClientSession

from agent.mqtt.client import BrokerSettings
from aggregator.store.leases import Leases
from aggregator.store.store import connect
from deploy.stack import Stack, die_with_parent, free_port
from tests.integration.box import TOKEN, box, centre, settings, singly, until
from tests.integration.counting_box import CountingBox, running

ROOT = Path(__file__).parents[2]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Aggregator:
    """One `gb-aggregator run` that can be killed and started again at the same port."""

    def __init__(self, folder: Path, stack: Stack, database: str) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "aggregator.toml"
        self._config.write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
            f'database = "{database}"\n[http]\nport = {self.port}\ntoken = "{TOKEN}"\n'
        )
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it; `ready` waits."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "aggregator", "run", "--config", str(self._config)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=die_with_parent,
        )  # fmt: skip

    def ready(self) -> None:
        """Wait until it serves."""
        assert self._process
        assert self._process.stdout
        assert self._process.stdout.readline().startswith("ready ")

    def kill(self) -> None:
        """End it with -9."""
        if self._process and self._process.poll() is None:
            self._process.kill()
        if self._process and self._process.stdout and not self._process.stdout.closed:
            self._process.communicate()


@contextlib.contextmanager
def aggregators(folder: Path, stack: Stack, database: str, amount: int) -> Iterator[list[Aggregator]]:
    """Run so many."""
    made = [Aggregator(folder / f"aggregator-{number}", stack, database) for number in range(amount)]
    try:
        for one in made:
            one.start()
        for one in made:
            one.ready()
        yield made
    finally:
        for one in made:
            one.kill()


async def facts(url: str, node: str, last: str = "") -> AsyncIterator[dict[str, Any]]:
    """Iterate over the facts of a stream, until it breaks."""
    headers = BEARER | ({"Last-Event-ID": last} if last else {})
    with contextlib.suppress(ClientError, ConnectionError):
        async with (
            ClientSession(headers=headers) as client,
            client.get(f"{url}/api/v1/stream", params={"node": node, "types": "crossing"}) as answer,
        ):
            kind = ""
            async for line in answer.content:
                name, _, value = line.decode().strip().partition(": ")
                kind = value if name == "event" else kind
                if name == "data" and kind == "fact":
                    yield json.loads(value)


class Page:
    """What a browser does: it reads a stream, and where that breaks, goes on at another aggregator."""

    def __init__(self, urls: list[str], node: str) -> None:
        self.urls = urls
        self.node = node
        self.totals: list[int] = []
        self.gaps: list[float] = []
        self._last = ""

    async def read(self) -> None:
        """Read for ever."""
        heard = 0.0
        for number in range(10_000):
            async for fact in facts(self.urls[number % len(self.urls)], self.node, self._last):
                self._last = fact["id"]
                self.totals.append(fact["total"])
                self.gaps.append(time.monotonic() - heard if heard else 0.0)
                heard = time.monotonic()
            await asyncio.sleep(0.2)


async def test_one_of_three_killed_leaves_no_gap_and_strands_nothing(
    own_stack: Stack, tmp_path: Path
) -> None:
    """Under load one aggregator after the other is killed: pages that were connected to it move over, nobody
    waits longer than 3 s, everything is stored once, and every page has seen all of it."""
    broker = BrokerSettings.parse(own_stack.mqtt_url, client_id="gate-01")
    with aggregators(tmp_path, own_stack, "several", 3) as three:
        async with running(CountingBox(tmp_path / "box", broker, "gate-01")) as counting:
            await counting.count(20)
            await counting.drained()
            urls = [one.url for one in three]
            pages = [Page(urls[start:] + urls[:start], "gate-01") for start in range(3)]
            tasks = [asyncio.create_task(page.read(), name="page") for page in pages]
            await asyncio.sleep(1)
            load = asyncio.create_task(counting.count(1000, 0.01), name="load")
            for victim in three[:2]:
                await asyncio.sleep(3)
                victim.kill()
                await asyncio.sleep(3)
                victim.start()
                await asyncio.to_thread(victim.ready)
            await load
            await counting.drained(10)
            await until(lambda: all(counting.total in page.totals for page in pages), 10)
            for task in tasks:
                task.cancel()
            total = counting.total
    with pymongo.MongoClient(own_stack.mongodb_uri) as client:
        stored = [int(row["o"]) for row in singly(client["several"]["batches"].find()) if "o" in row]
    assert sorted(stored) == list(range(1, total + 1))
    for page in pages:
        assert set(range(22, total + 1)) <= set(page.totals)
        assert max(page.gaps) <= 3.0


async def test_what_happens_once_is_claimed_and_goes_on_elsewhere(stack: Stack) -> None:
    """One holder at a time; it may renew; what it lets go or leaves behind by dying another takes."""
    async with connect(stack.mongodb_uri, "leases", patience=5.0) as store:
        first = Leases(store._journaled, "here", "first")
        second = Leases(store._journaled, "here", "second")
        assert await first.take("retention", 0.6)
        assert not await second.take("retention", 60)
        assert await first.take("retention", 0.6)
        await asyncio.sleep(0.7)
        assert await second.take("retention", 60)
        assert not await first.take("retention", 60)
        await second.give_back("retention")
        assert await first.take("retention", 60)
        won = await asyncio.gather(
            *(Leases(store._journaled, "here", str(n)).take("new", 60) for n in range(20))
        )
        assert won.count(True) == 1


async def test_live_boxes_reach_every_browser_while_one_looks(stack: Stack) -> None:
    """Two browsers at two aggregators see the boxes of one camera; when one goes, the other goes on."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "several_live")
    async with centre(config) as one, centre(config) as two, box(stack.mqtt_url, "gate-02") as node:
        await node.state()
        await until(lambda: all(each.fleet.known("gate-02") for each in (one, two)))
        await until(lambda: one.beside.others == two.beside.others == 1, 25)
        async with two.watches.watching("gate-02", "cam0", True, "operator"):
            async with one.watches.watching("gate-02", "cam0", False, "viewer"):
                await until(lambda: len(node.commands) >= 2)
                assert [(order.verb, order.picture) for order in node.commands] == [("watch", True)] * 2
            await until(lambda: len(node.commands) >= 3)
            assert (node.commands[-1].verb, node.commands[-1].picture) == ("watch", True)
        await until(lambda: node.commands[-1].verb == "unwatch")
