"""A centre is backed up while it runs, lost whole, and rises again in another folder; its boxes go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pymongo
import pytest

from agent.mqtt.client import BrokerSettings
from aggregator.backup.errors import BackupError
from aggregator.backup.sealed import CHUNK, Opener, Sealer
from aggregator.centre import open_centre
from aggregator.config import load
from aggregator.opening import open_store
from aggregator.setup.provision import DEMO_NODE
from aggregator.store.errors import StoreError
from aggregator.store.store import SCHEMA
from deploy.stack import Service, Stack, find_mosquitto
from tests.integration.box import settings, singly
from tests.integration.counting_box import CountingBox, running
from tests.integration.test_enrol import Centre, database, make_database_users

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse battery"


def gb_aggregator(*words: object, typed: str = PASSPHRASE + "\n") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "aggregator", *map(str, words)],
        cwd=ROOT, input=typed, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


class Machine:
    """A prepared centre whose broker, database and aggregator run; `kill` is a dead disk."""

    def __init__(self, folder: Path, broker: Service, mongod: Service) -> None:
        self.folder = folder
        self.config = folder / "centre" / "aggregator.toml"
        self.broker = broker
        self.mongod = mongod
        self.address = ""
        self.aggregator: subprocess.Popen[str] | None = None

    def start_aggregator(self) -> None:
        """Start it and wait until it is ready."""
        self.aggregator = subprocess.Popen(
            [sys.executable, "-m", "aggregator", "run", "--config", str(self.config)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.aggregator.stdout
        said, _, self.address = self.aggregator.stdout.readline().strip().partition(" ")
        assert said == "ready"

    def stop_aggregator(self, with_signal: int = signal.SIGTERM) -> None:
        """End it, if it runs."""
        if self.aggregator and self.aggregator.poll() is None:
            self.aggregator.send_signal(with_signal)
            self.aggregator.communicate()

    def kill(self) -> None:
        """End everything with -9."""
        self.stop_aggregator(signal.SIGKILL)
        self.broker.kill()
        self.mongod.kill()

    def missing(self) -> int:
        """Return how many batches of the box the centre says are missing."""
        config = load(self.config)
        request = urllib.request.Request(
            f"{self.address}/api/v1/nodes/{DEMO_NODE}/delivery",
            headers={"Authorization": f"Bearer {config.token()}"},
        )
        trust = ssl.create_default_context(cafile=str(self.config.parent / "ca.crt"))
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
            return sum(epoch["missing"] for epoch in json.load(answer)["epochs"])

    def totals(self) -> list[int]:
        """Return the running totals of the crossings that are stored, in order."""
        with pymongo.MongoClient(load(self.config).mongodb_uri()) as client:
            rows = singly(client["gb_fleet"]["batches"].find({"n": DEMO_NODE}))
            return sorted(int(row["o"]) for row in rows if "o" in row)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A centre that runs."""
    (tmp_path / "a").mkdir()
    centre = Centre(tmp_path / "a", with_database=True)
    assert centre.mongod
    centre.mongod.start()
    make_database_users(centre.folder, centre.mongod.port)
    centre.service.start()
    made = Machine(centre.folder, centre.service, centre.mongod)
    made.start_aggregator()
    yield made
    made.kill()


def joined(machine: Machine) -> BrokerSettings:
    """Return the settings of the demo's box, as a box keeps them: they outlive the centre's folder."""
    centre = load(machine.config).broker_settings()
    authority = machine.folder.parent / "pinned.crt"
    shutil.copy(machine.folder / "centre" / "ca.crt", authority)
    secret = (machine.folder / "demo" / "secret").read_text()
    return msgspec.structs.replace(
        centre,
        username=DEMO_NODE,
        password=secret,
        password_file="",
        ca_file=str(authority),
        client_id=DEMO_NODE,
    )


