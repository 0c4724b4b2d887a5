"""One aggregator as a process: listens, runs, and ends gently when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from aggregator import garbage, tls
from aggregator.centre import open_centre
from aggregator.config import Config
from aggregator.connections import BACKLOG, Connections, room
from aggregator.serve import ServeError, make_app

PATIENCE = 30.0  # seconds that a database may take to come up


@contextlib.contextmanager
def until_asked() -> Iterator[None]:
    """End the block, gently and without an error, at the first SIGINT or SIGTERM."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set():
            asked.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not asked.is_set():
            raise


async def run(config: Config) -> None:
    """Run one aggregator until it is asked to stop."""
    with until_asked():
        async with open_centre(config, PATIENCE) as centre:
            runner = web.AppRunner(make_app(centre), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            assert runner.server is not None
            most = room(config.http.max_connections)
            secured = _tls(config)
            connections = Connections(runner.server, most, config.http.proxies, secured)
            try:
                async with (
                    _listening(connections, config) as address,
                    tls.renewed(secured, *_certificate(config)),
                    centre.running(),
                    garbage.calm(),
                ):
                    await centre.link.tried()
                    print(f"ready http{'s' if config.http.tls else ''}://{address}", flush=True)
                    await asyncio.Event().wait()
            finally:
                await runner.cleanup()


def _tls(config: Config) -> ssl.SSLContext | None:
    """Return what TLS needs, None where the page is served without; raise ServeError."""
    if not config.http.tls:
        return None
    try:
        return tls.context(*_certificate(config))
    except tls.TlsError as error:
        raise ServeError(str(error)) from None


def _certificate(config: Config) -> tuple[Path, Path]:
    """Return the files of the page's certificate and its key."""
    return config.path(config.http.certificate_file), config.path(config.http.key_file)


@contextlib.asynccontextmanager
async def _listening(connections: Connections, config: Config) -> AsyncIterator[str]:
    """Take connections while this is open; give the address. Raise ServeError."""
    host = config.http.host
    port = config.http.port
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(connections, host, port, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"port {port} of {host} is in use: end what uses it, or change [http] port"
            ) from None
        raise ServeError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    try:
        found: Any = server.sockets[0].getsockname()
        yield f"[{found[0]}]:{found[1]}" if ":" in found[0] else f"{found[0]}:{found[1]}"
    finally:
        server.close()
