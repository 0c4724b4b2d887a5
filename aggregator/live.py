"""Live: what is stored or seen now, to everybody who watches.

What always holds: a watcher's buffer is bounded at 1 MB. Who is slower than that is cut off and counted, and
comes back with `Last-Event-ID`; nobody else waits for them. A picture has no buffer at all: the newest wins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import msgspec

from agent import wire
from aggregator.ingest import Fact
from aggregator.metrics import Metrics
from aggregator.store import codec

BUFFER_BYTES = 1024 * 1024
PING_SECONDS = 15.0


def sse(event: str, data: bytes, id_: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"event: {event}\nid: {id_}\n" if id_ else f"event: {event}\n"
    return head.encode() + b"data: " + data + b"\n\n"


def fact_event(fact: Fact) -> bytes:
    """Return a stored event as a server-sent event."""
    return sse("fact", msgspec.json.encode(codec.fact(fact.node, fact.id, fact.event)), fact.id)


class Watcher:
    """One open stream and what waits for it."""

    def __init__(
        self,
        node: str = "",
        camera: str = "",
        types: frozenset[str] = frozenset(),
        sees: Callable[[str], bool] = lambda node: True,
        nodes: frozenset[str] = frozenset(),
    ) -> None:
        self.node = node
        self.nodes = nodes  # only these; empty: all
        self.sees = sees
        self.camera = camera
        self.types = types
        self.cut_off = False
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    def is_about(self, node: str) -> bool:
        """True if this stream is about a node, and its reader may see it."""
        if self.node not in ("", node) or (self.nodes and node not in self.nodes):
            return False
        return self.sees(node)

    def offer(self, chunk: bytes) -> None:
        """Add a chunk, or cut this watcher off if it is too slow."""
        if self._bytes + len(chunk) > BUFFER_BYTES:
            self.close()
            self.cut_off = True
        elif not self.cut_off:
            self._waiting.append(chunk)
            self._bytes += len(chunk)
        self._wake.set()

    def close(self) -> None:
        """End the stream; what waits is dropped."""
        self._waiting.clear()
        self._bytes = 0
        self.cut_off = True
        self._wake.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over what waits, joined; a comment where nothing has come for a while."""
        while not self.cut_off:
            if not self._waiting:
                self._wake.clear()
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    yield b": ping\n\n"
                continue
            chunk = b"".join(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            yield chunk


class Picture:
    """The newest JPEG of one camera, for one viewer."""

    def __init__(self, node: str, camera: str) -> None:
        self.place = (node, camera)
        self.closed = False
        self._jpeg = b""
        self._wake = asyncio.Event()

    def offer(self, jpeg: bytes) -> None:
        """Replace the picture that waits."""
        self._jpeg = jpeg
        self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._wake.set()

    async def take(self) -> bytes:
        """Return the newest picture not yet taken; empty when closed or when none came for a while."""
        if not self._jpeg and not self.closed:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._wake.wait()
        jpeg = self._jpeg
        self._jpeg = b""
        return b"" if self.closed else jpeg


class Hub:
    """Everybody who watches."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._watchers: set[Watcher] = set()
        self._pictures: set[Picture] = set()
        self._closed = False

    @property
    def watched(self) -> bool:
        """True if anybody has a stream open."""
        return bool(self._watchers)

    @property
    def named(self) -> set[str] | None:
        """The nodes that open streams name; None if one is about all nodes."""
        found: set[str] = set()
        for watcher in self._watchers:
            if not watcher.node and not watcher.nodes:
                return None
            found |= watcher.nodes or {watcher.node}
        return found

    def is_watched(self, node: str) -> bool:
        """True if anybody has a stream open that is about this node."""
        return any(watcher.is_about(node) for watcher in self._watchers)

    @contextlib.contextmanager
    def open(self, watcher: Watcher) -> Iterator[Watcher]:
        """Let a watcher in for a while."""
        self._watchers.add(watcher)
        self._metrics.streams.set(len(self._watchers))
        if self._closed:
            watcher.close()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._metrics.streams.set(len(self._watchers))

    @contextlib.contextmanager
    def open_picture(self, picture: Picture) -> Iterator[Picture]:
        """Let a picture's viewer in for a while."""
        self._pictures.add(picture)
        if self._closed:
            picture.close()
        try:
            yield picture
        finally:
            self._pictures.discard(picture)

    def close(self) -> None:
        """End all streams, at shutdown."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
        for picture in self._pictures:
            picture.close()

    def facts(self, facts: Sequence[Fact]) -> None:
        """Show stored events, each encoded once."""
        if not self._watchers:
            return
        for fact in facts:
            kind = wire.EVENT_NAMES[type(fact.event)]
            takers = [
                watcher
                for watcher in self._watchers
                if watcher.is_about(fact.node) and (not watcher.types or kind in watcher.types)
            ]
            if takers:
                self._offer(takers, fact_event(fact))

    def node(self, name: str, entry: Any) -> None:
        """Show a node's entry of the fleet."""
        self._show("node", name, entry)

    def gone(self, name: str) -> None:
        """Show that a node was removed."""
        self._show("gone", name, {"node": name})

    def config(self, name: str, config: Any) -> None:
        """Show which document a node wants and runs."""
        self._show("config", name, {"node": name, **msgspec.to_builtins(config)})

    def health(self, health: Any) -> None:
        """Show whether this aggregator makes progress."""
        self._offer(list(self._watchers), sse("centre", msgspec.json.encode(health)))

    def board(self, board: Callable[[Callable[[str], bool]], Any]) -> None:
        """Show which alerts are not closed, to each watcher those of the nodes that they see."""
        for watcher in list(self._watchers):
            self._offer([watcher], sse("alerts", msgspec.json.encode(board(watcher.sees))))

    def _show(self, event: str, name: str, data: Any) -> None:
        takers = [watcher for watcher in self._watchers if watcher.is_about(name)]
        if takers:
            self._offer(takers, sse(event, msgspec.json.encode(data)))

    def live(self, node: str, live: wire.Live, labels: Sequence[str]) -> None:
        """Show one frame's boxes, and its picture to those who asked for pictures. `labels`: by class."""
        if live.jpeg:
            for picture in self._pictures:
                if picture.place == (node, live.camera):
                    picture.offer(live.jpeg)
        takers = [
            w for w in self._watchers if w.camera == live.camera and w.node == node and w.is_about(node)
        ]
        if takers:
            data = {"node": node, "camera": live.camera, "at": live.at, "labels": labels}
            rows = wire.unpack_rows(live.rows)
            self._offer(takers, sse("live", msgspec.json.encode({**data, "rows": rows})))

    def _offer(self, takers: Sequence[Watcher], chunk: bytes) -> None:
        for watcher in takers:
            before = watcher.cut_off
            watcher.offer(chunk)
            if watcher.cut_off and not before:
                self._metrics.cut_off.inc()
