"""Addresses of network cameras: shown without their secrets, tried, and asked why they give nothing.

A password or token in an address never appears in a text from here.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import unquote, urlsplit

from agent.see.feed.picture import SourceError

CONNECT_SECONDS = 3.0
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ADDRESS = re.compile(  # without doubt about where the user and the password end
    r"\w+://(?P<secret>[^/?#]*@)?(?P<place>(?:\[[^]/?#@]*]|[^][/?#@:]+)(?::\d*)?)"
    r"(?:(?P<path>/[^?#@]*)(?:\?[^#]*)?(?:#[^@]*)?|\?[^@#]*)?"
)
_BARE = re.compile(r"(?!scene:)(?:(?:\d+\.){3}\d+(?![\w.])|[^/]*:.*@)", re.S)
_DOUBT = "in the user and the password write %40 for @, %2F for /, %23 for #, %3F for ?, %5B for ["


def scheme(url: str) -> str:
    """Return what stands before ://, in small letters."""
    return url.partition("://")[0].lower() if "://" in url else ""


def is_bare(url: str) -> bool:
    """Return whether somebody left out what stands before :// of an address."""
    return "://" not in url and _BARE.match(url) is not None


def redact(url: str) -> str:
    """Return the address as it may be shown: no user, no password, no query."""
    if is_bare(url):
        return redact(f"rtsp://{url}").removeprefix("rtsp://")
    kind = scheme(url)
    if kind not in PORTS:
        return re.sub("://.*@", "://***@", url)
    known = _ADDRESS.fullmatch(url)
    if known is None:
        return f"{kind}://***"
    secret = "***@" if known["secret"] else ""
    query = "?..." if "?" in url[known.end("place") :] else ""
    return f"{kind}://{secret}{known['place']}{known['path'] or ''}{query}"


def credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the address without user and password, and these two, decoded, or None."""
    parts = urlsplit(url)
    clean = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    if "@" not in parts.netloc:
        return clean, None
    return clean, (unquote(parts.username or ""), unquote(parts.password or ""))


def reachable(url: str, timeout: float) -> None:
    """Raise SourceError if nobody listens at the address."""
    with _connect(url, timeout):
        return


def _connect(url: str, timeout: float) -> socket.socket:
    """Return a plain connection to the address's host."""
    shown = redact(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or PORTS[scheme(url)]
        return socket.create_connection((host, port), timeout)
    except (OSError, ValueError) as error:
        if not _ADDRESS.fullmatch(url):  # what was taken for the host may be part of the password
            raise SourceError(f"{shown} cannot be reached; {_DOUBT}") from None
        if not isinstance(error, OSError | UnicodeError):
            raise SourceError(f"{shown} is no address, or its port no number from 1 to 65535") from None
        raise SourceError(f"{shown}: {_unreachable(error, host, port)}") from None


def _unreachable(error: OSError | UnicodeError, host: str, port: int) -> str:
    match error:
        case socket.gaierror():
            return f"no host named {host!r}; check the address"
        case TimeoutError():
            return f"{host}:{port} does not answer; check power and network"
    reason = getattr(error, "strerror", None) or "no such address"
    return f"{host}:{port}: {reason.lower()}; check the address"


def why(url: str, timeout: float) -> str:
    """Ask an RTSP server why it gives no video and say so in one line."""
    shown = redact(url)
    try:
        status = _status(url, timeout)
    except SourceError as error:
        return str(error)
    if status is None:
        return f"{shown} accepts connections and sends nothing; restart the camera"
    if status >= 400:
        return f"{shown}: {refusal(status)}"
    return f"{shown} answers, but sends no video that can be decoded; check the stream's format"


def refusal(status: int) -> str:
    """Return what a server's status of 400 and more means for the owner."""
    if status in (401, 403):
        return f"the server answers {status}; give the right user and password in the address"
    if status == 404:
        return "the server answers 404, no such stream; check the path"
    return f"the server answers {status}; check the path and the camera"


def _status(url: str, timeout: float) -> int | None:
    """Return the status with which a server answers a plain request, or None where it says nothing."""
    if scheme(url) == "rtsps":
        return 200  # it accepts connections; more cannot be asked without encryption
    request = f"DESCRIBE {credentials(url)[0]} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    try:
        with _connect(url, timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(request.encode("ascii", "replace"))
            answer = connection.recv(64)
    except OSError:
        return None
    match = re.match(rb"RTSP/\d\.\d (\d{3})", answer)
    return int(match[1]) if match else None