async def test_a_lost_centre_rises_from_its_backup_and_its_box_goes_on(
    machine: Machine, tmp_path: Path
) -> None:
    """Backed up under load, killed, deleted, restored elsewhere: the box comes back by itself, what it held
    fills the hole, and what is missing is exactly what was stored after the backup."""
    archive = tmp_path / "centre.backup"
    async with running(CountingBox(tmp_path / "box", joined(machine), DEMO_NODE)) as box:
        await box.count(50)
        await box.drained()
        counting = asyncio.create_task(box.count(200), name="counting")
        made = await asyncio.to_thread(gb_aggregator, "backup", archive, "--config", machine.config)
        assert made.returncode == 0, made.stderr
        await counting
        await box.drained()
        before = machine.totals()
        assert before == list(range(1, 251))
        machine.kill()
        shutil.rmtree(machine.folder)
        await box.count(30)

        again = restored(machine, tmp_path / "b", archive)
        try:
            await box.drained()
            found = again.totals()
            missing = again.missing()
        finally:
            again.kill()
    assert len(found) == len(set(found))
    assert set(range(1, 51)) | set(range(251, 281)) <= set(found)
    hole = sorted(set(range(1, 281)) - set(found))
    assert hole == [total for total in before if total not in found]
    assert bool(missing) == bool(hole), "the ledger says that batches are gone"
    assert archive.stat().st_mode & 0o777 == 0o600
    assert archive.read_bytes().find(b"PRIVATE KEY") == -1


def restored(lost: Machine, folder: Path, archive: Path) -> Machine:
    """Restore a backup into a folder, as the documentation says, and start everything."""
    config = folder / "centre" / "aggregator.toml"
    words = ("restore", archive, "--dir", folder, "--config", config)
    early = gb_aggregator(*words)
    assert early.returncode == 1
    assert "no MongoDB answers" in early.stderr
    assert "then run this again" in early.stderr
    assert len(early.stderr.splitlines()) == 1
    mongod = database(folder, lost.mongod.port)
    mongod.start()
    make_database_users(folder, mongod.port)
    done = gb_aggregator(*words)
    assert done.returncode == 0, done.stderr
    assert "The centre is restored" in done.stdout
    settings = folder / "mosquitto" / "mosquitto.conf"
    assert str(lost.folder) not in settings.read_text() + config.read_text()
    broker = Service(
        "mosquitto", [find_mosquitto(), "-c", str(settings)], lost.broker.port, folder / "mosquitto.log"
    )
    broker.start()
    made = Machine(folder, broker, mongod)
    made.start_aggregator()
    return made


def test_what_is_there_is_never_overwritten(machine: Machine, tmp_path: Path) -> None:
    """A running centre and one that holds data refuse a restore in one line, and stay as they are."""
    archive = tmp_path / "centre.backup"
    assert gb_aggregator("backup", archive, "--config", machine.config).returncode == 0
    before = {path: path.read_bytes() for path in (machine.folder / "centre").iterdir()}
    words = ("restore", archive, "--config", machine.config)
    for reason in ("an aggregator runs on this database", "holds a centre already"):
        refused = gb_aggregator(*words)
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        machine.stop_aggregator()
        with pymongo.MongoClient(load(machine.config).mongodb_uri()) as client:
            client["gb_fleet"]["aggregators"].delete_many({})
            client["gb_fleet"]["users"].replace_one({"_id": "anna"}, {"role": "viewer"}, upsert=True)
    assert before == {path: path.read_bytes() for path in (machine.folder / "centre").iterdir()}


