"""Where nodes stand: sites, groups, labels; what is filtered by them, and whose midnight it is."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any
from zoneinfo import ZoneInfo

from aggregator import site_time
from aggregator.api import PREFIX
from deploy.stack import Stack

from .box import batch, box, centre, crossing, until
from .test_api import BEARER, get, scene, served
from .test_people import call, code


async def test_nodes_are_chosen_by_site_group_label_state_and_text(stack: Stack) -> None:
    """Each filter of the fleet gives the nodes that it names, several together those that fit all."""
    async with scene(stack, "pick-a") as (running, one, client), box(stack.mqtt_url, "pick-b") as two:
        await two.state()
        await until(lambda: running.fleet.known("pick-b"))
        for path in ("/sites/town.1", "/sites/town%2F1", "/groups/bus", "/groups/Bus"):
            assert (await call(client, "PUT", path, {"title": "x"}))[0] == 200
        place = {
            "site": "town/1",
            "groups": ["bus"],
            "labels": ["floor=2", "wet"],
            "title": "Gate <b>west</b>",
        }
        assert (await call(client, "PATCH", "/nodes/pick-a/place", place))[0] == 200
        place = {"site": "town.1", "groups": ["Bus", "bus"], "labels": ["wet"]}
        assert (await call(client, "PATCH", "/nodes/pick-b/place", place))[0] == 200
        await two.state(online=False)
        await until(lambda: running.fleet.standing("pick-b") == "offline")
        for query, names in (
            ("site=town/1", "a"), ("site=town.1", "b"), ("site=Town.1", ""), ("group=bus", "ab"),
            ("group=Bus", "b"), ("label=wet", "ab"), ("label=wet&label=floor=2", "a"),
            ("q=pick&state=offline", "b"),
            ("q=PICK-A", "a"), ("q=%3Cb%3E", "a"), ("q=pick&state=online", "a"), ("group=bus&site=x", ""),
        ):  # fmt: skip
            async with client.get(f"{PREFIX}/fleet?{query}") as response:
                found = [node["node"][-1] for node in (await response.json())["nodes"]]
            assert "".join(found) == names, query
        entry = await get(client, "/nodes/pick-a")
        assert (entry["site"], entry["groups"], entry["labels"]) == ("town/1", ["bus"], ["floor=2", "wet"])
        assert entry["title"] == "Gate <b>west</b>"
        assert one.name == "pick-a"


async def test_sites_and_groups_are_kept_and_not_taken_away_under_a_node(stack: Stack) -> None:
    """What makes no sense is refused in a sentence; a site with nodes stays; another aggregator knows it."""
    async with scene(stack, "site-1") as (running, _, client):
        north = {"title": "North", "timezone": "Europe/Berlin", "latitude": 52.5, "longitude": 13.4}
        assert (await call(client, "PUT", "/sites/north", north))[1] == {**north, "site": "north", "nodes": 0}
        for body in ({"timezone": "Mars/Base"}, {"latitude": 1}, {"latitude": 91, "longitude": 0}, {"x": 1}):
            assert await code(client, "PUT", "/sites/bad", body) == (400, "bad_request")
        assert await code(client, "PUT", "/sites/%3Cb%3E", {}) == (400, "bad_request")
        assert await code(client, "PATCH", "/nodes/site-1/place", {"site": "North"}) == (404, "no_site")
        assert await code(client, "PATCH", "/nodes/site-1/place", {"groups": ["x"]}) == (404, "no_group")
        assert (await call(client, "PATCH", "/nodes/site-1/place", {"site": "north"}))[0] == 200
        assert await code(client, "DELETE", "/sites/north") == (409, "not_empty")
        async with centre(running.config) as other, served(other) as address:
            assert other.places.of("site-1").site == "north"
            async with client.get(f"{address}{PREFIX}/sites/north", headers=BEARER) as response:
                assert (await response.json())["nodes"] == 1
            assert (await call(client, "PATCH", "/nodes/site-1/place", {"site": ""}))[0] == 200
            await until(lambda: other.places.of("site-1").site == "")
        assert (await call(client, "DELETE", "/sites/north"))[0] == 200
        assert await code(client, "GET", "/sites/north") == (404, "no_site")


async def test_two_who_place_a_node_at_once_lose_nothing(stack: Stack) -> None:
    """Site, title, labels and groups changed by four at the same moment are all there."""
    async with scene(stack, "four-1") as (_, _, client):
        assert (await call(client, "PUT", "/sites/x", {}))[0] == 200
        assert (await call(client, "PUT", "/groups/g", {}))[0] == 200
        wanted = {"site": "x", "groups": ["g"], "labels": ["a", "b"], "title": "T"}
        at_once = [call(client, "PATCH", "/nodes/four-1/place", {key: wanted[key]}) for key in wanted]
        assert [status for status, _ in await asyncio.gather(*at_once)] == [200] * 4
        assert await get(client, "/nodes/four-1/place") == wanted


async def test_a_nodes_day_begins_at_its_sites_midnight(stack: Stack) -> None:
    """A day in Auckland begins at midnight of Auckland, without a site at midnight of the centre."""
    async with scene(stack, "zone-1") as (_, node, client):
        at = 1_792_879_200_000  # 2026-10-24 22:00 UTC, 2026-10-25 11:00 in Auckland
        await node.send(batch(7, 1, [crossing(1, at)], at))
        await until(lambda: node.acked)
        query = {"bucket": "day", "from": str(at - 86_400_000), "to": str(at + 86_400_000)}
        (row,) = (await get(client, "/nodes/zone-1/counts", **query))["rows"]
        assert row["start"] == 1_792_800_000_000  # 2026-10-24 00:00 UTC
        assert (await call(client, "PUT", "/sites/south", {"timezone": "Pacific/Auckland"}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/zone-1/place", {"site": "south"}))[0] == 200
        (row,) = (await get(client, "/nodes/zone-1/counts", **query))["rows"]
        assert row["start"] == 1_792_839_600_000  # 2026-10-25 00:00 in Auckland, UTC+13


async def test_a_sites_zone_changes_and_all_that_is_stored_is_told_by_the_new_clock(stack: Stack) -> None:
    """Days are made anew from what is kept: counts, CSV, sums over the site, and today begin elsewhere."""
    async with scene(stack, "zone-2") as (running, node, client):
        at = 1_792_879_200_000  # 2026-10-24 22:00 UTC, 2026-10-25 11:00 in Auckland
        await node.send(batch(7, 1, [crossing(1, at), crossing(2, at + 3 * 3_600_000)], at))
        await until(lambda: node.acked)
        assert (await call(client, "PUT", "/sites/moving", {"timezone": "Pacific/Auckland"}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/zone-2/place", {"site": "moving"}))[0] == 200
        query = {"bucket": "day", "from": str(at - 86_400_000), "to": str(at + 86_400_000)}

        async def seen() -> list[list[tuple[int, int]]]:
            found = []
            for path, more in (("/nodes/zone-2/counts", {}), ("/fleet/counts", {"site": "moving"})):
                rows = (await get(client, path, **query, **more))["rows"]
                found.append([(row["start"], row["count"]) for row in rows])
                asked = {**query, **more, "format": "csv"}
                async with client.get(PREFIX + path, params=asked) as response:
                    rows = list(csv.DictReader(io.StringIO(await response.text())))
                found.append([(int(row["start"]), int(row["count"])) for row in rows])
            return found

        assert await seen() == [[(1_792_839_600_000, 2)]] * 4
        assert (await call(client, "PUT", "/sites/moving", {"timezone": "Europe/London"}))[0] == 200
        one = [(1_792_796_400_000, 1), (1_792_882_800_000, 1)]  # midnights of the 24th and the 25th, UTC+1
        assert await seen() == [one] * 4
        assert (await get(client, "/fleet/counts", **query, site="moving"))["timezone"] == "Europe/London"
        assert (await get(client, "/fleet/counts", **query, nodes="zone-2"))["timezone"] == "Europe/London"
        assert (await get(client, "/nodes/zone-2"))["timezone"] == "Europe/London"
        start = running.fleet.view("zone-2").day.start
        assert site_time.local(start, ZoneInfo("Europe/London")).strftime("%H:%M") == "00:00"


async def test_a_removed_nodes_place_is_not_its_heirs(stack: Stack) -> None:
    """A new box of a removed name begins without a site."""
    async with scene(stack, "moved-1") as (running, _, client):
        assert (await call(client, "PUT", "/sites/x", {}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/moved-1/place", {"site": "x"}))[0] == 200
        await running.store.registry.remove_node("moved-1")
        await until(lambda: running.places.of("moved-1").site == "")


async def test_a_place_that_is_set_is_not_lost_to_what_was_read_before(stack: Stack) -> None:
    """A reading that began before a group was set, and ends after, does not take it away again; and a group
    that others take away while it is being set is answered all the same.
    """
    async with scene(stack, "race-1") as (running, _, client):
        store: Any = running.places._store
        read = store.all
        begun = asyncio.Event()
        go = asyncio.Event()

        async def held_up(kind: str) -> Any:
            rows = await read(kind)
            if kind == "groups" and not begun.is_set():
                begun.set()
                await go.wait()
            return rows

        store.all = held_up
        reading = asyncio.create_task(running.places.load(), name="a slow reading")
        await begun.wait()
        setting = asyncio.create_task(call(client, "PUT", "/groups/late", {"title": "x"}), name="set")
        await asyncio.wait({setting}, timeout=1.0)
        go.set()
        await reading
        assert (await setting)[0] == 200
        assert (await call(client, "GET", "/groups/late"))[0] == 200
        answers = [call(client, method, "/groups/both", {}) for method in ("PUT", "DELETE") * 10]
        assert {status for status, _ in await asyncio.gather(*answers)} <= {200, 404}
