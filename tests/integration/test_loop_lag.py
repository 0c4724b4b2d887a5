"""The event loops stay free: what computes or waits for a disk does it elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent import config as agent_config
from agent import node as agent_node
from agent.see.capture import Camera
from deploy.stack import Stack

from .box import batch, box, busy, centre, crossing, now_ms, settings
from .test_agent import node_name, write_config

pytestmark = pytest.mark.alone

TURN = 0.01  # seconds between two looks at the clock
USUAL_LAG = 0.05  # seconds by which 95 of 100 turns may come late
LONGEST_LAG = 0.5


class Lags(list[float]):
    """By how many seconds each turn of the loop came late."""

    def check(self) -> None:
        """Compare with the limits, for a machine that has nothing else to do."""
        slow = busy()
        usual = sorted(self)[len(self) * 95 // 100] / slow
        worst = max(self) / slow
        print(f"95 of 100 under {usual * 1000:.1f} ms late, the worst {worst * 1000:.0f} ms, of {len(self)}")
        assert usual < USUAL_LAG
        assert worst < LONGEST_LAG


@asynccontextmanager
async def measured() -> AsyncIterator[Lags]:
    """Measure this loop while this is open."""
    lags = Lags()

    async def look() -> None:
        while True:
            due = time.monotonic() + TURN
            await asyncio.sleep(TURN)
            lags.append(time.monotonic() - due)

    looking = asyncio.create_task(look(), name="look")
    try:
        yield lags
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_the_loop_of_an_aggregator_is_free(stack: Stack) -> None:
    """Ten boxes that send five batches of 50 events a second, for four seconds, hold up no turn."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "lag")

    async def send(name: str) -> None:
        async with box(stack.mqtt_url, name) as node:
            await node.state()
            for seq in range(1, 21):
                await node.send(batch(7, seq, [crossing(seq * 50 + n) for n in range(50)], now_ms()))
                await asyncio.sleep(0.2)

    async with centre(config), measured() as lags:
        await asyncio.gather(*(send(f"lag-{n}") for n in range(10)))
    lags.check()


async def test_the_loop_of_an_agent_is_free(tmp_path: Path, stack: Stack) -> None:
    """A box that looks at the built-in street, counts and delivers holds up no turn of its loop."""
    config = agent_config.load(
        write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": {"source": "scene:?seed=7"}})
    )
    seen = 0
    took = Camera.take

    def take(camera: Camera, *rest: float) -> object:
        nonlocal seen
        frame = took(camera, *rest)
        seen += frame is not None
        return frame

    stop = asyncio.Event()
    Camera.take = take  # type: ignore[method-assign, assignment]
    try:
        agent = asyncio.create_task(agent_node.run(config, stop), name="agent")
        while seen < 5:  # noqa: ASYNC110 - counted on another thread
            await asyncio.sleep(0.1)
        async with measured() as lags:
            await asyncio.sleep(4)
        stop.set()
        await agent
    finally:
        Camera.take = took  # type: ignore[method-assign]
    assert seen > 5
    lags.check()
