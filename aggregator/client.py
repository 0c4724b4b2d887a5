"""Where a request comes from: the address whose failures and connections are counted together.

What always holds: `X-Forwarded-For` is believed only as far as proxies of ours wrote it, from the right; what
anybody else puts there changes nothing. A household or company has an IPv6 network of 64 bits: its addresses
count as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str]) -> list[Network]:
    """Read addresses and networks; raise ValueError for what is neither."""
    return [ip_network(text, strict=False) for text in texts]


def is_ours(address: str, ours: Sequence[Network]) -> bool:
    """True if an address is in one of these networks."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in ours)


def client_address(remote: str, forwarded: Iterable[str], proxies: Sequence[Network]) -> str:
    """Return who sent a request: the nearest address that is no proxy of ours.

    Args:
        remote: the address at the other end of the connection.
        forwarded: the values of `X-Forwarded-For`, each a list with commas.
        proxies: of ours, whose word is believed.
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    address = remote
    while hops and is_ours(address, proxies):
        address = hops.pop()
    return address


def group_of(address: str) -> str:
    """Return what an address is counted as: itself, or its IPv6 network."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
