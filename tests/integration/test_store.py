"""The store against a real mongod."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import wire
from aggregator.site_time import now
from aggregator.store import codec, detail
from aggregator.store.errors import StoreError
from aggregator.store.running_totals import Marks, increments
from aggregator.store.store import SCHEMA, Claim, Store, connect
from deploy.stack import Stack, free_port

from .box import crossing, now_ms


async def store_events(store: Store, node: str, epoch: int, seq: int, events: list[Any]) -> None:
    """Take the durable order for one batch."""
    moment = now()
    base = events[0].at
    raws = {place: wire.encode_event(event, base) for place, event in enumerate(events)}
    fields = detail.fields(list(enumerate(events)), raws, base, {})
    claim = Claim(codec.batch_id(node, epoch, seq), b"8 bytes.", len(events), 0, detail=fields)
    await store.claim([claim], moment)
    marks = Marks()
    for event in events:
        marks.add(node, epoch, event)
    await store.raise_counts(marks, moment)
    await store.mark_stored([claim.id])


KEPT_DAYS = {
    "events": 1, "resources": 1, "quarantine": 1, "conflicts": 1,
    "tallies": 2, "losses": 2, "counts": 2, "batches": 3,
}  # fmt: skip


async def test_details_expire_by_the_centres_clock(stack: Stack) -> None:
    """Every collection is kept its days by `stored_at`; a box's own clock and the database expire nothing."""
    async with connect(stack.mongodb_uri, "store_ttl", detail_days=1, tally_days=2, batch_days=3) as store:
        for name in KEPT_DAYS:
            indexes = await store._database[name].index_information()
            assert indexes["stored_at_1"].get("expireAfterSeconds", 2**31 - 1) == 2**31 - 1
        moment = now()
        for name, days in KEPT_DAYS.items():
            ages = {"old": days + 0.01, "young": days - 0.01}
            rows = [{"_id": key, "stored_at": moment - timedelta(days=age)} for key, age in ages.items()]
            await store._database[name].insert_many(rows)
        await store.insert("events", [codec.encode("ttl-1", "ttl-1:1:1:1", crossing(2, at=1000), now())])
        assert await store.retention.expire(int(moment.timestamp() * 1000)) == len(KEPT_DAYS)
        for name in KEPT_DAYS:
            left = {row["_id"] async for row in store._database[name].find()}
            assert left == {"young", *(["ttl-1:1:1:1"] if name == "events" else [])}


async def test_the_database_of_an_earlier_version_deletes_no_more(stack: Stack) -> None:
    """Where an earlier version had the database delete by itself, that ends; the days can be changed."""
    async with connect(stack.mongodb_uri, "store_days") as store:
        await store._database.events.drop_index("stored_at_1")
        await store._database.events.create_index("stored_at", expireAfterSeconds=30 * 86_400)
    async with connect(stack.mongodb_uri, "store_days", detail_days=9) as store:
        index = (await store._database.events.index_information())["stored_at_1"]
        assert index["expireAfterSeconds"] == 2**31 - 1
        assert store.retention.keep.collections()["events"] == 9


async def test_newer_schema_is_refused(stack: Stack) -> None:
    """A database of a newer version is left alone, with a clear word."""
    async with connect(stack.mongodb_uri, "store_newer") as store:
        assert (await store._database.meta.find_one())["version"] == SCHEMA
        await store._database.meta.update_one({"_id": "schema"}, {"$set": {"version": SCHEMA + 1}})
    with pytest.raises(StoreError, match="was written by a newer version"):
        async with connect(stack.mongodb_uri, "store_newer"):
            pass


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb://127.0.0.1:{port}", "no MongoDB answers at 127.0.0.1:{port}: start it"),
        ("mongodb://", "mongodb.uri: "),
        ("mongodb://127.0.0.1:99999", "mongodb.uri: "),
    ],
)
async def test_unreachable_is_one_line(uri: str, reason: str) -> None:
    """A wrong address is one line: the reason and what to do."""
    port = free_port()
    started = time.monotonic()
    with pytest.raises(StoreError) as error:
        async with connect(uri.format(port=port), "store_none"):
            pass
    assert reason.format(port=port) in str(error.value)
    assert "\n" not in str(error.value)
    assert time.monotonic() - started < 10


