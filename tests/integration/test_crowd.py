"""Crowds, strangers and copies: what they may hold, how often they may guess, and that storing goes on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import ClientSession, web

from agent import wire
from agent.deliver.publish import Delivery
from agent.mqtt.client import BrokerSettings
from agent.page import door
from agent.page.server import Page, serving
from aggregator import connections
from aggregator.api import PREFIX
from aggregator.centre import Centre
from aggregator.client import client_address, group_of, networks
from aggregator.connections import Connections
from aggregator.copies import Copies
from aggregator.serve import make_app
from deploy.stack import Stack

from .box import TOKEN, batch, box, busy, centre, crossing, now_ms, settings, until
from .strangers import HALF_HEAD, few_handles, is_ended

pytestmark = pytest.mark.alone

CROWD = int(os.environ.get("GB_CROWD", "100"))  # nodes that come back at once; the full dose: 500


@asynccontextmanager
async def page(running: Centre, most: int = 1000) -> AsyncIterator[tuple[str, Connections]]:
    """Serve the page as `run` does; give its address and its connections."""
    runner = web.AppRunner(make_app(running), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    assert runner.server is not None
    proxies = running.config.http.proxies
    all_ = Connections(runner.server, most, proxies)
    server = await asyncio.get_running_loop().create_server(all_, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", all_
    finally:
        server.close()
        await runner.cleanup()


async def half_open(port: int, amount: int, text: bytes = HALF_HEAD) -> list[Any]:
    """Begin as many requests and end none."""
    made = []
    for _ in range(amount):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        made.append((reader, writer))
    return made


async def test_storing_goes_on_at_the_handle_limit(own_stack: Stack, tmp_path: Path) -> None:
    """With 256 file handles and 400 half-open requests the page answers, and after a restart of the broker
    batches are stored; none of the 400 lives for ever.
    """
    config = tmp_path / "aggregator.toml"
    config.write_text(
        f'[broker]\nurl = "{own_stack.mqtt_url}"\n[mongodb]\nuri = "{own_stack.mongodb_uri}"\n'
        f'[http]\nport = 0\ntoken = "{TOKEN}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aggregator", "run", "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, preexec_fn=few_handles,
    )  # fmt: skip
    assert process.stdout
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    port = int(line.rpartition(":")[2])
    held = await half_open(port, 400)
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/healthz") as response:
        assert response.status == 200
    await asyncio.to_thread(own_stack.mosquitto.kill)
    await asyncio.to_thread(own_stack.mosquitto.start)
    held += await half_open(port, 50)
    async with box(own_stack.mqtt_url, "handles-1") as node:
        deadline = time.monotonic() + 30
        while not node.acked and time.monotonic() < deadline:
            await node.send(batch(7, 1, [crossing(1)]))
            await asyncio.sleep(0.5)
        assert node.acked
    ended = await asyncio.gather(*(is_ended(reader, 2 * connections.HEAD_SECONDS) for reader, _ in held))
    assert all(ended)
    for _, writer in held:
        writer.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_who_is_unknown_has_little_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head or a body that comes byte by byte is cut off; who is logged in may wait and stream."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(connections, "WHOLE_SECONDS", 2.0)
    config = settings(stack.mqtt_url, stack.mongodb_uri, "crowd_slow")
    async with centre(config) as running, page(running) as (address, all_):
        port = int(address.rpartition(":")[2])
        login = b"POST /api/v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{"
        held = await half_open(port, 3) + await half_open(port, 3, b"") + await half_open(port, 3, login)
        drips = [asyncio.create_task(_drip(writer)) for _, writer in held]
        head = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            ClientSession(headers=head) as client,
            client.get(f"{address}{PREFIX}/stream") as response,
        ):
            assert all(await asyncio.gather(*(is_ended(reader, 6) for reader, _ in held)))
            await asyncio.sleep(3)
            assert response.status == 200
            assert len(all_) == 1
            async with client.get(f"{address}{PREFIX}/me") as other:
                assert other.status == 200
        await asyncio.gather(*drips)


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then until the other side has enough."""
    try:
        while not writer.is_closing():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.2)
    except ConnectionError:
        return
    finally:
        writer.close()


