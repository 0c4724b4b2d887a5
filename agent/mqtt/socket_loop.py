"""paho's socket, served by the event loop itself: `add_reader` and `add_writer`, no thread of paho's.

What always holds: a socket that is gone is served no more, whoever has closed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt import MQTTException


class SocketLoop:
    """The socket of one connection. `garbled`: told the error when what arrives is no MQTT."""

    def __init__(self, client: paho.Client, garbled: Callable[[Exception], None]) -> None:
        self._paho = client
        self._garbled = garbled
        self._loop = asyncio.get_running_loop()
        self._sock: Any = None

    def serve(self) -> bool:
        """Read and write from now on; False if the socket is gone already."""
        self._sock = self._paho.socket()
        if self._sock is None:
            return False
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._paho.on_socket_register_write = self._on_want_write
        self._paho.on_socket_unregister_write = self._on_wrote_all
        self._paho.on_socket_close = self._on_close
        self._loop.add_reader(self._sock, self._on_readable)
        if self._paho.want_write():
            self._loop.add_writer(self._sock, self.write)
        return True

    def write(self) -> None:
        """Write what waits, as far as the socket takes it."""
        self._paho.loop_write()

    def close(self) -> None:
        """Close the socket, if there is one."""
        sock = self._let_go()
        if sock is not None:
            sock.close()

    def _on_readable(self) -> None:
        try:
            self._paho.loop_read()
            while self._sock is not None and getattr(self._sock, "pending", int)():
                self._paho.loop_read()  # bytes inside TLS make no socket readable
        except (MQTTException, struct.error, IndexError, ValueError) as error:
            self._garbled(error)

    def _on_want_write(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock, self.write)

    def _on_wrote_all(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        if self._sock is not None:
            self._loop.remove_writer(sock)

    def _on_close(self, _client: paho.Client, _data: Any, _sock: Any) -> None:
        self._let_go()

    def _let_go(self) -> Any:
        """Stop serving the socket, if there is one, and return it."""
        sock = self._sock
        self._sock = None
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        return sock
