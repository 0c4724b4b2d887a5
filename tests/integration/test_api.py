"""The API over real HTTP, with the real broker and database behind it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar, web

from agent import wire
from aggregator import auth, drawing
from aggregator.__main__ import forget
from aggregator.api import OUTSIDE, PREFIX, ROUTES
from aggregator.centre import Centre
from aggregator.live import BUFFER_BYTES, Hub
from aggregator.peers import Beside
from aggregator.serve import make_app
from aggregator.site_time import now
from deploy.stack import Stack

from .box import DOCUMENT, TOKEN, Box, batch, box, busy, centre, crossing, now_ms, settings, until

BEARER = {"Authorization": f"Bearer {TOKEN}"}
MINUTE = 60_000


@asynccontextmanager
async def served(running: Centre) -> AsyncIterator[str]:
    """Serve a centre on a free port; give its address."""
    runner = web.AppRunner(make_app(running), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]  # type: ignore[misc]
        yield f"http://{host}:{port}"
    finally:
        running.hub.close()
        await runner.cleanup()


@asynccontextmanager
async def scene(
    stack: Stack, name: str, timezone: str = "UTC"
) -> AsyncIterator[tuple[Centre, Box, ClientSession]]:
    """A centre, a node `name` that is online, and a client with the administrator's token."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, f"api_{name}".replace("-", "_"), timezone)
    async with centre(config) as running, served(running) as address, box(stack.mqtt_url, name) as node:
        await node.state()
        await until(lambda: running.fleet.known(name))
        async with ClientSession(address, headers=BEARER) as client:
            yield running, node, client


def filled(path: str, node: str) -> str:
    """Return a route's path with the node's name in it, `cam0` for a camera, and x for every other name."""
    return re.sub(r"{\w+}", "x", path.replace("{node}", node).replace("{camera}", "cam0"))


