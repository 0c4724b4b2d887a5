"""Many boxes at once: a setting for all of them is applied and told by all of them."""

from __future__ import annotations

import asyncio
import os
import time

import msgspec
import pytest

from agent import wire
from agent.mqtt.client import Client, connect
from deploy.stack import Stack

from .box import DOCUMENT, now_ms, until
from .test_api import get, scene
from .test_people import call

pytestmark = pytest.mark.alone

BOXES = int(os.environ.get("GB_MANY_BOXES", "200"))


async def say(client: Client, name: str, document: wire.Document) -> None:
    """Publish the state of a box that runs this document."""
    camera = wire.CameraReport("cam0", "ok", now_ms(), labels=["car"], size=(640, 360))
    config = wire.ConfigReport(document.version, "", document)
    state = wire.State(name, True, now_ms(), cameras=[camera], config=config)
    await client.publish(wire.topic(name, "state"), msgspec.json.encode(state), 1, False)


async def obey(client: Client) -> None:
    """Be all boxes: apply what is wanted of each at once, and say so."""
    async for message in client.messages:
        name, _ = wire.parse_topic(message.topic)
        if message.payload and name.startswith("crowd-"):
            await say(client, name, wire.decode_document(message.payload))


async def test_a_setting_for_all_is_applied_and_told_by_all(stack: Stack) -> None:
    """Every box runs it and says so within a minute; the answer has a row for each, the drift none."""
    names = [f"crowd-{number:04}" for number in range(BOXES)]
    async with (
        scene(stack, "leader-1") as (running, _, client),
        connect(running.config.broker_settings("the-crowd")) as crowd,
    ):
        await crowd.subscribe("gb/1/+/want")
        obeying = asyncio.create_task(obey(crowd), name="obey")
        try:
            for name in names:
                await say(crowd, name, DOCUMENT)
            await until(lambda: all(running.fleet.known(name) for name in names), 60)
            began = time.monotonic()
            body = {"nodes": names, "settings": {"confidence": 0.4}}
            status, sent = await call(client, "POST", "/settings", body)
            assert status == 202
            assert {row["node"] for row in sent["rows"] if row["version"] and not row["refused"]} == set(
                names
            )
            await until(lambda: all(running.wants.report(name).applied >= 1 for name in names), 60)
            took = time.monotonic() - began
            rows = (await get(client, "/drift", q="crowd-"))["rows"]
            assert rows == []
            assert took < 60, f"{BOXES} boxes took {took:.1f} s"
            print(f"{BOXES} boxes: {took:.1f} s")
        finally:
            obeying.cancel()
            for name in names:
                await crowd.publish(wire.topic(name, "want"), b"", 1, True)
