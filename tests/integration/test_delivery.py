"""The node's road to the centre, over a real broker, against a small centre that remembers everything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent import wire
from agent.deliver.publish import Delivery
from agent.deliver.spool import Now, Spool, SpoolWorker
from agent.mqtt.client import BrokerError, BrokerSettings, Client, Message, connect
from deploy.stack import Stack

from ..hanging_broker import CONNACK, PUBACK, SUBACK, road_to

NODE = "gate-01"
START = 1_763_000_000_000


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Stack]:
    """A mosquitto of the test's own; it keeps nothing over a restart."""
    with Stack(tmp_path / "stack", mongodb_uri="unused") as running:
        yield running


class Centre:
    """A store in memory that acknowledges as `acks` says: exactly once is `events`, in order of arrival."""

    def __init__(self, url: str, acks: Callable[[int, int], list[bytes]] | None = None) -> None:
        self.batches: dict[tuple[int, int], bytes] = {}
        self.events: list[wire.AnyEvent] = []
        self.received = 0
        self._url = url
        self._acks = acks or (lambda epoch, seq: [wire.encode_ack({epoch: [seq]})])

    async def run(self) -> None:
        while True:
            with contextlib.suppress(BrokerError):
                async with connect(BrokerSettings.parse(self._url)) as client:
                    await client.subscribe(f"$share/gb/{wire.topic('+', 'ev')}")
                    async for message in client.messages:
                        await self._take(client, message)
            await asyncio.sleep(0.05)

    async def _take(self, client: Client, message: Message) -> None:
        batch = wire.decode_batch(message.payload)
        name = batch.epoch, batch.seq
        self.received += 1
        fresh = name not in self.batches
        assert self.batches.setdefault(name, batch.sum) == batch.sum, "the same number, other bytes"
        if fresh:
            self.events += [wire.decode_event(raw, batch.base) for raw in wire.batch_events(batch)]
        for ack in self._acks(*name):
            await client.publish(wire.topic(NODE, "ack"), ack)

    @property
    def totals(self) -> list[int]:
        return [event.total for event in self.events if isinstance(event, wire.Crossing)]


class Box:
    """A spool and its delivery, without cameras."""

    def __init__(self, folder: Path, broker: BrokerSettings, **options: object) -> None:
        self.wants: list[bytes] = []
        self.commands: list[bytes] = []
        self.total = 0
        self.spool = SpoolWorker(Spool.open(folder / "spool.db", 8 << 20))
        self.delivery = Delivery(
            self.spool, broker, NODE, state=self.state, on_want=self.on_want, on_command=self.on_command,
            delay_cap=0.5, **options,
        )  # fmt: skip

    def state(self) -> wire.State:
        return wire.State(NODE, True, int(time.time() * 1000), epoch=self.spool.epoch)

    async def on_want(self, payload: bytes) -> None:
        self.wants.append(payload)

    async def on_command(self, payload: bytes) -> None:
        self.commands.append(payload)
        await self.delivery.respond(b"done " + payload)

    async def count(self, events: int = 1) -> None:
        """Append crossings with a running total."""
        now = int(time.time() * 1000)
        rows = [
            wire.Crossing(now, "cam0", "main", 1, "AB", "car", self.total + n, self.total + n, 80)
            for n in range(1, events + 1)
        ]
        self.total += events
        await self.spool.append(rows)

    async def count_with_state(self) -> None:
        """Append one crossing and its total, together."""
        total = self.total + 1
        event = wire.Crossing(int(time.time() * 1000), "cam0", "main", 1, "AB", "car", total, total, 80)
        await self.spool.append([event], {"total": str(total).encode()})
        self.total = total

    async def drained(self, seconds: float = 20.0) -> dict:
        """Wait until the centre has acknowledged everything."""
        async with asyncio.timeout(seconds):
            while (status := await self.spool.status())["pending"]:  # noqa: ASYNC110 - on disk
                await asyncio.sleep(0.02)
        return status


@contextlib.asynccontextmanager
async def running(folder: Path, broker: BrokerSettings, **options: object) -> AsyncIterator[Box]:
    box = Box(folder, broker, **options)
    async with box.spool, asyncio.TaskGroup() as group:
        group.create_task(box.delivery.run(), name="delivery")
        try:
            yield box
        finally:
            box.delivery.stop()


@contextlib.asynccontextmanager
async def attended(centre: Centre) -> AsyncIterator[Centre]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(centre.run(), name="centre")
        yield centre
        task.cancel()


