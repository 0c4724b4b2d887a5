"""A node that says more than this centre knows, and one whose spool was destroyed: both stay on the page."""

from __future__ import annotations

import json

import msgspec
import pytest

from agent import wire
from aggregator.desired import NotWanted
from aggregator.drawing import LINE, change
from deploy.stack import Stack

from .box import DOCUMENT, batch, box, centre, crossing, now_ms, settings, until


async def test_a_newer_nodes_settings_are_shown_and_never_lost_by_an_edit(stack: Stack) -> None:
    """The box is on the page with its lines; an edit that would drop its new setting is refused in words."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "newer_node")
    state = wire.State(
        "newer-1", True, now_ms(), cameras=[wire.CameraReport("cam0", "ok", now_ms())],
        config=wire.ConfigReport(0, "", DOCUMENT), warnings=["The disk with /var/lib/gb-agent is full"],
    )  # fmt: skip
    newer = json.loads(msgspec.json.encode(state))
    newer["config"]["document"]["cameras"]["cam0"]["sharpness"] = 3
    draw = change(LINE, "cam0", "second", wire.Line([(0.1, 0.1), (0.9, 0.9)]))
    async with centre(config) as running, box(stack.mqtt_url, "newer-1") as node:
        await node.send(json.dumps(newer).encode(), "state")
        await until(lambda: running.fleet.known("newer-1"))
        entry = await running.fleet.entry("newer-1")
        assert (entry.state, [camera.state for camera in entry.cameras]) == ("online", ["ok"])
        assert "The disk with /var/lib/gb-agent is full" in entry.warnings
        assert (await running.wants.config("newer-1")).document == DOCUMENT
        with pytest.raises(NotWanted, match=r"cameras\.cam0\.sharpness.*upgrade the centre"):
            await running.wants.change("newer-1", "admin", "draw", draw)
        assert node.wants == []
        await node.send(msgspec.json.encode(state), "state")
        await until(lambda: running.fleet.state("newer-1") == state)
        assert await running.wants.change("newer-1", "admin", "draw", draw) == 1


async def test_an_unknown_loss_is_stored_shown_and_told_by_the_api(stack: Stack) -> None:
    """`lost` stays a number, `lost_unknown` says that it is not all, and a warning says it to a person."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "unknown_loss")
    gone = wire.Lost(now_ms(), "", "unknown", 0, "the spool was damaged, set aside as spool.damaged-1", True)
    counted = wire.Lost(now_ms(), "", "detection", 12, "the spool has reached its limit")
    async with centre(config) as running, box(stack.mqtt_url, "loser-1") as node:
        await node.state()
        await node.send(batch(7, 1, [crossing(1), counted]))
        await until(lambda: len(node.acked) == 1)
        before = await running.store.archive.delivery("loser-1")
        await node.send(batch(7, 2, [gone]))
        await until(lambda: len(node.acked) == 2)
        after = await running.store.archive.delivery("loser-1")
        entry = await running.fleet.entry("loser-1")
    assert (before["lost"], before.get("lost_unknown", False)) == (12, False)
    assert (after["lost"], after["lost_unknown"]) == (12, True)
    assert "12 events were lost on the node" in entry.warnings
    assert any("how many cannot be known" in text for text in entry.warnings)
