"""A cloned box: one of the two counts, the other is stopped and told; one click says which is which."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from agent import wire
from aggregator.centre import Centre
from aggregator.store.errors import StoreError
from deploy.stack import Stack

from .box import Box, batch, centre, crossing, now_ms, until
from .test_agent import gb_agent, running, write_config
from .test_api import get, scene
from .test_people import call


async def counted(client: ClientSession, node: str) -> int:
    """Return how many crossings of `main` the day has."""
    rows = (await get(client, f"/nodes/{node}/counts", bucket="day"))["rows"]
    return sum(int(row["count"]) for row in rows if row["line"] == "main")


def tally(total: int, at: int) -> wire.Tally:
    """Return a minute that repeats the running total of `main`."""
    totals = [wire.LineTotal("main", 0, "AB", "car", total)]
    return wire.Tally(at, "cam0", 60_000, {}, totals, {"car": total}, 600, 600, 0, 30, 60)


async def send(node: Box, epoch: int, seq: int, first: int, last: int) -> None:
    """Send crossings of these running totals, and the minute that tells the total before them."""
    at = now_ms()
    events: list[wire.AnyEvent] = [tally(first - 1, at - at % 60_000 - 60_000)]
    events += [crossing(total, at) for total in range(first, last + 1)]
    await node.send(batch(epoch, seq, events, at))


async def two(running: Centre, node: Box) -> None:
    """Let box 7 count to 10, and its copy 9, which begins with the same totals, three more; then 7 speaks."""
    await node.state(epoch=7)
    await send(node, 7, 1, 1, 10)
    await until(lambda: (7, 1) in node.acked)
    await node.state(epoch=9, before=7)
    await send(node, 9, 1, 11, 13)
    await until(lambda: (9, 1) in node.acked)
    await node.state(epoch=7)
    await until(lambda: running.clones.is_apart(node.name, 9))


async def test_a_copy_is_stopped_and_what_it_told_is_counted_no_more(stack: Stack) -> None:
    """The newcomer's crossings leave the counts, what it sends is not taken, and the box goes on."""
    async with scene(stack, "twin-1") as (running, node, client):
        await two(running, node)
        await until(lambda: [each.epoch for each in node.commands] == [9])
        async with asyncio.timeout(15):
            while await counted(client, "twin-1") != 10:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.05)
        await send(node, 9, 2, 14, 20)
        await send(node, 7, 2, 11, 12)
        await until(lambda: (7, 2) in node.acked)
        assert (9, 2) not in node.acked
        assert await counted(client, "twin-1") == 12
        told = await get(client, "/nodes/twin-1/copy")
        assert (told["kept"], told["stopped"], told["resolved"]) == (7, [9], False)
        shown = await get(client, "/nodes/twin-1")
        assert "What start 9 sends is kept out of the counts: start 7 was there first" in str(
            shown["warnings"]
        )
        status, told = await call(client, "POST", "/nodes/twin-1/copy", {"keep": 7})
        assert (status, told["resolved"], told["by"]) == (200, True, "token")
        assert "kept out of the counts" not in str((await get(client, "/nodes/twin-1"))["warnings"])
        assert (await call(client, "POST", "/nodes/twin-1/copy", {"keep": 5}))[0] == 404
        entries = (await get(client, "/audit", action="say which is the box"))["entries"]
        assert [(entry["node"], entry["what"]) for entry in entries] == [("twin-1", "start 7")]


async def test_the_copy_may_be_the_box_and_then_its_counts_come_in(stack: Stack) -> None:
    """Said to be the box, the newcomer's crossings are counted; the other's since the copy came are not."""
    async with scene(stack, "twin-2") as (running, node, client):
        await two(running, node)
        await send(node, 9, 2, 14, 20)
        await send(node, 7, 2, 11, 12)
        await until(lambda: (7, 2) in node.acked)
        await counts(client, "twin-2", 12)
        status, told = await call(client, "POST", "/nodes/twin-2/copy", {"keep": 9})
        assert (status, told["kept"], told["stopped"]) == (200, 9, [7])
        await send(node, 9, 2, 14, 20)
        await until(lambda: (9, 2) in node.acked)
        await until(lambda: 7 in [each.epoch for each in node.commands])
        found = (await get(client, "/nodes/twin-2/events", type="crossing", limit="100"))["events"]
        assert Counter(int(each["id"].split(":")[1]) for each in found) == {7: 10, 9: 10}
        assert await counted(client, "twin-2") == 20
        await send(node, 7, 3, 13, 14)
        await send(node, 9, 3, 21, 21)
        await until(lambda: (9, 3) in node.acked)
        assert (7, 3) not in node.acked


async def counts(client: ClientSession, node: str, number: int) -> None:
    """Wait until the day has so many crossings."""
    async with asyncio.timeout(30):
        while await counted(client, node) != number:  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.05)


