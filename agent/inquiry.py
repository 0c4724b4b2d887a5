"""The running agent's own word on how it is, for `gb-agent status` and `gb-agent check` on the same box.

What always holds: it needs no disk (the disk may be what is wrong) and leaves nothing behind: a socket in
Linux's abstract namespace, named after the state folder, gone with the process. It answers root and the
agent's own user, one JSON object a connection, and takes no orders. Source: unix(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from agent import wire

_LOG = logging.getLogger(__name__)

_PEER = struct.Struct("3i")  # pid, uid, gid
_MOST = 65536


class Connection(Struct, frozen=True):
    """How the connection to the broker stands. `broker`: empty for none; `since`: Unix ms; `tries`: since it.

    Since the agent's start: `refusals`: messages that the broker refused; `live_dropped`: live frames that
    found no room.
    """

    connected: bool
    since: int
    broker: str
    problem: str = ""
    tries: int = 0
    refusals: int = 0
    live_dropped: int = 0


class Storage(Struct, frozen=True):
    """How the spool stands: what is wrong with its disk, if something is; events that only memory holds.

    `damaged`: how many times since the agent's start its file was damaged and was set aside.
    """

    problem: str = ""
    in_memory: int = 0
    damaged: int = 0


class Answer(Struct, frozen=True):
    """What a running agent says of itself."""

    pid: int
    connection: Connection
    storage: Storage


class SilentError(Exception):
    """An agent runs, but does not answer: it hangs."""


@contextlib.asynccontextmanager
async def answering(state_dir: Path, tell: Callable[[], Answer]) -> AsyncIterator[None]:
    """Answer whoever asks while this is open."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if _may_ask(writer.get_extra_info("socket")):
                writer.write(msgspec.json.encode(tell()))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_unix_server(answer, _name(state_dir))
    except OSError as error:
        _LOG.warning("`gb-agent status` cannot ask this agent: %s", error.strerror)
        yield
        return
    async with server:
        yield


def ask(state_dir: Path, seconds: float = 3.0) -> Answer | None:
    """Return what the agent of a state folder says of itself; None if none runs, or none that may be asked.

    Raise SilentError if one runs and says nothing within so many seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(seconds)
        try:
            asking.connect(_name(state_dir))
            said = b""
            while len(said) < _MOST and (piece := asking.recv(_MOST)):
                said += piece
        except TimeoutError:
            raise SilentError(f"the agent runs, but has not answered for {seconds:.0f} s: it hangs") from None
        except OSError:
            return None
    try:
        return msgspec.json.decode(said, type=Answer) if said else None
    except wire.DECODE_ERRORS:
        return None  # an agent of another version


def _name(state_dir: Path) -> str:
    place = os.fsencode(state_dir.absolute())
    return f"\0gb-agent-{hashlib.blake2b(place, digest_size=12).hexdigest()}"


def _may_ask(peer: socket.socket) -> bool:
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in (0, os.getuid())
