"""Where something was found: a node, a camera of it, a line or zone of that; what a rule's scope means."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from aggregator.alerts.rules import Scope


class Place(NamedTuple):
    """A node, or a part of it. All empty: the centre itself."""

    node: str = ""
    camera: str = ""
    gate: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in self if part) or "the centre"


class Found(NamedTuple):
    """A condition holds here. `since`: Unix ms where that is known, else 0; `text`: a sentence for people.

    `grade`: how bad, where a condition has several degrees; a higher one is told anew.
    """

    text: str
    since: int = 0
    grade: int = 0


class Verdict:
    """What a rule found. What is neither in `found` nor `unknown` is clear."""

    def __init__(self) -> None:
        self.found: dict[Place, Found] = {}
        self.unknown: set[Place] = set()
        self.blind = False  # nothing at all can be known now: what was found before stays as it was

    def knows(self, place: Place) -> bool:
        """True if it can be said of this place whether the condition holds."""
        if self.blind:
            return False
        return not self.unknown & {place, place._replace(gate=""), Place(place.node)}


class Membership(NamedTuple):
    """Where a node belongs."""

    site: str = ""
    groups: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


NOWHERE = Membership()


def fits(pattern: str, name: str) -> bool:
    """True if a name is the pattern, in which `*` stands for any letters. One pass, whatever is asked."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *middle, last = rest
    if not (name.startswith(first) and name.endswith(last) and len(name) >= len(first) + len(last)):
        return False
    place = len(first)
    end = len(name) - len(last)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def matches(patterns: Collection[str], names: Collection[str]) -> bool:
    """True if there are no patterns, or one of them fits one of the names."""
    return not patterns or any(fits(pattern, name) for pattern in patterns for name in names)


def holds_node(scope: Scope, node: str, member: Membership) -> bool:
    """True if a scope includes a node."""
    return (
        matches(scope.nodes, [node])
        and matches(scope.sites, [member.site])
        and matches(scope.groups, member.groups)
        and matches(scope.labels, member.labels)
    )


def holds_camera(scope: Scope, camera: str) -> bool:
    """True if a scope includes a camera of its nodes."""
    return matches(scope.cameras, [camera])
