"""What every part spends: measured at the real broker and database, stored once, and shown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession

from agent import wire
from aggregator.centre import Centre
from aggregator.system import api, sampler
from aggregator.system.rates import Rates
from deploy.stack import Stack

from .box import batch, centre, now_ms, settings, until
from .test_api import get, scene

DAY = 86_400_000
HOUR = 3_600_000


@pytest.fixture(scope="module")
def talkative(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same database, and a broker that tells of itself each second instead of each ten."""
    folder = tmp_path_factory.mktemp("talkative")
    with Stack(folder, stack.mongodb_uri, "sys_interval 1") as own:
        yield own


async def measured(running: Centre) -> None:
    """Wait for the broker's figures and take two samples, so that rates are known."""
    await until(lambda: not running.system.broker.trouble)
    await running.system.sample()
    await running.system.sample()


async def metrics_of(client: ClientSession) -> dict[str, float]:
    """Return the figures of /metrics that have no label."""
    async with client.get("/metrics") as response:
        text = await response.text()
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.M)}


async def test_every_part_is_measured_and_shown(talkative: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aggregator, broker, database and nodes stand in GET /system and in /metrics with the same values."""
    monkeypatch.setattr(sampler, "_FIRST_SECONDS", 3600.0)
    async with scene(talkative, "sys-1") as (running, node, client):
        power = wire.Power(8420, True, 315)
        fps = {"cam0": 98}
        used = wire.Resources(now_ms(), "", 12, 40, 5_000_000, 30, 20, 51, 0, 0, False, fps, 0, 7, power)
        await node.send(batch(7, 1, [used]))
        await until(lambda: node.acked)
        await until(lambda: (view := running.fleet.views()) and all(one.resources for one in view))
        await until(lambda: running.system.broker._levels.get("clients", 0) >= 4)
        await measured(running)
        found = await get(client, "/system")
        row = found["rows"][-1]
        assert row["aggregators"]["count"] == 1
        assert row["aggregators"]["memory_bytes"] > 20_000_000
        assert row["nodes"] | {"offline": 0, "stale": 0} == {
            "online": 1, "offline": 0, "stale": 0, "cpu_percent": 12.0, "cpu_percent_most": 12,
            "memory_bytes": 5_000_000, "temperature_most": 51, "frames_per_second": 9.8,
            "gpu_percent": 7.0, "gpu_percent_most": 7,
            "watts": 8.42, "watts_most": 8.42, "joules_per_count": 31.5,
        }  # fmt: skip
        assert row["broker"]["clients"] >= 4  # the centre's three, and the node
        assert row["broker"]["memory_bytes"] > 10_000
        assert row["broker"]["dropped_per_second"] == 0
        assert row["database"]["memory_bytes"] > 30_000_000
        assert row["database"]["operations_per_second"] > 0
        assert row["database"]["cpu_percent"] >= 0
        assert row["database"]["free_bytes"] > row["database"]["bytes"] > 0
        assert found["disk"]["bytes"] == row["database"]["bytes"]
        assert found["disk"]["in_30_days"] is None  # nothing is known of a day yet
        assert found["notes"] == []
        shown = await metrics_of(client)
        assert shown["gb_database_bytes"] == row["database"]["bytes"]
        assert shown["gb_broker_clients"] == row["broker"]["clients"]
        assert shown["gb_nodes_temperature_most"] == 51
        assert shown["gb_nodes_gpu_percent_most"] == 7
        assert (shown["gb_nodes_watts"], shown["gb_nodes_count_joules"]) == (8.42, 31.5)
        (told,) = (await get(client, "/nodes/sys-1/resources?from=0&to=9999999999999"))["rows"]
        assert told["gpu_percent"] == 7
        assert (told["watts"], told["power_of"], told["joules_per_count"]) == (8.42, "board", 31.5)


async def test_the_disk_in_30_days_goes_by_the_last_day(stack: Stack) -> None:
    """What a database grew in twelve hours is twice that in a day and sixty times that in 30 days."""
    async with scene(stack, "sys-2") as (running, _, client):
        at = now_ms()
        for hours, size in ((30, 1), (12, 1_000_000_000), (0, 1_250_000_000)):
            parts = {
                "aggregators": {"count": 1, "cpu_percent": 1.0, "memory_bytes": 1},
                "database": {"bytes": size, "free_bytes": 9_000_000_000},
            }
            await running.store.system.write("one", at - hours * HOUR, parts, running.clock.stamp())
        disk = (await get(client, "/system"))["disk"]
        assert disk["bytes"] == 1_250_000_000
        assert disk["free_bytes"] == 9_000_000_000
        assert disk["day_bytes"] == 500_000_000
        assert disk["in_30_days"] == 16_250_000_000
        assert disk["measured_seconds"] == 12 * 3600
        long = await get(client, "/system", **{"from": str(at - 30 * DAY), "to": str(at)})
        assert long["step_seconds"] == 3600
        assert len(long["rows"]) <= 721


async def test_several_aggregators_are_added_up_and_the_rest_is_stored_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two writes its own use; the shared parts are written by the one who leads."""
    monkeypatch.setattr(sampler, "_FIRST_SECONDS", 3600.0)
    config = settings(stack.mqtt_url, stack.mongodb_uri, "system_two")
    async with centre(config) as one, centre(config) as two:
        for running in (one, two):
            await measured(running)
        rows = await one.store.system.read(0, now_ms() + DAY, DAY)
        assert [("database" in row, "nodes" in row) for row in rows].count((True, True)) == 1
        (joined,) = api.joined(rows)
        assert joined.aggregators is not None
        assert joined.aggregators.count == 2
        assert joined.database is not None


async def test_what_cannot_be_known_is_said(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the broker has told of itself its part is None, NaN in the metrics, and a note says so."""
    monkeypatch.setattr(sampler, "_FIRST_SECONDS", 3600.0)
    async with scene(stack, "sys-3") as (running, _, client):
        await until(lambda: not running.system.broker.trouble)
        running.system.broker.trouble = "the broker says nothing"
        await running.system.sample()
        found = await get(client, "/system")
        assert found["rows"][-1]["broker"] is None
        assert found["notes"] == ["the broker says nothing"]
        assert math.isnan((await metrics_of(client))["gb_broker_clients"])


def test_a_counter_that_begins_anew_has_no_rate() -> None:
    """After a restart of what counts, the rate is unknown once, and never negative."""
    rates = Rates()
    assert [rates.take("x", total, at) for total, at in ((10, 0), (30, 10), (5, 20), (25, 30))] == [
        None, 2.0, None, 2.0,
    ]  # fmt: skip
