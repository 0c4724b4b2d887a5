"""What the centre needs of its engines: `gb-aggregator check` tries it, `shard` spreads what is large."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from aggregator.check import broker as broker_check
from aggregator.store.sharding import KEYS, shard_orders, zone_orders
from deploy.stack import Service, Stack, find_mosquitto, free_port
from tests.integration.box import batch, box, centre, crossing, now_ms, settings, until
from tests.integration.test_enrol import Centre

ROOT = Path(__file__).parents[2]


def gb_aggregator(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "aggregator", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path, stack: Stack) -> Iterator[Centre]:
    """A broker with the rights that init makes; the database is the run's."""
    (tmp_path / "centre").mkdir()
    made = Centre(tmp_path / "centre")
    text = (made.folder / "centre" / "aggregator.toml").read_text()
    begin = text.index("[mongodb]")
    database = f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "engines"\n\n'
    config = text[:begin] + database + text[text.index("[http]") :]
    (made.folder / "centre" / "aggregator.toml").write_text(config)
    made.service.start()
    yield made
    made.service.kill()


def test_a_prepared_centre_has_all_that_is_needed(prepared: Centre) -> None:
    """Broker and database as init makes them pass every trial, and nothing of the trial stays."""
    done = gb_aggregator("check", "--config", prepared.folder / "centre" / "aggregator.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("ok ") for line in lines)
    rights = (prepared.folder / "mosquitto-data" / "dynamic-security.json").read_text()
    assert "check-" not in rights


def test_a_broker_that_lacks_something_is_told_of(stack: Stack, tmp_path: Path) -> None:
    """Without rights, with small packets and a short queue, and with nobody there: each is a line that says
    what is missing. That it makes up no names for clients does not matter."""
    port = free_port()
    poor = tmp_path / "poor.conf"
    poor.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 20000\nuser root\n"
        "allow_zero_length_clientid false\n"
    )
    service = Service("mosquitto", [find_mosquitto(), "-c", str(poor)], port, tmp_path / "poor.log")
    service.start()
    config = tmp_path / "aggregator.toml"
    database = f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "engines_poor"\n'
    config.write_text(f'[broker]\nurl = "mqtt://127.0.0.1:{port}"\n{database}')
    done = gb_aggregator("check", "--config", config)
    service.kill()
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("no ")]
    assert len(faults) == 3, done.stdout
    assert "messages of 500 kB" in faults[0]
    assert "1,500 messages wait" in faults[1]
    assert "1,020 of 1,500 came: let more be queued" in faults[1]
    assert "and nothing else" in faults[2]
    assert "3 of 10 are not as the centre needs them" in done.stderr
    away = gb_aggregator("check", "--config", config)
    assert "nothing listens" in away.stdout
    assert away.returncode == 1


def test_a_database_without_shards_says_so(stack: Stack, tmp_path: Path) -> None:
    """`shard` at a standalone server is one line that says what it needs; a bad zone is refused at once."""
    config = tmp_path / "aggregator.toml"
    config.write_text(f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "engines_alone"\n')
    done = gb_aggregator("shard", "--config", config)
    assert done.returncode == 1
    assert "has no shards: name a mongos in [mongodb] uri" in done.stderr
    assert gb_aggregator("shard", "--zone", "north", "--config", config).returncode == 2
    words = ("--zone", "north-=a", "--zone", "north-1=b", "--zone", "south-=a")
    both = gb_aggregator("shard", *words, "--config", config)
    assert both.returncode == 2
    assert "names with north-1 begin with north- too; a node has one zone" in both.stderr


def test_the_orders_cover_all_that_is_large_and_a_zone_all_of_its_nodes() -> None:
    """Each large collection has a key that begins with the node; a zone goes from its prefix to behind it."""
    orders = list(shard_orders("gb"))
    assert orders[0] == {"enableSharding": "gb"}
    assert {order["shardCollection"] for order in orders[1:]} == {f"gb.{name}" for name in KEYS}
    zone = list(zone_orders("gb", "north-", "shard0001"))
    assert zone[0] == {"addShardToZone": "shard0001", "zone": "nodes north-"}
    for order in zone[1:]:
        field = next(iter(order["min"]))
        assert order["min"][field] <= "north-01" < order["max"][field]
        assert not order["min"][field] <= "north" < order["max"][field]
        assert not order["min"][field] <= "south-1" < order["max"][field]


# Questions that are about all nodes, on purpose: they are asked rarely, and a mongos asks every shard.
OF_ALL_NODES = {
    ("stored_at",), ("dated", "stored_at"), ("e", "stored_at"), (),
    ("removed",), ("t", "stored_at"), ("h", "stored_at"), ("u",),
}  # fmt: skip


def filters(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Iterate over the filters of a profiled operation."""
    command = row.get("command", {})
    if row["op"] in ("update", "remove"):
        yield command.get("q", {})
    elif "pipeline" in command:
        yield command["pipeline"][0].get("$match", {}) if command["pipeline"] else {}
    elif "filter" in command:
        yield command["filter"]
    elif row["op"] == "command" and "query" in command:
        yield command["query"]


async def test_every_hot_question_carries_the_key_of_its_shard(own_stack: Stack) -> None:
    """What the database was really asked, while batches came and every table was read: of each large
    collection by the shard's key, so that a mongos asks one shard."""
    config = settings(own_stack.mqtt_url, own_stack.mongodb_uri, "profiled")
    with pymongo.MongoClient(own_stack.mongodb_uri) as client:
        database = client["profiled"]
        database.create_collection("system.profile", capped=True, size=64 << 20)
        async with centre(config) as running, box(own_stack.mqtt_url, "gate-01") as node:
            database.command("profile", 2)
            await node.state()
            at = now_ms()
            for seq in range(1, 6):
                await node.send(batch(at, seq, [crossing(seq)]))
            await node.send(batch(at, 1, [crossing(1)]))
            await until(lambda: len(node.acked) >= 5)
            await running.fleet.entry("gate-01")
            await running.store.archive.delivery("gate-01")
            await asyncio.sleep(1.5)
            database.command("profile", 0)
        asked = list(database["system.profile"].find({"appName": "gb-aggregator"}))
    seen = set()
    for row in asked:
        name = row["ns"].partition(".")[2]
        if name not in KEYS:
            continue
        key = next(iter(KEYS[name]))
        for query in filters(row):
            seen.add(name)
            fields = tuple(sorted(field for field in query if not field.startswith("$")))
            assert key in query or fields in OF_ALL_NODES, f"{name} by {query}"
    assert {"batches", "counts"} <= seen


def test_the_cells_are_those_of_the_documentation() -> None:
    """Every kind of topic is tried in both directions, of the node's own and of another's."""
    cells = list(broker_check._cells("check-1"))
    assert sum(allowed for _, _, allowed in cells) == 7
    assert len({(verb, topic) for verb, topic, _ in cells}) == len(cells)
