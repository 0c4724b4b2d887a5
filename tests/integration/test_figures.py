"""Zones, planes, shares, speeds and trips over real HTTP, with the real broker and database behind it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from agent import wire
from aggregator.api import PREFIX
from deploy.stack import Stack

from .box import batch, until
from .test_api import get, scene

MINUTE = 60_000
START = 1_730_023_200_000  # 2024-10-27 10:00 UTC
OFF = range(40, 50)  # minutes in which the node was off
BLIND = range(50, 58)


def tally(minute: int) -> wire.Tally:
    """A camera's minute: running totals that grow by one a minute, or more, and a zone of three."""
    n = minute + 1
    watched, blind = (0, {"absent": 60_000}) if minute in BLIND else (60_000, {})
    return wire.Tally(
        START + minute * MINUTE, "cam0", watched, blind, [wire.LineTotal("main", 2, "AB", "car", n)],
        {"with_mask": 3 * n, "without_mask": n, "unknown": n}, 900, 890, 10, 20, 35,
        [wire.ZoneTotal("kerb", 4, "car", 2 * n, n)],
        [wire.ZoneMinute("kerb", 4, 300, 4, 3, 150, 2, 1)] if watched else [],
        [wire.TripTotal("main:AB", "kerb", "car", n)],
    )  # fmt: skip


def objects() -> list[wire.AnyEvent]:
    """Ten of what single objects tell: crossings with a speed, stays, tracks with gates."""
    events: list[wire.AnyEvent] = []
    for n in range(10):
        at = START + n * MINUTE
        events += [
            wire.Crossing(at, "cam0", "main", 2, "AB", "car", n, n + 1, 90, 400 + 20 * n),
            wire.Stay(at, "cam0", "kerb", 4, "car", n, 1000 * (n + 1)),
            wire.Track(
                at, "cam0", n, "car", 90, 9000, 90, b"", True, {},
                [wire.Gate("main", "AB", 0), wire.Gate("yard", "in", 2000), wire.Gate("kerb", "in", 5000)],
            ),
        ]  # fmt: skip
    return [*events, wire.Crossing(START, "cam0", "main", 2, "AB", "car", 99, 1)]


async def figures(client: ClientSession, what: str, **query: str) -> list[dict[str, Any]]:
    """Return the rows of a question about the whole day by day, unless `query` says otherwise."""
    asked = {"from": "2024-10-27", "to": "2024-10-28", "bucket": "day", **query}
    rows: list[dict[str, Any]] = (await get(client, f"/nodes/figure-1/{what}", **asked))["rows"]
    return rows


