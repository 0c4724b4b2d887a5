"""A centre that is late itself takes no right clock for a wrong one, and still finds those that are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from agent import wire
from aggregator.centre import Centre
from aggregator.lateness import Lateness
from deploy.stack import Stack

from .box import Box, box, centre, crossing, now_ms, settings, until
from .test_box_clock import events, sealed

HOUR = 3_600_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker and a database of these tests' own: their hundreds of boxes are nobody else's."""
    with Stack(tmp_path_factory.mktemp("late")) as running:
        yield running


def state(name: str, off: int, age: int, started: int) -> bytes:
    """Return the state of a box that is `off` ms ahead, as it was `age` ms ago, started at `started`."""
    at = now_ms() - age
    camera = wire.CameraReport("cam0", "ok", at, labels=["car"], size=(640, 360))
    return msgspec.json.encode(wire.State(name, True, at + off, at - started, 7, "1", [camera]))


async def say(node: Box, payload: bytes) -> None:
    """Publish a state, retained."""
    await node.client.publish(wire.topic(node.name, "state"), payload, 1, True)


async def clock_of(running: Centre, name: str) -> int:
    """Return by how much the box's clock is ahead, as the centre knows it once it has learnt of it."""
    async with asyncio.timeout(30):
        while not (found := await running.store.redate.clocks([(name, 7)]))[name, 7].offsets:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    clock = found[name, 7]
    return clock.off(clock.offsets[-1])


@contextlib.asynccontextmanager
async def held_up(running: Centre) -> AsyncIterator[None]:
    """Hold up the centre's handling of states while this is open, as a slow database does."""
    free = asyncio.Event()
    take = running.pictures.take

    async def later(*words: object) -> None:
        await free.wait()
        await take(*words)  # type: ignore[arg-type]

    running.pictures.take = later  # type: ignore[method-assign]
    try:
        yield
    finally:
        running.pictures.take = take  # type: ignore[method-assign]
        free.set()


async def test_states_that_waited_here_say_nothing_against_right_clocks(stack: Stack) -> None:
    """300 boxes come while the centre does nothing for 4 s, longer than the broker holds: all clocks are
    right; one that is an hour behind is found all the same, and is right to a second once a batch came."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "late_waited")
    started = now_ms() - 1_000_000
    names = [f"waited-{number:03d}" for number in range(300)]
    async with centre(config) as running, box(stack.mqtt_url, "waited-hour") as node:
        async with held_up(running):
            for name in names:
                await node.client.publish(wire.topic(name, "state"), state(name, 0, 0, started), 1, True)
            await say(node, state(node.name, -HOUR, 0, started))
            await asyncio.sleep(4)
        assert {await clock_of(running, name) for name in names} == {0}
        assert abs(await clock_of(running, node.name) + HOUR) < 20_000
        sent = now_ms()
        await node.send(sealed(1, -HOUR, 0, [crossing(1, sent - HOUR)], started))
        await until(lambda: node.acked, 60)
        (row,) = await events(running, node.name)
        assert sent - 1000 < row["a"] < now_ms() + 1000


async def test_a_loop_that_was_held_up_says_nothing_against_a_right_clock(stack: Stack) -> None:
    """A state that is read from the socket 4 s after it was sent, as nothing ran here, harms nobody."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "late_loop")
    started = now_ms() - 1_000_000
    async with centre(config) as running, box(stack.mqtt_url, "loop-1") as node:
        await asyncio.sleep(0.3)
        payload = state(node.name, 0, 0, started)
        time.sleep(4)  # noqa: ASYNC251  # nothing runs in this process meanwhile
        await say(node, payload)
        assert await clock_of(running, node.name) == 0


async def test_a_broker_that_was_held_up_says_nothing_against_right_clocks(stack: Stack) -> None:
    """Forty boxes tell their states while the broker is stopped for 4 s: nobody's clock is called wrong."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "late_broker")
    started = now_ms() - 1_000_000
    names = [f"stopped-{number:02d}" for number in range(40)]
    async with centre(config) as running, contextlib.AsyncExitStack() as boxes:
        nodes = [await boxes.enter_async_context(box(stack.mqtt_url, name)) for name in names]
        os.kill(stack.mosquitto.pid, signal.SIGSTOP)
        try:
            said = [
                asyncio.create_task(say(node, state(node.name, 0, 0, started)), name=node.name)
                for node in nodes
            ]
            await asyncio.sleep(4)
        finally:
            os.kill(stack.mosquitto.pid, signal.SIGCONT)
        await asyncio.gather(*said)
        assert {await clock_of(running, name) for name in names} == {0}


@pytest.mark.parametrize("off", [-5_000, -HOUR, 4_000, HOUR])
async def test_a_wrong_clock_is_found_by_its_first_state(stack: Stack, off: int) -> None:
    """Where the centre is not late, one state tells a wrong clock to a second, within a second."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "late_never")
    started = now_ms() - 1_000_000
    async with centre(config) as running, box(stack.mqtt_url, f"wrong-{abs(off)}-{int(off > 0)}") as node:
        for _ in range(20):  # a busy machine holds us up, and what comes then says nothing
            await until(lambda: not running.lateness.covers(time.monotonic()), 60)
            await say(node, state(node.name, off, 0, started))
            await asyncio.sleep(0.6)
            found = await clock_of(running, node.name)
            if not running.lateness.covers(time.monotonic()):
                break
        assert abs(found - off) < 1000


def test_signs_cover_what_comes_for_some_seconds() -> None:
    """A backlog and a crowd that looks late are signs; a few messages and single late states are none."""
    now = time.monotonic()
    few = Lateness()
    few.took(now, 10)
    for number in range(200):
        few.state(now + number, number % 3 == 0)
    for _ in range(19):
        few.state(now + 300, True)
    assert not few.covers(now)
    assert not few.covers(now + 300)
    backlog = Lateness()
    backlog.took(now, 11)
    assert backlog.covers(now)
    assert backlog.covers(now + 1)
    assert not backlog.covers(now - 1)
    assert not backlog.covers(now + 30)
    late = Lateness()
    for number in range(20):
        late.state(now + number / 100, number % 3 > 0)
    assert late.covers(now)
    assert late.covers(now + 5)
    crowd = Lateness()
    for number in range(199):
        crowd.state(now + number / 200, number % 10 == 0)
    assert not crowd.covers(now)
    crowd.state(now + 1, False)
    assert crowd.covers(now)
    assert crowd.covers(now + 5)


async def test_a_loop_that_stood_still_is_a_sign() -> None:
    """What comes after the event loop did nothing for 1.5 s is covered, what came before is not."""
    found = Lateness()
    task = asyncio.create_task(found.watch_loop(), name="watch")
    await asyncio.sleep(0.25)
    began = time.monotonic()
    assert not found.covers(began - 10)
    time.sleep(1.5)  # noqa: ASYNC251
    await asyncio.sleep(0.15)
    assert found.covers(time.monotonic())
    task.cancel()
    await asyncio.wait([task])
