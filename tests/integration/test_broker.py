from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.mqtt.client import BrokerError, BrokerSettings, Message, RefusedError, connect
from deploy.stack import Stack, free_port

PASSWORD = "correct-horse"


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder: Path, command: str, *more: str) -> None:
    subprocess.run(["openssl", *command.split(), *more], check=True, capture_output=True, cwd=folder)


def make_certificates(folder: Path) -> None:
    """A CA (with its usage, for Python 3.13), a server certificate of it, and another CA."""
    for ca in ("ca", "other"):
        openssl(
            folder,
            f"req -x509 -days 2 -subj /CN={ca} -addext keyUsage=critical,keyCertSign "
            f"-keyout {ca}.key -out {ca}.pem",
            *KEY,
        )
    openssl(folder, "req -subj /CN=broker -keyout server.key -out server.csr", *KEY)
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    openssl(folder, "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile san "
                    "-CAcreateserial -out server.pem")  # fmt: skip


class Guarded(Stack):
    """A mosquitto with a password, rights, a TLS port and a limit of 3,000 bytes a packet."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        make_certificates(folder)
        self.tls_port = free_port()
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", f"{folder}/passwords", "gate-01", PASSWORD], check=True
        )
        (folder / "rights").write_text("user gate-01\ntopic readwrite free/#\ntopic read deaf/#\n")
        extra = (
            f"allow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/rights\n"
            f"max_packet_size 3000\nlistener {self.tls_port} 127.0.0.1\ncafile {folder}/ca.pem\n"
            f"certfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
        )
        super().__init__(folder, mongodb_uri="unused", mosquitto_extra=extra)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded") / "stack") as running:
        yield running


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Stack]:
    """A mosquitto of the test's own, to stop and kill."""
    with Stack(tmp_path / "stack", mongodb_uri="unused") as running:
        yield running


def gate(guarded: Guarded, **changes: object) -> BrokerSettings:
    settings = {"username": "gate-01", "password": PASSWORD, **changes}
    return BrokerSettings.parse(guarded.mqtt_url, **settings)


async def refusal(broker: BrokerSettings) -> str:
    with pytest.raises(BrokerError) as caught:
        async with connect(broker, patience=2.0):
            pass
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


async def test_messages_go_both_ways_with_retain_and_empty_payload(lone: Stack) -> None:
    """The plain road works, and what is retained is there for who comes later."""
    broker = BrokerSettings.parse(lone.mqtt_url)
    async with connect(broker) as one, connect(broker) as two:
        await two.subscribe("gb/+/x")
        await one.publish("gb/1/x", b"payload", retain=True)
        await one.publish("gb/2/x", b"", qos=0)
        got = [await anext(two.messages), await anext(two.messages)]
        assert [(m.topic, m.payload, m.retain) for m in got] == [
            ("gb/1/x", b"payload", False),
            ("gb/2/x", b"", False),
        ]
    async with connect(broker) as late:
        await late.subscribe("gb/+/x")
        message = await anext(late.messages)
        assert (message.payload, message.retain) == (b"payload", True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mqtt://127.0.0.1:1", "nothing listens on port 1"),
        ("mqtt://no-such-host.invalid", "name 'no-such-host.invalid' is not known"),
    ],
)
async def test_an_unreachable_broker_is_named_in_one_line(url: str, words: str) -> None:
    """A person reads what is wrong and what to check."""
    assert words in await refusal(BrokerSettings.parse(url))


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://host:port", "mqtt://host/path", "host:1883"])
def test_a_malformed_address_is_refused(url: str) -> None:
    """An address that cannot work is refused before anything connects, without repeating it."""
    with pytest.raises(BrokerError, match="address"):
        BrokerSettings.parse(url)


async def test_a_wrong_password_is_refused_in_words_and_not_repeated(guarded: Guarded) -> None:
    """Wrong password, unknown user, no user: each says to check them."""
    for changes in ({"password": "wrong"}, {"username": "gate-99"}, {"password": "", "username": ""}):
        text = await refusal(
            gate(guarded, **changes) if any(changes.values()) else BrokerSettings.parse(guarded.mqtt_url)
        )
        assert "check the user name and the password" in text


def test_a_password_is_in_no_representation(tmp_path: Path) -> None:
    """Settings can be logged."""
    broker = BrokerSettings.parse(f"mqtts://gate-01:{PASSWORD}@centre")
    assert broker.secret() == PASSWORD
    assert PASSWORD not in f"{broker} {broker!r}"
    assert (broker.host, broker.port, broker.tls) == ("centre", 8883, True)
    missing = BrokerSettings.parse("mqtt://centre", password_file=str(tmp_path / "none"))
    with pytest.raises(BrokerError, match="No such file"):
        missing.secret()


async def test_a_password_file_is_read_anew_for_each_connection(guarded: Guarded, tmp_path: Path) -> None:
    """A new password works without a restart."""
    file = tmp_path / "password"
    file.write_text("wrong\n")
    broker = gate(guarded, password="", password_file=str(file))
    await refusal(broker)
    file.write_text(f"{PASSWORD}\n")
    async with connect(broker):
        pass


async def test_a_refused_publish_raises_and_the_connection_goes_on(guarded: Guarded) -> None:
    """A broker that denies a topic is heard, not ignored, and counted by who wants to."""
    refusals: list[int] = []
    async with connect(gate(guarded)) as client:
        client.on_refused = lambda: refusals.append(1)
        with pytest.raises(RefusedError, match=r"publish on deaf/x as 'gate-01': not authorized"):
            await client.publish("deaf/x", b"1")
        await client.publish("free/x", b"1")
    assert len(refusals) == 1


