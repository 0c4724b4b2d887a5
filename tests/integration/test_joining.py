"""Joining by the dozen, with an administrator's word, in another's place; and away; a broker with rights."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from agent import enrol, wire
from agent.enrol import EnrolError, join_centre, own_name
from agent.mqtt.client import BrokerError, RefusedError, connect
from aggregator.centre import Centre as Running
from aggregator.config import HttpSection, MongoSection
from aggregator.setup import acl, control, groups
from aggregator.site_time import now
from deploy.stack import Stack

from .box import TOKEN, Box, centre, until
from .test_api import BEARER, get, scene, served
from .test_enrol import Centre as Prepared
from .test_people import call, code


@pytest.fixture
def prepared(tmp_path: Path, stack: Stack, request: pytest.FixtureRequest) -> Iterator[Prepared]:
    """A centre as `init` makes it, with its broker's rights, on the tests' database."""
    made = Prepared(tmp_path / "centre")
    made.config = msgspec.structs.replace(
        made.config,
        mongodb=MongoSection(uri=stack.mongodb_uri, database=f"join_{abs(hash(request.node.name)) % 10**8}"),
        http=HttpSection(port=0, token=TOKEN),
    )
    made.service.start()
    yield made
    made.service.kill(signal.SIGTERM)


@asynccontextmanager
async def running(prepared: Prepared) -> AsyncIterator[tuple[Running, ClientSession]]:
    """The centre at work, and an administrator's client."""
    async with (
        centre(prepared.config) as at_work,
        served(at_work) as address,
        ClientSession(address, headers=BEARER) as client,
    ):
        yield at_work, client


async def run_line(line: str, folder: Path, name: str = "") -> str:
    """Run what a line's installer runs on a box; return the name under which it joined."""
    words = shlex.split(line)
    said = dict(zip(words[2::2], words[3::2], strict=True))
    node = name or said["--node"]
    config = folder / "agent.toml"
    await asyncio.to_thread(join_centre, said["--join"], node, said["--code"], said["--fingerprint"], config)
    return next(row.split('"')[1] for row in config.read_text().splitlines() if row.startswith("node ="))


async def connects(prepared: Prepared, folder: Path, name: str) -> bool:
    """Return whether a box that joined may connect."""
    try:
        async with connect(prepared.broker(name, (folder / "secret").read_text(), name)) as client:
            await Box(name, client).state()
    except BrokerError:
        return False
    return True


async def test_one_code_lets_in_a_dozen_and_no_more(prepared: Prepared, tmp_path: Path) -> None:
    """Three boxes at once with a code for two: two join and stand where it says, one is told why not."""
    async with running(prepared) as (at_work, client):
        assert (await call(client, "PUT", "/sites/north", {}))[0] == 200
        assert await code(client, "POST", "/invitations", {"boxes": 2, "site": "x"}) == (404, "no_site")
        body = {"boxes": 2, "minutes": 5, "site": "north", "labels": ["new"]}
        status, made = await call(client, "POST", "/invitations", body)
        assert (status, made["left"]) == (201, 2)
        tries = [run_line(made["line"], tmp_path / f"box-{n}", f"gate-{n}") for n in range(3)]
        found = await asyncio.gather(*tries, return_exceptions=True)
        joined = sorted(each for each in found if isinstance(each, str))
        (refused,) = (each for each in found if isinstance(each, Exception))
        assert len(joined) == 2
        assert isinstance(refused, EnrolError)
        assert "used up" in str(refused)
        for name in joined:
            assert await connects(prepared, tmp_path / name.replace("gate", "box"), name)
            await until(lambda name=name: at_work.fleet.known(name))  # type: ignore[misc]
            place = await get(client, f"/nodes/{name}/place")
            assert (place["site"], place["labels"]) == ("north", ["new"])
        (row,) = (await get(client, "/invitations"))["invitations"]
        assert (row["left"], row["boxes"], row["line"]) == (0, 2, "")
        await until(lambda: _is_closed(prepared, made["id"]), 30)
        again = joined[0]
        assert await run_line(made["line"], tmp_path / again.replace("gate", "box"), again) == again


