"""Packed coordinates: fractions of the frame, 0..1 from the top left, as 16-bit steps."""

from __future__ import annotations

import struct
from collections.abc import Iterable

_STEP = 65535.0
_POINT = struct.Struct("<IHH")  # centiseconds after the first point, x, y
_BOX = struct.Struct("<4H")
_ROW = struct.Struct("<H4HBB")  # track, x1, y1, x2, y2, class, score: the 12-byte row of `live`

BOX_BYTES = _BOX.size
POINT_BYTES = _POINT.size
ROW_BYTES = _ROW.size


def _steps(fraction: float) -> int:
    return round(min(max(float(fraction), 0.0), 1.0) * _STEP)


def pack_box(x1: float, y1: float, x2: float, y2: float) -> bytes:
    """Pack a box of fractions into 8 bytes."""
    return _BOX.pack(_steps(x1), _steps(y1), _steps(x2), _steps(y2))


def unpack_box(packed: bytes) -> list[float]:
    """Return [x1, y1, x2, y2] in fractions."""
    return [round(step / _STEP, 5) for step in _BOX.unpack(packed)]


def pack_path(points: Iterable[tuple[float, float, float]]) -> bytes:
    """Pack (seconds after the first point, x, y) into 8 bytes a point."""
    return b"".join(_POINT.pack(round(seconds * 100), _steps(x), _steps(y)) for seconds, x, y in points)


def unpack_path(packed: bytes) -> list[list[float]]:
    """Return [[seconds after the first point, x, y], ...]."""
    return [[t / 100, round(x / _STEP, 5), round(y / _STEP, 5)] for t, x, y in _POINT.iter_unpack(packed)]


def pack_rows(rows: Iterable[tuple[int, float, float, float, float, int, int]]) -> bytes:
    """Pack (track, x1, y1, x2, y2, class, score percent) into 12 bytes each; the track wraps at 65536."""
    return b"".join(
        _ROW.pack(track & 0xFFFF, _steps(x1), _steps(y1), _steps(x2), _steps(y2), kind & 0xFF, score)
        for track, x1, y1, x2, y2, kind, score in rows
    )


def unpack_rows(packed: bytes) -> list[list[float]]:
    """Return [[track, x1, y1, x2, y2, class, score percent], ...], coordinates as fractions."""
    return [
        [track, *(round(step / _STEP, 5) for step in box), kind, score]
        for track, *box, kind, score in _ROW.iter_unpack(packed)
    ]
