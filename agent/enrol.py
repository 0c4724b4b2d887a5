"""Join this box to a centre: `join_centre`, the work of `gb-agent enrol`.

What always holds:

* The centre's authority is believed only if its SHA-256 is the fingerprint of the joining line; nothing
  secret is sent before. From then on the box trusts that authority alone.
* The box's secret is made here and lies on disk before the centre hears of it, so a cut at any moment leaves
  a box that joins when the same line runs again. The one-time code is never written down.
* The config is changed in its place, comments and all, and only after the centre has let the box in.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import ssl
import time
from hashlib import sha256
from pathlib import Path

import msgspec

from agent import config as configuration
from agent import new_name, wire
from agent.enrol_files import EnrolError, fresh_secret, put_in_place, read, with_centre, write
from agent.mqtt.client import BrokerError, BrokerSettings, NotAdmittedError, connect

__all__ = ["EnrolError", "become", "fetch_authority", "join_centre", "own_name"]

_CONNECT_SECONDS = 10.0
_MACHINE_ID = Path("/etc/machine-id")
_ADMIT_SECONDS = 20.0
_DER = 2  # _ssl.ENCODING_DER, for Python before 3.13


def join_centre(url: str, node: str, code: str, fingerprint: str, config_path: Path) -> None:
    """Join and write what the agent needs beside `config_path`; raise EnrolError.

    `code`: of this box, or one for several boxes. With that, the name `auto` becomes this machine's own.
    """
    if node == wire.OWN_NAME and wire.read_group_code(code)[0]:
        node = own_name(socket.gethostname(), _MACHINE_ID)
    broker = _broker(url, node)
    config_path = config_path.absolute()
    folder = config_path.parent
    authority = fetch_authority(broker.host, broker.port, fingerprint)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        text = with_centre(config_path, url, node)
        write(folder / "ca.crt.new", authority, 0o644)
        secret = fresh_secret(folder / "secret.new")
        broker = msgspec.structs.replace(broker, ca_file=str(folder / "ca.crt.new"))
        if wire.read_group_code(code)[0]:
            joined, waits = asyncio.run(_apply(broker, code, secret, read(folder / "secret")))
        else:
            joined = asyncio.run(_join(broker, code, secret, read(folder / "secret")))
            waits = False
        put_in_place(folder, config_path, text, joined)
        new_name.forget(Path(configuration.load(config_path).state_dir))
    except OSError as error:
        advice = "run it with sudo" if isinstance(error, PermissionError) else "it must be writable"
        raise EnrolError(f"{error.filename or folder}: {error.strerror}; {advice}") from None
    print(f"{node} waits at {url} for an administrator's word" if waits else f"{node} has joined {url}")
    print(f"wrote {config_path}, ca.crt and secret beside it")
    print("next: `sudo systemctl restart gb-agent`, or `sudo gb-agent check` to try everything first")


def _broker(url: str, node: str) -> BrokerSettings:
    try:
        broker = BrokerSettings.parse(url, username=wire.valid_node(node), client_id=node, keepalive=10)
    except (BrokerError, wire.WireError) as error:
        raise EnrolError(str(error)) from None
    if not broker.tls:
        raise EnrolError("joining needs TLS: give the address as mqtts://HOST:8883")
    return broker


# ── the authority ─────────────────────────────────────────────────────────────────────────────────


def fetch_authority(host: str, port: int, fingerprint: str) -> str:
    """Return the PEM of the authority that the server shows, if it has that fingerprint."""
    wanted = fingerprint.lower().replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise EnrolError("the fingerprint must have 64 hexadecimal digits; copy the whole line again")
    shown = _chain(host, port)
    for certificate in shown:
        if secrets.compare_digest(sha256(certificate).hexdigest(), wanted):
            return ssl.DER_cert_to_PEM_cert(certificate)
    raise EnrolError(
        f"{host}:{port} is not the centre of this line: its fingerprint is {sha256(shown[-1]).hexdigest()}; "
        "nothing was sent to it. Check the address, or add the node again for a new line"
    )


def _chain(host: str, port: int) -> list[bytes]:
    """Return the certificates that a server shows, its own first, without believing them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what it shows is compared with the fingerprint, nothing is sent
    try:
        with (
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            if hasattr(tls, "get_unverified_chain"):  # Python 3.13
                return list(tls.get_unverified_chain())
            inner = tls._sslobj  # type: ignore[attr-defined]
            return [one.public_bytes(_DER) for one in inner.get_unverified_chain()]
    except ssl.SSLError:
        raise EnrolError(f"{host}:{port} does not speak TLS; give the broker's TLS port (8883)") from None
    except socket.gaierror:
        raise EnrolError(f"the name {host!r} is not known here; give the centre's address instead") from None
    except OSError as error:
        why = error.strerror or "no answer"
        raise EnrolError(f"{host}:{port}: {why}; check the address, the network and the firewall") from None


# ── the exchange ──────────────────────────────────────────────────────────────────────────────────


async def _join(broker: BrokerSettings, code: str, secret: str, present: str) -> str:
    """Exchange the code for `secret`; return the secret that the centre knows now."""
    try:
        await _say(msgspec.structs.replace(broker, password=code), secret)
    except NotAdmittedError:
        for known in (secret, present):
            if known and await _admitted(broker, known):
                return known
        raise EnrolError(
            "the centre does not accept the code: it was used, has expired or is mistyped; "
            f"on the centre run `remove-node {broker.username}`, then `add-node {broker.username}`"
        ) from None
    except BrokerError as error:
        raise EnrolError(str(error)) from None
    await _wait_until_admitted(broker, code, secret)
    return secret


async def _say(broker: BrokerSettings, secret: str) -> None:
    """Tell the centre the secret. It cuts this connection when it has changed our rights."""
    said = False
    try:
        async with connect(broker) as client:
            said = True
            await client.publish(wire.topic(broker.username, "join"), msgspec.json.encode(wire.Join(secret)))
    except BrokerError:
        if not said:
            raise


async def _wait_until_admitted(broker: BrokerSettings, code: str, secret: str) -> None:
    end = time.monotonic() + _ADMIT_SECONDS
    while time.monotonic() < end:
        await asyncio.sleep(0.3)
        code_is_good = await _admitted(broker, code)
        if await _admitted(broker, secret):
            return
        if code_is_good is False:
            raise EnrolError("the code has expired; run `add-node` on the centre again and use the new line")
    raise EnrolError("the centre's aggregator did not answer; start it and run the same line again")


async def _admitted(broker: BrokerSettings, password: str) -> bool | None:
    """Return whether the broker takes this password; None if it cannot be asked."""
    try:
        async with connect(msgspec.structs.replace(broker, password=password)):
            return True
    except NotAdmittedError:
        return False
    except BrokerError:
        return None


# ── with a code for several boxes ─────────────────────────────────────────────────────────────────


def own_name(host: str, machine_id: Path) -> str:
    """Return a name for this machine, the same each time: its host name and four digits of its id."""
    slug = re.sub(r"[^a-z0-9]+", "-", host.partition(".")[0].lower()).strip("-")[:24] or "box"
    try:
        id_ = machine_id.read_bytes().strip()
    except OSError:
        id_ = host.encode()
    return f"{slug}-{sha256(id_).hexdigest()[:4]}"


async def _apply(broker: BrokerSettings, code: str, secret: str, present: str) -> tuple[str, bool]:
    """Ask to be let in with a code for several boxes.

    Return the secret that the centre knows now, and whether an administrator still has to say a word.
    """
    id_, word = wire.read_group_code(code)
    stranger = msgspec.structs.replace(
        broker, username=wire.group_user(id_), password=word, client_id=f"gb-apply-{secrets.token_hex(8)}"
    )
    for known in (secret, present):
        if known and await _admitted(broker, known):
            return known, False  # the same line was run before
    application = wire.Application(secret, code)
    try:
        async with asyncio.timeout(_ADMIT_SECONDS):
            answer = await _hear(stranger, broker.username, application)
    except TimeoutError:
        raise EnrolError(
            "the centre's aggregator did not answer; start it and run the same line again"
        ) from None
    except BrokerError as error:
        if await _admitted(broker, secret):
            return secret, False  # let in, and cut off before the answer
        if isinstance(error, NotAdmittedError):
            raise EnrolError("the centre does not take the code: used up, expired or mistyped") from None
        raise EnrolError(f"{error}; run the same line again") from None
    if not answer.ok:
        raise EnrolError(f"the centre did not let this box in: {answer.error}")
    return secret, answer.waits


async def _hear(stranger: BrokerSettings, node: str, application: wire.Application) -> wire.Applied:
    """Ask to be let in under a name, and return the centre's answer; raise BrokerError."""
    async with connect(stranger) as client:
        await client.subscribe(wire.topic(node, "applied"))
        await client.publish(wire.topic(node, "apply"), msgspec.json.encode(application))
        message = await anext(client.messages)
    answer: wire.Applied = wire.decode_json(message.payload, wire.Applied)
    return answer


# ── another name ──────────────────────────────────────────────────────────────────────────────────


async def become(config: configuration.Config, node: str, code: str) -> None:
    """Join a centre that this box has joined already under another name; raise EnrolError.

    `code`: the one-time code of that name; empty where the broker gives no rights.
    """
    state = Path(config.state_dir)
    settings = config.broker
    if settings is None:
        raise EnrolError("this box has no centre")
    try:
        if code:
            broker = BrokerSettings.parse(
                settings.url, username=node, client_id=node, ca_file=settings.ca_file, keepalive=10
            )
            await _join(broker, code, new_name.prepare(state, node), "")
        new_name.take(state, config.node, node, secret=bool(code))
    except BrokerError as error:
        raise EnrolError(str(error)) from None
    except OSError as error:
        raise EnrolError(f"{error.filename or state}: {error.strerror}") from None
