"""Taking a node out, and what is told of a node that is not there."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent import wire
from agent.mqtt.client import BrokerError, Message, connect
from aggregator.__main__ import take_out
from aggregator.centre import Centre as Running
from aggregator.config import MongoSection
from aggregator.node_view import with_last_cameras
from aggregator.setup import control, enrol
from aggregator.setup.provision import DEMO_NODE
from aggregator.statistics import Window, tallies
from deploy.stack import Stack

from .box import Box, batch, box, centre, crossing, now_ms, settings, until
from .test_enrol import Centre as Prepared


@pytest.fixture
def prepared(tmp_path: Path, stack: Stack, request: pytest.FixtureRequest) -> Iterator[Prepared]:
    """A centre as `init` makes it, with its broker's rights, on the tests' database."""
    made = Prepared(tmp_path / "centre")
    made.config = msgspec.structs.replace(
        made.config, mongodb=MongoSection(uri=stack.mongodb_uri, database=f"removed_{len(request.node.name)}")
    )
    made.service.start()
    yield made
    made.service.kill(signal.SIGTERM)


async def gone(running: Running, name: str, seconds: float) -> float:
    """Return after how many seconds the node has left the fleet."""
    began = time.monotonic()
    await until(lambda: not running.fleet.known(name), seconds)
    return time.monotonic() - began


async def test_an_online_node_is_removed_for_good(prepared: Prepared) -> None:
    """A node that is online is gone in 5 s, stays gone, says so when removed again, and can be added anew."""
    async with centre(prepared.config) as running:
        ended = asyncio.create_task(_online_until_removed(prepared, running), name="online")
        with pytest.raises(BrokerError):
            await ended
        async with connect(prepared.own("gb.aggregator")) as hears:
            await hears.subscribe(wire.topic("+", "state"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(hears.messages)
        with pytest.raises(enrol.NoSuchNodeError, match=f"no node {DEMO_NODE}: it was removed before"):
            await take_out(prepared.config, DEMO_NODE)
        async with centre(prepared.config) as later:
            await asyncio.sleep(1.5)
            assert not later.fleet.known(DEMO_NODE)
        assert not running.fleet.known(DEMO_NODE)
        await _add_and_join(prepared)
        async with connect(prepared.broker(DEMO_NODE, "5" * 32, DEMO_NODE)) as client:
            await Box(DEMO_NODE, client).state(epoch=8)
            await until(lambda: running.fleet.known(DEMO_NODE))
            running.fleet._troubles.read_soon()  # read anew
            entry = await running.fleet.entry(DEMO_NODE)
            assert (entry.state, entry.warnings) == ("online", [])
            await asyncio.sleep(2.5)
            assert running.fleet.known(DEMO_NODE)


async def _online_until_removed(prepared: Prepared, running: Running) -> None:
    """Be online, with warnings, while the node is removed; raise BrokerError as the connection is cut."""
    secret = (prepared.folder / "demo" / "secret").read_text()
    async with connect(prepared.broker(DEMO_NODE, secret, DEMO_NODE)) as client:
        node = Box(DEMO_NODE, client)
        await node.state()
        await node.send(b"poison")
        await node.send(batch(7, 1, [crossing(1), wire.Lost(now_ms(), "", "track", 5, "full")]))
        await until(lambda: running.fleet.known(DEMO_NODE))
        await until(lambda: running.metrics.events._value.get() == 2)
        await until(lambda: running.metrics.quarantined._value.get() == 1)
        running.fleet._troubles.read_soon()  # read anew
        assert len((await running.fleet.entry(DEMO_NODE)).warnings) == 2
        await take_out(prepared.config, DEMO_NODE)
        assert await gone(running, DEMO_NODE, 5) < 5
        await anext(client.messages)


async def _add_and_join(prepared: Prepared) -> None:
    """Add the node again, and have it say its new secret."""
    _, code, _ = await asyncio.to_thread(prepared.node, DEMO_NODE)
    async with connect(prepared.broker(DEMO_NODE, code, DEMO_NODE)) as joining:
        await joining.publish(wire.topic(DEMO_NODE, "join"), b'{"secret":"%s"}' % (b"5" * 32))
        await asyncio.sleep(1)


async def test_a_state_that_an_older_removal_left_is_cleared(prepared: Prepared) -> None:
    """Where the broker's user is gone but its state is still kept, removing it again cleans up."""
    secret = (prepared.folder / "demo" / "secret").read_text()
    async with centre(prepared.config) as running:
        async with connect(prepared.broker(DEMO_NODE, secret, DEMO_NODE)) as client:
            await Box(DEMO_NODE, client).state(epoch=9)
            await until(lambda: running.fleet.known(DEMO_NODE))
            await asyncio.sleep(1.5)  # it is saved within a second
            order = {"command": "deleteClient", "username": DEMO_NODE}
            await control.order(prepared.own("gb.admin"), order)
        await take_out(prepared.config, DEMO_NODE)
        await gone(running, DEMO_NODE, 5)


