"""Who asks, what they may do, and on which nodes.

What always holds: a role contains those before it. A reach with neither sites nor groups is the whole fleet;
one that names a site which is gone reaches nothing there, it never grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

ROLES = ("viewer", "operator", "admin")


class Refused(Exception):
    """A request that is not let in: HTTP status, code and a sentence, and at times more for programs."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details


class Reach(NamedTuple):
    """The sites and groups whose nodes somebody sees; neither: all nodes."""

    sites: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sites: Iterable[str], groups: Iterable[str]) -> Reach:
        """Return the reach of some names."""
        return cls(frozenset(sites), frozenset(groups))

    @property
    def whole(self) -> bool:
        """True if it is the whole fleet."""
        return not self.sites and not self.groups

    def meets(self, site: str, groups: Iterable[str]) -> bool:
        """True if a node of this site and these groups is within it."""
        return self.whole or site in self.sites or not self.groups.isdisjoint(groups)


EVERYWHERE = Reach()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what they may do. `session`: the key of the session, `token`: the id, that says so."""

    user: str
    role: str
    reach: Reach = EVERYWHERE
    session: str = ""
    token: str = ""

    def may(self, role: str) -> bool:
        """True if this one's role is at least `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)
