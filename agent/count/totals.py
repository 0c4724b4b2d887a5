"""The running totals of one camera, and how they are remembered over a restart.

What always holds: a total never falls and is never zeroed. A line or zone that is edited counts on under its
new version; what was counted under an old one stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from agent import wire

TRIPS_TOLD = 256  # rows of trips in one tally, where not more have changed


class _Row(msgspec.Struct, array_like=True):
    line: str
    version: int
    direction: wire.Direction
    label: str
    total: int


class _Snapshot(msgspec.Struct):
    rows: list[_Row] = []
    objects: dict[str, int] = {}
    zones: list[tuple[str, int, str, int, int]] = []
    trips: list[tuple[str, str, str, int]] = []


@dataclass(slots=True)
class Totals:
    """The running totals of one camera.

    `rows`: (line, version, direction, label) -> crossings; `objects`: label -> objects; `zones`: (zone,
    version, label) -> [entered, left]; `trips`: (origin, destination, label) -> objects.
    """

    rows: dict[tuple[str, int, wire.Direction, str], int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    zones: dict[tuple[str, int, str], list[int]] = field(default_factory=dict)
    trips: dict[tuple[str, str, str], int] = field(default_factory=dict)
    passed: int = 0  # crossings since the start
    _changed: set[tuple[str, int]] = field(default_factory=set)
    _stirred: set[tuple[str, int]] = field(default_factory=set)
    _travelled: set[tuple[str, str, str]] = field(default_factory=set)

    def crossed(self, line: str, version: int, direction: wire.Direction, label: str) -> int:
        """Count one crossing; return the new total of its row."""
        key = (line, version, direction, label)
        self.rows[key] = self.rows.get(key, 0) + 1
        self.passed += 1
        self._changed.add((line, version))
        return self.rows[key]

    def seen(self, label: str) -> None:
        """Count one object."""
        self.objects[label] = self.objects.get(label, 0) + 1

    def entered(self, zone: str, version: int, label: str) -> None:
        """Count one object into a zone."""
        self._zone(zone, version, label)[0] += 1

    def left(self, zone: str, version: int, label: str) -> None:
        """Count one object out of a zone."""
        self._zone(zone, version, label)[1] += 1

    def _zone(self, zone: str, version: int, label: str) -> list[int]:
        self._stirred.add((zone, version))
        return self.zones.setdefault((zone, version, label), [0, 0])

    def travelled(self, origin: str, destination: str, label: str) -> None:
        """Count one object from its first gate to its last."""
        key = (origin, destination, label)
        self.trips[key] = self.trips.get(key, 0) + 1
        self._travelled.add(key)

    def told(self, current: Iterable[tuple[str, int]]) -> list[wire.LineTotal]:
        """Return the rows of the current lines and of those that changed since this was asked last."""
        wanted = self._changed | set(current)
        self._changed = set()
        return [wire.LineTotal(*key, total) for key, total in self.rows.items() if key[:2] in wanted]

    def told_zones(self, current: Iterable[tuple[str, int]]) -> list[wire.ZoneTotal]:
        """Return the rows of the current zones and of those that changed since this was asked last."""
        wanted = self._stirred | set(current)
        self._stirred = set()
        return [wire.ZoneTotal(*key, *both) for key, both in self.zones.items() if key[:2] in wanted]

    def told_trips(self) -> list[wire.TripTotal]:
        """Return the trips: all that changed since this was asked last, and of the others what has room."""
        changed = self._travelled
        self._travelled = set()
        others = [key for key in self.trips if key not in changed]
        keys = sorted(changed) + others[: max(TRIPS_TOLD - len(changed), 0)]
        return [wire.TripTotal(*key, self.trips[key]) for key in keys]

    def snapshot(self) -> bytes:
        """Return all totals, to be remembered."""
        rows = [_Row(*key, total) for key, total in self.rows.items()]
        zones = [(*key, entered, left) for key, (entered, left) in self.zones.items()]
        trips = [(*key, total) for key, total in self.trips.items()]
        return msgspec.json.encode(_Snapshot(rows, self.objects, zones, trips))

    @classmethod
    def restore(cls, snapshot: bytes | None) -> Totals:
        """Return the totals that `snapshot` gave, or none at all; raise msgspec.DecodeError if garbled.

        Who was in a zone when the snapshot was taken has gone since, for all that is known: it has left.
        """
        kept = msgspec.json.decode(snapshot, type=_Snapshot) if snapshot else _Snapshot()
        rows = {(row.line, row.version, row.direction, row.label): row.total for row in kept.rows}
        zones = {(zone, version, label): [n, n] for zone, version, label, n, _ in kept.zones}
        trips = {(one, two, label): total for one, two, label, total in kept.trips}
        return cls(rows, dict(kept.objects), zones, trips)
