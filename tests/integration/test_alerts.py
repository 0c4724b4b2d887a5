"""Alerts with everything real: broker, database, SMTP and HTTP servers on this machine."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import Message as Letter
from email.parser import BytesParser
from email.policy import default
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from standardwebhooks import Webhook, WebhookVerificationError

from agent import wire
from agent.mqtt.client import BrokerSettings, connect
from aggregator.alerts import alerts, book, delivery, watch
from aggregator.alerts.counted import LATE_MS, weekday_hours
from aggregator.alerts.outlets import signed
from aggregator.api import PREFIX
from aggregator.centre import Centre
from aggregator.config import Config
from aggregator.store.errors import StoreError
from deploy.stack import Stack, free_port

from .box import Box, batch, box, centre, now_ms, settings, until
from .test_api import BEARER, Reader, get, served

SECRET = "whsec_" + "A" * 43 + "="


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become tenths."""
    monkeypatch.setattr(book, "GATHER_MS", 400)
    monkeypatch.setattr(watch, "_STEP_SECONDS", 0.1)
    monkeypatch.setattr(watch, "_SETTLE_SECONDS", 0.3)
    monkeypatch.setattr(watch, "_COUNT_SECONDS", 0.3)
    monkeypatch.setattr(alerts, "_BOARD_SECONDS", 0.2)
    monkeypatch.setattr(delivery, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "BACK_OFF", (0.2, 0.4))


class Hook:
    """A receiver of webhooks that can be down, and checks signatures with another's library."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.status = 200
        self.port = free_port()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.status != 200:
            return web.Response(status=self.status, text="not today")
        Webhook(SECRET).verify(body, dict(request.headers))
        self.got.append(json.loads(body))
        self.ids.append(request.headers["webhook-id"])
        return web.Response()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def types(self) -> list[str]:
        return [one["type"].removeprefix("alert.") for one in self.got]


@asynccontextmanager
async def hook() -> AsyncIterator[Hook]:
    """A receiver that listens."""
    one = Hook()
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


def config_of(stack: Stack, **sections: Any) -> Config:
    """Return a centre's configuration with a database of its own."""
    config = settings(stack.mqtt_url, stack.mongodb_uri, f"alerts_{secrets.token_hex(4)}")
    return msgspec.convert({**msgspec.to_builtins(config), **sections}, Config)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[tuple[Centre, ClientSession]]:
    """A centre that is served, and a client with the administrator's token."""
    async with (
        centre(config) as one,
        served(one) as address,
        ClientSession(address, headers=BEARER) as client,
    ):
        yield one, client


