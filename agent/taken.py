"""Which orders of the centre a box has taken: none is done a second time.

What always holds: an order is remembered until it expires, on the box's own disk if it changes something: a
copy of it that comes after a restart is known too. What has expired is refused for that, and forgotten.
"""

from __future__ import annotations

import msgspec

from agent.deliver.spool import SpoolWorker

KEY = "orders"
MOST = 1000  # that have not expired

_Kept = dict[str, int]  # id -> when it expires, Unix ms


class Taken:
    """The orders that were taken. `kept`: those that lie on the disk; what cannot be read is none."""

    def __init__(self, kept: bytes | None = None) -> None:
        self._lasting = _read(kept)
        self._passing: _Kept = {}
        self._is_kept = True

    @classmethod
    async def restore(cls, spool: SpoolWorker) -> Taken:
        """Go on from what is on the disk."""
        return cls(await spool.recall(KEY))

    def __contains__(self, id_: str) -> bool:
        return id_ in self._lasting or id_ in self._passing

    def has_room(self, now_ms: int) -> bool:
        """Forget what has expired; return whether another one can be remembered."""
        self._lasting = {id_: expires for id_, expires in self._lasting.items() if expires >= now_ms}
        self._passing = {id_: expires for id_, expires in self._passing.items() if expires >= now_ms}
        return len(self._lasting) + len(self._passing) < MOST

    def take(self, id_: str, expires: int, lasts: bool) -> None:
        """Remember an order. `lasts`: over a restart too."""
        if lasts:
            self._lasting[id_] = expires
            self._is_kept = False
        else:
            self._passing[id_] = expires

    async def keep(self, spool: SpoolWorker) -> None:
        """Put what is new of it on the disk."""
        if not self._is_kept:
            self._is_kept = True
            await spool.remember(KEY, msgspec.msgpack.encode(self._lasting))


def _read(kept: bytes | None) -> _Kept:
    try:
        return msgspec.msgpack.decode(kept, type=_Kept) if kept else {}
    except msgspec.DecodeError:
        return {}