def gate(stack: Stack, **settings: object) -> BrokerSettings:
    return BrokerSettings.parse(stack.mqtt_url, client_id=NODE, **settings)


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - whatever the test looks at
            await asyncio.sleep(0.02)


async def test_what_was_counted_before_the_broker_was_there_arrives(lone: Stack, tmp_path: Path) -> None:
    """A box that starts without a network counts all the same."""
    lone.mosquitto.kill()
    centre = Centre(lone.mqtt_url)
    async with attended(centre), running(tmp_path, gate(lone)) as box:
        await box.count(250)
        await until(lambda: "nothing listens" in box.delivery.problem)
        lone.mosquitto.start()
        await box.drained()
        assert centre.totals == list(range(1, 251))
        assert box.delivery.problem == ""


async def test_a_crossing_is_at_the_centre_within_a_second_and_a_bit(lone: Stack, tmp_path: Path) -> None:
    """Urgent means one second, not the minute of telemetry."""
    centre = Centre(lone.mqtt_url)
    async with attended(centre), running(tmp_path, gate(lone)) as box:
        await until(lambda: box.delivery.standing().connected)
        began = time.monotonic()
        await box.count()
        await until(lambda: bool(centre.totals))
        assert time.monotonic() - began < 1.5


async def test_while_no_aggregator_listens_one_batch_a_second_asks(lone: Stack, tmp_path: Path) -> None:
    """The line is not filled for nobody, the problem is told, and all comes at once when one is there."""
    centre = Centre(lone.mqtt_url)
    async with CountingProxy(lone.mosquitto.port) as proxy:
        broker = BrokerSettings.parse(proxy.url, client_id=NODE)
        async with running(tmp_path, broker) as box:
            await until(lambda: box.delivery.standing().connected)
            for _ in range(10):
                await box.count(100)
            await box.spool.close_batch()
            await until(lambda: "no aggregator listens" in box.delivery.problem)
            before = proxy.bytes
            await asyncio.sleep(3.0)
            assert proxy.bytes - before < 5 * 3500
            async with attended(centre):
                await box.drained(3.0)
            assert centre.totals == list(range(1, 1001))
            assert box.delivery.problem == ""


async def test_a_batch_that_a_killed_aggregator_took_along_is_sent_again_soon(
    lone: Stack, tmp_path: Path
) -> None:
    """A later batch is acknowledged, this one is not: it is not left to the long timer."""
    centre = Centre(lone.mqtt_url, lambda epoch, seq: [wire.encode_ack({epoch: [seq]})] if swallowed else [])
    swallowed: list[bool] = []
    async with attended(centre), running(tmp_path, gate(lone)) as box:
        await until(lambda: box.delivery.standing().connected)
        await box.count()
        await until(lambda: centre.received == 1)
        swallowed.append(True)
        await asyncio.sleep(2.0)
        await box.count()
        await box.drained(3.0)
        assert centre.totals == [1, 2]


async def test_a_broker_killed_again_and_again_loses_and_doubles_nothing(lone: Stack, tmp_path: Path) -> None:
    """The broker is a pipe: it forgets everything at each kill, and nothing is missing."""
    centre = Centre(lone.mqtt_url)
    async with attended(centre), running(tmp_path, gate(lone), resend_seconds=1.0) as box:
        for _ in range(5):
            for _ in range(20):
                await box.count(20)
            await asyncio.to_thread(lone.mosquitto.kill)
            await box.count(20)
            await asyncio.to_thread(lone.mosquitto.start)
        status = await box.drained(30)
        assert sorted(centre.totals) == list(range(1, box.total + 1))
        assert status["epochs"][0] == {
            "epoch": box.spool.epoch, "committed": box.total, "acked": box.total, "lost": 0,
        }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_acks_lost_doubled_reordered_and_foreign_change_nothing(
    lone: Stack, tmp_path: Path, seed: int
) -> None:
    """Only a true acknowledgement ends a batch, and resends are the same bytes."""
    chance = random.Random(seed)
    kept = []
    asked: Counter[tuple[int, int]] = Counter()

    def acks(epoch: int, seq: int) -> list[bytes]:
        good = wire.encode_ack({epoch: [seq]})
        kept.append(good)
        asked[epoch, seq] += 1
        if asked[epoch, seq] > 4:  # each resend comes later than the one before
            return [good]
        match chance.randrange(5):
            case 0:
                return []
            case 1:
                return [good, good]
            case 2:
                chance.shuffle(kept)
                return [kept.pop()]
            case 3:
                return [wire.encode_ack({epoch + 1: [seq], 7: range(9)}), b"\xc1nonsense", good]
        return [good]

    centre = Centre(lone.mqtt_url, acks)
    async with attended(centre), running(tmp_path, gate(lone), resend_seconds=0.2) as box:
        for _ in range(60):
            await box.count(100)
        await box.drained(90)
        assert centre.received > len(centre.batches)
        assert sorted(centre.totals) == list(range(1, box.total + 1))


