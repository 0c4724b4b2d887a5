"""A node without a camera: it says on the real broker exactly what a test wants it to say."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import urlsplit

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent import wire

LINE = wire.Line([(0.05, 0.6), (0.95, 0.6)])


def now_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return int(time.time() * 1000)


class ScriptedNode:
    """One connection as one node. It takes every wanted document at once, unless `refuses` says why not."""

    def __init__(self, mqtt_url: str, name: str) -> None:
        self.name = name
        self.refuses = ""
        self.cameras: list[wire.CameraReport] = []
        self.config = wire.ConfigReport()
        self._seq = 0
        self._epoch = secrets.randbits(48)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        will = wire.State(name, False, now_ms())
        self._client.will_set(wire.topic(name, "state"), msgspec.json.encode(will), 1, True)
        self._client.on_message = self._on_want
        self._connected = threading.Event()
        self._client.on_connect = lambda *_: self._connected.set()
        self._where = urlsplit(mqtt_url)

    def __enter__(self) -> ScriptedNode:
        self._client.connect(self._where.hostname or "", self._where.port or 1883)
        self._client.loop_start()
        assert self._connected.wait(10)
        self._client.subscribe(wire.topic(self.name, "want"), 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vanish()

    def vanish(self) -> None:
        """Break the connection; the broker publishes the last will."""
        if sock := self._client.socket():
            self._say(
                "state", wire.State(self.name, False, now_ms(), cameras=self.cameras, config=self.config)
            )
            self._client.disconnect()
            sock.close()
        self._client.loop_stop()

    def camera(
        self, name: str = "cam0", state: wire.CameraStatus = "ok", reason: str = "", **more: object
    ) -> None:
        """Report one camera, and run a document with one line on it."""
        labels = more.pop("labels", ["person", "car"])
        report = wire.CameraReport(
            name,
            state,
            now_ms(),
            reason,
            "traffic",
            labels=labels,
            size=(960, 540),  # type: ignore[arg-type]
        )
        self.cameras = [*(one for one in self.cameras if one.camera != name), report]
        if name not in self.config.document.cameras:
            settings = wire.CameraSettings(lines={"main": LINE})
            cameras = {**self.config.document.cameras, name: settings}
            self.config = wire.ConfigReport(document=wire.Document(0, cameras))
        self.report()

    def report(self) -> None:
        """Publish the retained state."""
        self._say("state", wire.State(self.name, True, now_ms(), cameras=self.cameras, config=self.config))

    def send(self, *events: wire.AnyEvent) -> None:
        """Publish one batch."""
        base = now_ms()
        encoded = [wire.encode_event(event, base) for event in events]
        payload = wire.encode_batch(self._epoch, self._seq, base, base, encoded)
        self._seq += 1
        self._client.publish(wire.topic(self.name, "ev"), payload, 1).wait_for_publish(10)

    def cross(
        self, total: int, direction: wire.Direction = "AB", line: str = "main", label: str = "car"
    ) -> None:
        """Say that something crossed a line for the `total`-th time."""
        self.send(wire.Crossing(now_ms(), "cam0", line, 0, direction, label, total, total, 90))

    def live(
        self, rows: Sequence[tuple[int, float, float, float, float, int, int]], labels: list[str]
    ) -> None:
        """Publish one frame's boxes."""
        frame = wire.Live(now_ms(), "cam0", wire.pack_rows(rows), labels)
        self._client.publish(wire.topic(self.name, "live"), wire.encode_live(frame), 0)

    def _say(self, kind: str, message: msgspec.Struct) -> None:
        self._client.publish(wire.topic(self.name, kind), msgspec.json.encode(message), 1, retain=True)

    def _on_want(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        document = wire.decode_document(message.payload)
        if self.refuses:
            self.config = msgspec.structs.replace(self.config, error=self.refuses)
        else:
            self.config = wire.ConfigReport(document.version, "", document)
        self.report()