async def get(client: ClientSession, path: str, **query: str) -> Any:
    """Return the JSON of a GET that succeeds."""
    async with client.get(PREFIX + path, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


class Reader:
    """Reads server-sent events."""

    def __init__(self, response: Any) -> None:
        self._response = response

    async def next(self, event: str, seconds: float = 5.0) -> tuple[str, Any]:
        """Return (id, data) of the next event of that name."""
        async with asyncio.timeout(seconds):
            while True:
                block: dict[str, str] = {}
                while line := (await self._response.content.readline()).decode().rstrip("\n"):
                    key, _, value = line.partition(": ")
                    block[key] = value
                if block.get("event") == event:
                    return block.get("id", ""), json.loads(block["data"])
                assert not self._response.content.at_eof(), "the stream has ended"


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────


async def test_fleet_shows_a_node_and_its_day(stack: Stack) -> None:
    """State, cameras, counts, watched and blind time, resources and warnings of today are on one page."""
    async with scene(stack, "fleet-1") as (_, node, client):
        at = now_ms() // MINUTE * MINUTE
        total = [wire.LineTotal("main", 0, "AB", "car", 3)]
        sample = wire.Resources(now_ms(), "", 12, 40, 5_000_000, 30, 20, 51, 0, 0, False, {"cam0": 98})
        before = wire.Tally(at - MINUTE, "cam0", 0, {}, [], {}, 0, 0, 0, 0, 0)
        tally = wire.Tally(at, "cam0", 45_000, {"stalled": 15_000}, total, {"car": 4}, 900, 890, 10, 20, 35)
        await node.send(batch(7, 1, [before, crossing(1, at), crossing(2, at), sample, tally]))
        await until(lambda: node.acked)
        await asyncio.sleep(0.1)
        fleet = await get(client, "/fleet")
        (entry,) = [one for one in fleet["nodes"] if one["node"] == "fleet-1"]
        assert fleet["join"] == "gb-aggregator add-node gate-07"
        assert entry["state"] == "online"
        assert entry["cpu_percent"] == 12
        assert entry["temperature"] == 51
        assert entry["warnings"] == []
        (camera,) = entry["cameras"]
        assert camera["fps"] == 9.8
        assert camera["objects_today"] == {"car": 4}
        assert (camera["watched_seconds_today"], camera["blind_seconds_today"]) == (45.0, 15.0)
        (count,) = entry["counts_today"]
        assert count == {"camera": "cam0", "line": "main", "direction": "AB", "label": "car", "count": 3}
        (row,) = (await get(client, "/nodes/fleet-1/tallies", bucket="minute"))["rows"][-1:]
        assert (row["objects"], row["blind"], row["p95_ms"]) == ({"car": 4}, {"stalled": 15.0}, 35)
        (row,) = (await get(client, "/nodes/fleet-1/resources"))["rows"]
        assert (row["cpu_percent"], row["fps"]) == (12, {"cam0": 9.8})


async def test_last_will_and_silence(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last will makes a node offline, silence makes it stale, and both are warned of."""
    async with scene(stack, "will-1") as (running, node, client):
        monkeypatch.setattr("aggregator.node_view.STALE_MS", 100)
        await asyncio.sleep(0.3)
        assert (await get(client, "/nodes/will-1"))["state"] == "stale"
        state = {"node": "will-1", "online": True, "at": 10**400, "cameras": []}
        await node.send(json.dumps(state).encode(), "state")
        await until(lambda: running.fleet.state("will-1").at == 10**400)  # type: ignore[union-attr]
        assert "The node's clock is 115740 days ahead" in (await get(client, "/nodes/will-1"))["warnings"]
        await node.state(online=False)
        await until(lambda: not running.fleet.state("will-1").online)  # type: ignore[union-attr]
        entry = await get(client, "/nodes/will-1")
        assert entry["state"] == "offline"
        assert "The node is offline" in entry["warnings"]


async def test_counts_by_bucket_and_as_csv(stack: Stack) -> None:
    """Minutes, hours and days show the same sum; a day in autumn has its 25 hours; CSV has the same rows."""
    async with scene(stack, "count-1", "Europe/Berlin") as (_, node, client):
        first = 1_792_879_200_000  # 2026-10-25 00:00 in Berlin, the day of 25 hours
        events = [crossing(n + 1, first + n * 30 * MINUTE) for n in range(50)]
        await node.send(batch(7, 1, events, first))
        await until(lambda: node.acked)
        for bucket, rows in (("minute", 50), ("hour", 25), ("day", 1)):
            query = {"bucket": bucket, "from": "2026-10-25", "to": "2026-10-26"}
            found = (await get(client, "/nodes/count-1/counts", **query))["rows"]
            assert len(found) == rows
            assert sum(row["count"] for row in found) == 50
            assert found[0]["start"] == first
        async with client.get(
            f"{PREFIX}/nodes/count-1/counts", params=query, headers={"Accept": "text/csv"}
        ) as response:
            (line,) = csv.DictReader(io.StringIO(await response.text()))
        assert (line["start"], line["line"], line["count"]) == (str(first), "main", "50")


async def test_events_page_through_everything_once(stack: Stack) -> None:
    """Newest first by default; `after` walks through all that was stored, once, also within one moment."""
    async with scene(stack, "page-1") as (_, node, client):
        for seq in range(7):
            await node.send(batch(7, seq, [crossing(seq * 100 + i) for i in range(100)]))
        await until(lambda: len(node.acked) == 7)
        newest = (await get(client, "/nodes/page-1/events", limit="5"))["events"]
        assert [event["at"] for event in newest] == sorted((event["at"] for event in newest), reverse=True)
        seen = ["page-1:7:0:0"]
        while page := (await get(client, "/nodes/page-1/events", after=seen[-1], limit="64"))["events"]:
            seen += [event["id"] for event in page]
        assert len(seen) == len(set(seen)) == 700
        assert (await get(client, "/nodes/page-1/events", type="tally,lost"))["events"] == []


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────


async def test_lines_are_wanted_and_reported(stack: Stack) -> None:
    """Drawing, moving and deleting a line each send a whole document with a higher version, retained."""
    async with scene(stack, "line-1") as (running, node, client):
        line = f"{PREFIX}/nodes/line-1/cameras/cam0/lines"
        for name, version in (("gate", 1), ("gate", 2), ("side", 3)):
            body = {"points": [[0.1, 0.2], [0.9, 0.2 + version / 10]], "anchor": "center"}
            async with client.put(f"{line}/{name}", json=body) as response:
                assert (response.status, await response.json()) == (202, {"version": version})
        async with client.delete(f"{line}/main") as response:
            assert await response.json() == {"version": 4}
        await until(lambda: len(node.wants) == 4)
        lines = node.wants[-1].cameras["cam0"].lines
        assert {name: one.version for name, one in lines.items()} == {"gate": 2, "side": 3}
        config = (await get(client, "/nodes/line-1"))["config"]
        assert (config["wanted"], config["applied"]) == (4, 0)
        await node.state(config=wire.ConfigReport(9, "no camera", DOCUMENT))
        await until(lambda: running.fleet.state("line-1").config.applied == 9)  # type: ignore[union-attr]
        config = (await get(client, "/nodes/line-1"))["config"]
        assert (config["wanted"], config["applied"], config["error"]) == (9, 9, "no camera")
        async with client.put(f"{line}/main", json={"points": [[0, 0.5], [1, 0.5]]}) as response:
            assert await response.json() == {"version": 10}
        log = [row async for row in running.store._database.audit.find({"node": "line-1"})]
        assert [(row["user"], row["version"]) for row in log] == [("token", v) for v in (1, 2, 3, 4, 10)]
        async with box(stack.mqtt_url, "line-1", "line-1-again") as again:
            await until(lambda: [document.version for document in again.wants] == [10])


async def test_wants_are_published_when_the_database_is_back_last(own_stack: Stack) -> None:
    """A broker that lost its memory gets the documents though the database came back after it."""
    change = drawing.change(drawing.LINE, "cam0", "gate", wire.Line([(0.0, 0.5), (1.0, 0.5)]))
    async with centre(settings(own_stack.mqtt_url, own_stack.mongodb_uri, "api_power")) as running:
        async with box(own_stack.mqtt_url, "power-1") as node:
            await node.state()
            await until(lambda: running.fleet.known("power-1"))
            await running.wants.change("power-1", "token", "put line cam0/gate", change)
        assert own_stack.mongod
        await asyncio.to_thread(own_stack.mongod.kill)
        await asyncio.to_thread(own_stack.mosquitto.kill)
        await until(lambda: running.link.trouble)
        await asyncio.to_thread(own_stack.mosquitto.start)
        await until(lambda: not running.link.trouble)
        await asyncio.sleep(3)
        await asyncio.to_thread(own_stack.mongod.start)
        async with box(own_stack.mqtt_url, "power-1") as again:
            await until(lambda: again.wants)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("cameras/cam0/lines/x", {"points": [[0, 0.5]]}, 400, "bad_request"),
        ("cameras/cam0/lines/x", {"points": [[0, 0.5], [0, 0.5]]}, 400, "bad_request"),
        ("cameras/cam0/lines/x", {"points": [[0, 0.5], [2, 0.5]]}, 400, "bad_request"),
        ("cameras/cam0/lines/x", {"points": [[0, 0.5], [1, 0.5]], "colour": 1}, 400, "bad_request"),
        ("cameras/cam0/lines/%3Cb%3E", {"points": [[0, 0.5], [1, 0.5]]}, 400, "bad_request"),
        ("cameras/cam9/lines/x", {"points": [[0, 0.5], [1, 0.5]]}, 404, "no_camera"),
    ],
)
async def test_bad_lines_are_refused(
    stack: Stack, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """A line that makes no sense is refused with a code and a sentence, and nothing is sent."""
    async with scene(stack, "bad-line") as (_, node, client):
        async with client.put(f"{PREFIX}/nodes/bad-line/{path}", json=body) as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"]) == (status, code)
            assert error["message"]
        assert node.wants == []


# ── the live stream ───────────────────────────────────────────────────────────────────────────────


async def test_stream_shows_and_resumes(stack: Stack) -> None:
    """A stream starts with the node, shows facts as they are stored, and goes on where it was left."""
    async with scene(stack, "sse-1") as (_, node, client):
        url = f"{PREFIX}/stream?node=sse-1"
        async with client.get(url) as response:
            reader = Reader(response)
            assert (await reader.next("node"))[1]["state"] == "online"
            assert (await reader.next("config"))[1]["applied"] == 0
            await node.send(batch(7, 1, [crossing(1), crossing(2)]))
            id_, fact = await reader.next("fact")
            assert (id_, fact["type"], fact["total"]) == ("sse-1:7:1:0", "crossing", 1)
            assert (await reader.next("node"))[1]["counts_today"][0]["count"] == 2
        await node.send(batch(7, 2, [crossing(3), wire.CameraState(now_ms(), "cam0", "absent", "gone")]))
        await until(lambda: len(node.acked) == 2)
        async with client.get(url, headers={"Last-Event-ID": "sse-1:7:1:0"}) as response:
            reader = Reader(response)
            ids = [(await reader.next("fact"))[0] for _ in range(3)]
        assert ids == ["sse-1:7:1:1", "sse-1:7:2:0", "sse-1:7:2:1"]


async def test_stream_resumes_over_samples_and_many_pages(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last fact seen may be a resource sample, and more may be missed than one question returns."""
    monkeypatch.setattr("aggregator.stream._PAGE", 7)
    async with scene(stack, "sse-2") as (_, node, client):
        sample = wire.Resources(now_ms(), "", 10, 5, 1, 1, 1, None, 0, 0, False, {})
        await node.send(batch(7, 1, [crossing(1), sample]))
        await until(lambda: len(node.acked) == 1)
        await node.send(batch(7, 2, [crossing(total) for total in range(2, 22)]))
        await until(lambda: len(node.acked) == 2)
        headers = {"Last-Event-ID": "sse-2:7:1:1"}
        async with client.get(f"{PREFIX}/stream?node=sse-2", headers=headers) as response:
            reader = Reader(response)
            assert [(await reader.next("fact"))[0] for _ in range(20)] == [
                f"sse-2:7:2:{i}" for i in range(20)
            ]


async def test_stream_shows_what_another_aggregator_stored(stack: Stack) -> None:
    """With two aggregators a watcher of one sees every fact once, whoever stored it."""
    async with scene(stack, "both-1") as (running, node, client), centre(running.config) as other:
        await until(lambda: running.beside.others and other.beside.others, 30)
        async with client.get(f"{PREFIX}/stream?node=both-1") as response:
            reader = Reader(response)
            await reader.next("node")
            for seq in range(20):
                await node.send(batch(7, seq, [crossing(seq + 1)]))
            seen = [(await reader.next("fact"))[0] for _ in range(20)]
            assert set(seen) == {f"both-1:7:{seq}:0" for seq in range(20)}
            assert min(one.metrics.events._value.get() for one in (running, other)) > 0
            with pytest.raises(TimeoutError):
                await reader.next("fact", 3.0)


async def test_flood_of_another_aggregator_does_not_stop_the_view(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After more facts at once than are read in one go, the next ones are shown again."""
    monkeypatch.setattr("aggregator.peers._MOST", 5)
    async with scene(stack, "flood-1") as (running, node, _):
        shown: list[str] = []
        beside = Beside(running.store, lambda facts: shown.extend(fact.id for fact in facts))
        since = now()
        await node.send(batch(7, 1, [crossing(total) for total in range(1, 21)]))
        await until(lambda: len(node.acked) == 1)
        since = await beside._read(since)
        await node.send(batch(7, 2, [crossing(21)]))
        await until(lambda: len(node.acked) == 2)
        await beside._read(since)
        assert shown[-1] == "flood-1:7:2:0"


async def test_removed_node_leaves_the_page(stack: Stack) -> None:
    """A node that was taken out is not shown, though its last state is retained; back online it is."""
    async with scene(stack, "gone-1") as (running, node, client):
        await node.state(online=False)
        await until(lambda: not running.fleet.state("gone-1").online)  # type: ignore[union-attr]
        await running.store.registry.remove_node("gone-1")
        running.fleet._troubles.read_soon()  # read anew
        await get(client, "/fleet")
        assert "gone-1" not in [one["node"] for one in (await get(client, "/fleet"))["nodes"]]
        async with centre(running.config) as later:
            await asyncio.sleep(0.5)
            assert not later.fleet.known("gone-1")
        await node.state()
        await until(lambda: running.fleet.known("gone-1"))


async def test_new_box_of_a_removed_name_gets_no_old_lines(stack: Stack) -> None:
    """What was wanted of a node leaves the broker with it."""
    async with scene(stack, "heir-1") as (running, node, client):
        body = {"points": [[0, 0.5], [1, 0.5]]}
        async with client.put(f"{PREFIX}/nodes/heir-1/cameras/cam0/lines/gate", json=body) as response:
            assert response.status == 202
        await until(lambda: node.wants)
        await forget(running.config, "heir-1")
        async with box(stack.mqtt_url, "heir-1", "heir-1-new") as heir:
            await asyncio.sleep(0.5)
            assert heir.wants == []


async def test_since_is_the_start_of_the_agent_that_runs(stack: Stack) -> None:
    """A node that restarted unseen is online since then; saying the same again changes nothing."""
    async with scene(stack, "since-1") as (running, node, client):
        seen = []
        for epoch in (0, 1, 1):
            await node.state(epoch=epoch, version=f"{len(seen)}")
            await until(lambda: running.fleet.state("since-1").version == f"{len(seen)}")  # type: ignore[union-attr]
            seen.append((await get(client, "/nodes/since-1"))["since"])
            await asyncio.sleep(0.01)
        assert seen[0] < seen[1] == seen[2]


async def test_node_may_be_taken_out_while_it_is_shown(stack: Stack) -> None:
    """A node that is found to be taken out while the fleet is being shown harms nothing."""
    async with scene(stack, "first-1") as (running, node, client), box(stack.mqtt_url, "last-1") as last:
        await last.state(online=False)
        await until(lambda: running.fleet.known("last-1"))
        async with client.get(f"{PREFIX}/stream") as response:
            reader = Reader(response)
            await reader.next("node")
            await running.store.registry.remove_node("last-1")
            running.fleet._troubles.read_soon()  # read anew
            await asyncio.gather(node.state(cameras=[]), last.state(online=False))
            await until(lambda: not running.fleet.known("last-1"))
            await node.send(batch(7, 1, [crossing(1)]))
            assert (await reader.next("fact"))[0] == "first-1:7:1:0"
            while not (await reader.next("node"))[1]["counts_today"]:
                pass


async def test_opening_a_camera_makes_the_node_publish(stack: Stack) -> None:
    """A stream of a camera sends `watch`, shows its boxes, and sends `unwatch` when it is closed."""
    async with scene(stack, "watch-1") as (_, node, client):
        async with client.get(f"{PREFIX}/stream?node=watch-1&camera=cam0") as response:
            await until(lambda: node.commands)
            assert (node.commands[0].verb, node.commands[0].picture) == ("watch", False)
            rows = wire.pack_rows([(5, 0.1, 0.2, 0.3, 0.4, 1, 80)])
            frame = wire.Live(now_ms(), "cam0", rows, b"jpeg")
            await node.client.publish(wire.topic("watch-1", "live"), wire.encode_live(frame), qos=0)
            _, live = await Reader(response).next("live")
            assert live["labels"] == ["car", "bus"]
            assert live["rows"][0] == pytest.approx([5, 0.1, 0.2, 0.3, 0.4, 1, 80], abs=1e-4)
            assert "jpeg" not in live
        await until(lambda: node.commands[-1].verb == "unwatch")
        assert node.commands[-1].expires > now_ms()


async def test_preview_relays_pictures_that_may_leave(stack: Stack) -> None:
    """Pictures are relayed where the box allows them, asked for with the role, and logged; else 404."""
    async with scene(stack, "show-1") as (running, node, client):
        url = f"{PREFIX}/nodes/show-1/cameras/cam0/preview"
        async with client.get(url) as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "no_picture"
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), preview=True)])
        await until(lambda: running.fleet.state("show-1").cameras[0].preview)  # type: ignore[union-attr]
        async with client.get(url) as response:
            await until(lambda: node.commands)
            assert (node.commands[0].picture, node.commands[0].role) == (True, "admin")
            frame = wire.encode_live(wire.Live(now_ms(), "cam0", b"", b"\xff\xd8picture"))
            await node.client.publish(wire.topic("show-1", "live"), frame, qos=0)
            got = await response.content.readuntil(b"picture")
        assert b"Content-Type: image/jpeg" in got
        log = [row async for row in running.store._database.audit.find({"node": "show-1"})]
        assert log[0]["action"] == "watch pictures of cam0"


async def test_slow_watcher_is_cut_off(stack: Stack) -> None:
    """Who does not read is cut off at the bound; another watcher misses nothing."""
    async with (
        scene(stack, "slow-1") as (running, node, client),
        client.get(f"{PREFIX}/stream") as slow,
        client.get(f"{PREFIX}/stream") as quick,
    ):
        reader = Reader(quick)
        for _ in range(12 * BUFFER_BYTES // 100_000):
            for _ in range(10):
                running.hub.node("filler", {"node": "filler", "text": "x" * 10_000})
            for _ in range(10):
                while (await reader.next("node"))[1]["node"] != "filler":
                    pass
        await until(lambda: running.metrics.cut_off._value.get() == 1)
        await node.send(batch(7, 1, [crossing(1)]))
        assert (await reader.next("fact"))[0] == "slow-1:7:1:0"
        assert slow.status == 200


async def lags(hub: Hub, reader: Reader, times: int = 100) -> float:
    """Return the seconds from a node's entry to its reader within which 95 of 100 came."""
    found = []
    for number in range(times):
        begun = time.monotonic()
        hub.node("lag", {"node": "lag", "number": number})
        while (await reader.next("node"))[1].get("number") != number:
            pass
        found.append(time.monotonic() - begun)
        await asyncio.sleep(0.005)
    return sorted(found)[int(0.95 * times)]


async def test_slow_watchers_hold_up_nobody(stack: Stack) -> None:
    """While ten watchers that do not read fill up and are cut off, another one hears of things at most 50 ms
    later than without them (on a machine with nothing else to do).
    """
    async with scene(stack, "slow-2") as (running, _, client), contextlib.AsyncExitStack() as slow:
        reader = Reader(await slow.enter_async_context(client.get(f"{PREFIX}/stream")))
        alone = await lags(running.hub, reader)
        for _ in range(10):
            await slow.enter_async_context(client.get(f"{PREFIX}/stream?node=filler"))
        await until(lambda: running.metrics.streams._value.get() == 11)

        async def fill() -> None:
            while running.metrics.cut_off._value.get() < 10:
                running.hub.node("filler", {"node": "filler", "text": "x" * 50_000})
                await asyncio.sleep(0.002)

        filling = asyncio.create_task(fill(), name="fill")
        beside = await lags(running.hub, reader)
        await asyncio.wait_for(filling, 60)
        assert beside - alone <= 0.05 * busy(), (alone, beside)


# ── who may come in ───────────────────────────────────────────────────────────────────────────────


async def test_everything_needs_the_right_role(stack: Stack) -> None:
    """Every operation but the named few refuses strangers with 401, and lower roles with 403."""
    async with scene(stack, "role-1") as (running, _, client):
        base = client._base_url
        for role in auth.ROLES:
            await auth.add_user(running.store, role, f"password of {role}", role)
        async with ClientSession(base, cookie_jar=CookieJar(unsafe=True)) as stranger:
            for prefix, route in [(PREFIX, one) for one in ROUTES] + [("", one) for one in OUTSIDE]:
                path = prefix + filled(route.path, "role-1")
                async with stranger.request(route.method, path) as response:
                    if route.role:
                        assert response.status == 401, path
                        assert (await response.json())["error"]["code"] == "login_needed"
                    else:
                        assert route.path in ("/login", "/healthz")
            login = {"user": "viewer", "password": "password of viewer"}
            async with stranger.post(f"{PREFIX}/login", json=login) as response:
                assert await response.json() == {"role": "viewer"}
            assert (await get(stranger, "/me"))["user"] == "viewer"
            origin = {"Origin": str(base).rstrip("/")}
            for route in [one for one in ROUTES if one.role == "operator"]:
                path = PREFIX + filled(route.path, "role-1")
                async with stranger.request(route.method, path, json={}, headers=origin) as response:
                    assert response.status == 403, path


async def test_cookies_are_safe(stack: Stack) -> None:
    """The cookie is HttpOnly, Strict, new at each login, dead after logout, and of use to no other site."""
    async with scene(stack, "cookie-1") as (running, _, client):
        base = client._base_url
        origin = {"Origin": str(base).rstrip("/")}
        async with ClientSession(base, cookie_jar=CookieJar(unsafe=True)) as browser:
            secrets = []
            for _ in range(2):
                async with browser.post(f"{PREFIX}/login", json={"token": TOKEN}, headers=origin) as response:
                    cookie = response.cookies[auth.COOKIE]
                    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
                    secrets.append(cookie.value)
            assert secrets[0] != secrets[1]
            stale = {"Cookie": f"{auth.COOKIE}={secrets[0]}"}
            async with ClientSession(base, headers=stale) as old, old.get(f"{PREFIX}/me") as response:
                assert response.status == 401
            line = f"{PREFIX}/nodes/cookie-1/cameras/cam0/lines/x"
            body = {"points": [[0, 0.5], [1, 0.5]]}
            for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
                async with browser.put(line, json=body, headers=headers) as response:
                    assert (await response.json())["error"]["code"] == "wrong_origin"
            async with browser.put(line, json=body, headers=origin) as response:
                assert response.status == 202
            evil = {"Origin": "http://evil.example"}
            async with browser.post(f"{PREFIX}/login", json={"token": TOKEN}, headers=evil) as response:
                assert response.status == 403
            kept = [row async for row in running.store._database.sessions.find()]
            assert all(secret not in str(kept) for secret in secrets)
            async with browser.post(f"{PREFIX}/logout", headers=origin) as response:
                assert response.status == 200
            again = {"Cookie": f"{auth.COOKIE}={secrets[1]}"}
            async with ClientSession(base, headers=again) as old, old.get(f"{PREFIX}/me") as response:
                assert response.status == 401


async def test_a_session_offered_before_login_is_never_taken_over(stack: Stack) -> None:
    """Session fixation: whatever ids a browser brings along, made up or another's, login makes a new one and
    ends those; logout ends it at the centre, so a stolen cookie is dead.
    """
    async with scene(stack, "fixed-1") as (_, _, client):
        base = client._base_url
        origin = {"Origin": str(base).rstrip("/")}

        async def who(*secrets: str) -> int:
            headers = {"Cookie": "; ".join(f"{auth.COOKIE}={secret}" for secret in secrets)}
            async with ClientSession(base, headers=headers) as one, one.get(f"{PREFIX}/me") as response:
                return response.status

        async def enter(*offered: str) -> str:
            headers = origin | {"Cookie": "; ".join(f"{auth.COOKIE}={secret}" for secret in offered)}
            async with (
                ClientSession(base, headers=headers) as one,
                one.post(f"{PREFIX}/login", json={"token": TOKEN}) as response,
            ):
                assert response.status == 200
                return response.cookies[auth.COOKIE].value

        made_up = "a-session-of-the-attacker-0123456789"
        first = await enter(made_up)
        assert first != made_up
        assert (await who(made_up), await who(first)) == (401, 200)
        theirs = await enter()
        own = await enter(made_up, theirs, first)
        assert own not in {made_up, theirs, first}
        assert [await who(each) for each in (made_up, theirs, first, own)] == [401, 401, 401, 200]
        assert await who(theirs, own) == 200, "an id that was ended stands in nobody's way"
        async with (
            ClientSession(base, headers=origin | {"Cookie": f"{auth.COOKIE}={own}"}) as browser,
            browser.post(f"{PREFIX}/logout") as response,
        ):
            assert response.status == 200
        assert await who(own) == 401


async def test_guessing_is_slowed_down(stack: Stack) -> None:
    """After ten wrong passwords a user has to wait, also with the right one; others need not."""
    async with scene(stack, "guess-1") as (running, _, client):
        await auth.add_user(running.store, "anna", "the right password", "admin")
        seen = []
        for password in ["wrong"] * 10 + ["the right password"]:
            async with client.post(
                f"{PREFIX}/login", json={"user": "anna", "password": password}
            ) as response:
                seen.append((await response.json())["error"]["code"])
        assert seen == ["wrong_login"] * 10 + ["too_many_attempts"]
        assert response.headers["Retry-After"] == "60"

        async def guess(password: str) -> int:
            body = {"user": "otto", "password": password}
            async with client.post(f"{PREFIX}/login", json=body) as response:
                return response.status

        at_once = await asyncio.gather(*(guess(f"guess {i}") for i in range(20)))
        assert at_once.count(401) <= 11, "many at once outran the limit"
        async with client.post(f"{PREFIX}/login", json={"token": TOKEN}) as response:
            assert response.status == 200


async def test_every_answer_is_guarded(stack: Stack) -> None:
    """Every answer has the CSP, errors have one shape, paths cannot escape, and no GET is a way to write."""
    async with scene(stack, "guard-1") as (_, _, client):
        paths = ["/api/v1/nothing", "/nothing.js", "/../config.py", "/%2e%2e/config.py", "/a%00b", "/.env"]
        paths += ["/api/v1/nodes/guard-1/counts?from=x", "/api/v1/nodes/guard-1/counts?bucket=decade"]
        paths += ["/api/v1/nodes/guard-1/events?limit=0", "/api/v1/nodes/guard-1/events?type=x"]
        paths += ["/api/v1/nodes/guard-1/counts?bucket=minute&from=0", "/api/v1/nodes/nobody/delivery"]
        paths += ["/api/v1/nodes/guard-1/events?after=x", "/api/v1/nodes/guard-1/cameras/cam0/lines/main"]
        for path in paths:
            async with client.get(path) as response:
                assert 400 <= response.status < 500, path
                error = (await response.json())["error"]
                assert error["code"], path
                assert error["message"], path
                assert "script-src" not in response.headers["Content-Security-Policy"]
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        async with client.put(
            f"{PREFIX}/nodes/guard-1/cameras/cam0/lines/x", data=b"x" * 100_000
        ) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/fleet", "Authorization: Bearer \udcff", 401),
        ("GET", "/fleet", "Cookie: gb_session=\udcff", 401),
        ("POST", "/login", "Origin: http://[", 403),
        (
            "GET",
            "/nodes/odd-1/events?limit=00000000199999999999999999999",
            f"Authorization: Bearer {TOKEN}",
            400,
        ),
    ],
)
async def test_odd_bytes_are_refused(stack: Stack, method: str, path: str, headers: str, status: int) -> None:
    """Headers that are no UTF-8, an origin that is no address and endless numbers are refused, no error."""
    async with scene(stack, "odd-1") as (_, _, client):
        base = client._base_url
        assert base
        reader, writer = await asyncio.open_connection(base.host, base.port)
        head = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: here\r\n{headers}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode("utf-8", "surrogateescape"))
        answered = await reader.read()
        writer.close()
        assert int(answered.split()[1]) == status, answered


