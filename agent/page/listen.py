"""Where the box's page listens."""

from __future__ import annotations

import ipaddress


def address(listen: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; raise ValueError saying what one looks like."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise ValueError(f'{listen!r} is no address to listen at; write "0.0.0.0:8070" or "127.0.0.1:8070"')
    return host, number