async def test_a_code_that_was_just_used_up_is_not_closed_yet(prepared: Prepared) -> None:
    """Closing it cuts off who has it: the last box would not hear that it was let in."""
    async with running(prepared) as (at_work, _):
        joins = at_work.store.joins
        until_ = now() + timedelta(minutes=5)
        await joins.add("just-used", {"boxes": 1, "left": 1, "until": until_, "key": "k"})
        assert await joins.take_one("just-used", "k") is not None
        await joins.add(
            "long-used", {"boxes": 1, "left": 0, "until": until_, "taken": now() - timedelta(minutes=1)}
        )
        assert await joins.over() == ["long-used"]


async def test_a_box_that_is_cut_off_before_the_answer_has_joined(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker cuts the connection after the centre has let the box in: the line has done its work."""
    heard = enrol._hear

    async def cut_off(*words: Any) -> wire.Applied:
        await heard(*words)
        raise BrokerError("refused to stay connected")

    async with running(prepared) as (_, client):
        _, made = await call(client, "POST", "/invitations", {"boxes": 1, "minutes": 5})
        monkeypatch.setattr(enrol, "_hear", cut_off)
        assert await run_line(made["line"], tmp_path / "box", "gate") == "gate"
        assert await connects(prepared, tmp_path / "box", "gate")


def _is_closed(prepared: Prepared, id_: str) -> bool:
    text = (prepared.folder / "mosquitto-data" / "dynamic-security.json").read_text()
    return f"gb.group-{id_}" not in text


async def test_a_taken_name_is_refused_and_an_own_name_is_made(prepared: Prepared, tmp_path: Path) -> None:
    """Nobody takes another's name with a code for several; `auto` is the machine's own name."""
    async with running(prepared) as (_, client):
        made = (await call(client, "POST", "/invitations", {"boxes": 5, "minutes": 5}))[1]
        assert "--node auto" in made["line"]
        with pytest.raises(EnrolError, match="the name demo-1 is taken: give the box another"):
            await run_line(made["line"], tmp_path / "thief", "demo-1")
        name = await run_line(made["line"], tmp_path / "own")
        assert wire.NODE_NAME.match(name)
        assert await run_line(made["line"], tmp_path / "own") == name
        assert (await get(client, "/invitations"))["invitations"][0]["left"] == 4
        (tmp_path / "id").write_text("4711\n")
        assert own_name("Cam Über_9.example.org", tmp_path / "id") == "cam-ber-9-de65"
        assert own_name("...", tmp_path / "none")[:4] == "box-"
        waiting = (await call(client, "POST", "/nodes", {"node": "waits-1"}))[1]
        with pytest.raises(EnrolError, match="taken"):
            await run_line(made["line"], tmp_path / "hijack", "waits-1")
        assert await run_line(waiting["line"], tmp_path / "right") == "waits-1"
        assert await code(client, "POST", "/nodes", {"node": "waits-1"}) == (409, "not_done")
        assert await code(client, "POST", "/nodes", {"node": "X"}) == (400, "bad_request")
        assert (await call(client, "DELETE", f"/invitations/{made['id']}"))[0] == 200
        with pytest.raises(EnrolError, match="does not take the code"):
            await run_line(made["line"], tmp_path / "late", "late-1")


async def test_boxes_wait_for_a_word(prepared: Prepared, tmp_path: Path) -> None:
    """With approval a box connects only once it was let in; one that is turned away never does."""
    async with running(prepared) as (_, client):
        made = (await call(client, "POST", "/invitations", {"boxes": 2, "approval": True}))[1]
        for name in ("good-1", "evil-1"):
            await run_line(made["line"], tmp_path / name, name)
            assert not await connects(prepared, tmp_path / name, name)
        assert [row["node"] for row in (await get(client, "/waiting"))["waiting"]] == ["good-1", "evil-1"]
        assert (await call(client, "POST", "/waiting/good-1"))[0] == 200
        assert (await call(client, "DELETE", "/waiting/evil-1"))[0] == 200
        assert await code(client, "POST", "/waiting/evil-1") == (404, "not_waiting")
        assert await connects(prepared, tmp_path / "good-1", "good-1")
        assert not await connects(prepared, tmp_path / "evil-1", "evil-1")
        actions = [row["action"] for row in (await get(client, "/audit"))["entries"]]
        assert actions == ["refuse box", "approve box", "wait to join", "wait to join", "invite boxes"]


async def test_a_new_box_takes_a_broken_ones_place(prepared: Prepared, tmp_path: Path) -> None:
    """It takes name, lines and place; the old box is cut off; removed, the node is gone and its right too."""
    async with running(prepared) as (at_work, client):
        line = (await call(client, "POST", "/nodes", {"node": "gate-9"}))[1]["line"]
        await run_line(line, tmp_path / "old")
        assert await connects(prepared, tmp_path / "old", "gate-9")
        await until(lambda: at_work.fleet.known("gate-9"))
        drawn = "/nodes/gate-9/cameras/cam0/lines/gate"
        assert (await call(client, "PUT", drawn, {"points": [[0, 0.4], [1, 0.4]]}))[0] == 202
        assert (await call(client, "PATCH", "/nodes/gate-9/place", {"title": "West"}))[0] == 200
        line = (await call(client, "POST", "/nodes/gate-9/replacement"))[1]["line"]
        assert not await connects(prepared, tmp_path / "old", "gate-9")
        await run_line(line, tmp_path / "new")
        async with connect(
            prepared.broker("gate-9", (tmp_path / "new" / "secret").read_text(), "gate-9")
        ) as box:
            await box.subscribe(wire.topic("gate-9", "want"))
            document = wire.decode_document((await anext(box.messages)).payload)
            assert "gate" in document.cameras["cam0"].lines
        assert (await get(client, "/nodes/gate-9"))["title"] == "West"
        assert (await call(client, "DELETE", "/nodes/gate-9"))[0] == 200
        await until(lambda: not at_work.fleet.known("gate-9"))
        assert not await connects(prepared, tmp_path / "new", "gate-9")
        assert await code(client, "DELETE", "/nodes/gate-9") == (404, "no_node")


async def test_a_centre_of_0_3_gets_the_porters_new_rights_by_itself(prepared: Prepared) -> None:
    """What `init` of an older version has not given is added at the start, once."""
    role: dict[str, Any] = {"command": "modifyRole", "rolename": "porter", "acls": acl.porter_rights()[:2]}
    await control.order(prepared.own("gb.admin"), role)
    for _ in range(2):
        await groups.widen(prepared.config)
    async with control.control(prepared.own("gb.admin")) as ask:
        found = (await ask({"command": "getRole", "rolename": "porter"}))[0]["data"]["role"]["acls"]
    key = [(each["acltype"], each["topic"]) for each in found]
    assert sorted(key) == sorted((each["acltype"], each["topic"]) for each in acl.porter_rights())


async def test_an_older_centre_gets_the_right_to_the_brokers_figures(prepared: Prepared) -> None:
    """Where `init` of an older version has not given it, it may hear $SYS after the next start."""
    rights = acl.aggregator_rights()
    older = [right for right in rights if right not in acl.figures_rights()]
    role: dict[str, Any] = {"command": "modifyRole", "rolename": "aggregator", "acls": older}
    await control.order(prepared.own("gb.admin"), role)
    for allowed in (False, True):
        async with connect(prepared.own(acl.AGGREGATOR)) as client:
            with contextlib.nullcontext() if allowed else pytest.raises(RefusedError):
                await client.subscribe("$SYS/broker/clients/connected", qos=0)
                assert (await anext(client.messages)).payload.isdigit()
        await groups.widen(prepared.config)


async def test_a_broker_without_rights_says_so(stack: Stack) -> None:
    """Where nobody is given rights, as in the demo, inviting is refused in words; removing works."""
    async with scene(stack, "free-1") as (at_work, _, client):
        assert await code(client, "POST", "/invitations", {"boxes": 1}) == (409, "no_rights")
        assert await code(client, "POST", "/nodes", {"node": "free-2"}) == (409, "no_rights")
        assert (await call(client, "DELETE", "/nodes/free-1"))[0] == 200
        await until(lambda: not at_work.fleet.known("free-1"))
