"""Settings as documents: of one camera, of many, by profile; two editors, older nodes, drift."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
import pytest

from agent import wire
from aggregator.api import PREFIX
from aggregator.site_time import now
from deploy.stack import Stack

from .box import DOCUMENT, Box, box, centre, until
from .test_api import get, scene
from .test_people import call, code

NIGHT = {"settings": {"confidence": 0.6}}
CAM = "/nodes/{}/cameras/cam0/settings"


async def obey(node: Box, **more: Any) -> None:
    """Apply what was wanted last, as a node does."""
    document = node.wants[-1]
    await node.state(config=wire.ConfigReport(document.version, "", document, **more))


async def test_a_document_is_shown_set_and_told_of(stack: Stack) -> None:
    """The difference is shown first; the whole document is sent; wanted, applied and since when are told."""
    async with scene(stack, "doc-1") as (running, node, client):
        before = await get(client, CAM.format("doc-1"))
        assert (before["version"], before["running"], before["settings"]["confidence"]) == (0, True, 0.25)
        body = {"confidence": 0.4, "lines": {"main": {"points": [[0, 0.6], [1, 0.6]]}}, "labels": ["car"]}
        status, shown = await call(client, "PUT", CAM.format("doc-1") + "?dry_run=true", body)
        assert (status, shown["version"]) == (200, None)
        assert [row["path"] for row in shown["difference"]] == ["confidence", "labels"]
        assert node.wants == []
        status, sent = await call(client, "PUT", CAM.format("doc-1"), body)
        assert (status, sent["version"], sent["difference"]) == (202, 1, shown["difference"])
        await until(lambda: node.wants)
        assert node.wants[0].cameras["cam0"].lines["main"].version == 0, "it did not move and counts on"
        drift = (await get(client, "/drift", q="doc-1"))["rows"]
        assert [(row["node"], row["wanted"], row["applied"], row["why"]) for row in drift] == [
            ("doc-1", 1, 0, "it has not answered yet")
        ]
        assert abs(drift[0]["since"] - time.time() * 1000) < 20_000
        await obey(node)
        await until(lambda: running.wants.report("doc-1").applied == 1)
        after = await get(client, CAM.format("doc-1"))
        assert (after["running"], after["by"], after["version"]) == (True, "token", 1)
        assert (await get(client, "/drift", q="doc-1"))["rows"] == []
        kept = (await get(client, "/nodes/doc-1/documents"))["documents"]
        assert [(row["version"], row["by"], row["action"]) for row in kept] == [
            (1, "token", "put settings cam0")
        ]
        for bad in ({"confidence": 3}, {"colour": 1}, {"lines": {"x": {"points": [[0, 0]]}}}):
            assert await code(client, "PUT", CAM.format("doc-1"), bad) == (400, "bad_request")
        assert await code(client, "PUT", CAM.format("doc-1").replace("cam0", "cam9"), body) == (
            404,
            "no_camera",
        )


async def test_the_second_of_two_editors_is_told_and_loses_nothing(stack: Stack) -> None:
    """Who saw an older version is refused with what is there now; other cameras and lines disturb nobody."""
    async with scene(stack, "two-1") as (_, node, client):
        cameras = {"cam0": DOCUMENT.cameras["cam0"], "cam1": wire.CameraSettings()}
        await node.state(config=wire.ConfigReport(0, "", wire.Document(0, cameras)))
        await asyncio.sleep(0.2)
        async with client.get(PREFIX + CAM.format("two-1")) as response:
            tag = response.headers["ETag"]
        first = {"confidence": 0.4}
        status, sent = await call(client, "PUT", CAM.format("two-1"), first, **{"If-Match": tag})
        assert (status, sent["version"]) == (202, 1)
        status, refused = await call(
            client, "PUT", CAM.format("two-1"), {"confidence": 0.9}, **{"If-Match": tag}
        )
        assert (status, refused["error"]["code"]) == (409, "changed")
        assert "token has changed cam0" in refused["error"]["message"]
        assert refused["error"]["details"]["settings"]["confidence"] == 0.4
        assert refused["error"]["details"]["version"] == 1
        other = CAM.format("two-1").replace("cam0", "cam1")
        assert (await call(client, "PUT", other, {"confidence": 0.3}))[1]["version"] == 2
        body = {"version": 1, "settings": {"confidence": 0.9}}
        assert (await call(client, "PUT", CAM.format("two-1"), body))[1]["version"] == 3
        assert await code(client, "PUT", CAM.format("two-1"), body) == (409, "changed")
        assert await code(client, "PUT", CAM.format("two-1"), {}, **{"If-Match": '"x"'}) == (
            400,
            "bad_request",
        )
        at_once = [
            call(client, "PUT", CAM.format("two-1"), {"confidence": n / 10, "version": 3})
            for n in range(1, 8)
        ]
        statuses = sorted(status for status, _ in await asyncio.gather(*at_once))
        assert statuses == [202] + [409] * 6
        kept = (await get(client, "/nodes/two-1/documents"))["documents"]
        assert [row["version"] for row in kept] == [4, 3, 2, 1]


async def test_an_older_node_gets_what_it_knows_and_the_rest_when_it_is_upgraded(stack: Stack) -> None:
    """What a node of 0.3 would refuse is kept back and told; after its upgrade it is sent by itself."""
    async with scene(stack, "old-1") as (running, node, client):
        body = {"confidence": 0.4, "budget": 0.5, "model": "mask"}
        assert (await call(client, "PUT", CAM.format("old-1"), body))[0] == 202
        await until(lambda: node.wants)
        assert node.wants[0].cameras["cam0"] == wire.CameraSettings(0.4)
        await obey(node)
        await until(lambda: running.wants.report("old-1").applied == 1)
        refused = (await get(client, CAM.format("old-1")))["refused"]
        assert refused["budget"] == "this version of the agent does not know it: upgrade the box"
        assert set(refused) == {"budget", "model"}
        (row,) = (await get(client, "/drift", q="old-1"))["rows"]
        assert set(row["refused"]) == {"cam0.budget", "cam0.model"}
        knows = [*wire.CameraSettings.__struct_fields__]
        await obey(node, knows=knows, refused={"cam0.budget": "set in agent.toml only"})
        await until(lambda: len(node.wants) == 2)
        assert node.wants[1].cameras["cam0"].budget == 0.5
        await obey(node, knows=knows, refused={"cam0.budget": "set in agent.toml only"})
        await until(lambda: running.wants.report("old-1").applied == node.wants[1].version)
        assert (await get(client, CAM.format("old-1")))["refused"] == {"budget": "set in agent.toml only"}


async def test_a_group_gives_defaults_and_settings_go_to_many(stack: Stack) -> None:
    """Who comes into a group gets its defaults; a setting for all goes to all, one refuses with a reason."""
    async with scene(stack, "many-0") as (running, first, client), contextlib.AsyncExitStack() as all_:
        nodes = [first]
        for number in range(1, 4):
            nodes.append(await all_.enter_async_context(box(stack.mqtt_url, f"many-{number}")))
            await nodes[-1].state()
        await until(lambda: all(running.fleet.known(f"many-{number}") for number in range(4)))
        assert await code(client, "PUT", "/groups/bus", {"settings": {"x": 1}}) == (400, "bad_request")
        assert (await call(client, "PUT", "/groups/bus", {"settings": {"confidence": 0.35}}))[0] == 200
        for node in nodes[:3]:
            assert (await call(client, "PATCH", f"/nodes/{node.name}/place", {"groups": ["bus"]}))[0] == 200
            await until(lambda node=node: node.wants)  # type: ignore[misc]
            assert node.wants[0].cameras["cam0"].confidence == 0.35
        assert nodes[3].wants == []
        everyone = {"group": "bus", "settings": {"labels": ["tram"]}, "dry_run": True}
        status, shown = await call(client, "POST", "/settings", everyone)
        assert status == 200
        assert [[d["path"] for d in row["difference"]] for row in shown["rows"]] == [["labels"]] * 3
        status, sent = await call(client, "POST", "/settings", {**everyone, "dry_run": False})
        assert (status, [row["version"] for row in sent["rows"]]) == (202, [2, 2, 2])
        for node in nodes[:2]:
            await until(lambda node=node: len(node.wants) == 2)  # type: ignore[misc]
            await obey(node)
        document = nodes[2].wants[0]
        await nodes[2].state(config=wire.ConfigReport(1, "cam0: the model does not know 'tram'", document))
        await until(lambda: running.wants.report("many-2").error)
        await until(lambda: running.wants.report("many-1").applied == 2)
        rows = (await get(client, "/drift", group="bus"))["rows"]
        assert [(row["node"], row["wanted"], row["applied"], row["why"]) for row in rows] == [
            ("many-2", 2, 1, "cam0: the model does not know 'tram'")
        ]
        assert await code(client, "POST", "/settings", {"settings": {"confidence": 0.5}}) == (
            400,
            "bad_request",
        )
        assert await code(client, "POST", "/settings", {"nodes": ["none-1"], "settings": {}}) == (
            404,
            "no_node",
        )
        typo = {"site": "nroth", "group": "bus", "settings": {"confidence": 0.5}}
        status, body = await call(client, "POST", "/settings", typo)
        assert (status, body["error"]["message"]) == (404, "no node fits site 'nroth' and group 'bus'")
        assert (await call(client, "PUT", "/groups/bus", {"settings": {"confidence": 0.45}}))[0] == 200
        rows = (await get(client, "/drift", group="bus", q="many-0"))["rows"]
        assert rows[0]["defaults"] == ["cam0.confidence"]


async def test_what_was_shown_for_many_is_refused_where_somebody_was_faster(stack: Stack) -> None:
    """Two look at a difference; one sends. The other's is refused where the first has changed something or a
    camera came since, goes to the rest, and nothing is overwritten.
    """
    async with scene(stack, "seen-0") as (running, first, client), contextlib.AsyncExitStack() as all_:
        second = await all_.enter_async_context(box(stack.mqtt_url, "seen-1"))
        await second.state()
        await until(lambda: running.fleet.known("seen-1"))
        aim = {"nodes": ["seen-0", "seen-1"]}
        dry = {**aim, "settings": {"confidence": 0.7}, "dry_run": True}
        shown = (await call(client, "POST", "/settings", dry))[1]["rows"]
        assert [(row["node"], row["seen"]) for row in shown] == [("seen-0", 0), ("seen-1", 0)]
        assert (await call(client, "PUT", CAM.format("seen-0"), {"confidence": 0.4}))[0] == 202
        seen = [{"node": row["node"], "camera": row["camera"], "version": row["seen"]} for row in shown]
        late = {**aim, "settings": {"confidence": 0.7}, "seen": seen}
        rows = (await call(client, "POST", "/settings", late))[1]["rows"]
        assert "has changed cam0 since: it is at version 1" in rows[0]["refused"]
        assert [(row["version"], bool(row["refused"])) for row in rows] == [(None, True), (1, False)]
        await until(lambda: first.wants and second.wants)
        assert first.wants[-1].cameras["cam0"].confidence == 0.4
        assert second.wants[-1].cameras["cam0"].confidence == 0.7
        unseen = {**late, "settings": {"confidence": 0.1}, "seen": seen[:1]}
        rows = (await call(client, "POST", "/settings", unseen))[1]["rows"]
        assert "came after the difference was shown" in rows[1]["refused"]
        assert (await get(client, CAM.format("seen-1")))["settings"]["confidence"] == 0.7


async def test_profiles_by_the_clock_and_by_hand(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile's hour comes and it is sent; by hand it is switched at once; the base comes back."""
    monkeypatch.setattr("aggregator.wanted.profiles._LOOK_SECONDS", 0.1)
    async with scene(stack, "night-1") as (running, node, client):
        hours = [{"from": "00:00", "to": "00:00", "days": [f"{now():%a}".lower(), _tomorrow()]}]
        assert await code(client, "PUT", "/profiles/night", {"settings": {"confidence": 7}}) == (
            400,
            "bad_request",
        )
        assert (await call(client, "PUT", "/sites/dark", {}))[0] == 200
        assert (await call(client, "PATCH", "/nodes/night-1/place", {"site": "dark"}))[0] == 200
        night = {**NIGHT, "hours": hours, "sites": ["dark"]}
        assert (await call(client, "PUT", "/profiles/night", night))[0] == 200
        await until(lambda: node.wants)
        assert node.wants[-1].cameras["cam0"].confidence == 0.6
        assert node.wants[-1].cameras["cam0"].lines == DOCUMENT.cameras["cam0"].lines
        line = "/nodes/night-1/cameras/cam0/lines/gate"
        assert (await call(client, "PUT", line, {"points": [[0, 0.2], [1, 0.2]]}))[1]["version"] == 2
        await until(lambda: len(node.wants) == 2)
        assert node.wants[-1].cameras["cam0"].confidence == 0.6
        assert (await get(client, CAM.format("night-1")))["settings"]["confidence"] == 0.25
        assert (await get(client, "/profiles"))["profiles"][0]["running"] == 1
        event = {"settings": {"confidence": 0.8}}
        assert (await call(client, "PUT", "/profiles/event", event))[0] == 200
        switched = (await call(client, "PUT", "/nodes/night-1/profile", {"profile": "event"}))[1]
        assert (switched["profile"], switched["by_hand"]["until"]) == ("event", None)
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.8)
        none = {"site": "dark", "profile": ""}
        assert (await call(client, "POST", "/profiles/switch", none))[1]["rows"][0]["profile"] == ""
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.25)
        assert node.wants[-1].cameras["cam0"].lines["gate"].version == 2
        later = {"profile": "event", "until": 4_000_000_000_000}
        assert (await call(client, "PUT", "/nodes/night-1/profile", later))[1]["by_hand"] == later
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.8)
        over = {"profile": "event", "until": 1000}
        assert (await call(client, "PUT", "/nodes/night-1/profile", over))[1]["profile"] == "night"
        assert await code(client, "PUT", "/nodes/night-1/profile", {"profile": "x"}) == (404, "no_profile")
        assert (await call(client, "DELETE", "/nodes/night-1/profile"))[1]["by_hand"] is None
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.6)
        async with centre(running.config):
            before = len(node.wants)
            await asyncio.sleep(1)
            assert len(node.wants) <= before + 1, "two aggregators do not take turns; the second says it once"
        assert (await call(client, "DELETE", "/profiles/night"))[0] == 200
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.25)
        assert node.wants[-1].cameras["cam0"].lines["main"].version == 0