PUBLISHER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from tests.integration.test_delivery import Box
    from agent.mqtt.client import BrokerSettings

    async def main():
        broker = BrokerSettings.parse(sys.argv[2], client_id="gate-01")
        box = Box(Path(sys.argv[1]), broker, resend_seconds=1.0)
        box.total = int(await box.spool.recall("total") or b"0")
        async with box.spool, asyncio.TaskGroup() as group:
            group.create_task(box.delivery.run())
            while True:
                await box.count_with_state()
                print(box.total, flush=True)

    asyncio.run(main())
    """
)


async def test_a_node_killed_at_random_moments_loses_and_doubles_nothing(lone: Stack, tmp_path: Path) -> None:
    """kill -9, again and again: what `append` had returned for is stored once, and totals have no gap.

    Nothing is said to be lost either.
    """
    chance = random.Random(3)
    centre = Centre(lone.mqtt_url)
    committed = 0
    async with attended(centre):
        for _ in range(6):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PUBLISHER, str(tmp_path), lone.mqtt_url, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            await process.stdout.readline()
            await asyncio.sleep(chance.uniform(0.1, 1.6))
            process.kill()
            rest = (await process.stdout.read()).split()
            await process.wait()
            committed = int(rest[-1]) if rest else committed
        async with running(tmp_path, gate(lone)) as box:
            await box.drained()
            box.total = int(await box.spool.recall("total") or b"0")
        assert box.total - committed in (0, 1)
        assert sorted(centre.totals) == list(range(1, box.total + 1))
        assert len(centre.totals) == len(centre.events)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Stack]:
    """A mosquitto with rights that can be changed; the centre reads as `centre`."""
    (tmp_path / "rights").write_text("")
    (tmp_path / "passwords").write_text("")
    extra = f"allow_anonymous false\nacl_file {tmp_path}/rights\npassword_file {tmp_path}/passwords\n"
    with Stack(tmp_path / "stack", mongodb_uri="unused", mosquitto_extra=extra) as running:
        yield running


async def allow(stack: Stack, folder: Path, rights: str) -> None:
    """Give gate-01 and centre the password `secret`, and rights."""
    for name in (NODE, "centre"):
        command = ["mosquitto_passwd", "-b", str(folder / "passwords"), name, "secret"]
        await (await asyncio.create_subprocess_exec(*command)).wait()
    (folder / "rights").write_text(f"user centre\ntopic readwrite #\nuser {NODE}\n{rights}\n")
    os.kill(stack.mosquitto.pid, signal.SIGHUP)
    await asyncio.sleep(0.1)


async def test_wrong_password_then_no_right_then_all_well(guarded: Stack, tmp_path: Path) -> None:
    """Each refusal is told in words, keeps everything on disk, and heals by itself."""
    password = tmp_path / "password"
    password.write_text("wrong")
    broker = gate(guarded, username=NODE, password_file=str(password))
    centre = Centre(guarded.mqtt_url.replace("//", "//centre:secret@"))
    async with attended(centre), running(tmp_path / "box", broker, resend_seconds=0.5) as box:
        await box.count(5)
        await until(lambda: "check the user name and the password" in box.delivery.problem)
        await allow(guarded, tmp_path, f"topic read {wire.topic(NODE, '#')}")
        password.write_text("secret")
        await until(lambda: "refused to publish on" in box.delivery.problem)
        assert (await box.spool.status())["pending"] == 5
        await allow(guarded, tmp_path, f"topic readwrite {wire.topic(NODE, '#')}")
        await box.drained()
        assert centre.totals == [1, 2, 3, 4, 5]
        await until(lambda: box.delivery.problem == "")


@pytest.mark.parametrize("swallowed", [CONNACK, SUBACK, PUBACK], ids=["connack", "suback", "puback"])
async def test_a_broker_that_accepts_and_then_hangs_is_left_and_found_again(
    lone: Stack, tmp_path: Path, swallowed: int
) -> None:
    """It answers pings and nothing else: the box says so, hangs up, and delivers once it is well."""
    port = int(lone.mqtt_url.rpartition(":")[2])
    async with road_to(port) as road, attended(Centre(lone.mqtt_url)) as centre:
        road.swallowed = {swallowed}
        broker = BrokerSettings.parse(f"mqtt://127.0.0.1:{road.port}", client_id=NODE, keepalive=4)
        async with running(tmp_path, broker) as box:
            await box.count(3)
            await until(lambda: "answer" in box.delivery.problem, 60)
            await until(lambda: road.connections > 1, 60)
            road.swallowed = set()
            await box.drained(60)
            assert centre.totals == [1, 2, 3]
            await until(lambda: box.delivery.standing().connected and not box.delivery.problem, 30)


async def test_the_state_is_retained_and_the_will_tells_of_a_death(lone: Stack, tmp_path: Path) -> None:
    """online comes from the node, offline from the node when it stops and from the broker when it dies."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as watcher:
        await watcher.subscribe(wire.topic("+", "state"))

        async def online() -> bool:
            payload = (await anext(watcher.messages)).payload
            return wire.decode_json(payload, wire.State).online

        async with running(tmp_path, gate(lone)) as box:
            assert await online()
            box.delivery.state_changed()
            assert await online()
        assert not await online()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISHER, str(tmp_path), lone.mqtt_url, stdout=asyncio.subprocess.DEVNULL
        )
        assert await online()
        process.kill()
        await process.wait()
        assert not await online()