async def test_figures_of_a_day(stack: Stack) -> None:
    """Shares, speeds, trips, zones, rates and unseen time come out of a day's late, doubled batches."""
    async with scene(stack, "figure-1") as (_, node, client):
        minutes = [tally(n) for n in range(-1, 60) if n not in OFF]
        for seq, events in ((2, minutes[30:]), (1, minutes[:30]), (3, objects()), (2, minutes[30:])):
            await node.send(batch(7, seq, events, START))
        await until(lambda: len(set(node.acked)) == 3)

        (row,) = await figures(client, "counts")
        assert (row["count"], row["watched_seconds"], row["blind_seconds"]) == (60, 43 * 60.0, 480.0)
        assert row["rate"] == pytest.approx(60 / 43 * 60, abs=0.01)
        blind = await figures(client, "counts", bucket="minute")
        assert [one["rate"] for one in blind if one["start"] == START + BLIND[0] * MINUTE] == [None]
        hours = await figures(client, "tallies", bucket="hour")
        assert hours[-1]["unseen"] == [[START + 40 * MINUTE, START + 58 * MINUTE]]
        assert hours[-1]["watched_seconds"] == 42 * 60.0

        shares = {one["label"]: one for one in await figures(client, "shares")}
        assert (shares["with_mask"]["count"], shares["with_mask"]["total"]) == (180, 240)
        assert shares["with_mask"]["share"] == 0.75
        assert shares["with_mask"]["low"] == pytest.approx(0.6915, abs=1e-3)
        assert (shares["unknown"]["count"], shares["unknown"]["total"]) == (60, 300)

        (speed,) = await figures(client, "speeds")
        assert (speed["count"], speed["mean"], speed["p50"], speed["p85"]) == (10, 49.0, 49.0, 55.3)
        assert await figures(client, "speeds", line="side") == []

        (trip,) = await figures(client, "trips")
        assert (trip["origin"], trip["destination"], trip["count"]) == ("main:AB", "kerb", 60)
        assert trip["seconds_p50"] == 5.0
        pairs = await figures(client, "trips", origin="main:AB")
        assert [(one["destination"], one["count"]) for one in pairs] == [("kerb", 10), ("yard", 10)]
        (pair,) = await figures(client, "trips", origin="yard", destination="kerb")
        assert (pair["count"], pair["seconds_p50"]) == (10, 3.0)

        (zone,) = await figures(client, "zones", zone="kerb")
        assert (zone["version"], zone["entered"], zone["left"]) == (4, 120, 60)
        assert (zone["occupancy_mean"], zone["occupancy_peak"]) == (3.0, 4)
        assert (zone["queue_mean"], zone["queue_peak"]) == (1.5, 2)
        assert (zone["stays"], zone["dwell_p50"], zone["watched_seconds"]) == (10, 5.5, 43 * 60.0)
        hours = await figures(client, "zones", bucket="hour")
        assert sum(one["entered"] for one in hours) == 120
        (whole,) = await figures(client, "zones", bucket="all")
        assert {**whole, "start": zone["start"]} == zone

        for what in ("shares", "zones", "trips", "speeds", "tallies"):
            url = f"{PREFIX}/nodes/figure-1/{what}?from=2024-10-27&to=2024-10-28&bucket=day&format="
            async with client.get(url + "csv") as response:
                table = list(csv.DictReader(io.StringIO(await response.text())))
            async with client.get(url + "jsonl") as response:
                lines = [json.loads(line) for line in (await response.text()).splitlines()]
            assert lines == await figures(client, what)
            assert [one["camera"] for one in table] == ["cam0"] * len(lines)


async def test_zones_and_planes_are_wanted(stack: Stack) -> None:
    """Zones and the road plane reach the node in one whole document; what makes no sense is refused."""
    async with scene(stack, "shape-1") as (running, node, client):
        url = f"{PREFIX}/nodes/shape-1/cameras/cam0"
        corners = [[0.2, 0.4], [0.8, 0.4], [0.9, 0.9], [0.1, 0.9]]
        metres = [[0, 20], [7, 20], [7, 0], [0, 0]]
        zone = {"points": corners, "anchor": "center", "labels": ["car"]}
        for path, body in (("zones/kerb", zone), ("plane", {"points": corners, "metres": metres})):
            async with client.put(f"{url}/{path}", json=body) as response:
                assert response.status == 202, await response.text()
        await until(lambda: len(node.wants) == 2)
        camera = node.wants[-1].cameras["cam0"]
        assert (camera.zones["kerb"].version, camera.zones["kerb"].anchor) == (1, "center")
        assert camera.plane == wire.Plane([tuple(p) for p in corners], [tuple(p) for p in metres])  # type: ignore[misc]
        assert set(camera.lines) == {"main"}
        for path, body in (
            ("zones/kerb", {"points": corners[:2]}),
            ("plane", {"points": [corners[0], corners[2], corners[1], corners[3]], "metres": metres}),
        ):
            async with client.put(f"{url}/{path}", json=body) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (400, "bad_request")
        for path in ("zones/kerb", "plane"):
            for status in (202, 404):
                async with client.delete(f"{url}/{path}") as response:
                    assert response.status == status
        await until(lambda: len(node.wants) == 4)
        assert node.wants[-1].cameras["cam0"].zones == {}
        assert node.wants[-1].cameras["cam0"].plane is None
        log = [row["action"] async for row in running.store._database.audit.find({"node": "shape-1"})]
        assert log == ["put zone cam0/kerb", "put plane cam0", "delete zone cam0/kerb", "delete plane cam0"]