async def test_openapi_describes_every_route(stack: Stack) -> None:
    """The description has every operation, and real answers fit its types."""
    async with scene(stack, "open-1") as (_, _, client):
        described = await get(client, "/openapi.json")
        assert described["openapi"] == "3.1.0"
        for route in ROUTES:
            operation = described["paths"][PREFIX + route.path][route.method.lower()]
            assert str(route.status) in operation["responses"]
        for route in [one for one in ROUTES if one.method == "GET" and one.answer and one.path != "/stream"]:
            async with client.get(PREFIX + filled(route.path, "open-1")) as response:
                if response.status == 404 and "x" in filled(route.path, "open-1").split("/"):
                    continue  # there is nothing of that name
                msgspec.json.decode(await response.read(), type=route.answer)


async def test_health_says_what_is_wrong(own_stack: Stack) -> None:
    """Healthy while all is there; 503 with the reason when the database is killed, and back again."""
    async with scene(own_stack, "health-1") as (_, _, client):
        async with client.get("/healthz", headers={"Authorization": ""}) as response:
            assert await response.json() == {"ok": True, "reasons": []}
        async with client.get("/metrics") as response:
            assert "gb_events_stored_total" in await response.text()
        assert own_stack.mongod
        await asyncio.to_thread(own_stack.mongod.kill)
        async with client.get("/healthz") as response:
            assert response.status == 503
            assert "MongoDB" in (await response.json())["reasons"][0]
        async with client.get(f"{PREFIX}/nodes/health-1/delivery") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "database_away")
        async with client.get(f"{PREFIX}/stream?node=health-1") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "database_away")
        await asyncio.to_thread(own_stack.mongod.start)
        async with client.get("/healthz") as response:
            assert response.status == 200