async def test_strangers_make_room_for_each_other(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest stranger gives way, by address and altogether; nobody who is logged in does."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "crowd_room")
    head = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        centre(config) as running,
        page(running, 20) as (address, all_),
        ClientSession(headers=head) as client,
        client.get(f"{address}{PREFIX}/stream") as response,
    ):
        port = int(address.rpartition(":")[2])
        held = await half_open(port, 40)
        await until(lambda: len(all_) == 20)
        assert await is_ended(held[0][0], 2)
        async with client.get(f"{address}{PREFIX}/me") as other:
            assert other.status == 200
        assert response.status == 200
        monkeypatch.setattr(connections, "ADDRESS_MOST", 5)
        held += await half_open(port, 1)
        await until(lambda: len(all_) <= 7)
        for _, writer in held:
            writer.close()


async def test_a_token_is_not_guessed_and_not_locked_out(stack: Stack) -> None:
    """Ten wrong tokens as a header or a login, then 429; the right one is let in, and so are its requests."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "crowd_guess")
    async with centre(config) as running, page(running) as (address, _), ClientSession(address) as client:
        seen = []
        for number in range(20):
            if number % 2:
                head = {"Authorization": f"Bearer guess {number}"}
                async with client.get(f"{PREFIX}/me", headers=head) as response:
                    seen.append(response.status)
            else:
                async with client.post(f"{PREFIX}/login", json={"token": f"guess {number}"}) as response:
                    seen.append(response.status)
        assert seen == [401] * 10 + [429] * 10
        async with client.get(f"{PREFIX}/me", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 200
        async with client.post(f"{PREFIX}/login", json={"token": TOKEN}) as response:
            assert response.status == 200


def test_an_address_is_what_our_proxies_say() -> None:
    """Only what a proxy of ours wrote is believed; an IPv6 network counts as one."""
    ours = networks(["127.0.0.1", "10.0.0.0/8"])
    assert client_address("127.0.0.1", ["6.6.6.6, 1.2.3.4"], ours) == "1.2.3.4"
    assert client_address("127.0.0.1", ["6.6.6.6, 1.2.3.4, 10.1.1.1"], ours) == "1.2.3.4"
    assert client_address("127.0.0.1", ["6.6.6.6", "1.2.3.4"], ours) == "1.2.3.4"
    assert client_address("5.5.5.5", ["1.2.3.4"], ours) == "5.5.5.5"
    assert client_address("127.0.0.1", [], ours) == "127.0.0.1"
    assert group_of("2001:db8:1:2:3:4:5:6") == group_of("2001:db8:1:2::9") != group_of("2001:db8:1:3::9")
    assert group_of("::ffff:1.2.3.4") == "1.2.3.4"
    assert group_of("") == ""


async def test_strangers_at_a_boxs_page_are_few_and_leave_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 half-open requests hold 32 handles at most, and none for ever; who has the token stays."""
    monkeypatch.setattr(door, "STRANGER_SECONDS", 3.0)
    head = {"Authorization": "Bearer right"}

    class Nothing:
        showings = MappingProxyType[str, Any]({})
        ways = MappingProxyType[str, Any]({})

        async def told(self) -> dict[str, Any]:
            return {"node": "gate-07"}

    async with (
        serving(Page(Nothing(), "right"), "127.0.0.1:0") as port,
        ClientSession(headers=head) as client,
    ):  # type: ignore[arg-type]
        url = f"http://127.0.0.1:{port}/api/box"
        async with client.get(url) as response:
            assert response.status == 200
        handles = len(os.listdir("/proc/self/fd"))
        held = await half_open(port, 400)
        await until(lambda: len(os.listdir("/proc/self/fd")) - handles <= 400 + door.STRANGERS)
        async with client.get(url) as response:
            assert await response.json() == {"node": "gate-07"}
        assert all(await asyncio.gather(*(is_ended(reader, 20) for reader, _ in held)))
        for _, writer in held:
            writer.close()
        async with client.get(url) as response:
            assert response.status == 200


# ── copies of a box ───────────────────────────────────────────────────────────────────────────────


