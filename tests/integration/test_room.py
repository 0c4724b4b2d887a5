"""Little room for the database, and settings that change while the centre runs: what goes, what stays."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession

from agent import wire
from aggregator import reload
from aggregator.config import load
from aggregator.site_time import day_start, now
from aggregator.store import retention
from aggregator.store.room import Limits, Room
from aggregator.store.store import Store, connect
from deploy.stack import Stack

from .box import TOKEN, batch, box, centre, crossing, event_rows, now_ms, until
from .test_api import BEARER, get, served
from .test_people import call

ALL = 100_000_000  # MiB, more than any disk has


def config_file(folder: Path, stack: Stack, database: str, *, site: str = "", more: str = "") -> Path:
    """Write a centre's config. `more`: lines of [mongodb]; `site`: of [site]."""
    path = folder / "aggregator.toml"
    fresh = folder / "fresh"
    fresh.write_text(
        f'[broker]\nurl = "{stack.mqtt_url}"\n[http]\nport = 0\ntoken = "{TOKEN}"\n[site]\n{site}\n'
        f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "{database}"\n{more}\n'
    )
    fresh.replace(path)
    return path


async def aged(store: Store, days: int) -> None:
    """Let everything that is stored be some days older."""
    by = -days * 86_400_000
    others = {"departures": "heard", "orders": "at"}
    for name in (*retention.Keep().collections(), *others):
        field = others.get(name, "stored_at")
        await store._database[name].update_many({}, [{"$set": {field: {"$add": [f"${field}", by]}}}])


