"""The fan-out to watchers."""

from __future__ import annotations

import asyncio

from agent import wire
from aggregator.ingest import Fact
from aggregator.live import BUFFER_BYTES, Hub, Picture, Watcher
from aggregator.metrics import Metrics
from aggregator.watches import Looks, Watches

CROSSING = wire.Crossing(1, "cam0", "main", 0, "AB", "car", 1, 1, 90)


async def waiting(watcher: Watcher) -> bytes:
    """Return what waits for a watcher."""
    async with asyncio.timeout(1):
        async for chunk in watcher.chunks():
            return chunk
    return b""


async def test_watchers_get_what_they_asked_for() -> None:
    """A filter by node and by type is kept; no filter means all."""
    hub = Hub(Metrics())
    all_ = Watcher()
    other = Watcher("box-2")
    tallies = Watcher("", "", frozenset({"tally"}))
    with hub.open(all_), hub.open(other), hub.open(tallies):
        hub.facts([Fact("box-1", "box-1:1:1:0", CROSSING)])
        hub.node("box-2", {"node": "box-2"})
        assert (await waiting(all_)).count(b"event: ") == 2
        assert await waiting(other) == b'event: node\ndata: {"node":"box-2"}\n\n'
        assert b"fact" not in await waiting(tallies)


async def test_slow_watcher_is_bounded_and_counted() -> None:
    """A watcher that never reads holds at most its bound and is cut off once."""
    metrics = Metrics()
    hub = Hub(metrics)
    watcher = Watcher()
    with hub.open(watcher):
        for _ in range(3):
            hub.node("box-1", "x" * (BUFFER_BYTES // 2 - 100))
        assert watcher.cut_off
        assert watcher._bytes == 0
        assert [chunk async for chunk in watcher.chunks()] == []
    assert metrics.cut_off._value.get() == 1


async def test_newest_picture_wins() -> None:
    """A viewer that is late gets the newest picture and none of those before."""
    hub = Hub(Metrics())
    picture = Picture("box-1", "cam0")
    with hub.open_picture(picture):
        for jpeg in (b"one", b"two"):
            hub.live("box-1", wire.Live(1, "cam0", b"", jpeg), [])
            hub.live("box-1", wire.Live(1, "cam1", b"", b"other"), [])
        assert await picture.take() == b"two"
        hub.close()
        assert await picture.take() == b""


async def test_boxes_never_carry_pictures() -> None:
    """A live frame reaches only who has that camera open, as boxes."""
    hub = Hub(Metrics())
    here = Watcher("box-1", "cam0")
    there = Watcher("box-1", "cam1")
    fleet = Watcher()
    with hub.open(here), hub.open(there), hub.open(fleet):
        rows = wire.pack_rows([(1, 0, 0, 1, 1, 0, 90)])
        hub.live("box-1", wire.Live(1, "cam0", rows, b"jpeg"), ["car"])
        assert b"jpeg" not in await waiting(here)
        assert not there._waiting
        assert not fleet._waiting


async def test_watch_is_said_while_somebody_watches() -> None:
    """The first opens, pictures are asked for only while somebody wants them, the last closes."""
    said: list[wire.Command] = []

    async def tell(_node: str, command: wire.Command) -> None:
        said.append(command)

    async def nobody(_node: str, _camera: str, _open: Looks) -> Looks:
        return []

    watches = Watches(tell, nobody)
    boxes = watches.watching("box-1", "cam0", False, "viewer")
    async with boxes, watches.watching("box-1", "cam0", True, "operator"):
        pass
    assert [(one.verb, one.picture, one.role) for one in said] == [
        ("watch", False, "viewer"),
        ("watch", True, "operator"),
        ("watch", False, "viewer"),
        ("unwatch", False, "viewer"),
    ]
    assert len({one.id for one in said}) == 4