async def test_a_cloned_box_is_told_within_a_minute(stack: Stack) -> None:
    """Two boxes under one name, with starts of their own: batches alone show it, and so do states alone."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "crowd_clone")
    async with centre(config) as running:
        began = time.monotonic()
        async with box(stack.mqtt_url, "clone-1") as node:
            for seq in range(1, 5):
                for epoch in (7, 9):
                    await node.send(batch(epoch, seq, [crossing(seq)]))
                    await until(lambda: (epoch, seq) in node.acked)  # noqa: B023
                    await asyncio.sleep(0.01)
            text = " ".join((await running.fleet.entry("clone-1")).warnings)
            assert "Two boxes send under this name in turn (starts 7 and 9)" in text
        async with box(stack.mqtt_url, "clone-2") as node:
            for epoch in (7, 9, 7):
                await node.state(epoch=epoch)
                await until(lambda: running.fleet.state("clone-2") is not None)
                await asyncio.sleep(0.2)
            text = " ".join((await running.fleet.entry("clone-2")).warnings)
            assert "in turn (starts 7 and 9)" in text
        assert time.monotonic() - began < 60


def test_what_is_no_copy_and_what_is() -> None:
    """Restarts, backlogs and resends are no sign of a copy; an older disk that was put back is one."""
    at = now_ms()
    sane = Copies()
    for epoch, base in ((7, 1), (7, 2), (8, 10), (7, 3), (8, 11), (7, 4), (8, 12), (9, 20), (8, 13), (9, 21)):
        sane.batch(epoch, at - 100_000 + base * 100, at)
    for epoch, before in ((7, 0), (7, 0), (8, 7), (8, 7), (9, 8), (3, 9), (6, 0)):
        assert sane.state(epoch, at, before) is None
    assert list(sane.warnings(at)) == []
    restored = Copies()
    for epoch, before in ((7, 0), (8, 7), (9, 8), (5, 7)):
        assert restored.state(epoch, at, before) is None
    assert "went back from start 9 to start 5" in " ".join(restored.warnings(at))
    assert list(restored.warnings(at + 3_700_000)) == []


# ── the crowd ─────────────────────────────────────────────────────────────────────────────────────


class _Spool:
    """A spool in memory with one batch: what `Delivery` needs to come back and hand it over."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.acked = asyncio.Event()
        self.moves = 0
        self._payload = batch(7, 1, [crossing(1)])

    async def close_due(self) -> None:
        """Nothing is open."""

    async def close_batch(self) -> None:
        """Nothing is open."""

    async def take(self, after: int, limit: int) -> list[Any]:
        """Return the batch, once."""
        from agent.deliver.spool import Sealed

        return [] if after or not limit else [Sealed(1, 7, 1, self._payload)]

    async def acknowledge(self, epoch: int, ranges: Any) -> None:
        """Note that it is stored."""
        self.acked.set()

    async def status(self) -> dict[str, int]:
        """Nothing waits."""
        return {"pending": 0}


async def test_a_whole_fleet_comes_back_at_once(own_stack: Stack) -> None:
    """When the broker comes back, all nodes are connected again in 60 s (of a machine with no other work)."""
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "crowd_fleet")
    names = [f"many-{number:03}" for number in range(CROWD)]
    async with centre(config) as running, asyncio.TaskGroup() as group:
        made = []
        for name in names:
            state = wire.State(name, True, now_ms(), 1, 7)
            delivery = Delivery(
                _Spool(), BrokerSettings.parse(own_stack.mqtt_url, client_id=name), name,  # type: ignore[arg-type]
                state=lambda state=state: state, on_want=_nothing, on_command=_nothing,
                chance=random.Random(name),
            )  # fmt: skip
            made.append(delivery)
            group.create_task(delivery.run(), name=name)
            await asyncio.sleep(0.005)
        await until(lambda: all(one.standing().connected for one in made), 120)
        await asyncio.to_thread(own_stack.mosquitto.kill)
        await until(lambda: not any(one.standing().connected for one in made), 60)
        await asyncio.to_thread(own_stack.mosquitto.start)
        began = time.monotonic()
        await until(lambda: all(one.standing().connected for one in made), 60 * busy())
        took = time.monotonic() - began
        print(f"{CROWD} nodes were back after {took:.1f} s on a machine {busy():.1f} times busy")
        await until(lambda: len(running.fleet.names) == CROWD, 60 * busy())
        for one in made:
            one.stop()


async def _nothing(payload: bytes) -> None:
    """Take nothing."""
