"""Room: a spool within its limit, and a write on a disk that is full.

What always holds: detail goes first, oldest first, then stays; counts go only where there is no disk to keep
them. What goes is counted, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.deliver.spool_db import FAILURES, is_stuck
from agent.deliver.spool_place import Place
from agent.deliver.spool_values import COUNTS, DROPPED_IN_TURN, Now

MEMORY_BYTES = 8 * 1024 * 1024  # of events, while there is no disk
_TRIES = 4


def slack(limit_bytes: int) -> int:
    """Return how many bytes are dropped at once, so that not each append has to drop some."""
    return min(max(limit_bytes // 200, 16 * 1024), 1024 * 1024)


def keep_limit(place: Place, limit_bytes: int, now: Now) -> None:
    """Drop what is above the limit; a disk that is stuck lets us do that at the next write."""
    limit = min(limit_bytes, MEMORY_BYTES) if place.in_memory else limit_bytes
    if place.batches.used <= limit:
        return
    turns = (*DROPPED_IN_TURN, COUNTS) if place.in_memory else DROPPED_IN_TURN
    reason = "there is no disk to keep it" if place.in_memory else "the spool has reached its limit"
    goal = limit - slack(limit_bytes)
    try:
        place.guarded(lambda: place.batches.shrink(goal, reason, now, turns), now)
    except FAILURES as error:
        if not is_stuck(error):
            raise


def written_on_full_disk(place: Place, write: Callable[[], None], step_bytes: int, now: Now) -> bool:
    """Make room on a full disk (the ballast, then detail) and write; False if it is still full."""

    def checkpoint_and_write() -> bool:
        place.batches.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        write()
        return True

    def shrink() -> bool:
        goal = place.batches.used - step_bytes
        return place.batches.shrink(goal, "the disk was full", now, DROPPED_IN_TURN)

    place.ballast.spend(now)
    for _ in range(_TRIES):
        if _worked(checkpoint_and_write):
            place.look_at_disk()
            return True
        if not _worked(shrink):
            return False
    return False


def _worked(work: Callable[[], bool]) -> bool:
    try:
        return work()
    except FAILURES as error:
        if is_stuck(error):
            return False
        raise