async def ask(client: ClientSession, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """Return the JSON of a request that ends as it should."""
    async with client.request(method, PREFIX + path, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def rule(client: ClientSession, kind: str, outlets: list[str], hold: int = 0, **more: Any) -> str:
    """Add a rule; return its id."""
    scope = more.pop("scope", {})
    body = {"name": f"Rule {kind}", "condition": {"kind": kind, **more}, "scope": scope}
    made = await ask(client, "POST", "/alerts", {**body, "outlets": outlets, "hold_seconds": hold}, 201)
    return str(made["id"])


async def webhook(client: ClientSession, receiver: Hook, name: str = "ops") -> None:
    """Make an outlet."""
    body = {"outlet": {"kind": "webhook", "url": receiver.url, "secret": SECRET}}
    await ask(client, "PUT", f"/alerts/outlets/{name}", body)


@asynccontextmanager
async def watched(stack: Stack, name: str) -> AsyncIterator[tuple[Centre, ClientSession, Box, Hook]]:
    """A centre that knows an online box of this name, and the receiver of its outlet `ops`."""
    async with (
        hook() as receiver,
        running(config_of(stack)) as (one, client),
        box(stack.mqtt_url, name) as node,
    ):
        await node.state()
        await until(lambda: one.fleet.known(name))
        await webhook(client, receiver)
        yield one, client, node, receiver


async def shown(client: ClientSession, so: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait until an alert of the history is so; return the newest of them."""
    for _ in range(200):
        alerts = (await get(client, "/alerts/history"))["alerts"]
        found = [alert for alert in alerts if so(alert)]
        if found:
            return dict(found[0])
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited in vain: {alerts}")


def name_of(stem: str) -> str:
    """Return a node's name that no other test has."""
    return f"{stem}-{secrets.token_hex(3)}"


# ── a box goes and comes back ─────────────────────────────────────────────────────────────────────


async def test_a_box_that_goes_is_told_by_a_signed_webhook_and_so_is_its_return(stack: Stack) -> None:
    """One message as it goes, one as it is back; another's library finds the signatures right."""
    name = name_of("gone")
    async with watched(stack, name) as (_, client, node, receiver):
        await rule(client, "offline", ["ops"], scope={"nodes": [name]})
        await asyncio.sleep(1)
        assert receiver.got == []
        await node.state(online=False)
        await until(lambda: receiver.got)
        data = receiver.got[0]["data"]
        assert data["title"] == f"Rule offline: {name} is offline"
        assert data["places"][0]["node"] == name
        (alert,) = (await get(client, "/alerts/history", state="open"))["alerts"]
        assert (alert["count"], alert["standing"]) == (1, 1)
        await node.state()
        await until(lambda: len(receiver.got) == 2)
        assert receiver.types == ["opened", "closed"]
        (alert,) = (await get(client, "/alerts/history", node=name))["alerts"]
        assert (alert["state"], alert["why"]) == ("closed", "all clear")
        assert [(row["what"], row["state"]) for row in alert["messages"]] == [
            ("opened", "sent"),
            ("closed", "sent"),
        ]


async def test_a_false_signature_is_noticed_by_the_receiver() -> None:
    """What another signs, or an old message, is refused by the library that takes ours."""
    at = now_ms() // 1000
    Webhook(SECRET).verify(b"{}", signed(SECRET, "m1", at, b"{}"))
    for headers, body in (
        (signed(SECRET, "m1", at, b"{}"), b"[]"),
        (signed(SECRET, "m1", at - 900, b"{}"), b"{}"),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers)


async def test_a_thousand_boxes_that_go_are_one_message(stack: Stack) -> None:
    """However many go together, one webhook says how many, and one alert stands in the history."""
    async with hook() as receiver, running(config_of(stack)) as (one, client):
        for number in range(1000):
            state = wire.State(f"many-{number:04}", True, now_ms())
            one.fleet.on_state(state.node, msgspec.json.encode(state), False)
        await webhook(client, receiver)
        await rule(client, "offline", ["ops"], hold=1, scope={"nodes": ["many-*"]})
        for number in range(1000):
            state = wire.State(f"many-{number:04}", False, now_ms())
            one.fleet.on_state(state.node, msgspec.json.encode(state), False)
            if number % 100 == 0:
                await asyncio.sleep(0.2)
        await until(lambda: receiver.got)
        await asyncio.sleep(2)
        assert receiver.types == ["opened"]
        assert receiver.got[0]["data"]["count"] == 1000
        (alert,) = (await get(client, "/alerts/history"))["alerts"]
        assert alert["count"] == 1000


async def test_a_broker_that_is_lost_is_one_message_and_no_box_is_called_offline(own_stack: Stack) -> None:
    """The centre says that it hears nobody; when the broker is back, that is over, and no more was told."""
    async with hook() as receiver, running(config_of(own_stack)) as (one, client):
        async with box(own_stack.mqtt_url, "lost-1") as node:
            await node.state()
            await until(lambda: one.fleet.known("lost-1"))
        await webhook(client, receiver)
        await rule(client, "offline", ["ops"])
        await asyncio.sleep(0.5)
        own_stack.mosquitto.kill()
        await until(lambda: receiver.got)
        assert "The centre hears no box" in receiver.got[0]["data"]["text"]
        assert receiver.got[0]["data"]["places"][0]["node"] == ""
        own_stack.mosquitto.start()
        async with box(own_stack.mqtt_url, "lost-1") as node:
            await node.state()
            await until(lambda: len(receiver.got) == 2)
            await asyncio.sleep(1)
        assert receiver.types == ["opened", "closed"]


# ── nothing lost, nothing twice ───────────────────────────────────────────────────────────────────


async def test_nothing_is_lost_while_a_receiver_is_down_and_nothing_is_told_twice(stack: Stack) -> None:
    """It was down, the centre was started again twice, and then each message comes once, in order."""
    name = name_of("down")
    receiver = Hook()
    config = config_of(stack)
    async with running(config) as (one, client), box(stack.mqtt_url, name) as node:
        await node.state()
        await until(lambda: one.fleet.known(name))
        await webhook(client, receiver)
        await rule(client, "offline", ["ops"], scope={"nodes": [name]})
        await node.state(online=False)
        await shown(client, lambda alert: alert["messages"] and alert["messages"][0]["attempts"])
    async with running(config) as (one, client):
        await asyncio.sleep(1)
        (alert,) = (await get(client, "/alerts/history"))["alerts"]
        (message,) = alert["messages"]
        assert (alert["state"], message["state"], bool(message["error"])) == ("open", "waiting", True)
    await receiver.start()
    try:
        async with running(config) as (one, client):
            await until(lambda: receiver.got)
            async with box(stack.mqtt_url, name) as node:
                await node.state()
                await until(lambda: len(receiver.got) == 2)
                await asyncio.sleep(0.5)
                assert receiver.types == ["opened", "closed"]
                assert len(set(receiver.ids)) == 2
    finally:
        await receiver.stop()


async def test_a_message_that_cannot_be_sent_is_given_up_aloud(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that says that it is gone for good is not asked again: the log and the history say so."""
    name = name_of("over")
    async with watched(stack, name) as (one, client, node, receiver):
        receiver.status = 410
        await rule(client, "offline", ["ops"], scope={"nodes": [name]})
        await node.state(online=False)
        await until(lambda: "gave up" in caplog.text)
        (alert,) = (await get(client, "/alerts/history"))["alerts"]
        (message,) = alert["messages"]
        assert (message["state"], message["error"]) == ("given up", "answered 410 not today")
        assert "gb_alerts_given_up_total 1.0" in one.metrics.text().decode()


async def test_two_aggregators_tell_each_thing_once_and_one_takes_over_from_the_other(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has the lease; when it has ended, the other goes on."""
    monkeypatch.setattr(watch, "_LEASE_SECONDS", 2.0)
    name = name_of("pair")
    config = config_of(stack)
    async with hook() as receiver, running(config) as (two, client), box(stack.mqtt_url, name) as node:
        async with running(config) as (one, _):
            await node.state()
            await until(lambda: one.fleet.known(name) and two.fleet.known(name))
            await webhook(client, receiver)
            await rule(client, "offline", ["ops"], scope={"nodes": [name]})
            await node.state(online=False)
            await until(lambda: receiver.got)
            await asyncio.sleep(1)
            assert receiver.types == ["opened"]
        await node.state()
        await until(lambda: len(receiver.got) == 2)
        assert receiver.types == ["opened", "closed"]


# ── other ways out ────────────────────────────────────────────────────────────────────────────────


class Postbox:
    """Keeps the letters of a real SMTP server."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.to: list[list[str]] = []
        self.connections = 0

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.letters.append(BytesParser(policy=default).parsebytes(envelope.content))
        self.to.append(envelope.rcpt_tos)
        return "250 OK"


class MailConnection(SMTP):
    """One connection to the postbox, which counts those that are open."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.event_handler.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.event_handler.connections -= 1


class MailServer(Controller):
    """An SMTP server in a thread of its own."""

    def factory(self) -> SMTP:
        return MailConnection(self.handler)


async def test_an_alert_is_mailed(stack: Stack) -> None:
    """A real SMTP server gets one letter to everybody, marked as written by a machine."""
    postbox = Postbox()
    server = MailServer(postbox, hostname="127.0.0.1", port=free_port())
    server.start()
    name = name_of("mail")
    mail = {"host": "127.0.0.1", "port": server.port, "security": "none", "sender": "fleet@example.com"}
    try:
        async with running(config_of(stack, mail=mail)) as (one, client), box(stack.mqtt_url, name) as node:
            await node.state()
            await until(lambda: one.fleet.known(name))
            to = ["anna@example.com", "bert@example.com"]
            await ask(client, "PUT", "/alerts/outlets/duty", {"outlet": {"kind": "mail", "to": to}})
            await rule(client, "offline", ["duty"], scope={"nodes": [name]})
            await node.state(online=False)
            await until(lambda: postbox.letters)
            (letter,) = postbox.letters
            assert postbox.to == [to]
            assert letter["Subject"] == f"Rule offline: {name} is offline"
            assert (letter["From"], letter["Auto-Submitted"]) == ("fleet@example.com", "auto-generated")
            assert f"{name} is offline" in letter.get_content()  # type: ignore[attr-defined]
            sent = await ask(client, "POST", "/alerts/outlets/duty/test")
            assert sent == {"outlet": "duty", "ok": True, "error": ""}
            assert postbox.letters[1]["Subject"] == "Test: A test of this outlet: 0 places"
            await until(lambda: not postbox.connections)  # stopping the server would leave them open
    finally:
        server.stop()


async def test_an_alert_is_told_by_mqtt(stack: Stack) -> None:
    """Whoever listens on the topic gets it as JSON with its id."""
    name = name_of("mqtt")
    got: list[Any] = []
    async with (
        running(config_of(stack)) as (one, client),
        box(stack.mqtt_url, name) as node,
        connect(BrokerSettings.parse(stack.mqtt_url, client_id=f"ear-{name}")) as ear,
    ):
        await ear.subscribe(f"gb/alerts/{name}")
        await node.state()
        await until(lambda: one.fleet.known(name))
        outlet = {"kind": "mqtt", "topic": f"gb/alerts/{name}"}
        await ask(client, "PUT", "/alerts/outlets/bus", {"outlet": outlet})
        await rule(client, "offline", ["bus"], scope={"nodes": [name]})
        await node.state(online=False)
        async for message in ear.messages:
            got.append(json.loads(message.payload))
            break
    assert (got[0]["type"], got[0]["data"]["count"]) == ("alert.opened", 1)
    assert got[0]["id"].endswith(":1:bus")


# ── what is counted ───────────────────────────────────────────────────────────────────────────────


async def told_of(receiver: Hook, node: str) -> str:
    """Wait for the first message about a node; return its text."""
    await until(lambda: any(node in one["data"]["text"] for one in receiver.got))
    return next(one["data"]["text"] for one in receiver.got if node in one["data"]["text"])


@asynccontextmanager
async def counting(stack: Stack, stem: str) -> AsyncIterator[tuple[Box, ClientSession, Hook]]:
    """A centre, a box that is online, a client, a receiver."""
    name = name_of(stem)
    async with watched(stack, name) as (_, client, node, receiver):
        yield node, client, receiver


def minute(at: int, total: int, **more: Any) -> wire.Tally:
    """Return a watched minute of cam0 with its running totals."""
    rows = [wire.LineTotal("main", 0, "AB", "car", total)]
    given = {"blind": {}, "objects": {}, **more}
    watched = 60_000 - sum(given["blind"].values())
    return wire.Tally(
        at, "cam0", watched, given["blind"], rows, given["objects"], 900, 900, 0, 20, 40,
        occupancy=given.get("occupancy", []),
    )  # fmt: skip


def minutes_back(many: int) -> list[int]:
    """Return the starts of the last whole minutes, oldest first."""
    now = now_ms() // 60_000 * 60_000
    return [now - number * 60_000 for number in range(many, 0, -1)]


async def test_too_many_and_too_few_crossings_are_told(stack: Stack) -> None:
    """Over by what the API counts too; under only of time that was watched."""
    async with counting(stack, "count") as (node, client, receiver):
        times = minutes_back(15)
        tallies = [minute(at, 100 + 2 * number) for number, at in enumerate(times)]
        await node.send(batch(7, 1, tallies))
        await until(lambda: node.acked)
        rows = (await get(client, f"/nodes/{node.name}/counts", bucket="minute"))["rows"]
        counted = sum(row["count"] for row in rows if row["start"] >= times[-9])
        assert counted == 18
        await rule(client, "count", ["ops"], over=15, minutes=10, scope={"nodes": [node.name]})
        told = await told_of(receiver, node.name)
        within = [count for count in (18, 16) if f"cam0 main: {count} in 10 min, more than 15" in told]
        assert len(within) == 1, f"nine whole minutes, or eight where one has begun since: {told}"
        receiver.got.clear()
        await rule(client, "count", ["ops"], under=11, minutes=5, scope={"nodes": [node.name]})
        assert "10 in 5 min, fewer than 11" in await told_of(receiver, node.name)


async def test_blind_time_is_no_zero_but_is_told_itself(stack: Stack) -> None:
    """Too few is not said of minutes that nobody watched; that they were blind is."""
    async with counting(stack, "blind") as (node, client, receiver):
        times = minutes_back(12)
        await node.send(batch(7, 1, [minute(at, 100, blind={"frozen": 60_000}) for at in times]))
        await until(lambda: node.acked)
        scope = {"nodes": [node.name]}
        under = await rule(client, "count", ["ops"], under=5, minutes=5, scope=scope)
        await rule(client, "blind", ["ops"], percent=50, minutes=5, scope=scope)
        assert "was blind for 5 of the last 5 min" in await told_of(receiver, node.name)
        tested = await ask(client, "POST", f"/alerts/{under}/test")
        assert (tested["matches"], tested["unknown"]) == ([], 1)
        assert tested["sent"] == [{"outlet": "ops", "ok": True, "error": ""}]


async def test_a_share_of_masks_is_told_where_there_are_enough_people(stack: Stack) -> None:
    """Six of ten is below 80 %, and ten people are enough for ten and too few for eleven."""
    async with counting(stack, "mask") as (node, client, receiver):
        first, last = minutes_back(2)
        none = {"with_mask": 0, "without_mask": 0, "unknown": 0}
        seen = {"with_mask": 6, "without_mask": 4, "unknown": 50}
        await node.send(batch(7, 1, [minute(first, 1, objects=none), minute(last, 1, objects=seen)]))
        await until(lambda: node.acked)
        scope = {"nodes": [node.name]}
        few = await rule(client, "share", [], under=80, people=11, scope=scope)
        await rule(client, "share", ["ops"], under=80, people=10, scope=scope)
        text = await told_of(receiver, node.name)
        assert "60.0 % of 10 objects are with_mask, less than 80 %" in text
        tested = await ask(client, "POST", f"/alerts/{few}/test")
        assert (tested["matches"], tested["unknown"]) == ([], 1)


async def test_a_full_zone_is_told_and_its_emptying_too(stack: Stack) -> None:
    """By the last minute's end; a minute that is old says nothing."""
    async with counting(stack, "zone") as (node, client, receiver):
        await rule(client, "occupancy", ["ops"], over=4, scope={"nodes": [node.name], "zones": ["kerb"]})
        (at,) = minutes_back(1)
        full = [
            wire.ZoneMinute("kerb", 1, 320, 7, 5, 0, 0, 0),
            wire.ZoneMinute("door", 1, 900, 9, 9, 0, 0, 0),
        ]
        await node.send(batch(7, 1, [minute(at, 1, occupancy=full)]))
        assert await told_of(receiver, node.name) == f"5 are in kerb of {node.name} cam0, more than 4"
        empty = [wire.ZoneMinute("kerb", 1, 0, 0, 0, 0, 0, 0)]
        await node.send(batch(7, 2, [minute(at + 60_000, 1, occupancy=empty)]))
        await until(lambda: receiver.types == ["opened", "closed"])


@pytest.mark.parametrize("kind", ["silent", "unusual"])
async def test_an_hour_is_compared_with_the_same_weekdays_hours_before(stack: Stack, kind: str) -> None:
    """An hour with no crossing, where the weeks before had 30 each, is told; unwatched weeks are left out."""
    async with counting(stack, kind) as (node, client, receiver):
        spans = weekday_hours(now_ms() - LATE_MS, 4, ZoneInfo("UTC"))
        total = 0
        for week, (begin, end) in reversed(list(enumerate(spans))):
            tallies = []
            for number, at in enumerate(range(begin - 60_000, end, 60_000)):
                total += 0 if week == 0 or number % 2 == 0 else 1
                dark = {"blind": {"off": 60_000}} if week == 3 else {}
                tallies.append(minute(at, total, **dark))
            await node.send(batch(7, 10 - week, tallies, base=begin))
        await until(lambda: len(node.acked) == 5)
        await rule(client, kind, ["ops"], weeks=4, scope={"nodes": [node.name]})
        text = await told_of(receiver, node.name)
        usual = {"silent": "nothing in an hour, where 30 is the least",
                 "unusual": "0 in an hour, 100 % fewer than the usual 30"}  # fmt: skip
        assert text == f"{node.name} cam0 main: {usual[kind]}"


# ── what boxes say of themselves ──────────────────────────────────────────────────────────────────


async def test_a_camera_heat_disk_and_drift_are_told(stack: Stack) -> None:
    """Each by a rule of its kind, with the reason that the box gives."""
    async with counting(stack, "sick") as (node, client, receiver):
        for kind, more in (
            ("camera", {}),
            ("heat", {"degrees": 70}),
            ("disk", {"percent": 90}),
            ("drift", {}),
        ):
            await rule(client, kind, ["ops"], scope={"nodes": [node.name]}, **more)
        report = wire.CameraReport("cam0", "frozen", now_ms(), "the picture stands still")
        refused = wire.ConfigReport(1, "cameras.cam0.lines: too many")
        await node.state(cameras=[report], config=refused)
        await node.send(
            batch(7, 1, [wire.Resources(now_ms(), "", 12, 40, 5_000_000, 30, 95, 81, 0, 0, False, {})])
        )
        await until(lambda: len(receiver.got) == 4)
        texts = sorted(one["data"]["text"] for one in receiver.got)
        name = node.name
        assert texts == [
            f"{name} cam0 is frozen: the picture stands still",
            f"{name} has 81 °C",
            f"{name} refused its configuration: cameras.cam0.lines: too many",
            f"{name}'s disk is 95 % full",
        ]


async def test_a_moved_camera_is_told(stack: Stack) -> None:
    """With the box's own words, since it moved; and its end when it is in place again."""
    async with counting(stack, "bumped") as (node, client, receiver):
        await rule(client, "moved", ["ops"], scope={"nodes": [node.name], "cameras": ["cam0"]})
        since = now_ms() - 90_000
        ailment = wire.Ailment(
            "moved", since, "the camera has moved; off: main", 0.021, (0.02, 0.0), ["main"]
        )
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), health=[ailment])])
        await until(lambda: receiver.got)
        (place,) = receiver.got[0]["data"]["places"]
        assert place["text"] == f"{node.name} cam0: the camera has moved; off: main"
        assert place["since"] == since
        shown = (await get(client, f"/nodes/{node.name}"))["cameras"][0]
        assert shown["state"] == "ok"
        assert shown["health"] == [
            {"kind": "moved", "since": since, "text": "the camera has moved; off: main", "amount": 0.021,
             "shift": [0.02, 0.0], "off": ["main"]}
        ]  # fmt: skip
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms())])
        await until(lambda: len(receiver.got) == 2, 90)
        assert receiver.got[1]["type"] == "alert.closed"


