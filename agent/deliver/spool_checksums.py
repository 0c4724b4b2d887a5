"""Checksums of the rows of a spool: a row is believed only if its own fits.

What always holds: any bytes and any types may come out of a damaged file; what cannot be ours has no checksum
that fits.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

from agent import wire


def event_crc(batch: Any, i: Any, kind: Any, body: Any) -> int:
    """Return the checksum of an event's row; -1 if it cannot be a row of ours."""
    try:
        return zlib.crc32(body, zlib.crc32(struct.pack("<QQQ", batch, i, kind)))
    except (struct.error, TypeError):
        return -1


def batch_crc(id_: Any, epoch: Any, base: Any, mono: Any) -> int:
    """Return the checksum of the part of a batch's row that never changes."""
    try:
        return zlib.crc32(struct.pack("<QQqq", id_, epoch, base, mono))
    except (struct.error, TypeError):
        return -1


def epoch_crc(epoch: Any, next_: Any, committed: Any, acked: Any, lost: Any) -> int:
    """Return the checksum of an epoch's numbers; -1 if they cannot be ours."""
    try:
        return zlib.crc32(struct.pack("<QQQQQ", epoch, next_, committed, acked, lost))
    except (struct.error, TypeError):
        return -1


def state_crc(key: str, value: Any) -> int:
    """Return the checksum of a remembered value."""
    return zlib.crc32(value, zlib.crc32(key.encode())) if isinstance(value, bytes) else -1


def is_payload(sealed: Any, epoch: int, seq: Any, base: int, mono: int, bodies: list[bytes]) -> bytes | None:
    """Return the payload of a sealed batch if it is still what it was."""
    if not isinstance(seq, int):
        return None
    payload = wire.encode_batch(epoch, seq, base, mono, bodies)
    return payload if zlib.crc32(payload) == sealed else None