async def test_a_message_too_large_for_the_broker_does_not_poison_the_connection(guarded: Guarded) -> None:
    """It is refused before it is sent, and its successors get through."""
    async with connect(gate(guarded)) as client:
        await client.subscribe("free/#")
        with pytest.raises(RefusedError, match="3000 at most"):
            await client.publish("free/x", b"x" * 4000)
        assert not client.publish_now("free/x", b"x" * 4000)
        await client.publish("free/x", b"small")
        assert (await anext(client.messages)).payload == b"small"


async def test_tls_with_the_right_ca_works_and_every_mismatch_is_named(guarded: Guarded) -> None:
    """Pinning the CA is what keeps a false centre out; the words say which side to mend."""
    url = f"mqtts://127.0.0.1:{guarded.tls_port}"
    folder = guarded.folder
    tls = BrokerSettings.parse(url, username="gate-01", password=PASSWORD, ca_file=f"{folder}/ca.pem")
    async with connect(tls) as client:
        await client.subscribe("free/tls")
        for n in range(50):
            await client.publish("free/tls", bytes([n]) * 2000)
        messages = client.messages
        assert [(await anext(messages)).payload[0] for _ in range(50)] == list(range(50))
    other = BrokerSettings.parse(url, username="gate-01", ca_file=f"{folder}/other.pem")
    assert "its certificate is not trusted" in await refusal(other)
    assert "No such file" in await refusal(BrokerSettings.parse(url, ca_file=f"{folder}/none.pem"))
    wrong_name = BrokerSettings.parse(f"mqtts://localhost:{guarded.tls_port}", ca_file=f"{folder}/ca.pem")
    assert "its certificate is not trusted" in await refusal(wrong_name)
    assert "try mqtts://" in await refusal(BrokerSettings.parse(url.replace("mqtts", "mqtt")))
    assert "mqtt://" in await refusal(BrokerSettings.parse(guarded.mqtt_url.replace("mqtt", "mqtts")))


async def test_what_listens_but_is_no_broker_is_noticed(lone: Stack) -> None:
    """A port that accepts and says nothing does not hold us for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "does not answer" in await refusal(BrokerSettings.parse(f"mqtt://127.0.0.1:{port}"))


async def test_the_last_will_is_published_when_the_client_dies_and_not_when_it_leaves(lone: Stack) -> None:
    """`offline` comes from the broker exactly when the node cannot say it."""
    broker = BrokerSettings.parse(lone.mqtt_url)
    async with connect(broker) as watcher:
        await watcher.subscribe("will")
        async with connect(broker, Message("will", b"left", 1)):
            pass
        with pytest.raises(ZeroDivisionError):
            async with connect(broker, Message("will", b"died", 1)):
                raise ZeroDivisionError
        assert (await anext(watcher.messages)).payload == b"died"


async def test_a_half_open_connection_is_noticed_in_one_and_a_half_keepalives(lone: Stack) -> None:
    """A broker that hangs without closing anything is given up in time."""
    async with connect(BrokerSettings.parse(lone.mqtt_url, keepalive=4)) as client:
        os.kill(lone.mosquitto.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(BrokerError, match="was lost"):
                await anext(client.messages)
        finally:
            os.kill(lone.mosquitto.pid, signal.SIGCONT)
        assert time.monotonic() - began <= 6.0


async def test_a_killed_broker_wakes_everybody_who_waits(lone: Stack) -> None:
    """A publish in flight, a reader and the next call all raise; none hangs."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as client:
        os.kill(lone.mosquitto.pid, signal.SIGSTOP)
        waiting = asyncio.gather(client.publish("x", b"1"), anext(client.messages), return_exceptions=True)
        await asyncio.sleep(0.1)
        lone.mosquitto.kill()
        assert [type(result) for result in await waiting] == [BrokerError, BrokerError]
        with pytest.raises(BrokerError):
            await client.publish("x", b"2")
        assert not client.publish_now("x", b"3")


async def test_a_slow_reader_holds_the_broker_back_and_loses_nothing(lone: Stack) -> None:
    """At most `receive_maximum` messages wait here; the rest waits in the broker; all arrive in order."""
    broker = BrokerSettings.parse(lone.mqtt_url)
    async with connect(broker, receive_maximum=7, manual_ack=True) as slow, connect(broker) as fast:
        await slow.subscribe("x")
        for n in range(100):
            await fast.publish("x", bytes([n]))
        await asyncio.sleep(0.3)
        assert slow._inbox._arrived.qsize() == 7
        got = []
        async for message in slow.messages:
            got.append(message.payload[0])
            message.acknowledge()
            message.acknowledge()
            if len(got) == 100:
                break
        assert got == list(range(100))


async def test_a_cancelled_wait_for_a_message_loses_none(lone: Stack) -> None:
    """A reader may be cancelled between messages; the next reader goes on."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as client:
        await client.subscribe("x")
        for n in range(30):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(client.messages), 0.005)
            await client.publish("x", bytes([n]))
            assert (await anext(client.messages)).payload[0] == n


async def test_live_frames_are_dropped_and_counted_when_the_broker_is_slow(lone: Stack) -> None:
    """A stalled link costs frames, not memory."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as client:
        os.kill(lone.mosquitto.pid, signal.SIGSTOP)
        sent = 0
        for _ in range(400):
            sent += client.publish_now("live", b"x" * 50_000)
            await asyncio.sleep(0)
        os.kill(lone.mosquitto.pid, signal.SIGCONT)
        assert 0 < sent < 300
        assert client.dropped == 400 - sent
        await client.publish("x", b"1")


async def test_nothing_secret_is_logged(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    """Not even with every logger at its most talkative."""
    caplog.set_level(logging.DEBUG)
    async with connect(gate(guarded)) as client:
        await client.publish("free/x", b"1")
    await refusal(gate(guarded, username="nobody"))
    assert PASSWORD not in caplog.text