@pytest.mark.parametrize("kind", ["dark", "unfocused", "dirty", "flickering"])
async def test_what_ails_a_camera_is_told_by_a_rule_of_its_name(stack: Stack, kind: str) -> None:
    """Only what the rule is named for, since when the box saw it; and its end."""
    others = [other for other in ("dark", "unfocused", "dirty", "flickering", "moved") if other != kind]
    async with counting(stack, f"ails-{kind}") as (node, client, receiver):
        await rule(client, kind, ["ops"], scope={"nodes": [node.name]})
        since = now_ms() - 120_000
        told = [wire.Ailment(name, since - 1, f"it is {name}") for name in others]
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), health=told)])
        told = [*told, wire.Ailment(kind, since, f"it is {kind}")]
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), health=told)])
        await until(lambda: receiver.got)
        (place,) = receiver.got[0]["data"]["places"]
        assert (place["camera"], place["text"]) == ("cam0", f"{node.name} cam0: it is {kind}")
        assert place["since"] == since
        await node.state(cameras=[wire.CameraReport("cam0", "ok", now_ms(), health=told[:-1])])
        await until(lambda: len(receiver.got) == 2, 90)
        assert receiver.got[1]["type"] == "alert.closed"


async def test_a_frozen_camera_is_told_and_an_absent_one_is_not(stack: Stack) -> None:
    """A rule on `frozen` finds the state of that name alone."""
    async with counting(stack, "ice-1") as (node, client, receiver):
        await rule(client, "frozen", ["ops"], scope={"nodes": [node.name]})
        since = now_ms() - 30_000
        cameras = [
            wire.CameraReport("cam0", "frozen", since, "the same picture for 10 s"),
            wire.CameraReport("cam1", "absent", since, "nothing answers"),
        ]
        await node.state(cameras=cameras)
        await until(lambda: receiver.got)
        (place,) = receiver.got[0]["data"]["places"]
        assert place["text"] == f"{node.name} cam0 is frozen: the same picture for 10 s"
        assert place["since"] == since