async def test_no_aggregator_starts_on_half_a_restore(stack: Stack) -> None:
    """A restore that was cut off is told at the start, in a line that says what to do; whole, it starts."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, "half_restored")
    async with open_store(config) as store:
        await store.dump.begin("0123456789abcdef", 1_790_000_000_000)
    with pytest.raises(StoreError, match=r"has not come to its end: run `gb-aggregator restore`"):
        async with open_centre(config):
            pass
    async with open_store(config) as store:
        assert await store.dump.refusal("0123456789abcdef") == ""
        await store.dump.done(1_790_000_001_000)
    async with open_centre(config):
        pass


def test_a_prepared_place_keeps_its_own_settings(machine: Machine, tmp_path: Path) -> None:
    """Where `init` was there first, its settings stay; authority, rights and secrets come along."""
    archive = tmp_path / "centre.backup"
    assert gb_aggregator("backup", archive, "--config", machine.config).returncode == 0
    (tmp_path / "new").mkdir()
    other = Centre(tmp_path / "new", with_database=True)
    assert other.mongod
    other.mongod.start()
    make_database_users(other.folder, other.mongod.port)
    kept = (other.folder / "centre" / "mongodb").read_bytes()
    config = other.folder / "centre" / "aggregator.toml"
    try:
        done = gb_aggregator("restore", archive, "--config", config)
    finally:
        other.mongod.kill(signal.SIGTERM)
    assert done.returncode == 0, done.stderr
    assert "centre/aggregator.toml stayed as it was here" in done.stdout
    assert (other.folder / "centre" / "mongodb").read_bytes() == kept
    for name in ("ca/ca.key", "centre/aggregator", "centre/token", "mosquitto-data/dynamic-security.json"):
        assert (other.folder / name).read_bytes() == (machine.folder / name).read_bytes(), name


@pytest.mark.parametrize("damage", ["passphrase", "cut", "cut at a chunk", "flipped", "newer", "foreign"])
def test_what_is_wrong_with_a_backup_is_one_line(tmp_path: Path, damage: str) -> None:
    """A wrong passphrase, a cut, damaged, newer or foreign file each say so, and change nothing."""
    sealed = tmp_path / "sealed"
    with sealed.open("wb") as file, Sealer(file, PASSPHRASE) as sealer:
        for _ in range(3):
            sealer.write(os.urandom(CHUNK))
    data = bytearray(sealed.read_bytes())
    head = len(data) - 3 * (CHUNK + 16)
    typed = PASSPHRASE
    match damage:
        case "passphrase":
            typed = "another passphrase"
            reason = "the passphrase is not the one"
        case "cut":
            del data[-100:]
            reason = "cut off or damaged"
        case "cut at a chunk":
            del data[head + CHUNK + 16 :]
            reason = "cut off or damaged"
        case "flipped":
            data[head + 5000] ^= 1
            reason = f"damaged at byte {head}"
        case "newer":
            data[16] = 9
            reason = "written by a newer version (format 9"
        case _:
            data[:4] = b"PK\x03\x04"
            reason = "this is no backup"
    sealed.write_bytes(data)
    done = gb_aggregator("restore", sealed, "--dir", tmp_path / "centre", typed=typed + "\n")
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "centre").exists()


def test_a_stream_comes_back_as_it_went_in(tmp_path: Path) -> None:
    """Whatever the sizes of the writes, what is read is what was written; chunks cannot change places."""
    path = tmp_path / "sealed"
    parts = [os.urandom(size) for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 7)]
    with path.open("wb") as file, Sealer(file, PASSPHRASE) as sealer:
        for part in parts:
            sealer.write(part)
    with path.open("rb") as file:
        assert Opener(file, PASSPHRASE).readall() == b"".join(parts)
    data = path.read_bytes()
    first = data[57 : 57 + CHUNK + 16]
    second = data[57 + CHUNK + 16 : 57 + 2 * (CHUNK + 16)]
    path.write_bytes(data[:57] + second + first + data[57 + 2 * (CHUNK + 16) :])
    with path.open("rb") as file, pytest.raises(BackupError, match="damaged"):
        Opener(file, PASSPHRASE).readall()


def test_a_newer_schema_and_a_short_passphrase_are_refused(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of a newer centre says which versions; a passphrase that could be guessed is not taken."""
    archive = tmp_path / "centre.backup"
    short = gb_aggregator("backup", archive, "--config", machine.config, typed="short\n")
    assert short.returncode == 2
    assert "at least 12 characters" in short.stderr
    assert not archive.exists()
    code = (
        "import sys, aggregator.backup.backup as b; b.SCHEMA = 99; "
        "from aggregator.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, "backup", str(archive), "--config", str(machine.config)],
        cwd=ROOT, input=PASSPHRASE + "\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    done = gb_aggregator("restore", archive, "--dir", tmp_path / "b")
    assert done.returncode == 1
    assert f"schema 99; this one knows {SCHEMA}" in done.stderr
    assert not (tmp_path / "b").exists()


def test_the_running_container_sends_the_operator_to_the_right_place(tmp_path: Path) -> None:
    """Where the authority is out of sight, a backup that would strand every box is refused."""
    (tmp_path / "a").mkdir()
    centre = Centre(tmp_path / "a")
    alone = tmp_path / "alone"
    shutil.copytree(centre.folder / "centre", alone)
    done = gb_aggregator("backup", tmp_path / "x", "--config", alone / "aggregator.toml")
    assert done.returncode == 1
    assert "docker compose run --rm backup" in done.stderr
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "x").unlink()
        pytest.fail("a file was left")
