"""Strangers before the door over TLS: what they hold and guess, and that page, broker and database go on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import TCPConnector

from aggregator import connections
from deploy.stack import Stack

from .box import TOKEN, batch, box, crossing
from .strangers import HALF_HEAD, few_handles, is_ended
from .test_https import Served, browser

pytestmark = pytest.mark.alone

EACH = 100  # strangers of each kind
KNOWN = {"Authorization": f"Bearer {TOKEN}"}

Stranger = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def besieged(own_stack: Stack, tmp_path: Path) -> Iterator[Served]:
    """A centre over TLS that may open 256 files."""
    made = Served(tmp_path, own_stack, few_handles)
    yield made
    made.process.terminate()
    made.process.communicate()


def first_words(trust: ssl.SSLContext) -> bytes:
    """Return what a client says first: the beginning of a handshake."""
    sent = ssl.MemoryBIO()
    half = trust.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return sent.read()


async def strangers(served: Served) -> list[Stranger]:
    """Connect some that say nothing, half a handshake, a whole one alone, and half a request inside TLS."""
    hello = first_words(served.trust)
    made: list[Stranger] = []
    for number in range(4 * EACH):
        kind = number % 4
        secured = {"ssl": served.trust, "server_hostname": "localhost"} if kind > 1 else {}
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, **secured)
        except (ConnectionError, ssl.SSLError):
            continue  # cut off already, for one that came later
        writer.write((b"", hello[: len(hello) // 2], b"", HALF_HEAD)[kind])
        made.append((reader, writer))
    return made


@contextlib.asynccontextmanager
async def held(served: Served) -> AsyncIterator[list[Stranger]]:
    """Some hundred strangers, let go in the end."""
    made = await strangers(served)
    try:
        yield made
    finally:
        for _, writer in made:
            writer.transport.abort()


async def test_page_and_storing_go_on_before_a_crowd_over_tls(besieged: Served, own_stack: Stack) -> None:
    """400 strangers at four stages of TLS and 256 handles: who logs in is served, what a box sends after the
    broker was killed is stored in the database, and no stranger stays for longer than two times for a head.
    """
    url = f"https://localhost:{besieged.port}/api/v1"
    async with (
        browser(besieged, connector=TCPConnector(ssl=besieged.trust)) as client,
        held(besieged) as crowd,
    ):
        begun = time.monotonic()
        assert len(crowd) >= 2 * EACH
        async with client.get(f"{url}/fleet", headers=KNOWN) as answer:
            assert answer.status == 200
        async with client.get(f"{url}/stream", headers=KNOWN) as stream:
            assert stream.status == 200
            await asyncio.to_thread(own_stack.mosquitto.kill)
            await asyncio.to_thread(own_stack.mosquitto.start)
            async with box(own_stack.mqtt_url, "besieged-1") as node:
                deadline = time.monotonic() + 60
                while not node.acked and time.monotonic() < deadline:
                    await node.send(batch(7, 1, [crossing(1)]))
                    await asyncio.sleep(0.5)
                assert node.acked
            async with client.get(f"{url}/nodes/besieged-1/delivery", headers=KNOWN) as answer:
                assert [row["stored"] for row in (await answer.json())["epochs"]] == [1]
        limit = begun + 2 * connections.HEAD_SECONDS - time.monotonic()
        ended = await asyncio.gather(*(is_ended(reader, max(limit, 5.0)) for reader, _ in crowd))
        assert all(ended), f"{ended.count(False)} stayed"


async def test_guesses_over_tls_are_few_and_lock_nobody_out(besieged: Served) -> None:
    """Twenty guesses, a connection each: ten are answered, the rest put off; the right one is not."""
    seen = []
    url = f"https://localhost:{besieged.port}/api/v1/me"
    how = {"connector": TCPConnector(ssl=besieged.trust, force_close=True)}
    async with browser(besieged, **how) as client:
        for token in [*(f"guess {number}" for number in range(20)), TOKEN]:
            async with client.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                seen.append(answer.status)
    assert seen == [401] * 10 + [429] * 10 + [200]