async def test_a_copied_box_is_told(stack: Stack) -> None:
    """The same batch number with other contents is a copy of the box."""
    async with counting(stack, "copy") as (node, client, receiver):
        await rule(client, "clone", ["ops"], scope={"nodes": [node.name]})
        await node.send(batch(7, 1, [wire.CameraState(now_ms(), "cam0", "ok", "one")]))
        await node.send(batch(7, 1, [wire.CameraState(now_ms(), "cam0", "ok", "two")]))
        assert "one box is a copy of the other" in await told_of(receiver, node.name)


# ── the API ───────────────────────────────────────────────────────────────────────────────────────


async def test_rules_are_made_changed_and_deleted(stack: Stack) -> None:
    """Of two editors the second is told; a deleted rule's alerts are closed, and a used outlet stays."""
    async with counting(stack, "rules") as (node, client, receiver):
        id_ = await rule(client, "offline", ["ops"], scope={"nodes": [node.name]})
        (one,) = (await get(client, "/alerts"))["rules"]
        assert one["condition"] == {"kind": "offline"}
        changed = await ask(client, "PATCH", f"/alerts/{id_}", {"name": "Gone", "version": 1})
        assert (changed["name"], changed["version"]) == ("Gone", 2)
        late = await ask(client, "PATCH", f"/alerts/{id_}", {"name": "Off", "version": 1}, 409)
        assert late["error"]["code"] == "changed"
        await ask(client, "PATCH", f"/alerts/{id_}", {"outlets": ["nobody"]}, 400)
        await ask(client, "DELETE", "/alerts/outlets/ops", status=409)
        await node.state(online=False)
        await until(lambda: receiver.got)
        await ask(client, "DELETE", f"/alerts/{id_}")
        await ask(client, "GET", f"/alerts/{id_}", status=404)
        alert = await shown(client, lambda alert: alert["state"] == "closed")
        assert alert["why"] == "the rule was deleted"
        await ask(client, "DELETE", "/alerts/outlets/ops")