async def test_where_room_is_low_the_oldest_events_go_first_and_counts_stay(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day's events go at each step, the oldest first, never the last day's; tallies, counts and the names
    of batches stay; the audit log and the System page say it; with room again, nothing more goes.
    """
    monkeypatch.setattr(retention, "STEP_SECONDS", 0.0)
    config = load(config_file(tmp_path, stack, "room_low", more=f"low_free_mb = {ALL}\nfull_free_mb = 0"))
    async with centre(config) as running, box(stack.mqtt_url, "room-1") as node:
        store = running.store
        for seq in (1, 2, 3):
            if seq > 1:
                await aged(store, 3)
            tally = wire.Tally(now_ms(), "cam0", 60_000, {}, [], {}, 1, 1, 0, 20, 30)
            await node.send(batch(1, seq, [crossing(seq), tally]))
            await until(lambda seq=seq: (1, seq) in node.acked)
        left = []
        for _ in range(4):
            await running.clock.expire()
            left.append(len(await event_rows(running)))
        assert left == [2, 1, 1, 1]
        assert store.room.early_days == 1
        assert await store._database.tallies.count_documents({}) == 3
        assert await store._database.batches.count_documents({}) == 3
        assert await store._database.counts.count_documents({}) > 0
        written = store._database.audit.find({"user": "the centre"}).sort("at", 1)
        said = [row["action"] async for row in written]
        assert [text.partition(": ")[2] for text in said] == [
            f"what is older than {days} days of events goes early" for days in (6, 3, 1)
        ]
        async with served(running) as address, ClientSession(address, headers=BEARER) as client:
            keeping = (await get(client, "/system"))["keeping"]
        assert keeping["room"] == "low"
        assert "what is older than a day" in keeping["trouble"]
        store.room.limits = Limits(1, 0)
        await running.clock.expire()
        assert (store.room.level, store.room.trouble, store.room.early_days) == ("enough", "", None)
        assert len(await event_rows(running)) == 1


async def test_where_there_is_no_room_boxes_keep_it_and_it_is_stored_once(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored and nothing acknowledged, however often it comes; the page and an alert say so; when
    the file gives room again, without a restart, all of it is stored once and the alert ends.
    """
    monkeypatch.setattr(reload, "_LOOK_SECONDS", 0.1)
    path = config_file(tmp_path, stack, "room_full", more=f"low_free_mb = {ALL}\nfull_free_mb = {ALL}")
    async with (
        centre(load(path)) as running,
        served(running) as address,
        ClientSession(address, headers=BEARER) as client,
        box(stack.mqtt_url, "room-2") as node,
    ):
        await until(lambda: running.store.room.level == "full")
        rule = {"name": "room", "condition": {"kind": "storage"}, "hold_seconds": 0}
        assert (await call(client, "POST", "/alerts", rule))[0] == 201
        for _ in range(3):
            await node.send(batch(1, 1, [crossing(1)]))
        await until(lambda: "nothing is stored" in running.ingest.trouble)
        await until(lambda: any("the boxes keep it" in text for text in running.health.reasons))
        assert node.acked == []
        assert await running.store._database.batches.count_documents({}) == 0

        async def alert() -> str:
            alerts = (await get(client, "/alerts/history"))["alerts"]
            return str(alerts[0]["state"]) if alerts else ""

        for _ in range(300):
            if await alert() == "open":
                break
            await asyncio.sleep(0.1)
        assert await alert() == "open"
        config_file(tmp_path, stack, "room_full", more="low_free_mb = 0\nfull_free_mb = 0")
        await until(lambda: node.acked)
        rows = await event_rows(running)
        assert [row["_id"] for row in rows] == ["room-2:1:1:0"]
        for _ in range(300):
            if await alert() == "closed":
                break
            await asyncio.sleep(0.1)
        assert await alert() == "closed"
        assert running.ingest.trouble == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 900 MB."""
    if os.geteuid():
        pytest.skip("only root can make a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900m", "none", str(folder)], check=False)
    if made.returncode:
        pytest.skip("this container may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_room_is_what_a_real_disk_has(small_disk: Path) -> None:
    """A real database on a disk that fills up: enough, low, full, and enough again when it is emptied."""
    ballast = small_disk / "ballast"
    with Stack(small_disk / "stack") as own:
        async with connect(own.mongodb_uri, "small") as store:
            store.room.limits = Limits(300, 150)
            levels = [await store.room.look()]
            for left in (200, 100):
                free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
                with ballast.open("ab") as file:
                    file.write(bytes(free - (left << 20)))
                levels.append(await store.room.look())
            ballast.unlink()
            levels.append(await store.room.look())
    assert levels == ["enough", "low", "full", "enough"]


async def test_a_database_that_does_not_say_its_room_is_left_alone() -> None:
    """Without the disk's size nothing is refused and nothing goes early, and that is told as unknown."""

    class Silent:
        async def command(self, *_: object) -> dict[str, int]:
            return {"freeStorageSize": 5}

    room = Room(Silent(), "somewhere")
    assert not room.silent
    assert await room.look() == "unknown"
    assert room.silent
    room.check()
    assert room.trouble == ""


async def test_what_is_kept_and_for_how_long_changes_while_the_centre_runs(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A shorter time in the file is applied to what is stored already, a longer one to what comes; what a
    start would refuse changes nothing, and of what needs a restart the log says so.
    """
    monkeypatch.setattr(reload, "_LOOK_SECONDS", 0.1)
    path = config_file(tmp_path, stack, "keep_live", more="detail_days = 30")
    async with (
        centre(load(path)) as running,
        served(running) as address,
        ClientSession(address, headers=BEARER) as client,
        box(stack.mqtt_url, "keep-live") as node,
    ):
        await node.send(batch(1, 1, [crossing(1)]))
        await until(lambda: node.acked)
        left = wire.Departure(1, 2, "cam0", "preview", "anna", "admin", 3, "blurred")
        await running.store.departures.keep("keep-live", [left])
        await running.store.orders.add("order-1", {"node": "keep-live", "verb": "snapshot"})
        await running.store.orders.answer("keep-live", "order-1", {"state": "done", "jpeg": b"a picture"})
        await aged(running.store, 5)
        await running.clock.expire()
        assert len(await event_rows(running)) == 1
        assert await running.store.orders.get("keep-live", "order-1", picture=True)
        for wrong in ("detail_days = 0", "detail_dais = 3", "low_free_mb = 1\nfull_free_mb = 2"):
            caplog.clear()
            config_file(tmp_path, stack, "keep_live", more=wrong)
            await until(lambda: "the changed settings are not applied" in caplog.text)
            assert running.store.retention.keep.detail_days == 30
        config_file(tmp_path, stack, "other", more="detail_days = 3\npictures_days = 4")
        await until(lambda: running.store.retention.keep.detail_days == 3)
        assert "applied after a restart: mongodb.database" in caplog.text
        await running.clock.expire()
        assert await event_rows(running) == []
        assert await running.store.orders.get("keep-live", "order-1", picture=True) is None
        assert await running.store._database.departures.count_documents({}) == 0
        assert await running.store._database.batches.count_documents({}) == 1
        keeping = (await get(client, "/system"))["keeping"]
        assert (keeping["detail_days"], keeping["pictures_days"], keeping["tally_days"]) == (3, 4, 730)


async def test_the_zone_of_the_place_changes_while_the_centre_runs(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another time zone in the file: today, the day's counts, buckets and CSV begin at its midnight, from
    what is stored already.
    """
    monkeypatch.setattr(reload, "_LOOK_SECONDS", 0.1)
    at = now()
    zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago"]  # never the same date: 25 hours lie between them
    path = config_file(tmp_path, stack, "zone_live", site=f'timezone = "{zones[0]}"')
    async with (
        centre(load(path)) as running,
        served(running) as address,
        ClientSession(address, headers=BEARER) as client,
        box(stack.mqtt_url, "zone-live") as node,
    ):
        zone = running.config.zone
        midnight = day_start(int(at.timestamp() * 1000), zone)
        told = [crossing(1, midnight - 60_000), crossing(2, midnight + 1), crossing(3, midnight + 2)]
        await node.state()
        await node.send(batch(1, 1, told, base=midnight - 3_600_000))
        await until(lambda: node.acked)
        span = {"from": str(midnight - 30 * 3_600_000), "to": str(midnight + 30 * 3_600_000), "bucket": "day"}

        async def seen() -> tuple[list[tuple[int, int]], int, list[str]]:
            rows = (await get(client, "/nodes/zone-live/counts", **span))["rows"]
            entry = await get(client, "/nodes/zone-live")
            async with client.get(
                "/api/v1/nodes/zone-live/counts", params={**span, "format": "csv"}
            ) as answer:
                csv = [line.split(",")[0] for line in (await answer.text()).split()[1:]]
            today = sum(row["count"] for row in entry["counts_today"])
            return [(row["start"], row["count"]) for row in rows], today, csv

        before = midnight - timedelta(days=1) // timedelta(milliseconds=1)
        assert await seen() == ([(before, 1), (midnight, 2)], 2, [str(before), str(midnight)])
        config_file(tmp_path, stack, "zone_live", site=f'timezone = "{zones[1]}"')
        await until(lambda: running.config.site.timezone == zones[1])
        day = day_start(midnight + 2, running.config.zone)
        rows, today, csv = await seen()
        assert (rows, csv) == ([(day, 3)], [str(day)])
        start = day_start(now_ms(), running.config.zone)
        assert today == (3 if start == day else 0)
        me = await get(client, "/me")
        assert me["site"]["timezone"] == zones[1]
