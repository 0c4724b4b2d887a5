"""Orders with an answer: sent once, answered once, seen by who gave them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from agent import wire
from aggregator.api import PREFIX
from deploy.stack import Stack

from .box import Box, box, until
from .test_api import get, scene
from .test_people import as_user, call, code

ALL = "/nodes/order-1/commands"


async def respond(node: Box, command: wire.Command, **fields: Any) -> None:
    """Answer an order as a node does."""
    response = wire.Response(command.id, **fields)
    await node.send(msgspec.json.encode(response), "rsp")


async def test_an_order_is_sent_once_and_its_answer_is_its_givers(stack: Stack) -> None:
    """Id, expiry and role go to the node; the answer, words and picture, comes to who asked, once."""
    async with scene(stack, "order-1") as (running, node, client):
        for name in ("otto", "Otto"):
            new = {"user": name, "password": "a long password", "role": "operator"}
            assert (await call(client, "POST", "/users", new))[0] == 201
        async with (
            as_user(client, "otto", "a long password") as otto,
            as_user(client, "Otto", "a long password") as other,
        ):
            status, sent = await call(otto, "POST", ALL, {"verb": "snapshot", "camera": "cam0"})
            assert status == 202
            await until(lambda: node.commands)
            command = node.commands[0]
            assert (command.id, command.verb, command.role) == (sent["id"], "snapshot", "operator")
            assert (await get(otto, f"{ALL}/{sent['id']}"))["state"] == "sent"
            async with box(stack.mqtt_url, "order-2") as thief:
                await respond(thief, command, ok=True, text="not asked")
            await respond(node, command, ok=True, text="words", jpeg=b"\xff\xd8picture")
            await respond(node, command, ok=False, error="again")
            await until_state(otto, sent["id"], "done")
            found = await get(otto, f"{ALL}/{sent['id']}")
            assert (found["text"], found["picture"], found["user"]) == ("words", True, "otto")
            async with otto.get(f"{PREFIX}{ALL}/{sent['id']}/picture") as response:
                assert (await response.read(), response.content_type) == (b"\xff\xd8picture", "image/jpeg")
            for path in ("", "/picture"):
                assert await code(other, "GET", f"{ALL}/{sent['id']}{path}") == (404, "no_order")
            assert (await get(other, ALL))["commands"] == []
            (seen,) = (await get(client, ALL))["commands"]
            assert (seen["user"], seen["state"], seen["text"], seen["picture"]) == ("otto", "done", "", False)
            assert await code(otto, "POST", ALL, {"verb": "restart"}) == (403, "not_allowed")
            assert await code(otto, "POST", ALL, {"verb": "rm -rf"}) == (400, "bad_request")
        entries = (await get(client, "/audit", action="order snapshot"))["entries"]
        assert [(entry["user"], entry["node"], entry["what"]) for entry in entries] == [
            ("otto", "order-1", "cam0")
        ]
        assert len(node.commands) == 1
        assert running.fleet.known("order-1")


async def test_an_order_that_is_refused_late_or_impossible_says_why(stack: Stack) -> None:
    """The node's reason is told; silence is told as expired; a node that is away gets no order."""
    async with scene(stack, "order-1") as (running, node, client):
        sent = (await call(client, "POST", ALL, {"verb": "calibrate"}))[1]
        await until(lambda: node.commands)
        await respond(node, node.commands[0], ok=False, error="unknown command 'calibrate'")
        await until_state(client, sent["id"], "refused")
        assert (await get(client, f"{ALL}/{sent['id']}"))["reason"] == "unknown command 'calibrate'"
        sent = (await call(client, "POST", ALL, {"verb": "self-test", "within": 1}))[1]
        await until_state(client, sent["id"], "expired")
        assert (await get(client, f"{ALL}/{sent['id']}"))["reason"] == "the node has not answered in time"
        await node.state(online=False)
        await until(lambda: running.fleet.standing("order-1") == "offline")
        assert await code(client, "POST", ALL, {"verb": "self-test"}) == (409, "node_away")


async def test_an_order_that_takes_minutes_is_waited_for(stack: Stack) -> None:
    """`run-model` needs a model and an administrator; its answer is not late before its seconds are over."""
    async with scene(stack, "order-1") as (_, node, client):
        beside = {"verb": "run-model", "camera": "cam0", "model": "mask", "seconds": 30, "within": 1}
        sent = (await call(client, "POST", ALL, beside))[1]
        await until(lambda: node.commands)
        command = node.commands[0]
        assert (command.verb, command.seconds, command.what) == ("run-model", 30, {"model": "mask"})
        await until(lambda: time.time() * 1000 > command.expires)
        assert (await get(client, f"{ALL}/{sent['id']}"))["state"] == "sent"
        await respond(node, command, ok=True, text="compared")
        await until_state(client, sent["id"], "done")
        assert await code(client, "POST", ALL, {"verb": "run-model"}) == (400, "bad_request")
        assert await code(client, "POST", ALL, {"verb": "calibrate", "model": "mask"}) == (400, "bad_request")
        assert await code(client, "POST", ALL, {**beside, "model": "../etc"}) == (400, "bad_request")
        operator = (await call(client, "POST", "/tokens", {"name": "o", "role": "operator"}))[1]["token"]
        bearer = f"Bearer {operator}"
        assert await code(client, "POST", ALL, beside, Authorization=bearer) == (403, "not_allowed")
        assert (await code(client, "POST", ALL, {"verb": "calibrate"}, Authorization=bearer))[0] == 202
        (entry,) = (await get(client, "/audit", action="order run-model"))["entries"]
        assert entry["what"] == "cam0 mask"


async def until_state(client: Any, id_: str, state: str) -> None:
    """Wait until an order has come to a state."""
    deadline = time.monotonic() + 10
    while (await get(client, f"{ALL}/{id_}"))["state"] != state:
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)