async def test_an_alert_is_taken_on_and_closed_by_a_person_and_the_page_is_told(stack: Stack) -> None:
    """The stream shows it to everybody; closed by hand it stays closed while the box is still away."""
    async with counting(stack, "person") as (node, client, receiver):
        await rule(client, "offline", ["ops"], scope={"nodes": [node.name]})
        async with client.get(f"{PREFIX}/stream") as response:
            reader = Reader(response)
            assert (await reader.next("alerts"))[1]["open"] == 0
            await node.state(online=False)
            board = (await reader.next("alerts"))[1]
            assert (board["open"], board["alerts"][0]["title"]) == (
                1,
                f"Rule offline: {node.name} is offline",
            )
            await until(lambda: receiver.got)
            id_ = board["alerts"][0]["id"]
            taken = await ask(client, "PATCH", f"/alerts/history/{id_}", {"state": "acknowledged"})
            assert (taken["state"], taken["changed_by"]) == ("acknowledged", "token")
            assert (await reader.next("alerts"))[1]["open"] == 0
        await ask(client, "PATCH", f"/alerts/history/{id_}", {"state": "closed"})
        await ask(client, "PATCH", f"/alerts/history/{id_}", {"state": "open"}, 404)
        await asyncio.sleep(1.5)
        assert receiver.types == ["opened"]
        assert len((await get(client, "/alerts/history"))["alerts"]) == 1
        await node.state()
        await asyncio.sleep(0.5)
        await node.state(online=False)
        await until(lambda: receiver.types == ["opened", "opened"])