async def test_wrong_password_is_one_line(tmp_path: Path) -> None:
    """A refused login names the options to correct and not the password; no login at all says so too."""
    with Stack(tmp_path / "stack") as stack:
        async with connect(stack.mongodb_uri, "store_auth") as store:
            await store._client.admin.command(
                "createUser", "gb", pwd="right", roles=[{"role": "readWrite", "db": "store_auth"}]
            )
        assert stack.mongod
        stack.mongod.kill(15)
        stack.mongod._command.append("--auth")
        stack.mongod.start()
        address = stack.mongodb_uri.removeprefix("mongodb://")
        async with connect(f"mongodb://gb:right@{address}", "store_auth") as store:
            await store.ping()
        for login, reason in (("gb:wrong@", "refused the login"), ("", "gives this user no right")):
            with pytest.raises(StoreError) as error:
                async with connect(f"mongodb://{login}{address}", "store_auth"):
                    pass
            assert reason in str(error.value)
            assert "wrong" not in str(error.value)


async def test_storing_twice_changes_nothing(stack: Stack) -> None:
    """Each step of the durable order can be repeated, also by several at once."""
    async with connect(stack.mongodb_uri, "store_again") as store:
        events = [crossing(n) for n in range(1, 30)]
        await asyncio.gather(*(store_events(store, "again-1", 5, 1, events) for _ in range(5)))
        delivery = await store.archive.delivery("again-1")
        assert delivery["epochs"] == [{"epoch": 5, "stored": 29, "missing": 0}]
        hours = await store.archive.hours("again-1", 0, 2**50)
        assert sum(step.amount for step in increments(hours)) == 29


async def test_counts_are_free_of_order(stack: Stack) -> None:
    """Batches in any order, some twice, some lost: the sum is the total's movement."""
    async with connect(stack.mongodb_uri, "store_order") as store:
        start = now_ms() // 60_000 * 60_000 - 3_600_000
        batches = [
            (seq, [crossing(seq * 10 + i + 1, start + seq * 60_000) for i in range(10)]) for seq in range(30)
        ]
        kept = [one for one in batches if one[0] % 7 != 3]  # every seventh is lost
        kept += kept[:5]
        random.Random(2).shuffle(kept)
        for seq, events in kept:
            await store_events(store, "order-1", 5, seq, events)
        hours = await store.archive.hours("order-1", 0, 2**50)
        assert sum(step.amount for step in increments(hours)) == 300


async def test_long_spans_are_summed_in_the_database(stack: Stack) -> None:
    """Summed slots say the same as tallies read one by one."""
    chance = random.Random(5)
    async with connect(stack.mongodb_uri, "store_long") as store:
        start = now_ms() // 86_400_000 * 86_400_000
        tallies = []
        marks = Marks()
        total = 0
        for minute in range(600):
            at = start + minute * 60_000
            total = total + chance.randrange(3)
            totals = [wire.LineTotal("main", 0, "AB", "car", total)]
            blind = {"stalled": chance.randrange(9000)} if minute % 3 else {}
            tally = wire.Tally(at, "cam0", 50_000, blind, totals, {"car": total}, 900, 890, 10, 20, minute)
            tallies.append(tally)
            marks.add("long-1", 5, tally)
        rows = [codec.encode("long-1", f"long-1:5:1:{i}", one, now()) for i, one in enumerate(tallies)]
        await store.insert(codec.TALLIES, rows)
        await store.raise_counts(marks, now())
        until = start + 86_400_000
        slots = await store.slots.watched(["long-1"], "cam0", start, until, 900_000)
        assert len(slots) == 40
        assert sum(slot.watched for slot in slots) == sum(tally.watched for tally in tallies)
        blind_sum = sum(sum(tally.blind.values()) for tally in tallies)
        assert sum(slot.blind["stalled"] for slot in slots) == blind_sum
        assert [slot.p95 for slot in slots][:2] == [14, 29]


