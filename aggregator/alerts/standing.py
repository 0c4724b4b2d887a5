"""What the conditions look at: each node as it stands now, taken from the fleet, and its zones' last minutes.

What always holds: nothing here waits. What is not known is absent, and never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from agent import wire
from aggregator.alerts.places import NOWHERE, Membership
from aggregator.ingest import Fact
from aggregator.node_view import STALE_MS, NodeView

OLD_MS = 300_000  # a minute's tally that is older says nothing of now
_MOST_CAMERAS = 100_000


@dataclass(slots=True)
class Node:
    """One node. `wanted`: the version of the document that is wanted, 0 if none is."""

    name: str
    state: str
    since: int
    cameras: Sequence[wire.CameraReport] = ()
    temperature: int | None = None
    disk_percent: int | None = None
    wanted: int = 0
    applied: int = 0
    error: str = ""
    copies: Sequence[str] = ()
    member: Membership = NOWHERE


@dataclass(slots=True)
class Standing:
    """The fleet at a moment (Unix ms).

    `deaf`: why the centre hears no node now; empty if it does. `cramped`: how little room its database has,
    `full`: so little that nothing is stored.
    """

    at: int
    deaf: str = ""
    cramped: str = ""
    full: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Told:
    """What the database says of all nodes: wanted versions, and who sent twice lately."""

    wanted: Mapping[str, int] = field(default_factory=dict)
    conflicting: Collection[str] = ()


def node_of(view: NodeView, at: int, told: Told, member: Membership) -> Node:
    """Return a node of the fleet as the conditions see it."""
    name = view.name
    state = view.standing(at)
    silent_since = max(view.heard, view.listening_since) + STALE_MS
    config = view.state.config if view.state else wire.ConfigReport()
    sample = view.resources if state == "online" else None
    copies = view.copied(at)
    if name in told.conflicting:
        copies.append("Batches come twice with different contents: one box is a copy of the other")
    return Node(
        name=name, state=state, since=silent_since if state == "stale" else view.since,
        cameras=view.state.cameras if view.state else (),
        temperature=sample.temperature if sample else None,
        disk_percent=sample.disk_percent if sample else None,
        wanted=told.wanted.get(name, 0), applied=config.applied, error=config.error,
        copies=copies, member=member,
    )  # fmt: skip


class ZonesNow:
    """The last minute of each camera's zones, as their tallies told it."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str], tuple[int, Sequence[wire.ZoneMinute]]] = {}

    def see(self, facts: Sequence[Fact]) -> None:
        """Take what was stored just now."""
        for fact in facts:
            event = fact.event
            if not isinstance(event, wire.Tally):
                continue
            key = (fact.node, event.camera)
            known = self._minutes.get(key)
            room = len(self._minutes) < _MOST_CAMERAS or known is not None
            if room and (known is None or known[0] <= event.at):
                self._minutes[key] = (event.at, event.occupancy)

    def keep(self, nodes: Collection[str]) -> None:
        """Forget all nodes but these."""
        known = set(nodes)
        self._minutes = {key: told for key, told in self._minutes.items() if key[0] in known}

    def of(self, at: int) -> Mapping[tuple[str, str], Sequence[wire.ZoneMinute] | None]:
        """Return (node, camera) -> its zones in the last minute; None where that is too old or to come."""
        return {
            key: minutes if at - OLD_MS <= told < at + OLD_MS else None
            for key, (told, minutes) in self._minutes.items()
        }