async def test_an_outlets_secret_is_shown_once_and_its_address_to_admins(stack: Stack) -> None:
    """A new one is made where none is given; afterwards nobody is told it."""
    async with running(config_of(stack)) as (_, client):
        body = {"outlet": {"kind": "webhook", "url": "https://user:word@example.com/T0/secret"}}
        made = await ask(client, "PUT", "/alerts/outlets/chat", body)
        assert len(made["outlet"]["secret"]) == 50
        (shown,) = (await get(client, "/alerts/outlets"))["outlets"]
        assert (shown["outlet"]["secret"], shown["outlet"]["url"]) == ("", body["outlet"]["url"])
        for outlet, why in (
            ({"kind": "mail", "to": ["a@b.c"]}, "set [mail] host"),
            ({"kind": "mail", "to": ["a@b.c\nBcc: x@y.z"]}, "to"),
            ({"kind": "mqtt", "topic": "gb/1/gate-07/cmd"}, "topic"),
            ({"kind": "mqtt", "topic": "a/#"}, "topic"),
            ({"kind": "webhook", "url": "file:///etc/passwd"}, "url"),
            ({"kind": "webhook", "url": "http://x/", "secret": "short"}, "secret"),
        ):
            refused = await ask(client, "PUT", "/alerts/outlets/bad", {"outlet": outlet}, 400)
            assert why in refused["error"]["message"], outlet
        await ask(client, "PUT", "/alerts/outlets/No_Name", body, 400)


