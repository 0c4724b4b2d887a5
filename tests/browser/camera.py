"""An HTTP camera that films the built-in street, and that a test can unplug."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar

import cv2

from agent.street.scene import Scene
from deploy.stack import free_port

FPS = 10.0


class _Film(BaseHTTPRequestHandler):
    """One viewer: pictures of the street's present moment until the plug is pulled."""

    plugged: ClassVar[threading.Event]
    scene: ClassVar[Scene]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.plugged.is_set():
                jpeg = cv2.imencode(".jpg", self.scene.frame(int(time.monotonic() * self.scene.fps)))[
                    1
                ].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(1 / FPS)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class StreetCamera:
    """MJPEG at `url`, at the same port after each `plug()`."""

    def __init__(self, seed: int) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/street.mjpg"
        self._plugged = threading.Event()
        fields = {"plugged": self._plugged, "scene": Scene(seed, fps=FPS)}
        self._handler = type("Film", (_Film,), fields)
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> StreetCamera:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """Answer from now on."""
        self._plugged.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="street-camera", daemon=True).start()

    def unplug(self) -> None:
        """End every picture stream and refuse new ones."""
        self._plugged.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
