"""From which page a request comes: is it our own?

What always holds: only what a browser sets by itself is believed against another site. Its `Sec-Fetch-Site`
and `Origin` cannot be written by a page's script, and `X-Forwarded-*` only by a proxy of ours (a script that
adds a header of its own to another site is asked for leave first, and gets none). Ports count: another
service of the same machine is another origin, though it shares the cookies.

Sources: Fetch Metadata Request Headers (W3C); RFC 6454 (origins); RFC 7239 (`Forwarded`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def normal(origin: str) -> str:
    """Return an origin as `scheme://host:port`, empty if it is none."""
    try:
        parts = urlsplit(origin.strip())
        host = (parts.hostname or "").encode("ascii" if "[" in parts.netloc else "idna").decode()
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    return f"{parts.scheme}://{host.lower()}:{port}" if host and port and plain else ""


def refusal(headers: Mapping[str, str], trusted: Collection[str]) -> str:
    """Return why a request is not from our own page; empty if it is.

    Args:
        headers: those of the request; names in any case are found (aiohttp's mapping).
        trusted: origins that are ours as well, as `normal` writes them.
    """
    origin = headers.get("Origin", "")
    said = headers.get("Sec-Fetch-Site", "").lower()
    if said == "same-origin":
        return ""
    found = normal(origin)
    if found and found in trusted:
        return ""
    elsewhere = said in ("same-site", "cross-site")
    if (
        found
        and not elsewhere
        and found in {normal(f"{found.split(':')[0]}://{at}") for at in _asked(headers)}
    ):
        return ""
    return _explain(origin, headers)


def _asked(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the addresses by which the browser may have asked, as it or a proxy tells them."""
    hosts = [headers.get("Host", ""), headers.get("X-Forwarded-Host", "").split(",")[0].strip()]
    hosts += re.findall(r'(?i)(?:^|;)\s*host="?([^";,]+)', headers.get("Forwarded", "").split(",")[0])
    port = headers.get("X-Forwarded-Port", "").split(",")[0].strip()
    for host in filter(None, hosts):
        yield host
        if port.isdecimal() and not re.search(r":\d+$", host):
            yield f"{host}:{port}"


def _explain(origin: str, headers: Mapping[str, str]) -> str:
    if not origin:
        return "A write by cookie has to say from which page it comes (Origin); programs use a token instead"
    asked = " or ".join(dict.fromkeys(text[:100] for text in _asked(headers))) or "no host"
    if not normal(origin):
        return f"This was asked by a page of {origin[:100]!r}, not by the centre's own at {asked}"
    return (
        f"This was asked by a page of {origin[:100]}, but of {asked}. If that page is the centre's own, let "
        f"the proxy pass the address on (nginx: proxy_set_header Host $host:$server_port) or write "
        f'origins = ["{origin[:100]}"] under [http] in aggregator.toml'
    )
