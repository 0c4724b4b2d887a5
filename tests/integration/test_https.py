"""The page over TLS, on the port where plain HTTP is sent there: real processes, real certificates."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, TCPConnector
from cryptography.hazmat.primitives import serialization

from aggregator import tls
from aggregator.setup import addresses
from aggregator.setup.certificates import fingerprint, make_authority, make_server
from aggregator.setup.layout import here
from aggregator.setup.provision import prepare
from deploy.stack import Stack, die_with_parent, free_port
from tests.integration.box import TOKEN, until

ROOT = Path(__file__).parents[2]
OUTSIDE = addresses.own()[0]  # an address of this machine that is not the loopback


class Served:
    """A centre's page with a certificate of its own authority."""

    def __init__(self, folder: Path, stack: Stack, limited: Callable[[], None] = die_with_parent) -> None:
        prepare(folder, [OUTSIDE], here(folder))
        self.port = free_port()
        self.config = folder / "centre" / "https.toml"
        self.config.write_text(
            f'[broker]\nurl = "{stack.mqtt_url}"\n'
            f'[mongodb]\nuri = "{stack.mongodb_uri}"\n'
            'database = "https"\n[http]\nhost = "0.0.0.0"\n'
            f'port = {self.port}\ntoken = "{TOKEN}"\ntls = true\n'
        )
        self.trust = ssl.create_default_context(cafile=str(folder / "centre" / "ca.crt"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aggregator", "run", "--config", str(self.config)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=limited,
        )  # fmt: skip
        assert self.process.stdout
        self.said = self.process.stdout.readline()


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that runs."""
    made = Served(tmp_path_factory.mktemp("https"), stack)
    yield made
    made.process.terminate()
    made.process.communicate()


@contextlib.asynccontextmanager
async def browser(served: Served, **how: Any) -> AsyncIterator[ClientSession]:
    """A client; left when its connections are closed: TLS says goodbye after the session is closed."""
    async with ClientSession(**how) as client:
        yield client
    await until(lambda: not connections_to(served.port), 60)
    await asyncio.sleep(0)  # what was closed just now hears of it


def connections_to(port: int) -> list[object]:
    """Return this process's connections to a port of this machine."""
    return [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == port]


async def test_https_by_the_centres_own_authority_and_http_is_sent_there(served: Served) -> None:
    """Who trusts the authority is served over TLS by every name; plain HTTP from elsewhere goes there."""
    assert served.said.startswith("ready https://")
    async with browser(served, connector=TCPConnector(ssl=served.trust)) as client:
        for host in ("127.0.0.1", "localhost", OUTSIDE):
            async with client.get(f"https://{host}:{served.port}/healthz") as answer:
                assert answer.status == 200
        plain = f"http://{OUTSIDE}:{served.port}/api/v1/me?x=1"
        async with client.get(plain, allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"] == f"https://{OUTSIDE}:{served.port}/api/v1/me?x=1"
        async with client.get(f"http://127.0.0.1:{served.port}/healthz", allow_redirects=False) as answer:
            assert answer.status == 200, "this machine's own health check"
    async with browser(served) as stranger:
        with pytest.raises(ClientConnectorCertificateError):
            await stranger.get(f"https://127.0.0.1:{served.port}/healthz")


async def test_the_cookie_is_secure_by_itself(served: Served) -> None:
    """A login over TLS gets a cookie that goes over TLS only, without a setting."""
    async with browser(served, connector=TCPConnector(ssl=served.trust)) as client:
        url = f"https://{OUTSIDE}:{served.port}/api/v1/login"
        async with client.post(url, json={"token": TOKEN}) as answer:
            assert answer.status == 200
            assert "; Secure" in answer.headers["Set-Cookie"]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with client.get(f"https://{OUTSIDE}:{served.port}/api/v1/stream", headers=headers) as stream:
            assert b"retry" in await stream.content.readline()


async def test_a_large_body_and_broken_handshakes(served: Served) -> None:
    """Megabytes go through TLS as they are; rubbish that looks like a handshake ends only itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"\x16\x03\x01" + b"\xff" * 2000)
    assert await asyncio.wait_for(reader.read(), 15) is not None
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    async with browser(served, connector=TCPConnector(ssl=served.trust)) as client:
        url = f"https://127.0.0.1:{served.port}"
        async with client.post(f"{url}/api/v1/login", data=b"x" * 900_000) as answer:
            assert answer.status == 413
        async with client.get(f"{url}/app.js") as answer:
            assert answer.status in (200, 404)


async def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    """Files that are replaced, the key first, go over to the next connections once they fit each other; one
    that is open goes on, and rubbish changes nothing."""
    ca_key, authority = make_authority()
    pairs = [make_server(ca_key, authority, ["127.0.0.1"]) for _ in range(2)]
    key = tmp_path / "page.key"
    certificate = tmp_path / "page.crt"
    _put(key, pairs[0][0])
    _put(certificate, pairs[0][1])
    trust = ssl.create_default_context(cadata=authority.decode())
    made = tls.context(certificate, key)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=made)
    port = server.sockets[0].getsockname()[1]

    async def shown() -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return hashlib.sha256(found).hexdigest()

    async with server, tls.renewed(made, certificate, key, 0.05):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        assert await shown() == fingerprint(pairs[0][1])
        for name, content in ((key, pairs[1][0]), (certificate, b"rubbish")):
            _put(name, content)
            await asyncio.sleep(0.3)
            assert await shown() == fingerprint(pairs[0][1])
        _put(certificate, pairs[1][1])
        async with asyncio.timeout(20):
            while await shown() != fingerprint(pairs[1][1]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        await writer.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


def _put(file: Path, content: bytes) -> None:
    """Replace a file whole, as programs that renew certificates do."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(file)


def test_an_encrypted_key_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    """A key under a passphrase would have the start wait for somebody to type it; it says what to do."""
    ca_key, authority = make_authority()
    plain, chain = make_server(ca_key, authority, ["127.0.0.1"])
    _put(tmp_path / "page.crt", chain)
    key = tmp_path / "page.key"
    loaded = serialization.load_pem_private_key(plain, None)
    how = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    _put(key, loaded.private_bytes(*form, how))
    with pytest.raises(tls.TlsError, match=r"encrypted: store it without a passphrase"):
        tls.context(tmp_path / "page.crt", key)


def test_a_certificate_that_cannot_be_used_is_one_line(served: Served, tmp_path: Path) -> None:
    """A missing file, and a key of another certificate, say what to do; the operator's own are taken."""
    key = tmp_path / "other.key"
    key.write_bytes((served.config.parent.parent / "mosquitto" / "server.key").read_bytes())
    text = served.config.read_text().replace(f"port = {served.port}", "port = 0")
    for more, reason in (
        ('certificate_file = "none.crt"\n', "Run `gb-aggregator init`, or name your own"),
        (f'key_file = "{key}"\n', "no certificate with its key"),
    ):
        config = served.config.with_name("wrong.toml")
        config.write_text(text + more)
        done = subprocess.run(
            [sys.executable, "-m", "aggregator", "run", "--config", str(config)],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
