"""What other systems are told, with a real broker, database, HTTP receiver, and Debian's promtool."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from aggregator.__main__ import forget
from aggregator.centre import Centre
from aggregator.config import Config, ConfigError
from aggregator.outside import crossings, home_assistant
from aggregator.outside.entities import slug
from aggregator.outside.sums import Kept, Sums
from aggregator.store.parcel import Fact
from deploy.stack import Stack

from .box import DOCUMENT, Box, batch, box, centre, crossing, now_ms, until
from .test_alerts import SECRET, Hook, config_of, hook, minute, minutes_back, name_of, running

ZONED = wire.Document(
    3, {"cam0": wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.6), (1.0, 0.6)])},
                                    zones={"Kerb": wire.Zone([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])})}
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become tenths."""
    monkeypatch.setattr(home_assistant, "_STEP_SECONDS", 0.1)
    monkeypatch.setattr(home_assistant, "_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(crossings, "_STEP_SECONDS", 0.1)
    monkeypatch.setattr(crossings, "_PAUSES", (0.2,))


class Ear:
    """What is retained and told on some topics: the newest payload of each; none where it was taken back."""

    def __init__(self) -> None:
        self.last: dict[str, bytes] = {}
        self.all: list[tuple[str, bytes]] = []

    def json(self, topic: str) -> Any:
        """Return the newest payload of a topic."""
        return json.loads(self.last[topic])


@asynccontextmanager
async def listening(stack: Stack, *topics: str) -> AsyncIterator[Ear]:
    """Listen as another program does."""
    ear = Ear()
    async with connect(BrokerSettings.parse(stack.mqtt_url, client_id=name_of("ear"))) as client:
        for topic in topics:
            await client.subscribe(topic)

        async def listen() -> None:
            async for message in client.messages:
                ear.all.append((message.topic, message.payload))
                if message.payload:
                    ear.last[message.topic] = message.payload
                else:
                    ear.last.pop(message.topic, None)

        task = asyncio.create_task(listen())
        try:
            yield ear
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def assistant(stem: str) -> dict[str, Any]:
    """Return the switch, with topics of the test's own."""
    return {"enabled": True, "discovery_prefix": f"ha-{stem}", "topic": f"gb/ha-{stem}"}


# ── Home Assistant ────────────────────────────────────────────────────────────────────────────────


async def test_a_node_is_a_device_whose_lines_are_counters(stack: Stack) -> None:
    """Stable lower-case ids, totals that only grow, occupancy as a measurement, and when it is available."""
    name = name_of("ha")
    config = config_of(stack, home_assistant=assistant(name))
    async with listening(
        stack, f"ha-{name}/+/gb_{slug(name)}/#", f"gb/ha-{name}/{name}/#", f"gb/ha-{name}/status"
    ) as ear:
        await device(stack, name, config, ear)
        await until(
            lambda: ear.last[f"gb/ha-{name}/status"] == b"offline"
        )  # the centre has ended: its last will


async def device(stack: Stack, name: str, config: Config, ear: Ear) -> None:
    """See a node come, count, and go."""
    async with running(config) as (one, _), box(stack.mqtt_url, name) as node:
        await node.state(config=wire.ConfigReport(3, "", ZONED))
        state = f"gb/ha-{name}/{name}/state"
        await until(lambda: state in ear.last)
        assert ear.json(state)["cam0_line_main_ab"] is None  # no total was told yet: unknown, not 0
        (at,) = minutes_back(1)
        zone = [wire.ZoneMinute("Kerb", 1, 320, 7, 5, 0, 0, 0)]
        await node.send(batch(7, 1, [minute(at, 41, occupancy=zone), crossing(42)]))
        await until(lambda: ear.json(state)["cam0_line_main_ab"] == 42)
        values = ear.json(state)
        kerb = f"cam0_zone_{slug('Kerb')}"
        assert (values["cam0_line_main_ba"], values[kerb], values["cam0_sees"]) == (0, 5, "ON")
        device_id = f"gb_{slug(name)}"
        found = {topic: json.loads(text) for topic, text in ear.last.items() if topic.endswith("/config")}
        line = found[f"ha-{name}/sensor/{device_id}/cam0_line_main_ab/config"]
        assert line["unique_id"] == line["unique_id"].lower() == f"{device_id}_cam0_line_main_ab"
        assert line["default_entity_id"] == f"sensor.{device_id}_cam0_line_main_ab"
        assert line["state_class"] == "total_increasing"
        assert "object_id" not in line
        assert found[f"ha-{name}/sensor/{device_id}/{kerb}/config"]["state_class"] == "measurement"
        assert {tuple(one["device"]["identifiers"]) for one in found.values()} == {(device_id,)}
        assert len({one["unique_id"] for one in found.values()}) == len(found)
        topics = [one["topic"] for one in line["availability"]]
        assert [ear.last[topic] for topic in topics] == [b"online", b"online"]
        await node.state(online=False, config=wire.ConfigReport(3, "", ZONED))
        await until(lambda: ear.last[topics[1]] == b"offline")
        assert one.fleet.known(name)


async def test_what_is_renamed_or_removed_goes_from_home_assistant(own_stack: Stack) -> None:
    """A renamed line's old entities, a removed node's all, and everything when it is switched off."""
    name = name_of("ren")
    config = config_of(own_stack, home_assistant=assistant(name))
    device = f"gb_{slug(name)}"

    def lines(ear: Ear) -> set[str]:
        return {topic.split("/")[3] for topic in ear.last if "_line_" in topic and topic.endswith("/config")}

    async with listening(own_stack, f"ha-{name}/#", f"gb/ha-{name}/#") as ear:
        async with running(config), box(own_stack.mqtt_url, name) as node:
            await node.state()
            await until(lambda: lines(ear) == {"cam0_line_main_ab", "cam0_line_main_ba"})
        other = wire.Document(
            4, {"cam0": wire.CameraSettings(lines={"gate": DOCUMENT.cameras["cam0"].lines["main"]})}
        )
        async with running(config) as (_, client), box(own_stack.mqtt_url, name) as node:
            await node.state(config=wire.ConfigReport(4, "", other))
            await until(lambda: lines(ear) == {"cam0_line_gate_ab", "cam0_line_gate_ba"})
            assert (f"ha-{name}/sensor/{device}/cam0_line_main_ab/config", b"") in ear.all
            await forget(config, name)
            await until(
                lambda: not any(name in topic.split("/")[2:] for topic in ear.last) and not lines(ear)
            )
            await until(lambda: not any(topic.endswith("/config") for topic in ear.last))
        second = name_of("ren")
        async with running(config), box(own_stack.mqtt_url, second) as node:
            await node.state()
            await until(lambda: any(topic.endswith("/config") for topic in ear.last))
        off = config_of(own_stack, home_assistant={**assistant(name), "enabled": False})

        off = msgspec.structs.replace(config, home_assistant=off.home_assistant)
        async with running(off):
            await until(lambda: not ear.last)
        assert client.closed


async def test_a_renamed_node_is_a_new_device_and_the_old_one_goes(own_stack: Stack) -> None:
    """After a rename of the node itself nothing is retained under its old name: no entity lingers."""
    old = name_of("was")
    new = name_of("is")
    config = config_of(own_stack, home_assistant=assistant(old))
    async with (
        listening(own_stack, f"ha-{old}/#", f"gb/ha-{old}/#") as ear,
        running(config) as (one, client),
        box(own_stack.mqtt_url, old) as node,
    ):
        await node.state(epoch=7)
        await until(lambda: any(slug(old) in topic for topic in ear.last))
        async with client.post(f"/api/v1/nodes/{old}/rename", json={"to": new}) as response:
            assert response.status == 202, await response.text()
        await until(lambda: node.commands)
        await node.send(msgspec.json.encode(wire.Response(node.commands[0].id, True)), "rsp")
        await Box(new, node.client).state(epoch=8, before=7)
        await until(lambda: one.fleet.known(new))
        device = f"ha-{old}/sensor/gb_{slug(new)}/cam0_line_main_ab/config"
        await until(lambda: device in ear.last)
        gone = (f"gb_{slug(old)}/", f"gb/ha-{old}/{old}/")
        await until(lambda: not [topic for topic in ear.last if any(each in topic for each in gone)])
        assert (f"ha-{old}/sensor/gb_{slug(old)}/cam0_line_main_ab/config", b"") in ear.all


async def test_home_assistants_own_schemas_take_what_we_tell(own_stack: Stack) -> None:
    """Its MQTT integration's discovery schemas find nothing wrong with any entity."""
    python = os.environ.get("GB_HOME_ASSISTANT", "")
    if not python:
        pytest.skip("GB_HOME_ASSISTANT does not name a Python that has the package homeassistant")
    name = name_of("real")
    config = config_of(own_stack, home_assistant=assistant(name))
    async with (
        listening(own_stack, f"ha-{name}/#") as ear,
        running(config),
        box(own_stack.mqtt_url, name) as node,
    ):
        await node.state(config=wire.ConfigReport(3, "", ZONED))
        await until(lambda: len(ear.last) == 7)
        found = {topic: json.loads(text) for topic, text in ear.last.items()}
    script = (
        "import sys, json\n"
        "from homeassistant.components.mqtt import sensor, binary_sensor\n"
        "for topic, config in json.load(sys.stdin).items():\n"
        "    kind = {'sensor': sensor, 'binary_sensor': binary_sensor}[topic.split('/')[1]]\n"
        "    print(kind.DISCOVERY_SCHEMA(config)['unique_id'])\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [python, "-c", script], input=json.dumps(found), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(done.stdout.split()) == sorted(one["unique_id"] for one in found.values())


def test_names_that_differ_little_are_different_entities() -> None:
    """Case, dots and blanks do not make two names one; a plain name stays as it is."""
    names = ["main", "Main", "MAIN", "ma.in", "ma in", "ma_in", "ma-in"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert slugs[0] == "main"
    assert all(one == one.lower() and one.replace("_", "").isalnum() for one in slugs)


def tell(sums: Sums, epoch: int, *events: wire.AnyEvent) -> None:
    for number, event in enumerate(events):
        sums.see(Fact("node", f"node:{epoch}:1:{number}", event))


def test_sums_never_fall() -> None:
    """Twice, late, over a new version of the line, a restart of ours and a wiped box."""
    sums = Sums()
    assert sums.of("cam0", "main", "AB") is None
    tell(sums, 5, minute(0, 100), crossing(101, 60_000), crossing(101, 60_000))
    assert sums.of("cam0", "main", "AB") == 101
    tell(sums, 5, minute(0, 99))
    moved = wire.Crossing(60_000, "cam0", "main", 2, "AB", "car", 1, 1, 90)
    tell(sums, 5, moved)
    assert sums.of("cam0", "main", "AB") == 102
    sums = Sums(msgspec.json.decode(msgspec.json.encode(sums.kept()), type=Kept))
    tell(sums, 4, crossing(100, 50_000))
    assert sums.of("cam0", "main", "AB") == 102
    tell(sums, 9, minute(0, 3))
    assert (sums.of("cam0", "main", "AB"), sums.of("cam0", "main", "BA")) == (105, 0)


# ── the mirror ────────────────────────────────────────────────────────────────────────────────────


async def test_stored_events_are_mirrored_as_json(stack: Stack) -> None:
    """Each once, on its node's and kind's topic, in the API's own form."""
    name = name_of("mir")
    mirror = {"enabled": True, "topic": f"gb/json-{name}"}
    async with (
        listening(stack, f"gb/json-{name}/#") as ear,
        running(config_of(stack, mirror=mirror)) as (_, client),
        box(stack.mqtt_url, name) as node,
    ):
        await node.state()
        sent = batch(7, 1, [crossing(1), crossing(2)])
        await node.send(sent)
        await until(lambda: len(ear.all) == 2)
        await node.send(sent)
        await until(lambda: len(node.acked) == 2)
        topic, payload = ear.all[0]
        assert topic == f"gb/json-{name}/{name}/crossing"
        async with client.get(f"/api/v1/nodes/{name}/events") as response:
            stored = (await response.json())["events"]
        assert json.loads(payload) == stored[1]
        assert len(ear.all) == 2


# ── Prometheus ────────────────────────────────────────────────────────────────────────────────────


async def test_counters_start_at_zero_and_have_no_twins(own_stack: Stack, tmp_path: Path) -> None:
    """Every line, direction and label is there before anything crosses; promtool finds nothing wrong."""
    name = name_of("prom")
    async with (
        running(config_of(own_stack, prometheus={"crossings": True})) as (one, client),
        box(own_stack.mqtt_url, name) as node,
    ):
        await node.state()
        await until(lambda: one.fleet.known(name))

        async def read() -> dict[str, float]:
            async with client.get("/metrics") as response:
                text = await response.text()
            (tmp_path / "metrics").write_text(text)
            rows = [line for line in text.splitlines() if line.startswith("gb_crossings_total{")]
            assert len(rows) == len(set(rows))
            assert "gb_crossings_created" not in text
            return {row.rpartition(" ")[0]: float(row.rpartition(" ")[2]) for row in rows}

        before = await read()
        assert len(before) == 4
        assert set(before.values()) == {0.0}
        moved = wire.Crossing(now_ms(), "cam0", "main", 2, "AB", "car", 1, 1, 90)
        await node.send(batch(7, 1, [crossing(500), moved, crossing(1, label='lorry "x"\\')]))
        await until(lambda: node.acked)
        after = await read()
        key = f'gb_crossings_total{{camera="cam0",direction="AB",label="car",line="main",node="{name}"}}'
        keyed = {
            tuple(sorted(row.split("{")[1].rstrip("}").split(","))): count for row, count in after.items()
        }
        assert keyed[tuple(sorted(key.split("{")[1].rstrip("}").split(",")))] == 2.0
        assert len(after) == 5
        await forget(one.config, name)
        await until(lambda: not one.fleet.known(name))
        assert await read() == {}
    if promtool := shutil.which("promtool"):
        await node_check(promtool, (tmp_path / "metrics").read_text())


async def node_check(promtool: str, metrics: str) -> None:
    """Have Debian's promtool judge the format."""
    done = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        input=metrics,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ── crossings to a webhook ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hooked(tmp_path: Path) -> Path:
    """The secret's file."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


async def begun(one: Centre) -> None:
    """Wait until the webhook of crossings has begun: what comes from now on is sent."""
    for _ in range(200):
        if await one.store.outside.all("crossings"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it has not begun")


def ids(receiver: Hook) -> list[str]:
    return [row["id"] for one in receiver.got for row in one["data"]["crossings"]]


async def test_crossings_are_posted_at_least_once_over_outages_and_restarts(
    stack: Stack, hooked: Path
) -> None:
    """What came while the receiver or the centre was away is sent when both are back, none of it missing."""
    name = name_of("post")
    receiver = Hook()
    config = config_of(stack, crossings={"url": receiver.url, "secret_file": str(hooked)})
    async with running(config) as (one, _), box(stack.mqtt_url, name) as node:
        await begun(one)
        await node.send(batch(7, 1, [crossing(n) for n in range(1, 251)]))
        await until(lambda: len(node.acked) == 1)
        await asyncio.sleep(0.5)
    await receiver.start()
    try:
        async with running(config), box(stack.mqtt_url, name) as node:
            await until(lambda: len(ids(receiver)) == 250)
            assert ids(receiver) == [f"{name}:7:1:{n}" for n in range(250)]
            assert max(len(one["data"]["crossings"]) for one in receiver.got) == 100
            await receiver.stop()
            await node.send(batch(7, 2, [crossing(251), minute(minutes_back(1)[0], 251)]))
            await until(lambda: len(node.acked) == 1)
            await asyncio.sleep(0.3)
            await receiver.start()
            await until(lambda: len(ids(receiver)) == 251)
            await asyncio.sleep(1)  # the centre has its answer and has kept that
        async with running(config):
            await asyncio.sleep(1)
        assert len(ids(receiver)) == len(set(ids(receiver))) == 251  # a restart sends nothing twice
        row = receiver.got[0]["data"]["crossings"][0]
        assert (row["node"], row["camera"], row["line"], row["direction"]) == (name, "cam0", "main", "AB")
    finally:
        await receiver.stop()


async def test_crossings_that_were_stored_before_it_was_switched_on_are_not_sent(
    stack: Stack, hooked: Path
) -> None:
    """It begins now; the history is in the API."""
    name = name_of("begin")
    plain = config_of(stack)

    async with hook() as receiver:
        section = config_of(stack, crossings={"url": receiver.url, "secret_file": str(hooked)}).crossings
        async with running(plain), box(stack.mqtt_url, name) as node:
            await node.send(batch(7, 1, [crossing(1)]))
            await until(lambda: node.acked)
        hooked_config = msgspec.structs.replace(plain, crossings=section)
        async with running(hooked_config) as (one, _), box(stack.mqtt_url, name) as node:
            await begun(one)
            await node.send(batch(7, 2, [crossing(2)]))
            await until(lambda: ids(receiver))
            await asyncio.sleep(0.3)
            assert ids(receiver) == [f"{name}:7:2:0"]


async def test_a_wrong_secret_is_refused_in_one_line(stack: Stack, tmp_path: Path) -> None:
    """The centre does not start, and says what the file must hold."""
    (tmp_path / "secret").write_text("too short")
    section = {"url": "http://127.0.0.1:9/hook", "secret_file": str(tmp_path / "secret")}
    with pytest.raises(ConfigError, match=r"crossings\.secret_file: the secret is `whsec_` and base64"):
        async with centre(config_of(stack, crossings=section)):
            pass
