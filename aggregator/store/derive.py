"""One node's days out of its tallies and running totals: the arithmetic of `day`, fed by `chains`.

What always holds: a day is made from the detail alone, and making it again gives the same day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aggregator.store.day import (
    DAY,
    SLOT,
    SLOTS,
    Counted,
    Day,
    Filled,
    Watched,
    pack,
    unpack,
)
from aggregator.store.running_totals import Increment, Row, increments
from aggregator.store.slots import Slot, ZoneSlot

Quarters = list[int]  # 96 numbers: what is added up one by one is faster in a list than in an array

_FRAMES = ("captured", "inferred", "dropped")
_WORST = ("p50", "p95")
_FILL = ("watched", "inside", "queued", "most_inside", "most_queued")


class Draft:
    """A day while it is added up. `start`: Unix ms of its midnight, UTC; `before`: to add to."""

    def __init__(self, start: int, before: Day | None = None) -> None:
        self._start = start
        self._rows: dict[Row, Quarters] = defaultdict(_quarters)
        self._cameras: dict[str, dict[str, Quarters]] = defaultdict(_by_name)
        self._blind: dict[str, dict[str, Quarters]] = defaultdict(_by_name)
        self._zones: dict[tuple[str, str, int], dict[str, Quarters]] = defaultdict(_by_name)
        if before is not None:
            self._take_over(before)

    def _take_over(self, day: Day) -> None:
        self._rows.update((row.row, _unpack(row.amounts)) for row in day.rows)
        for one in day.cameras:
            names = ("watched", *_FRAMES, *_WORST)
            self._cameras[one.camera].update((name, _unpack(getattr(one, name))) for name in names)
            self._blind[one.camera].update((reason, _unpack(data)) for reason, data in one.blind.items())
        for zone in day.zones:
            held = self._zones[zone.camera, zone.zone, zone.version]
            held.update((name, _unpack(getattr(zone, name))) for name in _FILL)

    def count(self, step: Increment) -> None:
        """Add what a minute counted."""
        values = self._rows[step.row]
        slot = (step.minute - self._start) // SLOT
        values[slot] = (values[slot] or 1) + step.amount

    def watch(self, one: Slot) -> None:
        """Add what a camera's quarter was like."""
        slot = (one.start - self._start) // SLOT
        camera = self._cameras[one.camera]
        camera["watched"][slot] = (camera["watched"][slot] or 1) + one.watched
        for name in _FRAMES:
            camera[name][slot] += getattr(one, name)
        for name in _WORST:
            camera[name][slot] = max(camera[name][slot], getattr(one, name))
        for reason, blind in one.blind.items():
            self._blind[one.camera][reason][slot] += blind

    def fill(self, one: ZoneSlot) -> None:
        """Add how full a zone was."""
        slot = (one.start - self._start) // SLOT
        zone = self._zones[one.camera, one.zone, one.version]
        zone["watched"][slot] = (zone["watched"][slot] or 1) + one.watched
        for name in ("inside", "queued"):
            zone[name][slot] += getattr(one, name)
        for name in ("most_inside", "most_queued"):
            zone[name][slot] = max(zone[name][slot], getattr(one, name))

    def day(self) -> Day:
        """Return what it comes to."""
        rows = [Counted(*row, _pack(values)) for row, values in sorted(self._rows.items())]
        cameras = []
        for name, fields in sorted(self._cameras.items()):
            packed = [_pack(fields[field]) for field in (*_FRAMES, *_WORST)]
            blind = {reason: _pack(values) for reason, values in sorted(self._blind[name].items())}
            cameras.append(Watched(name, _pack(fields["watched"]), blind, *packed))
        zones = []
        for key, fields in sorted(self._zones.items()):
            zones.append(Filled(*key, *(_pack(fields[field]) for field in _FILL)))
        return Day(rows, cameras, zones)


def _quarters() -> Quarters:
    return [0] * SLOTS


def _by_name() -> dict[str, Quarters]:
    return defaultdict(_quarters)


def _pack(values: Quarters) -> bytes:
    return pack(np.array(values, np.int64))


def _unpack(data: bytes) -> Quarters:
    values: Quarters = unpack(data).tolist()
    return values


class Told:
    """What a node told of a span: documents of `counts`, tallies and zones by the quarter hour.

    `epochs`: midnight -> the starts of the agent that told something of that day.
    """

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], watched: Sequence[Slot], filled: Sequence[ZoneSlot]
    ) -> None:
        self.rows = rows
        self.watched = watched
        self.filled = filled
        self.epochs: dict[int, set[int]] = defaultdict(set)
        for row in rows:
            self.epochs[int(row["h"]) // DAY * DAY].add(int(row["y"]))


def derive(told: Told, begin: int, until: int, before: Day | None) -> dict[int, Day]:
    """Return midnight -> the day, of what was told in [begin, until), Unix ms.

    Args:
        told: at least of this span.
        begin: a full hour; a midnight without `before`.
        until: a full hour.
        before: what the day of `begin` came to up to there.
    """
    first = begin // DAY * DAY
    drafts: dict[int, Draft] = {} if before is None else {first: Draft(first, before)}

    def draft(at: int) -> Draft:
        day = at // DAY * DAY
        if day not in drafts:
            drafts[day] = Draft(day)
        return drafts[day]

    for step in increments(told.rows):
        if begin <= step.minute < until:
            draft(step.minute).count(step)
    for slot in told.watched:
        if begin <= slot.start < until:
            draft(slot.start).watch(slot)
    for zone in told.filled:
        if begin <= zone.start < until:
            draft(zone.start).fill(zone)
    return {day: drafts[day].day() for day in sorted(drafts)}
