"""The agent as a process: what it says when something is wrong, what it keeps, what it never sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent import wire
from agent.deliver.spool import Now, Spool
from agent.mqtt.client import BrokerSettings, Client, connect
from deploy.stack import Stack, die_with_parent, free_port

ROOT = Path(__file__).parents[2]
JPEG = b"\xff\xd8\xff"


def write_config(folder: Path, mqtt_url: str, node: str, cameras: dict[str, dict[str, object]]) -> Path:
    """Write an agent's TOML; values are given as they are in JSON."""
    text = [f'node = "{node}"', f'state_dir = "{folder / "state"}"', "[broker]", f'url = "{mqtt_url}"']
    for name, camera in cameras.items():
        text += [f"[camera.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in camera.items())]
        text += [f"[camera.{name}.lines.main]", "points = [[0.05, 0.62], [0.95, 0.62]]"]
    path = folder / "agent.toml"
    path.write_text("\n".join(text) + "\n")
    return path


def gb_agent(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command of the agent to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )


@contextlib.contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the agent beside the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--config", str(config)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def node_name() -> str:
    return f"n-{uuid.uuid4().hex[:10]}"


async def take(
    client: Client, seconds: float, enough: Callable[[str, bytes], bool] = lambda kind, payload: False
) -> list[tuple[str, bytes, float]]:
    """Return (kind, payload, arrival) of what arrives in so many seconds, or until there is enough."""
    got: list[tuple[str, bytes, float]] = []

    async def collect() -> None:
        async for message in client.messages:
            kind = message.topic.rpartition("/")[2]
            got.append((kind, message.payload, time.monotonic()))
            if enough(kind, message.payload):
                return

    task = asyncio.create_task(collect(), name="collect")
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return got


def events_of(payload: bytes) -> list[wire.AnyEvent]:
    batch = wire.decode_batch(payload)
    return [wire.decode_event(raw, batch.base) for raw in wire.batch_events(batch)]


# ── words ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ({"source": "scene:", "model": "no-such.onnx"}, "no-such.onnx"),
        ({"source": "no-such.mp4"}, "no-such.mp4"),
        ({"source": "scene:", "labels": ["cars"]}, "the model does not know 'cars'"),
        ({"source": "rtsp://127.0.0.1:9/street"}, "127.0.0.1:9"),
        ({"source": "0"}, "0"),
    ],
)
def test_check_names_what_is_wrong(
    tmp_path: Path, stack: Stack, camera: dict[str, object], words: str
) -> None:
    """`check` says FAIL beside the part that is wrong, in one line and without a traceback, and exits 1."""
    done = gb_agent(
        "check", "--config", str(write_config(tmp_path, stack.mqtt_url, node_name(), {"c": camera}))
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1
    assert words in failed[0]
    assert "Traceback" not in done.stderr


def test_check_is_content_with_a_good_box(tmp_path: Path, stack: Stack) -> None:
    """With everything there, each line says ok, the exit code is 0, and no file is left in the way."""
    path = write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": {"source": "scene:"}})
    done = gb_agent("check", "--config", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line[:4] for line in done.stdout.splitlines()} == {"ok  "}
    assert not list((tmp_path / "state").iterdir())


def test_check_says_that_nothing_listens(tmp_path: Path) -> None:
    """A broker that is not there is named with its port and what to do."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    done = gb_agent(
        "check", "--config", str(write_config(tmp_path, url, node_name(), {"c": {"source": "scene:"}}))
    )
    assert done.returncode == 1
    assert "nothing listens" in done.stdout


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("[broker]\nurll = 1", 2, "broker.urll: unknown key"),
        ('[broker]\nurl = "http://x"', 2, "broker.url: the broker's address must look like"),
        ('[camera.c]\nsource = "scene:"\nlabels = ["cars"]', 2, "the model does not know 'cars'; it knows"),
        ('[camera.c]\nsource = "scene:"\nmodel = "foreign.onnx"', 1, "foreign.onnx"),
    ],
)
def test_run_refuses_in_one_line(tmp_path: Path, line: str, code: int, words: str) -> None:
    """A bad config ends the start with exit 2, a model that cannot be used with exit 1; one line each."""
    path = tmp_path / "agent.toml"
    head = f'node = "gate-1"\nstate_dir = "{tmp_path}"\n'
    path.write_text(head + line + ("" if "camera" in line else '\n[camera.c]\nsource = "scene:"\n'))
    done = gb_agent("run", "--config", str(path))
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_status_of_a_box_that_was_started_often_fits_the_screen(tmp_path: Path) -> None:
    """The last starts are listed, all of them are counted; `--json` tells each."""
    path = write_config(tmp_path, "mqtt://127.0.0.1:1", node_name(), {"cam0": {"source": "scene:"}})
    for start in range(9):
        spool = Spool.open(tmp_path / "state" / "spool.db", 4 << 20, Now(start * 1000, start))
        spool.append([wire.CameraState(start * 1000, "cam0", "ok", "")], Now(start * 1000, start))
        spool.close()
    done = gb_agent("status", "--config", str(path))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 7
    assert done.stdout.splitlines()[0].startswith("no agent is running here")
    assert done.stdout.splitlines()[-1] == "9 event(s) wait, 0 lost, in 9 start(s)"
    told = json.loads(gb_agent("status", "--json", "--config", str(path)).stdout)
    assert [epoch["committed"] for epoch in told["epochs"]] == [1] * 9


def test_no_frames_to_measure_is_a_wrong_argument(tmp_path: Path) -> None:
    """`bench --frames 0` says so and exits 2."""
    done = gb_agent("bench", "--frames", "0", "--config", str(tmp_path / "none.toml"))
    assert (done.returncode, "give a whole number, 1 or more" in done.stderr) == (2, True)


def test_second_agent_on_the_same_spool_is_refused(tmp_path: Path, stack: Stack) -> None:
    """Two agents never write one spool: the second says so and ends."""
    path = write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": {"source": "scene:"}})
    with running(path) as first:
        assert first.stdout is not None
        while "watching" not in first.stdout.readline():
            assert first.poll() is None
        done = gb_agent("run", "--config", str(path))
    assert done.returncode == 1
    assert "spool" in done.stderr
    assert "Traceback" not in done.stderr


async def test_check_leaves_a_running_agent_alone(tmp_path: Path, stack: Stack) -> None:
    """`check` beside a running agent does not throw it off the broker."""
    node = node_name()
    path = write_config(tmp_path, stack.mqtt_url, node, {"cam0": {"source": "scene:"}})
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        with running(path) as agent:
            assert agent.stdout is not None
            while "connected" not in agent.stdout.readline():
                assert agent.poll() is None
            await client.subscribe(wire.topic(node, "state"))
            done = await asyncio.to_thread(gb_agent, "check", "--config", str(path))
            states = [json.loads(payload) for _, payload, _ in await take(client, 2)]
    assert done.returncode == 0, done.stdout
    assert "the agent is running" in done.stdout
    assert all(state["online"] for state in states)


# ── what holds ────────────────────────────────────────────────────────────────────────────────────


async def test_first_detection_comes_within_seconds_of_the_start(tmp_path: Path, stack: Stack) -> None:
    """From the start of the process to the first detection on the wire: 3 s, with five-fold slack here."""
    node = node_name()
    path = write_config(tmp_path, stack.mqtt_url, node, {"cam0": {"source": "scene:?seed=7"}})
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic(node, "ev"))
        started = time.monotonic()
        with running(path):
            async with asyncio.timeout(15):
                async for message in client.messages:
                    if any(isinstance(event, wire.Detection) for event in events_of(message.payload)):
                        break
        assert time.monotonic() - started < 15


async def test_sigterm_loses_nothing(tmp_path: Path, stack: Stack) -> None:
    """With nobody to confirm, everything that was accepted is still on disk after SIGTERM, exit 0."""
    node = node_name()
    path = write_config(tmp_path, stack.mqtt_url, node, {"cam0": {"source": "scene:?seed=7"}})
    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(wire.topic(node, "ev"))
        with running(path) as agent:
            got = await take(client, 90, lambda kind, payload: wire.Track in map(type, events_of(payload)))
            agent.send_signal(signal.SIGTERM)
            got += await take(client, 6)
            assert agent.wait(10) == 0
    batches = {(b.epoch, b.seq): len(wire.batch_events(b)) for b in (wire.decode_batch(p) for _, p, _ in got)}
    status = json.loads(gb_agent("status", "--json", "--config", str(path)).stdout)
    assert status["lost"] == 0
    assert status["pending"] == status["epochs"][-1]["committed"] == sum(batches.values())
    kinds = {type(event) for _, payload, _ in got for event in events_of(payload)}
    assert {wire.Tally, wire.Track, wire.CameraState} <= kinds


async def test_no_picture_leaves_unless_somebody_asks(tmp_path: Path, stack: Stack) -> None:
    """Without a request no topic carries a picture or more than facts; with an operator's request one does;
    a viewer's request, and one to a camera whose owner forbids it, are refused."""
    node = node_name()
    path = write_config(tmp_path, stack.mqtt_url, node, {"cam0": {"source": "scene:?seed=7"}})

    def watch(role: str, number: int) -> bytes:
        expires = round(time.time() * 1000) + 30_000
        order = wire.Command(f"order-{number:04d}", "watch", expires, role, "cam0", 30.0, True)
        return msgspec.json.encode(order)

    async with connect(BrokerSettings.parse(stack.mqtt_url)) as client:
        await client.subscribe(f"{wire.PREFIX}/{node}/#")
        with running(path):
            quiet = await take(client, 10)
            await client.publish(wire.topic(node, "cmd"), watch("viewer", 1))
            refused = await take(client, 2)
            await client.publish(wire.topic(node, "cmd"), watch("operator", 2))
            asked = await take(client, 60, lambda kind, payload: kind == "live" and JPEG in payload)
    assert quiet
    assert not [payload for _, payload, _ in quiet + refused if JPEG in payload]
    assert {kind for kind, _, _ in quiet} <= {"ev", "state"}
    answers = [json.loads(payload) for kind, payload, _ in refused if kind == "rsp"]
    assert answers == [{"id": "order-0001", "ok": False, "error": "only an operator may ask for pictures"}]
    pictures = [wire.decode_live(payload).jpeg for kind, payload, _ in asked if kind == "live"]
    assert any(picture.startswith(JPEG) for picture in pictures)


async def test_document_survives_a_restart_without_the_centre(tmp_path: Path, own_stack: Stack) -> None:
    """A desired document is applied, reported, and runs again after kill -9 with the broker's copy gone."""
    node = node_name()
    path = write_config(tmp_path, own_stack.mqtt_url, node, {"cam0": {"source": "scene:?seed=7"}})
    line = wire.Line(points=[(0.1, 0.5), (0.9, 0.5)], version=4)
    want = wire.Document(4, {"cam0": wire.CameraSettings(lines={"north": line})})

    async def reported(document: bytes | None) -> wire.ConfigReport:
        async with connect(BrokerSettings.parse(own_stack.mqtt_url)) as client:
            await client.subscribe(wire.topic(node, "state"))
            if document:
                await client.publish(wire.topic(node, "want"), document, retain=True)
            async with asyncio.timeout(60):
                async for message in client.messages:
                    state: wire.State = wire.decode_json(message.payload, wire.State)
                    if state.online and state.config.applied == 4:
                        return state.config
        raise AssertionError("the connection ended")

    with running(path):
        assert (await reported(msgspec.json.encode(want))).document.cameras == want.cameras
    own_stack.mosquitto.kill()
    own_stack.mosquitto.start()
    with running(path):
        assert (await reported(None)).document.cameras == want.cameras


def test_camera_absent_at_the_start_is_a_state(tmp_path: Path, stack: Stack) -> None:
    """An agent whose only camera is not there runs, says so in words, and ends when asked."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/video"
        path = write_config(tmp_path, stack.mqtt_url, node_name(), {"cam0": {"source": url}})
        with running(path) as agent:
            assert agent.stdout is not None
            lines = []
            while not any("cam0: absent" in line for line in lines):
                lines.append(agent.stdout.readline())
                assert lines[-1], lines
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(15) == 0
