"""What a box sends again after its disk lost the end of its spool's log: stored once, no copy of the box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import wire
from agent.deliver.spool import Spool
from agent.deliver.spool_db import PAGE
from agent.deliver.spool_wal import ends_of_transactions
from deploy.stack import Stack

from .box import batch, box, centre, crossing, event_rows, now_ms, settings, until
from .test_spool import at
from .test_spool_disk import LIMIT


def mixed(count: int, base: int) -> list[wire.AnyEvent]:
    """Return crossings, each with events of every other home, the same ones for the same arguments."""
    events: list[wire.AnyEvent] = []
    for n in range(1, count + 1):
        moment = base + n
        events += [
            crossing(n, moment),
            wire.Resources(moment, "", 5, 5, 5, 5, 5, None, 2, 0, False, {"cam0": 95}, 0),
            wire.Lost(moment, "cam0", "detection", n, "the disk was full"),
            wire.Tally(moment, "cam0", 9, {}, [wire.LineTotal("main", 0, "AB", "car", n)], {}, 1, 1, 0, 1, 2),
        ]
    return events


async def troubles(running: Any, node: str) -> tuple[int, list[str]]:
    """Return how many conflicts are kept of a node, and what its page warns of."""
    running.fleet._troubles.read_soon()
    delivery = await running.store.archive.delivery(node)
    return delivery["conflicts"], (await running.fleet.entry(node)).warnings


async def test_what_is_left_of_a_batch_is_no_copy(stack: Stack) -> None:
    """A batch of every kind of event comes again with its first ones only: acknowledged, stored once."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "resent_left")
    base = now_ms()
    async with centre(config) as running, box(stack.mqtt_url, "left-1") as node:
        await node.state()
        await node.send(batch(7, 1, mixed(5, base), base))
        await until(lambda: node.acked == [(7, 1)])
        await node.send(batch(7, 1, mixed(2, base), base))
        await until(lambda: node.acked == [(7, 1)] * 2)
        assert await troubles(running, "left-1") == (0, ["15 events were lost on the node"])
        assert len(await event_rows(running)) == 5
        delivery = await running.store.archive.delivery("left-1")
        assert delivery["epochs"] == [{"epoch": 7, "stored": 20, "missing": 0}]
        assert (await running.fleet.entry("left-1")).counts_today[0].count == 5


@pytest.mark.parametrize("change", ["another event", "another place", "another time"])
async def test_a_batch_that_goes_on_otherwise_is_a_copy(stack: Stack, change: str) -> None:
    """Fewer events, and one of them not what is stored there: kept as a conflict, and warned of."""
    name = f"other-{change.split()[1]}"
    config = settings(stack.mqtt_url, stack.mongodb_uri, name.replace("-", "_"))
    base = now_ms()
    first = mixed(3, base)
    again = {
        "another event": [*first[:4], crossing(2, base + 2, label="bus")],
        "another place": first[1:5],
        "another time": [*first[:4], crossing(2, base + 3)],
    }[change]
    async with centre(config) as running, box(stack.mqtt_url, name) as node:
        await node.state()
        await node.send(batch(7, 1, first, base))
        await until(lambda: node.acked == [(7, 1)])
        await node.send(batch(7, 1, again, base))
        await until(lambda: node.acked == [(7, 1)] * 2)
        conflicts, warnings = await troubles(running, name)
        assert conflicts == 1
        assert any("copy" in text for text in warnings)


async def test_a_box_whose_log_was_cut_is_no_copy_of_itself(stack: Stack, tmp_path: Path) -> None:
    """Of 20 crossings sent and stored the disk knows 10 after a kill: 20 stay counted, the next is the 21st.

    The box says that it lost something; that it has a copy nobody says.
    """
    path = tmp_path / "spool.db"
    log = Path(f"{path}-wal")
    spool = Spool.open(path, LIMIT, at(now_ms()))
    for n in range(1, 21):
        spool.append([crossing(n)], at(now_ms()), {"total": str(n).encode()})
        if n == 10:
            cut = 32 + ends_of_transactions(log, PAGE)[-1] * (24 + PAGE)
    spool.close_batch()
    (sent,) = spool.take(0, 9, at(now_ms()))
    files = {file: file.read_bytes() for file in (path, log)}
    spool.close()
    for file, content in files.items():
        file.write_bytes(content if file == path else content[:cut])
    with (tmp_path / "spool.lock").open("r+b") as lock:
        lock.write(b"open\0\0\0\0")
    again = Spool.open(path, LIMIT, at(now_ms()))
    total = int(again.recall("total") or b"0")
    assert total == 10
    again.append([crossing(total + 1)], at(now_ms()))
    again.close_batch()
    left = again.take(0, 9, at(now_ms()))
    assert (left[0].epoch, left[0].seq) == (sent.epoch, sent.seq)
    assert left[0].payload != sent.payload
    config = settings(stack.mqtt_url, stack.mongodb_uri, "resent_cut")
    async with centre(config) as running, box(stack.mqtt_url, "cut-1") as node:
        await node.state()
        for payload in [sent.payload, *(one.payload for one in left)]:
            await node.send(payload)
        await until(lambda: {(one.epoch, one.seq) for one in left} <= set(node.acked))
        conflicts, warnings = await troubles(running, "cut-1")
        assert conflicts == 0
        assert not any("copy" in text for text in warnings), warnings
        assert any("lost" in text for text in warnings), warnings
        crossings = [row for row in await event_rows(running) if row["t"] == wire.EVENT_TAGS[wire.Crossing]]
        assert len(crossings) == 21
        assert (await running.fleet.entry("cut-1")).counts_today[0].count == 21
    again.close()