async def test_an_aggregator_killed_while_it_takes_a_copy_out_leaves_that_to_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided is kept, and a start of an aggregator does what is left of it."""
    async with scene(stack, "twin-6") as (running, node, client):

        async def killed(*_: object) -> int:
            await asyncio.Event().wait()
            return 0

        monkeypatch.setattr(running.clones._store, "set_aside", killed)
        await two(running, node)
        async with asyncio.timeout(15):
            while not await running.store.clones.all():  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.05)
        assert await counted(client, "twin-6") == 13
        async with centre(running.config):
            await counts(client, "twin-6", 10)
            async with asyncio.timeout(15):
                while (await running.store.clones.all())[0]["aside"]:  # noqa: ASYNC110 - in the database
                    await asyncio.sleep(0.05)


async def test_a_word_that_the_database_takes_and_then_goes_is_carried_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person has said which is the box; the counts follow as soon as the database is there again."""
    async with scene(stack, "twin-7") as (running, node, client):
        await two(running, node)
        await counts(client, "twin-7", 10)
        take_back = running.clones._store.take_back
        left = 2

        async def badly(name: str, epoch: int) -> int:
            nonlocal left
            left -= 1
            if left >= 0:
                raise StoreError("the database is away")
            return await take_back(name, epoch)

        monkeypatch.setattr(running.clones._store, "take_back", badly)
        status, told = await call(client, "POST", "/nodes/twin-7/copy", {"keep": 9})
        assert (status, told["kept"], told["stopped"], told["resolved"]) == (200, 9, [7], True)
        await counts(client, "twin-7", 13)
        assert left < 0


async def test_what_goes_on_from_a_copy_is_a_copy_and_from_the_box_the_box(stack: Stack) -> None:
    """Restarts of either are told apart by the start before, also after a restart of the centre's memory."""
    async with scene(stack, "twin-3") as (running, node, _):
        await two(running, node)
        await node.state(epoch=11, before=9)
        await until(lambda: running.clones.is_apart("twin-3", 11))
        await node.state(epoch=12, before=7)
        await until(lambda: (clone := running.clones.of("twin-3")) is not None and clone.kept == 12)
        await until(lambda: {9, 11} <= {each.epoch for each in node.commands})
        state: Any = running.fleet.state("twin-3")
        assert state.epoch == 12
        running.clones._known.clear()
        await running.clones.load()
        assert running.clones.is_apart("twin-3", 11)
        assert not running.clones.is_apart("twin-3", 12)


async def test_a_copy_that_joins_under_a_name_of_its_own_ends_it(stack: Stack) -> None:
    """Nobody has to say anything then: the other name goes on from the copy's start."""
    async with scene(stack, "twin-4") as (running, node, _):
        await two(running, node)
        other = wire.State("twin-4b", True, now_ms(), epoch=13, before=9)
        running.fleet.on_state("twin-4b", msgspec.json.encode(other), False)
        await until(lambda: (clone := running.clones.of("twin-4")) is not None and clone.by == "twin-4b")
        assert running.fleet.view("twin-4").kept_apart == ""


async def problem(config: Path) -> str:
    """Return what an agent says is wrong with its connection."""
    done = await asyncio.to_thread(gb_agent, "status", "--json", "--config", str(config))
    return str((json.loads(done.stdout)["connection"] or {}).get("problem", ""))


async def test_two_real_boxes_of_one_disk(stack: Stack, tmp_path: Path) -> None:
    """A second agent on a copy of the state folder is sent away and says so; the first stays online."""
    async with scene(stack, "twin-x") as (running_centre, _, client):
        one = tmp_path / "one"
        two_ = tmp_path / "two"
        for folder in (one, two_):
            folder.mkdir()
        cameras: dict[str, dict[str, object]] = {"cam0": {"source": "scene:?seed=7"}}
        config = write_config(one, stack.mqtt_url, "twin-5", cameras)
        with running(config):
            await until(lambda: running_centre.fleet.known("twin-5"), 60)
        shutil.copytree(one / "state", two_ / "state")
        copy = write_config(two_, stack.mqtt_url, "twin-5", cameras)
        with running(config):
            first = (await get(client, "/nodes/twin-5"))["since"]
            await until(lambda: running_centre.fleet.view("twin-5").since != first, 60)
            state: Any = running_centre.fleet.state("twin-5")
            with running(copy):
                await until(lambda: running_centre.clones.of("twin-5") is not None, 60)

                async with asyncio.timeout(60):
                    while "a copy of another one" not in await problem(copy):  # noqa: ASYNC110 - a process
                        await asyncio.sleep(0.2)
                clone = running_centre.clones.of("twin-5")
                assert clone is not None
                assert clone.kept == state.epoch
                await until(lambda: running_centre.fleet.standing("twin-5") == "online", 30)
