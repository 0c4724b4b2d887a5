"""SQLite's write-ahead log, read from outside: is something in it that SQLite does not believe any more?

SQLite takes the log as far as its chain of checksums holds and says nothing of what lies behind. Where a
transaction ends behind the break, it may have been accepted; so may one whose frames cannot be recognised.
What lies there rightly: frames of a log before this one (their first salt is lower), and zeros that were
never written. Source: "WAL-mode File Format" of SQLite.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD = struct.Struct(">8I")  # magic, version, page size, checkpoint, two salts, two checksums
_FRAME = struct.Struct(
    ">6I"
)  # page, size of the database if a transaction ends here, two salts, two checksums
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}  # by the magic number: how the words of the checksum are read


_LOGS_BEFORE = 2**16  # of which frames may still be there


def ends_of_transactions(log: Path, page_bytes: int) -> list[int]:
    """Return the numbers (from 1) of the frames that end a transaction of this log, or may do so."""
    try:
        content = log.read_bytes()
    except OSError:
        return []
    if len(content) < _HEAD.size + _FRAME.size:
        return []
    step = _FRAME.size + page_bytes
    places = range(_HEAD.size, len(content) - step + 1, step)
    frames = [_FRAME.unpack_from(content, place) for place in places]
    if not frames:
        return []
    salts = _HEAD.unpack_from(content)[4:6] if _is_whole(content[: _HEAD.size]) else frames[0][2:4]
    return [n for n, frame in enumerate(frames, 1) if _may_end(frame, salts)]


def _may_end(frame: tuple[int, ...], salts: tuple[int, ...]) -> bool:
    if frame[2:4] == salts:
        return frame[1] > 0
    is_older = 0 < (salts[0] - frame[2]) % 2**32 < _LOGS_BEFORE
    return any(frame) and not is_older


def _is_whole(head: bytes) -> bool:
    """Check the head's own checksum."""
    order = _ORDERS.get(_HEAD.unpack(head)[0])
    if order is None:
        return False
    words = struct.unpack(f"{order}6I", head[:24])
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return (one, two) == _HEAD.unpack(head)[6:8]
