"""One node's days out of its tallies and running totals: the arithmetic of `day`, fed by `chains`.

What always holds: a day is made from the detail alone, and making it again gives the same day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aggregator.store.day import (
    DAY,
    SLOT,
    Counted,
    Day,
    Filled,
    Quarters,
    Watched,
    pack,
    quarters,
    unpack,
)
from aggregator.store.running_totals import Increment, Row
from aggregator.store.slots import Slot, ZoneSlot

_FRAMES = ("captured", "inferred", "dropped")
_WORST = ("p50", "p95")
_FILL = ("watched", "inside", "queued", "most_inside", "most_queued")


class Draft:
    """A day while it is added up. `start`: Unix ms of its midnight, UTC; `before`: to add to."""

    def __init__(self, start: int, before: Day | None = None) -> None:
        self._start = start
        self._rows: dict[Row, Quarters] = defaultdict(quarters)
        self._cameras: dict[str, dict[str, Quarters]] = defaultdict(lambda: defaultdict(quarters))
        self._blind: dict[str, dict[str, Quarters]] = defaultdict(lambda: defaultdict(quarters))
        self._zones: dict[tuple[str, str, int], dict[str, Quarters]] = defaultdict(
            lambda: defaultdict(quarters)
        )
        if before is not None:
            self._take_over(before)

    def _take_over(self, day: Day) -> None:
        self._rows.update((row.row, unpack(row.amounts)) for row in day.rows)
        for one in day.cameras:
            names = ("watched", *_FRAMES, *_WORST)
            self._cameras[one.camera].update((name, unpack(getattr(one, name))) for name in names)
            self._blind[one.camera].update((reason, unpack(data)) for reason, data in one.blind.items())
        for zone in day.zones:
            held = self._zones[zone.camera, zone.zone, zone.version]
            held.update((name, unpack(getattr(zone, name))) for name in _FILL)

    def count(self, steps: Iterable[Increment]) -> None:
        """Add what minutes counted."""
        for step in steps:
            values = self._rows[step.row]
            slot = (step.minute - self._start) // SLOT
            values[slot] = max(values[slot], 1) + step.amount

    def watch(self, slots: Iterable[Slot]) -> None:
        """Add what cameras' quarters were like."""
        for one in slots:
            slot = (one.start - self._start) // SLOT
            camera = self._cameras[one.camera]
            camera["watched"][slot] = max(camera["watched"][slot], 1) + one.watched
            for name in _FRAMES:
                camera[name][slot] += getattr(one, name)
            for name in _WORST:
                camera[name][slot] = max(camera[name][slot], getattr(one, name))
            for reason, blind in one.blind.items():
                self._blind[one.camera][reason][slot] += blind

    def fill(self, slots: Iterable[ZoneSlot]) -> None:
        """Add how full zones were."""
        for one in slots:
            slot = (one.start - self._start) // SLOT
            zone = self._zones[one.camera, one.zone, one.version]
            zone["watched"][slot] = max(zone["watched"][slot], 1) + one.watched
            for name in ("inside", "queued"):
                zone[name][slot] += getattr(one, name)
            for name in ("most_inside", "most_queued"):
                zone[name][slot] = max(zone[name][slot], getattr(one, name))

    def day(self) -> Day:
        """Return what it comes to."""
        rows = [Counted(*row, pack(values)) for row, values in sorted(self._rows.items())]
        cameras = []
        for name, fields in sorted(self._cameras.items()):
            packed = [pack(fields[field]) for field in (*_FRAMES, *_WORST)]
            blind = {reason: pack(values) for reason, values in sorted(self._blind[name].items())}
            cameras.append(Watched(name, pack(fields["watched"]), blind, *packed))
        zones = []
        for key, fields in sorted(self._zones.items()):
            zones.append(Filled(*key, *(pack(fields[field]) for field in _FILL)))
        return Day(rows, cameras, zones)


def by_day(values: Iterable[Any], moment: str) -> Mapping[int, list[Any]]:
    """Return day of UTC -> the values whose attribute `moment` (Unix ms) lies in it."""
    found: dict[int, list[Any]] = defaultdict(list)
    for value in values:
        at = getattr(value, moment)
        found[at // DAY * DAY].append(value)
    return found