async def test_what_is_guessed_of_count_documents_may_be_wrong(stack: Stack) -> None:
    """Two centres count at once, what one knows is erased, what one never saw is there: counts stay."""
    database = "store_guess"
    at = now_ms() // 3_600_000 * 3_600_000
    async with connect(stack.mongodb_uri, database) as one, connect(stack.mongodb_uri, database) as two:

        async def count(store: Store, label: str, total: int) -> None:
            marks = Marks()
            marks.add("guess-1", 5, crossing(total, at + total, label))
            await store.raise_counts(marks, now())

        async def totals() -> dict[str, tuple[int, int]]:
            rows = [row async for row in one._database.counts.find({"n": "guess-1"})]
            return {row["l"]: (row["s"]["0"], row["e"]["0"]) for row in rows}

        await asyncio.gather(*(count(one if number % 2 else two, "car", number) for number in range(1, 41)))
        assert await totals() == {"car": (0, 40)}
        await one._database.counts.delete_many({"n": "guess-1"})
        await count(one, "car", 41)  # believes that it is there
        assert await totals() == {"car": (40, 41)}
        known = await one._database.counts.find_one({"n": "guess-1"})
        assert known is not None
        assert {"y", "h", "c", "i", "r", "d", "stored_at"} <= set(known)
        await count(two, "bus", 1)
        await count(one, "bus", 2)  # has never seen it
        assert await totals() == {"car": (40, 41), "bus": (0, 2)}


async def test_marked_means_on_disk(own_stack: Stack) -> None:
    """What was marked stored is all there after mongod was killed with -9 at once."""
    assert own_stack.mongod
    async with connect(own_stack.mongodb_uri, "store_disk") as store:
        marked = 0
        for seq in range(50):
            await store_events(store, "disk-1", 5, seq, [crossing(seq + 1)])
            marked += 1
        await asyncio.to_thread(own_stack.mongod.kill)
        with pytest.raises(StoreError):
            await store_events(store, "disk-1", 5, 99, [crossing(99)])
        await asyncio.to_thread(own_stack.mongod.start)
        assert (await store.archive.delivery("disk-1"))["epochs"] == [
            {"epoch": 5, "stored": marked, "missing": 0}
        ]
        assert len(await store.archive.newest("disk-1", [wire.Crossing], 0, 2**50, 1000)) == marked


async def test_an_event_takes_little_room(stack: Stack) -> None:
    """A usual mix of events takes at most 120 bytes each on disk, gates, indexes and batches included."""
    chance = random.Random(3)
    async with connect(stack.mongodb_uri, "store_size") as store:
        total = 0
        for seq in range(300):
            events: list[Any] = []
            for _ in range(60):
                total += 1
                at = now_ms() + total
                track = chance.randrange(100_000)
                box = wire.pack_box(*(chance.random() for _ in range(4)))
                path = [(i / 2, chance.random(), chance.random()) for i in range(chance.randrange(2, 9))]
                gates = [wire.Gate("main", "AB", chance.randrange(4000)), wire.Gate("kerb", "in", 5000)]
                told = (True, {}, gates if total % 3 == 0 else [])
                speed = chance.randrange(200, 700)
                events += [
                    wire.Detection(at, "cam0", track, "car", chance.randrange(100), box),
                    wire.Track(at, "cam0", track, "car", 90, 9000, 90, wire.pack_path(path), *told),
                    msgspec.structs.replace(crossing(total, at), speed=speed),
                ]
            await store_events(store, f"size-{seq % 20}", 2**47 + seq % 20, seq, events)
        sizes = await store.size()
    used = sum(size for name, (_, size) in sizes.items() if name in ("events", "counts", "batches"))
    assert sizes["batches"][0] == 300
    assert used / (300 * 180) <= 120


def test_motor_is_in_the_store_only() -> None:
    """Nothing but the store imports motor, so another driver is a small change."""
    found = subprocess.run(
        ["grep", "-l", "motor.motor", "-r", str(Path(codec.__file__).parent), "--include=*.py"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert [Path(path).name for path in found] == ["store.py"]
    code = "import sys, aggregator.centre; sys.exit(bool({'cv2', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
