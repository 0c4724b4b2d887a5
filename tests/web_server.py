"""A web server on loopback whose answers the test writes: path -> a function that answers one request."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class WebServer(ThreadingHTTPServer):
    """Serve `answers`; count the requests of each path in `asked`, queries left out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.closing = threading.Event()

    def url(self, path: str, secret: str = "") -> str:
        return f"http://{secret}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    """Answer one viewer."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked[path] += 1
        answer = self.server.answers.get(path)
        if answer is None:
            self.send_error(404)
            return
        answer(self)

    def give(self, body: bytes, kind: str | None, status: int = 200, **heads: str) -> None:
        """Send one whole body."""
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        for name, value in heads.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, kind: str, parts: Iterator[bytes], seconds: float) -> None:
        """Send parts, one each so many seconds, until there are none or the test is over."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        for part in parts:
            self.wfile.write(part)
            if self.server.closing.wait(seconds):
                return

    def handle(self) -> None:
        """Let a viewer leave at any moment."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextlib.contextmanager
def web_server() -> Iterator[WebServer]:
    """Run a server for a test."""
    server = WebServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
