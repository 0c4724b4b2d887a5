"""HTTPS on the page's own port: the first byte of a connection says whether it is TLS.

What always holds: a handshake counts as a connection of a stranger from its first byte on, with the same
limits. Who comes by plain HTTP is sent to https at the same address; only this machine itself and the proxies
that are trusted are served without. A certificate that is renewed in its place is taken within a minute, for
connections that begin then; until both of its files fit each other the one before goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from aggregator.client import Network, is_ours

_LOG = logging.getLogger(__name__)
HANDSHAKE = 0x16  # the first byte of TLS (RFC 8446, 5.1); no method of HTTP begins with it
_SECONDS = 10
LOOK_SECONDS = 20.0


class TlsError(Exception):
    """A certificate that cannot be used; the text says what to do."""


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a server needs for TLS 1.2 and above; raise TlsError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as error:
        raise TlsError(f"{certificate}, {key}: no certificate with its key ({error.reason})") from None
    except OSError as error:
        raise TlsError(
            f"{certificate}, {key}: {error.strerror}. Run `gb-aggregator init`, or name your own in [http] "
            "certificate_file and key_file"
        ) from None
    return made


def _no_password() -> str:
    """Be asked for the password of an encrypted key, which nobody can type; raise TlsError."""
    raise TlsError(
        "the key of the page's certificate is encrypted: store it without a passphrase, for this user's eyes "
        "only (`openssl pkey -in KEY -out PLAIN`)"
    )


@contextlib.asynccontextmanager
async def renewed(
    made: ssl.SSLContext | None, certificate: Path, key: Path, seconds: float = LOOK_SECONDS
) -> AsyncIterator[None]:
    """Follow a certificate's files while this is open. `made`: what was read from them; None: no TLS."""
    if made is None:
        yield
        return
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_follow(made, certificate, key, seconds), name="certificate")
        try:
            yield
        finally:
            task.cancel()


async def _follow(made: ssl.SSLContext, certificate: Path, key: Path, seconds: float) -> None:
    seen = _stamps(certificate, key)
    while True:
        await asyncio.sleep(seconds)
        found = _stamps(certificate, key)
        if found == seen:
            continue
        seen = found
        try:
            context(certificate, key)  # one that cannot be used would spoil the other
        except TlsError as error:
            _LOG.warning("the certificate before goes on: %s", error)
        else:
            made.load_cert_chain(certificate, key, _no_password)
            _LOG.info("took a new certificate from %s", certificate)


def _stamps(*files: Path) -> list[tuple[int, int, int]]:
    """Return what changes when one of the files does; nothing of one that is not there."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            one = file.stat()
            found.append((one.st_mtime_ns, one.st_size, one.st_ino))
    return found


def wrap(inner: asyncio.Protocol, tls: ssl.SSLContext, transport: asyncio.Transport) -> SSLProtocol:
    """Return a protocol that speaks TLS on a transport and gives what is inside to `inner`."""
    made = SSLProtocol(
        asyncio.get_running_loop(), inner, tls, None, server_side=True,  # type: ignore[arg-type]
        ssl_handshake_timeout=_SECONDS, ssl_shutdown_timeout=_SECONDS,
    )  # fmt: skip
    made.connection_made(transport)
    return made


def feed(protocol: SSLProtocol, data: bytes) -> None:
    """Give bytes that came to what speaks TLS."""
    rest = memoryview(data)
    while rest:
        room = protocol.get_buffer(len(rest))
        amount = min(len(room), len(rest))
        room[:amount] = rest[:amount]
        protocol.buffer_updated(amount)
        rest = rest[amount:]


def redirect(request: web.Request, proxies: list[Network]) -> None:
    """Raise the redirect to https where a request came without from elsewhere."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    address = str(peer[0]) if peer else ""
    if request.secure or address in ("127.0.0.1", "::1") or is_ours(address, proxies):
        return
    raise web.HTTPPermanentRedirect(f"https://{request.host}{request.path_qs}")