def _tomorrow() -> str:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return days[(now().weekday() + 1) % 7]


async def test_a_document_of_0_3_in_the_database_is_read_as_before(stack: Stack) -> None:
    """What version 0.3 has stored has no history and no profile; it is changed like any other."""
    async with scene(stack, "row-3") as (running, node, client):
        document = wire.Document(4, DOCUMENT.cameras)
        row = {"_id": "row-3", "version": 4, "document": msgspec.json.encode(document).decode()}
        await running.store._database.wants.insert_one(row)
        found = await get(client, CAM.format("row-3"))
        assert (found["version"], found["wanted"], found["since"], found["profile"]) == (4, 4, None, "")
        assert (await call(client, "PUT", CAM.format("row-3"), {"confidence": 0.5, "version": 4}))[1][
            "version"
        ] == 5
        await until(lambda: node.wants)


async def test_who_draws_over_somebody_elses_line_is_told(stack: Stack) -> None:
    """By the drawing's own version: moved, taken away, there already; without a header the last one wins."""
    async with scene(stack, "pair-1") as (_, node, client):
        line = "/nodes/pair-1/cameras/cam0/lines/main"
        body = {"points": [[0, 0.5], [1, 0.5]]}
        status, made = await call(client, "PUT", line, body, **{"If-Match": '"0"'})
        assert status == 202
        await until(lambda: node.wants and node.wants[-1].version == made["version"])
        assert node.wants[-1].cameras["cam0"].lines["main"].version == made["version"]
        status, refused = await call(
            client, "PUT", line, {"points": [[0, 0.7], [1, 0.7]]}, **{"If-Match": "0"}
        )
        error = refused["error"]
        assert (status, error["code"]) == (409, "changed")
        assert "moved by somebody else meanwhile; nothing was overwritten" in error["message"]
        assert await code(client, "DELETE", line, **{"If-Match": "0"}) == (409, "changed")
        assert await code(client, "PUT", line, body, **{"If-None-Match": "*"}) == (409, "changed")
        new = line.replace("main", "new")
        assert (await code(client, "PUT", new, body, **{"If-None-Match": "*"}))[0] == 202
        assert (await code(client, "DELETE", new))[0] == 202
        assert await code(client, "PUT", new, body, **{"If-Match": "1"}) == (409, "changed")
        assert await code(client, "PUT", new, body, **{"If-Match": "x"}) == (400, "bad_request")
        assert (await code(client, "PUT", line, body))[0] == 202
        plane = "/nodes/pair-1/cameras/cam0/plane"
        metres = {"points": [[0, 1], [1, 1], [1, 0], [0, 0]], "metres": [[0, 0], [4, 0], [4, 9], [0, 9]]}
        assert await code(client, "PUT", plane, metres, **{"If-Match": "1"}) == (409, "changed")


