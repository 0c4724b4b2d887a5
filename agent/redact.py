"""Takes secrets out of text that may leave the box: logs, the config, reports.

What always holds: what the config names as secret is struck out wherever it stands, in each spelling in which
it may stand there; and so is what only looks like a secret (credentials and queries of addresses, keys and
tokens, PEM). Too much is struck out rather than too little.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from agent.config import Config
from agent.see.feed.address import is_bare

GONE = "***"
_SHORTEST = 4  # a shorter value would strike out half of the text
_ADDRESS = re.compile(r"(?P<kind>\b[a-z][a-z0-9+.-]*://)(?P<rest>[^\s\"'<>]+)", re.I)
_NAMED = re.compile(
    r"(?P<name>[\w.-]*(?:pass|passwd|password|token|secret|api[_-]?key|authorization|auth|code)\w*)"
    r"(?P<is>\"?\s*[=:]\s*)(?P<value>\"[^\"\n]*\"|'[^'\n]*'|(?:Basic |Bearer |Digest )?[^\s,;]+)",
    re.I,
)
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
_OCTET = re.compile(r"%[0-9A-F]{2}")
_LONG = re.compile(r"\b(?=[A-Za-z_-]*\d)(?:[0-9a-f]{32,}|[A-Za-z0-9_-]{40,})\b")
_KEPT = ("password_file", "ca_file")  # names of files


class Redactor:
    """Strikes out the secrets of one box. `files`: whose whole content is secret, where they can be read."""

    def __init__(self, config: Config, files: Iterable[Path] = ()) -> None:
        self._secrets = sorted(_spellings(_secrets(config, files)), key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, GONE)
        text = _KEY.sub(GONE, text)
        text = _ADDRESS.sub(_without_credentials, text)
        text = _NAMED.sub(_without_value, text)
        return _LONG.sub(GONE, text)


def _secrets(config: Config, files: Iterable[Path]) -> Iterable[str]:
    """Yield what the config and secret files hold that must not leave."""
    named = [Path(config.broker.password_file)] if config.broker and config.broker.password_file else []
    for path in (*named, *files):
        try:
            yield path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue  # who may not read it cannot tell it either
    addresses = [address for camera in config.camera.values() for address in (camera.source, camera.rtsp_out)]
    for address in [*addresses, config.broker.url if config.broker else ""]:
        yield from _of_address(address)


def _of_address(address: str) -> Iterable[str]:
    if is_bare(address):
        address = f"rtsp://{address}"
    if "://" not in address:
        return
    head = address.partition("://")[2].rpartition("@")[0]
    user, _, password = head.partition(":")
    yield user
    yield password
    try:
        query = urlsplit(address).query
    except ValueError:
        query = address.partition("?")[2]
    for _, value in parse_qsl(query):
        if not value.isdigit():
            yield value


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Return each secret as it may be written: raw, decoded, percent-encoded, within JSON or Python."""
    found = set()
    for secret in secrets:
        plain = unquote(secret)
        encoded = {quote(plain, safe=""), quote(plain), quote_plus(plain)}
        encoded |= {_OCTET.sub(lambda octet: octet[0].lower(), text) for text in encoded}
        quoted = {json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], repr(plain)[1:-1]}
        found |= {secret, plain} | encoded | quoted
    return {secret for secret in found if len(secret) >= _SHORTEST}


def _without_credentials(match: re.Match[str]) -> str:
    rest, query, _ = match["rest"].partition("?")
    place = rest.rpartition("@")
    told = f"{GONE}@{place[2]}" if place[1] else rest
    return f"{match['kind']}{told}{'?' + GONE if query else ''}"


def _without_value(match: re.Match[str]) -> str:
    if match["name"] in _KEPT:
        return match[0]
    return f"{match['name']}{match['is']}{GONE}"


def redactor_of(config: Config) -> Redactor:
    """Return what strikes out the secrets of a box, the token of its page among them."""
    return Redactor(config, [Path(config.state_dir) / "page-token"])