async def test_a_rule_that_cannot_be_read_holds_up_no_other(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    """A document that a newer version wrote is told of in the log, and the rest works."""
    name = name_of("newer")
    async with watched(stack, name) as (one, client, node, receiver):
        newer = {"id": "f00", "name": "Newer", "condition": {"kind": "telepathy"}}
        await one.alerts.book.put("alert_rules", newer)
        await rule(client, "offline", ["ops"], scope={"nodes": [name]})
        await node.state(online=False)
        await until(lambda: receiver.got)
        assert "f00 in the database cannot be read" in caplog.text
        assert len((await get(client, "/alerts"))["rules"]) == 1
        await ask(client, "GET", "/alerts/f00", status=404)


async def test_a_database_that_is_away_is_waited_for(own_stack: Stack) -> None:
    """Alerts go on when it is back; the process lives on meanwhile."""
    async with watched(own_stack, "away-1") as (one, client, node, receiver):
        await rule(client, "offline", ["ops"])
        assert own_stack.mongod is not None
        own_stack.mongod.kill()
        with pytest.raises(StoreError):
            await one.store.ping()
        await node.state(online=False)
        await asyncio.sleep(1)
        own_stack.mongod.start()
        await until(lambda: receiver.got, 30)
        assert receiver.types == ["opened"]


async def test_who_sees_one_site_sees_its_alerts_and_no_others(stack: Stack) -> None:
    """A rule can aim at a site; who sees another one learns of it neither by history nor stream."""
    north = name_of("north")
    south = name_of("south")
    async with (
        running(config_of(stack)) as (one, client),
        box(stack.mqtt_url, north) as first,
        box(stack.mqtt_url, south) as second,
    ):
        for node in (first, second):
            await node.state()
            await until(lambda name=node.name: one.fleet.known(name))
            await ask(client, "PUT", f"/sites/{node.name}", {"title": node.name})
            await ask(client, "PATCH", f"/nodes/{node.name}/place", {"site": node.name, "labels": ["gate"]})
        await rule(client, "offline", [], scope={"labels": ["gate"]})
        await rule(client, "offline", [], scope={"sites": [north]})
        await first.state(online=False)
        await second.state(online=False)
        for count in (1, 2):
            await shown(client, lambda alert, count=count: alert["count"] == count)
        made = await ask(client, "POST", "/tokens", {"name": "s", "role": "operator", "sites": [south]}, 201)
        limited = {"Authorization": f"Bearer {made['token']}"}
        async with ClientSession(client._base_url, headers=limited) as theirs:
            (alert,) = (await get(theirs, "/alerts/history"))["alerts"]
            assert [part["node"] for part in alert["parts"]] == [south]
            assert north not in json.dumps(alert)
            async with theirs.get(f"{PREFIX}/stream") as response:
                reader = Reader(response)
                while not (board := (await reader.next("alerts"))[1])["open"]:
                    pass  # the centre has not read it yet
            assert (board["open"], north in json.dumps(board)) == (1, False)
            others = [one["id"] for one in (await get(client, "/alerts/history"))["alerts"]]
            (hidden,) = set(others) - {alert["id"]}
            await ask(theirs, "PATCH", f"/alerts/history/{hidden}", {"state": "closed"}, 404)
            await ask(theirs, "GET", "/alerts", status=403)