async def test_a_profile_that_is_set_is_not_lost_to_what_was_read_before(stack: Stack) -> None:
    """A reading that began before a profile was set, and ends after, does not take it away again."""
    async with scene(stack, "prof-1") as (running, _, client):
        store: Any = running.profiles._store
        read = store.all
        begun = asyncio.Event()
        go = asyncio.Event()

        async def held_up(kind: str) -> Any:
            rows = await read(kind)
            if kind == "profiles" and not begun.is_set():
                begun.set()
                await go.wait()
            return rows

        store.all = held_up
        reading = asyncio.create_task(running.profiles.load(), name="a slow reading")
        await begun.wait()
        body = {"settings": {"confidence": 0.6}}
        setting = asyncio.create_task(call(client, "PUT", "/profiles/late", body), name="set")
        await asyncio.wait({setting}, timeout=1.0)
        go.set()
        await reading
        assert (await setting)[0] == 200
        assert "late" in running.profiles.profiles


async def test_the_last_profile_that_is_taken_away_is_given_back(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no profile left, who ran it goes back to their own settings all the same."""
    monkeypatch.setattr("aggregator.wanted.profiles._LOOK_SECONDS", 0.1)
    async with scene(stack, "last-1") as (_, node, client):
        body = {"settings": {"confidence": 0.6}, "hours": [{"from": "00:00", "to": "00:00"}]}
        assert (await call(client, "PUT", "/profiles/only", body))[0] == 200
        await until(lambda: node.wants and node.wants[-1].cameras["cam0"].confidence == 0.6)
        assert (await call(client, "DELETE", "/profiles/only"))[0] == 200
        await until(lambda: node.wants[-1].cameras["cam0"].confidence == 0.25)
