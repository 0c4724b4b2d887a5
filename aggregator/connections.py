"""The connections of the page's server, held to limits before anybody is known.

    opened ──10 s──▶ a request's head is there ──60 s──▶ it is answered ──▶ the next one, as before
                                 └─ logged in: no limit but 75 s between two requests

What always holds: who is not logged in holds a connection for a bounded time, however slowly bytes come or
are taken. All connections together leave room for the broker's, the database's and the files of this process;
when there is no more, the oldest of those that nobody has logged in on gives way, and storing never has to.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from asyncio.sslproto import SSLProtocol
from collections import OrderedDict
from collections.abc import Callable, Sequence

from aiohttp import web

from aggregator import tls
from aggregator.client import Network, group_of, is_ours

BACKLOG = 32  # connections that the system takes for us at once, beyond those that are counted
RESERVED = 96 + BACKLOG  # file handles for the broker, the database, logs and files
HEAD_SECONDS = 10.0
WHOLE_SECONDS = 60.0
IDLE_SECONDS = 75.0
ADDRESS_MOST = 64  # of one address on which nobody has logged in
_WANTED_HANDLES = 8192
_LEAST = 16

Serve = Callable[[], asyncio.Protocol]


def room(most: int) -> int:
    """Return how many connections may be open: `most`, or what this process's file handles allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_HANDLES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_HANDLES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(_LEAST, min(most, soft - RESERVED))


class Connections:
    """All of them. A protocol factory for `loop.create_server`; `serve` makes what speaks HTTP."""

    def __init__(
        self, serve: Serve, most: int, proxies: Sequence[Network] = (), tls: ssl.SSLContext | None = None
    ) -> None:
        self._serve = serve
        self._tls = tls
        self._most = most
        self._proxies = proxies
        self._strangers: OrderedDict[Connection, str] = OrderedDict()  # oldest first -> address
        self._known: set[Connection] = set()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def __call__(self) -> asyncio.Protocol:
        return Connection(self, self._serve, self._tls)

    def admit(self, one: Connection, address: str) -> bool:
        """Let a connection in; the oldest stranger makes room for it. False if there is none to make room."""
        group = "" if is_ours(address, self._proxies) else group_of(address)
        if group:
            same = [other for other, whose in self._strangers.items() if whose == group]
            for other in same[: len(same) - ADDRESS_MOST + 1]:
                self._cut(other)
        if len(self) >= self._most:
            if not self._strangers:
                self.refused += 1
                return False
            self._cut(next(iter(self._strangers)))
        self._strangers[one] = group
        return True

    def know(self, one: Connection) -> None:
        """Somebody has logged in on it."""
        if self._strangers.pop(one, None) is not None:
            self._known.add(one)

    def forget(self, one: Connection) -> None:
        """It has ended."""
        self._strangers.pop(one, None)
        self._known.discard(one)

    def _cut(self, one: Connection) -> None:
        self.refused += 1
        self.forget(one)
        one.cut()


class Connection(asyncio.Protocol):
    """One connection: what speaks HTTP, and the clock that ends it."""

    def __init__(self, all_: Connections, serve: Serve, tls: ssl.SSLContext | None) -> None:
        self._all = all_
        self._serve = serve
        self._tls = tls
        self._secured: SSLProtocol | None = None
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._is_known = False

    # ── what the server says of its requests ──

    def begins(self) -> None:
        """A request's head is there."""
        self._limit(WHOLE_SECONDS)

    def is_known(self) -> None:
        """The request is of somebody who is logged in: it may take its time."""
        self._is_known = True
        self._all.know(self)
        self._limit(None)

    def ends(self) -> None:
        """The request is dealt with; its answer may still be on its way."""
        if self._is_known:
            self._limit(IDLE_SECONDS)

    def cut(self) -> None:
        """End it at once."""
        self._limit(None)
        if self._transport is not None:
            self._transport.abort()

    def _limit(self, seconds: float | None) -> None:
        """End it after some seconds, unless something happens before; None: it may stay."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None
        if seconds is not None:
            self._clock = asyncio.get_running_loop().call_later(seconds, self.cut)

    # ── what the event loop says ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or end it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("",)
        if not self._all.admit(self, str(peer[0])):
            transport.abort()
            return
        self._limit(HEAD_SECONDS)
        if self._tls is None:
            self._begin(transport)

    def _begin(self, transport: asyncio.Transport, first: int = 0) -> None:
        """Have HTTP spoken, inside TLS if the first byte says so."""
        inner = self._serve()
        _SERVED[inner] = self
        if self._tls is not None and first == tls.HANDSHAKE:
            self._secured = tls.wrap(inner, self._tls, transport)
        else:
            inner.connection_made(transport)
        self._inner = inner

    def data_received(self, data: bytes) -> None:
        """Hand bytes on."""
        if self._inner is None and self._transport is not None and not self._transport.is_closing():
            self._begin(self._transport, data[0])
        if self._secured is not None:
            tls.feed(self._secured, data)
        elif self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more bytes come."""
        speaks = self._secured or self._inner
        return speaks.eof_received() if speaks is not None else None

    def pause_writing(self) -> None:
        """Hand on that the other side is slow."""
        if speaks := self._secured or self._inner:
            speaks.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it has caught up."""
        if speaks := self._secured or self._inner:
            speaks.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._limit(None)
        self._all.forget(self)
        if speaks := self._secured or self._inner:
            speaks.connection_lost(error)
        if self._inner is not None:
            _SERVED.pop(self._inner, None)


_SERVED: dict[asyncio.BaseProtocol, Connection] = {}  # what speaks HTTP -> its connection, while that is open


def connection_of(request: web.Request) -> Connection | None:
    """Return the connection of a request; None where another server serves it."""
    return _SERVED.get(request.protocol) if request.transport else None
