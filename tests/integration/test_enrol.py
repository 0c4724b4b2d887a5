"""Joining and leaving: the same rights, users and certificates as in production, with a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import socket
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pymongo
import pytest
from pymongo.errors import OperationFailure

from agent import config as agent_config
from agent import wire
from agent.enrol import EnrolError, fetch_authority, join_centre
from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, connect
from aggregator.config import Config, load
from aggregator.setup import acl, addresses, certificates, enrol, groups
from aggregator.setup.admit import take_joins
from aggregator.setup.layout import CONTAINERS, InitError, here
from aggregator.setup.provision import DEMO_NODE, prepare
from deploy.stack import SMALL_MONGOD, Service, find_mongod, find_mosquitto, free_port


def database(folder: Path, port: int) -> Service:
    """Return a mongod that asks for a password."""
    (folder / "db").mkdir()
    command = [find_mongod(), "--dbpath", str(folder / "db"), "--port", str(port), "--bind_ip", "127.0.0.1"]
    return Service("mongod", [*command, "--auth", *SMALL_MONGOD], port, folder / "mongod.log")


class Centre:
    """A prepared folder and the broker that runs on it."""

    def __init__(self, folder: Path, with_database: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.mongod = database(folder, free_port()) if with_database else None
        mongodb = f"127.0.0.1:{self.mongod.port if self.mongod else 27017}"
        prepare(folder, ["127.0.0.1"], here(folder, self.port, mongodb, free_port()))
        settings = folder / "mosquitto" / "mosquitto.conf"
        if os.geteuid() == 0:  # else it would give up the right to read its own key
            settings.write_text(settings.read_text() + "user root\n")
        self.service = Service(
            "mosquitto", [find_mosquitto(), "-c", str(settings)], self.port, folder / "mosquitto.log"
        )
        self.config: Config = load(folder / "centre" / "aggregator.toml")

    def broker(self, user: str, password: str, client_id: str = "") -> BrokerSettings:
        """Return the settings to connect as that user."""
        return BrokerSettings(
            "localhost",
            self.port,
            tls=True,
            username=user,
            password=password,
            ca_file=str(self.folder / "centre" / "ca.crt"),
            client_id=client_id,
        )

    def own(self, user: str) -> BrokerSettings:
        """Return the settings to connect as one of the centre's own users."""
        return self.broker(user, (self.folder / "centre" / user.removeprefix("gb.")).read_text())

    def node(self, name: str) -> tuple[str, str, str]:
        """Add a node; return url, code and fingerprint of its line."""
        words = shlex.split(enrol.add_node(self.config, name))
        line = dict(zip(words[2::2], words[3::2], strict=True))
        assert line["--node"] == name
        return line["--join"], line["--code"], line["--fingerprint"]


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A centre with its broker."""
    made = Centre(tmp_path_factory.mktemp("centre"))
    made.service.start()
    yield made
    made.service.kill(signal.SIGTERM)


@pytest.fixture
def porter(centre: Centre) -> Iterator[None]:
    """The part of a running aggregator that lets boxes in."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(take_joins(centre.config))

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
    loop.close()


@contextlib.asynccontextmanager
async def listening(client: Client, filter_: str) -> AsyncIterator[asyncio.Queue[str]]:
    """Subscribe and collect the topics that arrive."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def collect() -> None:
        async for message in client.messages:
            heard.put_nowait(message.topic)

    await client.subscribe(filter_)
    task = asyncio.ensure_future(collect())
    yield heard
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, BrokerError):
        await task


def test_a_box_joins_once_and_the_code_is_worth_nothing_after(
    centre: Centre, porter: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line joins a box; the secret is the box's own; the same line again changes nothing."""
    url, code, pin = centre.node("gate-01")
    config = tmp_path / "etc" / "agent.toml"
    join_centre(url, "gate-01", code, pin, config)
    assert "gate-01 has joined" in capsys.readouterr().out
    loaded = agent_config.load(config)
    assert (loaded.node, loaded.broker.url) == ("gate-01", url)
    secret = Path(loaded.broker.password_file)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert code not in config.read_text() + secret.read_text()
    before = secret.read_text()
    join_centre(url, "gate-01", code, pin, config)
    assert secret.read_text() == before
    with pytest.raises(EnrolError, match="does not accept the code"):
        join_centre(url, "gate-01", code, pin, tmp_path / "thief" / "agent.toml")
    with pytest.raises(enrol.EnrolError, match="is there already"):
        enrol.add_node(centre.config, "gate-01")