async def test_wants_and_commands_reach_the_node_and_retained_commands_do_not(
    lone: Stack, tmp_path: Path
) -> None:
    """The desired document waits in the broker; an order never does."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as centre:
        await centre.subscribe(wire.topic(NODE, "rsp"))
        await centre.publish(wire.topic(NODE, "want"), b"document", retain=True)
        await centre.publish(wire.topic(NODE, "cmd"), b"old order", retain=True)
        async with running(tmp_path, gate(lone)) as box:
            await until(lambda: box.delivery.standing().connected and box.wants == [b"document"])
            await centre.publish(wire.topic(NODE, "cmd"), b"order")
            assert (await anext(centre.messages)).payload == b"done order"
            assert box.commands == [b"order"]


async def test_live_frames_ride_along_and_are_dropped_when_the_broker_is_away(
    lone: Stack, tmp_path: Path
) -> None:
    """Nothing waits for a live frame, and a lost one is counted."""
    async with connect(BrokerSettings.parse(lone.mqtt_url)) as viewer, running(tmp_path, gate(lone)) as box:
        assert not box.delivery.publish_live(b"frame 0")
        await until(lambda: box.delivery.standing().connected)
        await viewer.subscribe(wire.topic(NODE, "live"), qos=0)
        assert box.delivery.publish_live(b"frame 1")
        assert (await anext(viewer.messages)).payload == b"frame 1"
        assert box.delivery.standing().live_dropped == 1


async def test_a_stop_hands_over_what_is_open(lone: Stack, tmp_path: Path) -> None:
    """A clean shutdown does not leave the last minute for the next start, if the centre answers."""
    centre = Centre(lone.mqtt_url)
    async with attended(centre):
        async with running(tmp_path, gate(lone)) as box:
            await until(lambda: box.delivery.standing().connected)
            await box.count(3)
            began = time.monotonic()
        assert time.monotonic() - began < 1.0
        assert centre.totals == [1, 2, 3]


async def test_a_stop_without_acknowledgements_leaves_the_rest_on_disk(lone: Stack, tmp_path: Path) -> None:
    """We wait for seconds, not for ever (not at all if nobody listens), and the next start sends it."""
    for silent, least, most in ((Centre(lone.mqtt_url, lambda *_: []), 2.0, 6.0), (None, 0.0, 1.5)):
        async with (
            attended(silent) if silent else contextlib.nullcontext(),
            running(tmp_path, gate(lone)) as box,
        ):
            await until(lambda box=box: box.delivery.standing().connected)
            await asyncio.sleep(0.2)
            await box.count(3)
            box.delivery.stop()
            began = time.monotonic()
            await until(lambda box=box: not box.delivery.standing().connected)
            assert least < time.monotonic() - began < most
    centre = Centre(lone.mqtt_url)
    async with attended(centre), running(tmp_path, gate(lone)) as again:
        await again.drained()
    assert sorted(centre.totals) == [1, 1, 2, 2, 3, 3]


async def test_a_stop_does_not_wait_for_a_broker_that_is_cut_off(lone: Stack, tmp_path: Path) -> None:
    """Nobody answers the goodbye, and the connection still stands: the agent ends in seconds all the same."""
    box = Box(tmp_path, gate(lone))
    async with box.spool, asyncio.TaskGroup() as group:
        delivery = group.create_task(box.delivery.run(), name="delivery")
        await until(lambda: box.delivery.standing().connected)
        await asyncio.sleep(0.3)
        os.kill(lone.mosquitto.pid, signal.SIGSTOP)
        try:
            box.delivery.stop()
            await asyncio.wait_for(delivery, 12)
        finally:
            os.kill(lone.mosquitto.pid, signal.SIGCONT)


class CountingProxy:
    """A TCP proxy that counts bytes: what MQTT costs, both ways."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self._port = port

    async def __aenter__(self) -> CountingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, far_writer))
            group.create_task(self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.bytes += len(data)
            writer.write(data)
        writer.close()


async def test_a_crossing_costs_at_most_60_bytes_where_several_share_a_batch(
    lone: Stack, tmp_path: Path
) -> None:
    """Bytes of MQTT both ways, with headers, PUBACKs and the aggregator's acknowledgement."""
    centre = Centre(lone.mqtt_url)
    async with CountingProxy(lone.mosquitto.port) as proxy, attended(centre):
        broker = BrokerSettings.parse(proxy.url, client_id=NODE)
        async with running(tmp_path, broker) as box:
            await until(lambda: box.delivery.standing().connected)
            await asyncio.sleep(0.2)
            costs = {}
            for crossings in (1, 5, 20):
                before = proxy.bytes
                await box.count(crossings)
                await box.drained()
                await asyncio.sleep(0.1)
                costs[crossings] = (proxy.bytes - before) / crossings
    print(f"bytes a crossing, by crossings in its batch: {costs}")
    assert costs[5] <= 60 * 1.5
    assert costs[20] <= 60


class BadLink:
    """A TCP proxy with 150 ms ± 100 ms each way, 1 Mbit/s, and a reset now and then."""

    def __init__(self, port: int, seed: int) -> None:
        self.resets = 0
        self._port = port
        self._chance = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> BadLink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        await asyncio.sleep(0.3)

    def reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        self.resets += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        mine = {writer, far_writer}
        self._writers |= mine
        try:
            await asyncio.gather(
                self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True
            )
        finally:
            for each in mine:
                each.transport.abort()
            self._writers -= mine

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            await asyncio.sleep(self._chance.uniform(0.05, 0.25) + len(data) * 8 / 1e6)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


async def test_a_bad_link_with_resets_loses_and_doubles_nothing(lone: Stack, tmp_path: Path) -> None:
    """Latency, little bandwidth, and a reset each second and a half: late, but whole."""
    centre = Centre(lone.mqtt_url)
    async with BadLink(lone.mosquitto.port, 5) as link, attended(centre):
        broker = BrokerSettings.parse(link.url, client_id=NODE)
        async with running(tmp_path, broker, resend_seconds=1.0) as box:
            for _ in range(5):
                for _ in range(15):
                    await box.count(10)
                    await asyncio.sleep(0.1)
                link.reset()
            await box.drained(40)
        assert link.resets >= 5
        assert sorted(centre.totals) == list(range(1, box.total + 1))


async def test_the_backlog_of_a_long_outage_loses_no_count_and_declares_the_rest(
    lone: Stack, tmp_path: Path
) -> None:
    """72 hours offline on a small disk: every crossing arrives; detail is dropped and the ledger is exact."""
    spool = Spool.open(tmp_path / "spool.db", 256 * 1024, Now(START, 0))
    box_bytes = wire.pack_box(0.1, 0.1, 0.2, 0.2)
    made = 0
    for hour in range(72):
        at = Now(START + hour * 3_600_000, hour * 3_600_000)
        detail = [wire.Detection(at.wall, "cam0", made + n, "car", 80, box_bytes) for n in range(300)]
        made += len(detail)
        counts = [
            wire.Crossing(at.wall, "cam0", "main", 1, "AB", "car", n, hour * 10 + n, 80) for n in range(1, 11)
        ]
        spool.append([*detail, *counts], at)
    spool.close()
    centre = Centre(lone.mqtt_url)
    async with attended(centre), running(tmp_path, gate(lone)) as box:
        status = await box.drained()
    lost = sum(event.count for event in centre.events if isinstance(event, wire.Lost))
    kept = sum(isinstance(event, wire.Detection) for event in centre.events)
    assert centre.totals == list(range(1, 721))
    assert (lost + kept, status["lost"]) == (made, lost)
    assert sum(epoch["committed"] for epoch in status["epochs"]) == len(centre.events) + lost


def test_a_state_is_small_json() -> None:
    """The retained state of an idle box is a few hundred bytes."""
    assert len(msgspec.json.encode(wire.State(NODE, True, START))) < 300
