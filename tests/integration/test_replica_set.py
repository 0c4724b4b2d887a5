"""A replica set of three real members whose primary is killed with -9 under load."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.read_concern import ReadConcern

from agent.mqtt.client import BrokerSettings
from deploy.stack import SMALL_MONGOD, Service, Stack, find_mongod, free_port
from tests.integration.box import centre, settings, singly
from tests.integration.counting_box import CountingBox, running

ELECTION_MS = 4000  # as docs/centre.md advises


class ReplicaSet:
    """Three members on this machine."""

    def __init__(self, folder: Path) -> None:
        self.members = [self._member(folder, number) for number in range(3)]
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.members)
        self.uri = f"mongodb://{hosts}/?replicaSet=rs0"

    def _member(self, folder: Path, number: int) -> Service:
        data = folder / f"member-{number}"
        data.mkdir()
        port = free_port()
        command = [
            find_mongod(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port),
            "--replSet", "rs0", "--oplogSize", "64", *SMALL_MONGOD,
        ]  # fmt: skip
        return Service("mongod", command, port, folder / f"member-{number}.log")

    def start(self) -> None:
        """Start them and make them one."""
        for one in self.members:
            one.start()
        hosts = [{"_id": n, "host": f"127.0.0.1:{one.port}"} for n, one in enumerate(self.members)]
        with pymongo.MongoClient("127.0.0.1", self.members[0].port, directConnection=True) as client:
            config = {"_id": "rs0", "members": hosts, "settings": {"electionTimeoutMillis": ELECTION_MS}}
            client.admin.command("replSetInitiate", config)
        with pymongo.MongoClient(self.uri) as client:
            deadline = time.monotonic() + 40
            while client.primary is None or len(client.secondaries) < 2:
                client.admin.command("ping")
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def primary(self) -> Service:
        """Return the member that takes writes now."""
        with pymongo.MongoClient(self.uri) as client:
            client.admin.command("ping")
            assert client.primary
            return next(one for one in self.members if one.port == client.primary[1])


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    """Three members that run."""
    made = ReplicaSet(tmp_path)
    made.start()
    yield made
    for one in made.members:
        one.kill(signal.SIGTERM)


async def test_a_killed_primary_loses_nothing_and_doubles_nothing(
    stack: Stack, replica_set: ReplicaSet, tmp_path: Path
) -> None:
    """Under load the primary is killed: writes resume within 15 s, every crossing is stored once, and by
    itself what was acknowledged is on a majority."""
    config = settings(stack.mqtt_url, replica_set.uri, "replicas")
    broker = BrokerSettings.parse(stack.mqtt_url, client_id="gate-rs")
    async with centre(config) as running_centre:
        concern = running_centre.store._database.write_concern.document
        assert (concern["w"], concern["j"]) == ("majority", True)
        async with running(CountingBox(tmp_path / "box", broker, "gate-rs")) as box:
            await box.count(100)
            await box.drained()
            load = asyncio.create_task(box.count(500, 0.01), name="load")
            await asyncio.sleep(2)
            victim = await asyncio.to_thread(replica_set.primary)
            before = running_centre.metrics.events._value.get()
            victim.kill()
            killed = time.monotonic()
            await asyncio.sleep(0.5)
            held = running_centre.metrics.events._value.get()
            while running_centre.metrics.events._value.get() == held:
                assert time.monotonic() - killed < 15, "writes do not resume"
                await asyncio.sleep(0.05)
            resumed = time.monotonic() - killed
            await load
            await box.drained(30)
            total = box.total
    assert before > 0
    assert resumed < 15
    with pymongo.MongoClient(replica_set.uri) as client:
        majority = client["replicas"].get_collection("batches", read_concern=ReadConcern("majority"))
        stored = sorted(int(row["o"]) for row in singly(majority.find()) if "o" in row)
    assert stored == list(range(1, total + 1))
