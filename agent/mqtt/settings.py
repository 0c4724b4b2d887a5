"""Where a broker is, who we are there, and what went wrong, in words.

What always holds: passwords appear in no repr, no error and no log; each error is one line that says the
reason and what to do.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from paho.mqtt.reasoncodes import ReasonCode


class BrokerError(Exception):
    """The broker cannot be used now; the text is one line: the reason and what to do."""


class NotAdmittedError(BrokerError):
    """The broker was reached and let us not in: user, password, client id."""


class RefusedError(BrokerError):
    """The broker refused this one request; the connection goes on."""


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            super().do_handshake(block)
            undo.pop_all()


class BrokerSettings(msgspec.Struct, frozen=True):
    """Where a broker is and who we are there. `client_id` empty: the broker makes one up."""

    host: str
    port: int = 1883
    tls: bool = False
    username: str = ""
    password: str = ""
    password_file: str = ""
    ca_file: str = ""
    client_id: str = ""
    keepalive: int = 30

    @classmethod
    def parse(cls, url: str, **settings: Any) -> BrokerSettings:
        """Read mqtt://user:password@host:port or mqtts://…; `settings` are further fields."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BrokerError("the broker's address is malformed; write mqtt://HOST:PORT") from None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
            raise BrokerError("the broker's address must look like mqtt://HOST:1883 or mqtts://HOST:8883")
        tls = parts.scheme == "mqtts"
        fields = {
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            **{key: value for key, value in settings.items() if value != ""},
        }
        return cls(host=parts.hostname, port=port or (8883 if tls else 1883), tls=tls, **fields)

    def __repr__(self) -> str:
        return f"BrokerSettings({self})"

    def __str__(self) -> str:
        who = f"{self.username}@" if self.username else ""
        return f"mqtt{'s' if self.tls else ''}://{who}{self.host}:{self.port}"

    def secret(self) -> str:
        """Return the password, from its file if there is one; raise BrokerError if it is unreadable."""
        if not self.password_file:
            return self.password
        try:
            return Path(self.password_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is no text"
            raise BrokerError(f"password_file {self.password_file}: {why}. Join the box again") from None

    def tls_context(self) -> ssl.SSLContext:
        """Return a context that trusts `ca_file` alone, or the system's authorities if it is empty."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", None) or "no certificate in it"
            raise BrokerError(f"ca_file {self.ca_file}: {why}. Join the box again") from None
        context.sslsocket_class = _TlsSocket
        return context


# ── words for people ──────────────────────────────────────────────────────────────────────────────

_WHO = "check the user name and the password, or join the box again"
_ADVICE = {
    0x86: _WHO,
    0x87: "the broker gives this user no right to do it; " + _WHO,
    0x85: "the broker does not take this client id",
    0x88: "try again later",
    0x8D: "the connection was silent for too long",
    0x8E: f"another client uses the same client id; is this box a copy of another? {_WHO}",
    0x95: "the message is larger than the broker takes",
    0x97: "the broker is full; raise max_queued_messages",
    0x9F: "too many connections in a short time",
}


def refused(broker: BrokerSettings, code: ReasonCode, what: str) -> str:
    """Say that the broker said no."""
    advice = _ADVICE.get(code.value, "see the broker's log")
    who = f" as {broker.username!r}" if broker.username else ""
    return f"{broker} refused to {what}{who}: {str(code).lower()}; {advice}"


def hung_up(broker: BrokerSettings) -> str:
    """Say that the connection closed before any answer."""
    other = "mqtt:// and its port" if broker.tls else "mqtts:// and its port"
    return f"{broker} hung up before it answered: is that an MQTT broker? If it is, try {other}"


def unreachable(broker: BrokerSettings, error: OSError | ValueError) -> str:
    """Say why connecting failed."""
    match error:
        case ssl.SSLCertVerificationError():
            trusted = broker.ca_file or "the system's authorities"
            return (
                f"{broker}: its certificate is not trusted ({error.verify_message}); "
                f"compare ca_file ({trusted}) with the centre's, or join the box again"
            )
        case ssl.SSLError():
            return f"{broker} does not speak TLS there; use mqtt:// or the TLS port (8883)"
        case socket.gaierror():
            return f"the name {broker.host!r} is not known; check the broker's address and the network"
        case ConnectionRefusedError():
            return f"{broker}: nothing listens on port {broker.port}; start the broker or correct the port"
        case ConnectionResetError():
            return hung_up(broker)
        case TimeoutError():
            return f"{broker} does not answer; check the address, the network and the firewall"
        case OSError():
            return f"{broker} is unreachable: {error.strerror or error}; check the network"
    return f"{broker}: {error}"