def test_a_cut_between_the_exchange_and_the_files_is_repaired_by_the_same_line(
    centre: Centre, porter: None, tmp_path: Path
) -> None:
    """The secret is on disk before the centre hears of it, so a power cut locks no box out."""
    url, code, pin = centre.node("gate-02")
    config = tmp_path / "agent.toml"
    join_centre(url, "gate-02", code, pin, config)
    (tmp_path / "secret").rename(tmp_path / "secret.new")
    config.unlink()
    join_centre(url, "gate-02", code, pin, config)
    assert agent_config.load(config).node == "gate-02"
    assert (tmp_path / "secret").exists()


def test_a_foreign_centre_gets_nothing(centre: Centre, tmp_path: Path) -> None:
    """A server with another authority is refused before a password is sent, and no file is written."""
    with pytest.raises(EnrolError, match="is not the centre of this line"):
        join_centre(f"mqtts://127.0.0.1:{centre.port}", "gate-03", "0" * 32, "ab" * 32, tmp_path / "a.toml")
    assert list(tmp_path.iterdir()) == []


def test_what_can_go_wrong_is_said_in_one_line(centre: Centre, tmp_path: Path) -> None:
    """A wrong port, a name that does not exist, a plain address and a cut fingerprint each say what to do."""
    config = tmp_path / "agent.toml"
    pin = "ab" * 32
    for url, node, word in (
        (f"mqtts://127.0.0.1:{free_port()}", "gate-03", "check the address"),
        ("mqtts://no-such-host.invalid", "gate-03", "is not known here"),
        ("mqtt://127.0.0.1", "gate-03", "joining needs TLS"),
        (f"mqtts://127.0.0.1:{centre.port}", "Gate 3", "is no node name"),
    ):
        with pytest.raises(EnrolError, match=word) as caught:
            join_centre(url, node, "0" * 32, pin, config)
        assert "\n" not in str(caught.value)
    with pytest.raises(EnrolError, match="64 hexadecimal"):
        fetch_authority("127.0.0.1", centre.port, pin[:-1])
    with socket.create_server(("127.0.0.1", 0)) as rude:
        threading.Thread(target=lambda: rude.accept()[0].close()).start()
        with pytest.raises(EnrolError):
            fetch_authority("127.0.0.1", rude.getsockname()[1], pin)


def test_an_expired_code_joins_nobody(centre: Centre, porter: None, tmp_path: Path) -> None:
    """A code past its time is refused, and its user is gone from the broker."""
    late = msgspec.structs.replace(
        centre.config, enrol=msgspec.structs.replace(centre.config.enrol, code_minutes=-1)
    )
    url, _, pin = centre.node("gate-04")
    enrol.remove_node(centre.config, "gate-04")
    code = shlex.split(enrol.add_node(late, "gate-04"))[7]
    with pytest.raises(EnrolError, match="expired"):
        join_centre(url, "gate-04", code, pin, tmp_path / "agent.toml")
    with pytest.raises(enrol.EnrolError, match="there is no node"):
        enrol.remove_node(centre.config, "gate-04")


async def test_removing_a_node_cuts_its_connection(centre: Centre, tmp_path: Path) -> None:
    """`remove_node` ends a live connection within a second and lets nobody back in."""
    _, code, _ = await asyncio.to_thread(centre.node, "gate-05")
    box = centre.broker("gate-05", code, "gate-05")
    async with connect(box) as client:
        await asyncio.to_thread(enrol.remove_node, centre.config, "gate-05")
        with pytest.raises(BrokerError):
            await asyncio.wait_for(anext(aiter(client.messages)), 1)
    with pytest.raises(BrokerError, match="refused to connect"):
        async with connect(box):
            pass
    with pytest.raises(enrol.EnrolError, match="is no node name"):
        await asyncio.to_thread(enrol.remove_node, centre.config, acl.AGGREGATOR)


KINDS = ("ev", "state", "rsp", "live", "ack", "want", "cmd", "join", "apply", "applied")
NODE_SENDS = {"ev", "state", "rsp", "live"}
NODE_READS = {"ack", "want", "cmd"}
ODD_FILTERS = (
    "#", "+/#", "gb/#", "gb/1/demo-1/#", "gb/1/demo-1/+", "$SYS/#", "$CONTROL/#", acl.ANSWER,
    *(f"gb/1/+/{kind}" for kind in KINDS),
    "$share/gb/gb/1/+/ev", "$share/gb/gb/1/demo-1/ev", "$share/gb/gb/1/demo-1/want", "$share/x/#",
    "$share/gb-join/gb/1/+/join",
    "$share/gb-join/gb/1/+/apply",
    "$SYS/broker/clients/connected",
)  # fmt: skip


async def _may(action: str, client: Client, topic: str) -> bool:
    try:
        if action == "publish":
            await client.publish(topic, b"")
        else:
            await client.subscribe(topic)
    except BrokerError as refusal:
        if "not authorized" not in str(refusal):
            raise
        return False
    return True


