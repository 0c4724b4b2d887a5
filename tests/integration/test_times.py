"""Times in a query: every table that takes them takes the same, and refuses the same in one line."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession

from agent import wire
from aggregator.api import PREFIX, ROUTES
from deploy.stack import Stack

from .box import batch, crossing, now_ms, until
from .test_api import get, scene

DAY = 86_400_000


async def refusal(client: ClientSession, path: str) -> str:
    """Return the words of a request that is refused."""
    async with client.get(PREFIX + path) as response:
        said: dict[str, Any] = await response.json()
        assert (response.status, said["error"]["code"]) == (400, "bad_request"), path
        return str(said["error"]["message"])


async def test_seconds_and_a_lost_plus_are_refused_everywhere(stack: Stack) -> None:
    """Each operation with `from` and `to` refuses Unix seconds, a lost +, and a reversed span."""
    async with scene(stack, "times-1") as (_, _, client):
        paths = [
            route.path.format(node="times-1", camera="cam0")
            for route in ROUTES
            if {"from", "to"} <= {*route.query}
        ]
        assert len(paths) >= 8
        for path in paths:
            for name in ("from", "to"):
                said = await refusal(client, f"{path}?{name}=1764288000")
                assert said.startswith(f"{name}: 1764288000 "), said
                assert "1764288000000" in said
                assert "2025-11-28T00:00:00Z" in said
                said = await refusal(client, f"{path}?{name}=2026-11-28T10:00:00+01:00")
                assert said == f"{name}: a + in an address means a space: write 2026-11-28T10:00:00%2B01:00"
            assert "not after the beginning" in await refusal(client, f"{path}?from=2026-11-28&to=2026-11-27")


async def test_the_same_moment_in_each_form_finds_the_same(stack: Stack) -> None:
    """Milliseconds, ISO 8601 with %2B and the site's own time find one crossing; so does `from=0`."""
    async with scene(stack, "times-2", "Europe/Berlin") as (_, node, client):
        at = now_ms() // DAY * DAY - 5 * DAY
        await node.send(batch(7, 1, [crossing(1, at + 60_000)]))
        await until(lambda: node.acked)
        local = datetime.fromtimestamp(at / 1000, ZoneInfo("Europe/Berlin"))
        for since in (str(at), local.isoformat(), local.replace(tzinfo=None).isoformat(), "0"):
            query = {"from": since, "to": str(at + 120_000), "type": "crossing"}
            events = (await get(client, "/nodes/times-2/events", **query))["events"]
            assert [event["at"] for event in events] == [at + 60_000], since


@pytest.mark.parametrize("table", ["counts", "tallies", "shares", "zones", "speeds", "trips"])
async def test_the_sum_since_the_installation_is_one_question(stack: Stack, table: str) -> None:
    """`bucket=all` reaches as far back as anybody asks; hours have a longest time, which is told."""
    async with scene(stack, f"times-3-{table}") as (_, node, client):
        at = now_ms()
        sent = [crossing(1, at - 700 * DAY), crossing(2, at - 300 * DAY), crossing(3, at - DAY)]
        tallies = [
            wire.Tally(one.at // 60_000 * 60_000, "cam0", 60_000, {}, [], {}, 9, 9, 0, 1, 1) for one in sent
        ]
        await node.send(batch(7, 1, [*tallies, *sent]))
        await until(lambda: node.acked)
        query = {"from": str(at - 720 * DAY), "bucket": "all"}
        if table in ("speeds", "trips"):
            del query["bucket"]
        rows = (await get(client, f"/nodes/{node.name}/{table}", **query))["rows"]
        if table == "counts":
            assert [row["count"] for row in rows] == [3]
        path = f"/nodes/{node.name}/{table}"
        assert len((await get(client, f"{path}?bucket=all&from=2001-09-10"))["rows"]) == len(rows)
        said = await refusal(client, f"{path}?bucket=hour&from=2001-09-10")
        assert said == "from, to: at most 800 days by hour"


async def test_seconds_are_told_to_the_millisecond(stack: Stack) -> None:
    """0.1 s and 0.2 s of watching are 0.3 s in every form, not 0.30000000000000004."""
    async with scene(stack, "times-4") as (_, node, client):
        at = now_ms() // DAY * DAY
        tallies = [
            wire.Tally(at + i * 60_000, "cam0", 100 * i, {"stalled": 100 * i}, [], {}, 9, 9, 0, 1, 1)
            for i in (1, 2)
        ]
        await node.send(batch(7, 1, [*tallies, crossing(1, at + 60_000)]))
        await until(lambda: node.acked)
        for table in ("counts", "tallies"):
            for form in ("csv", "jsonl", "json"):
                path = f"{PREFIX}/nodes/times-4/{table}?bucket=day&format={form}"
                async with client.get(path) as response:
                    text = await response.text()
                assert "0.3" in text
                assert "0.30000" not in text, path