async def test_stream_says_that_the_database_is_away(own_stack: Stack) -> None:
    """Without the database a watcher is told so, still sees a node go, and is told when all is well again."""
    async with (
        scene(own_stack, "away-1") as (_, node, client),
        client.get(f"{PREFIX}/stream") as response,
    ):
        reader = Reader(response)
        assert (await reader.next("centre"))[1] == {"ok": True, "reasons": []}
        assert own_stack.mongod
        await asyncio.to_thread(own_stack.mongod.kill)
        assert "MongoDB" in (await reader.next("centre", 15))[1]["reasons"][0]
        await node.state(online=False)
        while (await reader.next("node", 15))[1]["state"] != "offline":
            pass
        await asyncio.to_thread(own_stack.mongod.start)
        assert (await reader.next("centre", 15))[1]["ok"]


# ── the command ───────────────────────────────────────────────────────────────────────────────────


async def command(*arguments: str) -> asyncio.subprocess.Process:
    """Start `gb-aggregator`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aggregator", *arguments, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip


def config_file(folder: Path, stack: Stack, port: int, more: str = "") -> Path:
    """Write a config file of a centre."""
    path = folder / "aggregator.toml"
    path.write_text(
        f'[broker]\nurl = "{stack.mqtt_url}"\n[mongodb]\nuri = "{stack.mongodb_uri}"\n'
        f'database = "api_command"\n[http]\nport = {port}\ntoken = "{TOKEN}"\n{more}'
    )
    return path


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
async def test_run_is_ready_and_stops_as_asked(stack: Stack, tmp_path: Path, with_signal: int) -> None:
    """`run` prints one line when it is ready, and ends with 0 while a stream is open."""
    process = await command("run", "--config", str(config_file(tmp_path, stack, 0)))
    assert process.stdout
    line = (await process.stdout.readline()).decode().split()
    assert line[0] == "ready"
    async with ClientSession(line[1], headers=BEARER) as client, client.get(f"{PREFIX}/stream") as response:
        assert response.status == 200
        process.send_signal(with_signal)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_stops_while_it_waits_for_the_database(stack: Stack, tmp_path: Path) -> None:
    """Without a database it says so at once, waits, and can be stopped meanwhile."""
    path = config_file(tmp_path, stack, 0)
    path.write_text(path.read_text().replace(stack.mongodb_uri, "mongodb://127.0.0.1:1"))
    process = await command("run", "--config", str(path))
    assert process.stderr
    assert b"no MongoDB answers at 127.0.0.1:1: start it" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_failures_are_one_line(stack: Stack, tmp_path: Path) -> None:
    """A port in use is exit 1, a bad config exit 2; each says it in one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = config_file(tmp_path, stack, taken.getsockname()[1])
        process = await command("run", "--config", str(path))
        _, text = await process.communicate()
        assert process.returncode == 1
        assert b"is in use" in text.splitlines()[-1]
        assert b"Traceback" not in text
    path.write_text("[http]\nprot = 1\n")
    process = await command("run", "--config", str(path))
    _, text = await process.communicate()
    assert (process.returncode, text.count(b"\n")) == (2, 1)
    assert b"http.prot: unknown key" in text


async def test_add_user_and_tail(stack: Stack, tmp_path: Path) -> None:
    """A user added with the command can log in; `tail` prints events as sentences."""
    path = str(config_file(tmp_path, stack, 0))
    process = await command("add-user", "berta", "--role", "operator", "--config", path)
    _, text = await process.communicate(b"a long password\n")
    assert process.returncode == 0, text
    config = settings(stack.mqtt_url, stack.mongodb_uri, "api_command")
    async with centre(config) as running, served(running) as address, ClientSession(address) as client:
        login = {"user": "berta", "password": "a long password"}
        async with client.post(f"{PREFIX}/login", json=login) as response:
            assert await response.json() == {"role": "operator"}
        tail = await command("tail", "--node", "tail-1", "--config", path)
        assert tail.stdout
        async with box(stack.mqtt_url, "tail-1") as node:
            line = b""
            while b"crossing" not in line:
                await node.send(batch(7, 1, [crossing(1)]))
                try:
                    line = await asyncio.wait_for(tail.stdout.readline(), 0.5)
                except TimeoutError:
                    continue
        assert b"tail-1 cam0 crossing line=main version=0 direction=AB label=car" in line
        tail.send_signal(signal.SIGTERM)
        assert await tail.wait() == 0
