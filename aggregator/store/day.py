"""One node's day (of UTC) as it is kept for years: what was counted and watched, by quarter hour.

Every time zone's hours and days begin at a quarter of UTC, so any zone's buckets are sums of quarters, over
daylight saving too, and a site may change its zone later.

What always holds: an array has 96 quarters. It is stored as two bytes, the first quarter that says something
and the width of a number, and then the numbers up to the last that says something, little-endian, as narrow
as the largest allows. In `Counted.amounts` and every `watched` each number is one more than it says, and 0
means that nothing was told of that quarter: nothing counted is not the same as nobody told.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from aggregator.store.running_totals import MINUTE, Row

DAY = 86_400_000
SLOT = 15 * MINUTE
SLOTS = DAY // SLOT
_WIDTHS = (1, 2, 4, 8)  # bytes of a number

Quarters = NDArray[np.int64]  # shape (96,), or (96 * days,)


class Counted(msgspec.Struct, array_like=True):
    """How often one row was counted."""

    camera: str
    line: str
    version: int
    direction: str
    label: str
    amounts: bytes

    @property
    def row(self) -> Row:
        """What was counted."""
        return Row(self.camera, self.line, self.version, self.direction, self.label)


class Watched(msgspec.Struct, array_like=True):
    """A camera's tallies: ms watched, ms blind by reason, frames, the worst minute's latencies in ms."""

    camera: str
    watched: bytes
    blind: dict[str, bytes]
    captured: bytes
    inferred: bytes
    dropped: bytes
    p50: bytes
    p95: bytes


class Filled(msgspec.Struct, array_like=True):
    """How full a zone was: ms watched; hundredths of an object x ms inside and queued; the most of each."""

    camera: str
    zone: str
    version: int
    watched: bytes
    inside: bytes
    queued: bytes
    most_inside: bytes
    most_queued: bytes


class Day(msgspec.Struct, array_like=True):
    """What a node's day comes to."""

    rows: list[Counted] = []
    cameras: list[Watched] = []
    zones: list[Filled] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Day)


def encode(day: Day) -> bytes:
    """Return a day as it is stored."""
    return _encoder.encode(day)


def decode(blob: bytes) -> Day:
    """Read a day as it was stored."""
    return _decoder.decode(blob)


def quarters() -> Quarters:
    """Return an array that says nothing."""
    return np.zeros(SLOTS, np.int64)


def pack(values: Quarters) -> bytes:
    """Return 96 numbers, none below 0, as they are stored; empty if all are 0."""
    told = np.flatnonzero(values)
    if not len(told):
        return b""
    first = int(told[0])
    some = values[first : int(told[-1]) + 1]
    most = int(some.max())
    width = next(width for width in _WIDTHS if most < 1 << (8 * width) or width == _WIDTHS[-1])
    return bytes((first, width)) + some.astype(f"<u{width}").tobytes()


def add(values: Quarters, told: Quarters | None, at: int, data: bytes) -> None:
    """Add the numbers that `pack` stored to `values`, a day's first quarter being at `at`.

    With `told`, each is one more than it says: what it says is added, and to `told` 1 where it says anything.
    """
    if not data:
        return
    some = np.frombuffer(data, f"<u{data[1]}", offset=2)
    first = at + data[0]
    values[first : first + len(some)] += some
    if told is not None:
        is_told = some > 0
        values[first : first + len(some)] -= is_told
        told[first : first + len(some)] += is_told


def unpack(data: bytes) -> Quarters:
    """Return the 96 numbers that `pack` stored."""
    values = quarters()
    if data:
        some = np.frombuffer(data, f"<u{data[1]}", offset=2)
        values[data[0] : data[0] + len(some)] = some
    return values
