"""The head of an HTTP answer within a deadline, also where it comes byte by byte.

A timeout of a socket begins anew with each byte. So while a head is awaited a timer runs, and when it is over
the connection is cut: whoever reads it wakes with an error. A second handle of the same connection is kept
for that: TLS takes the first one away.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Cuttable(HTTPConnection):
    """A connection that another thread can cut."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._handle = made.dup()
        return made

    def close(self) -> None:
        """Close both handles."""
        super().close()
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def cut(self) -> None:
        """Wake whoever reads or writes."""
        handle = self._handle
        if handle is not None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)


class _CuttableTls(_Cuttable, HTTPSConnection):
    """The same inside TLS."""


class DeadlineAdapter(HTTPAdapter):
    """Makes the connections of a session. `is_over`: the deadline that was set last has passed."""

    def __init__(self) -> None:
        self.is_over = False
        self._made: weakref.WeakSet[_Cuttable] = weakref.WeakSet()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Have connections made that can be cut, and remember them."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool, _Cuttable),
            "https": self._pool(HTTPSConnectionPool, _CuttableTls),
        }

    def _pool(self, kind: type[HTTPConnectionPool], connection: type[_Cuttable]) -> type[HTTPConnectionPool]:
        """Return a kind of pool whose connections can be cut, and are remembered."""
        made = self._made

        class Pool(kind):  # type: ignore[misc, valid-type]
            ConnectionCls = connection

            def _new_conn(self) -> Any:
                one = super()._new_conn()
                made.add(one)
                return one

        return Pool

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut all connections if what is done here is not done in time."""
        self.is_over = False
        timer = threading.Timer(seconds, self._cut)
        timer.name = "http-deadline"
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        for one in list(self._made):
            one.cut()