async def _matrix(broker: BrokerSettings, nodes: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return every (verb, topic) that the broker really lets this user do."""
    topics = [wire.topic(node, kind) for node in nodes for kind in KINDS]
    extra = [acl.CONTROL, "$CONTROL/broker/v1", "$SYS/broker/version", "other", "gb/2/demo-1/ev"]
    allowed = set()
    async with connect(broker) as client:
        for verb, names in (("publish", topics + extra), ("subscribe", topics + list(ODD_FILTERS))):
            allowed |= {(verb, name) for name in names if await _may(verb, client, name)}
    return allowed


async def test_every_cell_of_role_topic_and_verb(centre: Centre) -> None:
    """What each role may do is exactly this; every other cell of the matrix is refused by the broker."""
    _, code, _ = await asyncio.to_thread(centre.node, "gate-06")
    secret = (centre.folder / "demo" / "secret").read_text()
    nodes = (DEMO_NODE, "gate-06")
    own = {("publish", f"gb/1/{DEMO_NODE}/{kind}") for kind in NODE_SENDS}
    own |= {("subscribe", f"gb/1/{DEMO_NODE}/{kind}") for kind in NODE_READS}
    assert await _matrix(centre.broker(DEMO_NODE, secret, DEMO_NODE), nodes) == own
    joining = await _matrix(centre.broker("gate-06", code, "gate-06"), nodes)
    assert joining == {("publish", "gb/1/gate-06/join")}
    await groups.open_group(centre.config, "0123abcd", "c" * 32)
    dozen = await _matrix(centre.broker(wire.group_user("0123abcd"), "c" * 32), nodes)
    assert dozen == {("publish", f"gb/1/{node}/apply") for node in nodes} | {
        ("subscribe", f"gb/1/{node}/applied") for node in (*nodes, "+")
    }
    await groups.close_group(centre.config, "0123abcd")
    told = {("publish", f"gb/1/{node}/{kind}") for node in nodes for kind in NODE_READS}
    heard = {("subscribe", f"gb/1/{node}/{kind}") for node in (*nodes, "+") for kind in NODE_SENDS}
    assert await _matrix(centre.own(acl.AGGREGATOR), nodes) == {
        *told, *heard, ("subscribe", wire.SHARED_EVENTS), ("subscribe", "$SYS/broker/clients/connected")
    }  # fmt: skip
    control = {("publish", acl.CONTROL), ("subscribe", acl.ANSWER)}
    assert await _matrix(centre.own(acl.ADMIN), nodes) == control
    answers = {("publish", f"gb/1/{node}/applied") for node in nodes}
    assert await _matrix(centre.own(acl.PORTER), nodes) == {
        *control, *answers, ("subscribe", wire.SHARED_JOINS), ("subscribe", wire.SHARED_APPLICATIONS)
    }  # fmt: skip


async def test_who_is_let_in(centre: Centre) -> None:
    """No user, a wrong password, and a node under any client id but its own are refused."""
    secret = (centre.folder / "demo" / "secret").read_text()
    for broker in (
        centre.broker("", ""),
        centre.broker(DEMO_NODE, "wrong", DEMO_NODE),
        centre.broker(DEMO_NODE, secret, "the-aggregator"),
        centre.broker(DEMO_NODE, secret, "gate-06"),
        centre.broker(acl.AGGREGATOR, secret),
    ):
        with pytest.raises(BrokerError, match="refused to connect"):
            async with connect(broker):
                pass
    stranger = msgspec.structs.replace(centre.broker(DEMO_NODE, secret, DEMO_NODE), ca_file="")
    with pytest.raises(BrokerError, match="not trusted"):
        async with connect(stranger):
            pass


async def test_a_node_cannot_push_the_aggregator_out_or_take_its_share(centre: Centre) -> None:
    """With a node that tries both, the aggregator stays connected and gets every event."""
    secret = (centre.folder / "demo" / "secret").read_text()
    aggregator = msgspec.structs.replace(centre.own(acl.AGGREGATOR), client_id="the-aggregator")
    async with connect(aggregator) as hears, listening(hears, wire.SHARED_EVENTS) as heard:
        with pytest.raises(BrokerError):
            async with connect(centre.broker(DEMO_NODE, secret, "the-aggregator")):
                pass
        async with connect(centre.broker(DEMO_NODE, secret, DEMO_NODE)) as node:
            with pytest.raises(BrokerError):
                await node.subscribe(wire.SHARED_EVENTS)
            for number in range(50):
                await node.publish(wire.topic(DEMO_NODE, "ev"), str(number).encode())
        async with asyncio.timeout(5):
            assert [await heard.get() for _ in range(50)] == [f"gb/1/{DEMO_NODE}/ev"] * 50


async def test_a_lost_box_says_offline(centre: Centre) -> None:
    """The last will of a node reaches the aggregator: the rights let it."""
    secret = (centre.folder / "demo" / "secret").read_text()
    async with connect(centre.own(acl.AGGREGATOR)) as hears, listening(hears, "gb/1/+/state") as heard:
        will = Message(wire.topic(DEMO_NODE, "state"), b"gone", 1, False)
        with contextlib.suppress(OSError):
            async with connect(centre.broker(DEMO_NODE, secret, DEMO_NODE), will):
                raise OSError("cut")
        async with asyncio.timeout(5):
            assert await heard.get() == f"gb/1/{DEMO_NODE}/state"


def test_a_second_init_changes_nothing_and_a_new_name_only_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preparing is idempotent; a name or a renewal comes from the authority that boxes pinned."""
    place = here(tmp_path, 8883)
    prepare(tmp_path, ["centre.example"], place)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prepare(tmp_path, ["centre.example"], place)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    prepare(tmp_path, ["other.example, 10.1.2.3"], place)
    changed = {path.name for path, old in before.items() if path.read_bytes() != old}
    assert changed == {"server.crt", "server.key", "page.crt", "page.key", "address", "hosts"}
    assert (tmp_path / "centre" / "address").read_text() == "other.example"
    monkeypatch.setattr(certificates, "_RENEW_DAYS", 20 * 365)
    prepare(tmp_path, (), place)
    served = certificates.names_in((tmp_path / "mosquitto" / "server.crt").read_bytes())
    assert {"centre.example", "other.example", "10.1.2.3"} < served
    with pytest.raises(InitError, match="no host name"):
        prepare(tmp_path, ["grüße"], place)


def test_the_name_that_was_given_is_kept(tmp_path: Path) -> None:
    """A later run without a name keeps the one that was given; a change is told; "auto" goes back."""
    place = here(tmp_path, 8883)
    file = tmp_path / "centre" / "address"
    assert prepare(tmp_path, ["centre.example"], place) == "boxes reach this centre at centre.example"
    assert prepare(tmp_path, [""], place) == "boxes reach this centre at centre.example"
    assert file.read_text() == "centre.example"
    said = prepare(tmp_path, ["10.1.2.3"], place)
    assert "at 10.1.2.3; before it was centre.example" in said
    assert prepare(tmp_path, (), place).endswith("at 10.1.2.3")
    assert "before it was 10.1.2.3" in prepare(tmp_path, ["auto"], place)
    assert file.read_text() == addresses.own()[0]


def test_nobody_else_can_read_what_is_made(tmp_path: Path) -> None:
    """Folders are the service's alone, secrets 0600, and the authority's key is apart from all services."""
    prepare(tmp_path, (), here(tmp_path))
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        public = path.suffix in (".crt", ".conf")
        assert mode & 0o077 == 0 or public, path
        assert path.parent.name == "ca" or path.name != "ca.key"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_each_container_owns_its_folder_only(tmp_path: Path) -> None:
    """In containers each service's user owns its folder, and `ca` stays root's."""
    prepare(tmp_path, (), CONTAINERS)
    owners = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    assert owners == {"ca": 0, **dict(CONTAINERS.owners)}
    for name, uid in CONTAINERS.owners:
        assert {path.stat().st_uid for path in (tmp_path / name).iterdir()} <= {uid}


def test_the_database_user_has_its_own_database_only(tmp_path: Path) -> None:
    """A real mongod with the user that init wrote: it can use gb_fleet and nothing else, others nothing."""
    port = free_port()
    prepare(tmp_path, (), here(tmp_path, mongodb=f"127.0.0.1:{port}"))
    service = database(tmp_path, port)
    service.start()
    try:
        make_database_users(tmp_path, port)
        config = load(tmp_path / "centre" / "aggregator.toml")
        with pymongo.MongoClient(config.mongodb_uri()) as client:
            client["gb_fleet"]["try"].insert_one({"_id": 1})
            client["gb_fleet"]["try"].create_index("a")
            with pytest.raises(OperationFailure, match="not authorized"):
                client["other"]["try"].insert_one({"_id": 1})
        with pymongo.MongoClient("127.0.0.1", port) as client, pytest.raises(OperationFailure):
            client["gb_fleet"]["try"].find_one()
    finally:
        service.kill(signal.SIGTERM)


def make_database_users(folder: Path, port: int) -> None:
    """Do what the database's image does at its first start, without its shell."""
    text = (folder / "mongodb" / "user.js").read_text()
    order = json.loads(text[text.index("runCommand(") + 11 : text.rindex(")")])
    root = (folder / "mongodb" / "root-password").read_text()
    with pymongo.MongoClient("127.0.0.1", port) as client:
        client["admin"].command("createUser", "root", pwd=root, roles=["root"])
    with pymongo.MongoClient("127.0.0.1", port, username="root", password=root) as client:
        client["gb_fleet"].command(order)
