"""What comes back after a kill, and how soon: agent, aggregator, broker, database; and an hour without one.

`GB_RECOVERY=20` kills each so often (three times otherwise) and prints the 95th percentile.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pymongo
import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from deploy.stack import Stack

from .box import busy, centre, settings, singly
from .counting_box import CountingBox, running
from .test_agent import running as agent_running
from .test_agent import write_config
from .test_several import aggregators

KILLS = int(os.environ.get("GB_RECOVERY", "3"))
LIMITS = {"aggregator": 3.0, "broker": 3.0, "database": 10.0, "agent": 5.0}  # seconds
MODEL_SECONDS = 5.0  # the agent's start takes a model's too
NODES = 20
MINUTES = 60
MINUTE_MS = 60_000


def judge(part: str, taken: list[float], more: float = 0.0) -> None:
    """Compare the 95th percentile with the limit, for a machine that has nothing else to do."""
    worst = sorted(taken)[math.ceil(0.95 * len(taken)) - 1]
    load = busy()
    print(f"{part}: p95 of {len(taken)} kills {worst:.2f} s on a machine {load:.1f} times busy")
    assert worst <= (LIMITS[part] + more) * load, taken


@pytest.mark.parametrize("part", ["aggregator", "broker", "database"])
async def test_events_are_acknowledged_soon_after_a_kill(part: str, own_stack: Stack, tmp_path: Path) -> None:
    """Killed with -9 under load and started again by its supervisor: until an event that was counted after
    the kill is acknowledged. All are stored, each once.
    """
    assert own_stack.mongod is not None
    broker = BrokerSettings.parse(own_stack.mqtt_url, client_id="back-01")
    taken = []
    with aggregators(tmp_path, own_stack, "recovery", 1) as (one,):

        def restart() -> None:
            if part == "aggregator":
                one.kill()
                one.start()
                one.ready()
                return
            service = own_stack.mosquitto if part == "broker" else own_stack.mongod
            assert service is not None
            service.kill()
            service.start()

        async with running(CountingBox(tmp_path / "box", broker, "back-01")) as counting:
            await counting.count(20)
            await counting.drained(60)
            for _ in range(KILLS):
                load = asyncio.create_task(counting.count(100, 0.01), name="load")
                await asyncio.sleep(0.5)
                began = time.monotonic()
                restarting = asyncio.to_thread(restart)
                await restarting
                await counting.count(1)
                await load
                await counting.drained(120)
                taken.append(time.monotonic() - began)
            total = counting.total
    judge(part, taken)
    with pymongo.MongoClient(own_stack.mongodb_uri) as client:
        stored = [int(row["o"]) for row in singly(client["recovery"]["batches"].find()) if "o" in row]
    assert sorted(stored) == list(range(1, total + 1))


async def test_an_agent_sends_again_soon_after_a_kill(stack: Stack, tmp_path: Path) -> None:
    """Killed with -9 and started again: until the broker has an event of its new start."""
    config = write_config(tmp_path, stack.mqtt_url, "back-02", {"cam0": {"source": "scene:?seed=7"}})
    taken = []
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic("back-02", "ev"))
        epochs: set[int] = set()
        for _ in range(KILLS + 1):
            began = time.monotonic()
            with agent_running(config):
                async with asyncio.timeout(60):
                    async for message in client.messages:
                        epoch = wire.decode_batch(message.payload).epoch
                        if epoch not in epochs:
                            break
            epochs.add(epoch)
            taken.append(time.monotonic() - began)
    judge("agent", taken[1:], MODEL_SECONDS)


async def test_an_hour_of_twenty_nodes_without_the_database_is_caught_up(
    own_stack: Stack, tmp_path: Path
) -> None:
    """An hour of 20 nodes (an hour being a minute here) comes while the database is away: nothing is lost or
    stored twice, and it is caught up three times as fast as it came.
    """
    assert own_stack.mongod is not None
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "hour")
    async with centre(config), AsyncExitStack() as stack:
        boxes = []
        for number in range(NODES):
            broker = BrokerSettings.parse(own_stack.mqtt_url, client_id=f"hour-{number:02d}")
            counting = CountingBox(tmp_path / f"box-{number}", broker, f"hour-{number:02d}")
            boxes.append(await stack.enter_async_context(running(counting)))
        await asyncio.to_thread(own_stack.mongod.kill)
        await asyncio.gather(*(an_hour(counting) for counting in boxes))
        await asyncio.sleep(1)
        assert all([(await counting.spool.status())["pending"] for counting in boxes])
        await asyncio.to_thread(own_stack.mongod.start)
        began = time.monotonic()
        await asyncio.gather(*(counting.drained(300) for counting in boxes))
        took = time.monotonic() - began
        load = busy()
    print(f"an hour of {NODES} nodes was caught up in {took:.1f} s on a machine {load:.1f} times busy")
    assert took <= 60 / 3 * load
    with pymongo.MongoClient(own_stack.mongodb_uri) as client:
        rows = singly(client["hour"]["batches"].find())
        tallies = client["hour"]["tallies"].count_documents({})
    crossings = [(row["n"], int(row["o"])) for row in rows if "o" in row]
    assert sorted(crossings) == [
        (counting.node, total) for counting in boxes for total in range(1, MINUTES + 1)
    ]
    assert tallies == NODES * MINUTES


async def an_hour(counting: CountingBox) -> None:
    """Count a crossing and tell a tally each minute, a batch each, for an hour that ends now."""
    first = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS - MINUTES * MINUTE_MS
    for minute in range(MINUTES):
        counting.total += 1
        at = first + minute * MINUTE_MS
        total = wire.LineTotal("main", 1, "AB", "car", counting.total)
        await counting.spool.append(
            [
                wire.Crossing(at, "cam0", "main", 1, "AB", "car", counting.total, counting.total, 80),
                wire.Tally(at, "cam0", MINUTE_MS, {}, [total], {"car": counting.total}, 60, 60, 0, 20, 30),
            ]
        )
        await counting.spool.close_batch()