async def test_an_offline_node_keeps_its_last_known_cameras(stack: Stack) -> None:
    """The will, made before the camera was open, does not say that the camera was absent, restart or not."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "remove_will")
    early = wire.CameraReport("cam0", "absent", now_ms(), "not opened yet")
    will = wire.State("will-1", False, now_ms(), 1000, 7, "1", [early])
    last = Message(wire.topic("will-1", "state"), msgspec.json.encode(will), 1, True)
    async with centre(config) as running:
        async with box(stack.mqtt_url, "will-1") as node:
            await node.state(mono=2000, epoch=7)
            await until(lambda: running.fleet.known("will-1"))
            await node.client.publish(last.topic, last.payload, 1, True)
            await until(lambda: not running.fleet.state("will-1").online)  # type: ignore[union-attr]
        (camera,) = (await running.fleet.entry("will-1")).cameras
        assert (camera.state, camera.last_known) == ("ok", True)
        await asyncio.sleep(1.2)
    async with centre(config) as later:
        await until(lambda: later.fleet.known("will-1"))
        await asyncio.sleep(0.3)
        assert [one.state for one in (await later.fleet.entry("will-1")).cameras] == ["ok"]


def test_a_goodbye_is_believed() -> None:
    """What a node says of its cameras when it stops is newer than what was known, and is taken."""
    ok, ended = (wire.CameraReport("cam0", state, 1) for state in ("ok", "ended"))
    before = wire.State("bye-1", True, 5000, 5000, 7, cameras=[ok])
    goodbye = wire.State("bye-1", False, 6000, 6000, 7, cameras=[ended])
    assert with_last_cameras(goodbye, before).cameras == [ended]
    other = wire.State("bye-1", False, 4000, 4000, 8, cameras=[ended])
    assert with_last_cameras(other, before).cameras == [ended]
    will = wire.State("bye-1", False, 4000, 4000, 7, cameras=[ended])
    assert with_last_cameras(will, before).cameras == [ok]


async def test_time_before_a_node_existed_is_not_unseen(stack: Stack) -> None:
    """A camera that came 10 minutes ago has no unseen time before that; of what it missed since it has."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "remove_first")
    now = now_ms() // 60_000 * 60_000
    first = now - 10 * 60_000

    def tally(at: int) -> wire.Tally:
        return wire.Tally(at, "cam0", 60_000, {}, [], {}, 600, 600, 0, 5, 9)

    async with centre(config) as running, box(stack.mqtt_url, "young-1") as node:
        await node.state()
        await node.send(batch(7, 1, [tally(first), tally(first + 60_000), tally(first + 4 * 60_000)]))
        await until(lambda: node.acked)
        window = Window(now - 3_600_000, now, "minute", config.zone)
        spans = [row.unseen for row in await tallies(running.store, "young-1", "cam0", window)]
        begins = [begin for span in spans for begin, _ in span]
        assert begins == [] or min(begins) >= first
        whole = Window(now - 3_600_000, now, "all", config.zone)
        (row,) = await tallies(running.store, "young-1", "cam0", whole)
        assert row.unseen[0] == (first + 2 * 60_000, first + 4 * 60_000) or row.unseen[0][0] >= first
        (camera,) = (await running.fleet.entry("young-1")).cameras
        assert camera.first_seen == first
