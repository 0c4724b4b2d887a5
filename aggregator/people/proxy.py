"""Sign-in by a reverse proxy: it has asked who somebody is, and says so in a header.

What always holds: the header is believed only from the addresses that are named for it, and only where it
comes once; from anywhere else it is as if it were not there. Off unless the header has a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.client import Network, is_ours
from aggregator.people.identity import Identity, Reach, Refused
from aggregator.store.people import People

USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/-]{0,63}")


class ProxySignIn:
    """Believes a proxy's word.

    Args:
        header: what holds the user's name, e.g. `Remote-User`.
        proxies: the addresses that may say so.
        role: of somebody whom the centre does not know; empty: they are refused.
    """

    def __init__(self, header: str, proxies: Sequence[Network], role: str = "") -> None:
        self._header = header
        self._proxies = proxies
        self._role = role

    def trusts(self, peer: str) -> bool:
        """True if this address may say who somebody is."""
        return is_ours(peer, self._proxies)

    async def identity(self, people: People, headers: Mapping[str, str], peer: str) -> Identity | None:
        """Return who a proxy says it is; None if it says nothing or may not. Raise Refused."""
        named = _all(headers, self._header)
        if not named or not self.trusts(peer):
            return None
        if len(named) > 1 or not USER_NAME.fullmatch(named[0]):
            raise Refused(401, "wrong_login", f"{self._header} must hold one user's name")
        found = await people.user(named[0])
        if found is None and not self._role:
            raise Refused(403, "no_user", f"{named[0]} is no user of this centre: an administrator adds one")
        row: dict[str, Any] = found or {"role": self._role}
        return Identity(named[0], row["role"], Reach.of(row.get("sites", ()), row.get("groups", ())))


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    """Return every value of a header."""
    several = getattr(headers, "getall", None)
    return list(several(name, [])) if several else [headers[name]] if name in headers else []
