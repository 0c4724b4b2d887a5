"""The rows of a minute's tally: running totals of lines, zones and trips, and how full zones were."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from agent.wire.terms import (
    Count,
    Direction,
    Label,
)


class LineTotal(Struct, array_like=True, frozen=True):
    """The running total of one (line, version, direction, label)."""

    line: Label
    version: Count
    direction: Direction
    label: Label
    total: Count


class ZoneTotal(Struct, array_like=True, frozen=True):
    """The running totals of one (zone, version, label): objects that came in, and that went out."""

    zone: Label
    version: Count
    label: Label
    entered: Count
    left: Count


class ZoneMinute(Struct, array_like=True, frozen=True):
    """How full a zone was in a minute's watched time: time-weighted mean, peak, and as the minute ended.

    A mean is in hundredths of an object. `queue_`: the same of those that stood still.
    """

    zone: Label
    version: Count
    mean: Count
    peak: Count
    now: Count
    queue_mean: Count
    queue_peak: Count
    queue_now: Count


class TripTotal(Struct, array_like=True, frozen=True):
    """The running total of ended objects by first and last gate, each as `Gate.text`."""

    origin: Annotated[str, Meta(min_length=1, max_length=64)]
    destination: Annotated[str, Meta(min_length=1, max_length=64)]
    label: Label
    total: Count
