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
        """Be gone: say what the last will of a node says, and leave."""
        if self._client.is_connected():
            self._publish_state(online=False).wait_for_publish(10)
            self._client.disconnect()
        self._client.loop_stop()

    def camera(
        self,
        name: str = "cam0",
        state: wire.CameraStatus = "ok",
        reason: str = "",
        labels: Sequence[str] = ("person", "car"),
    ) -> None:
        """Report one camera, and run a document with one line on it."""
        report = wire.CameraReport(name, state, now_ms(), reason, "traffic", "", list(labels), (960, 540))
        self.cameras = [*(one for one in self.cameras if one.camera != name), report]
        if name not in self.config.document.cameras:
            settings = wire.CameraSettings(lines={"main": LINE})
            cameras = {**self.config.document.cameras, name: settings}
            self.config = wire.ConfigReport(document=wire.Document(0, cameras))
        self.report()

    def report(self) -> None:
        """Publish the retained state."""
        self._publish_state(online=True).wait_for_publish(10)

    def _publish_state(self, online: bool) -> paho.MQTTMessageInfo:
        state = wire.State(self.name, online, now_ms(), cameras=self.cameras, config=self.config)
        return self._client.publish(
            wire.topic(self.name, "state"), msgspec.json.encode(state), 1, retain=True
        )

    def send(self, *events: wire.AnyEvent) -> None:
        """Publish one batch."""
        base = now_ms()
        encoded = [wire.encode_event(event, base) for event in events]
        payload = wire.encode_batch(self._epoch, self._seq, base, base, encoded)
        self._seq += 1
        self._client.publish(wire.topic(self.name, "ev"), payload, 1).wait_for_publish(10)

    def lose(self, batches: int) -> None:
        """Count batches as sent that never are."""
        self._seq += batches

    def cross(
        self, total: int, direction: wire.Direction = "AB", line: str = "main", label: str = "car"
    ) -> None:
        """Say that something crossed a line for the `total`-th time."""
        self.send(wire.Crossing(now_ms(), "cam0", line, 0, direction, label, total, total, 90))

    def live(self, rows: Sequence[tuple[int, float, float, float, float, int, int]]) -> None:
        """Publish one frame's boxes."""
        frame = wire.Live(now_ms(), "cam0", wire.pack_rows(rows))
        self._client.publish(wire.topic(self.name, "live"), wire.encode_live(frame), 0)

    def _on_want(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        document = wire.decode_document(bytes(message.payload))
        if self.refuses:
            self.config = msgspec.structs.replace(self.config, error=self.refuses)
        else:
            self.config = wire.ConfigReport(document.version, "", document)
        self._publish_state(online=True)
