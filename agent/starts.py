"""Which start of the agent came before this one, by the box's own disk.

What always holds: it lies in the spool's file, so a copy of a disk has the same past as the disk itself, and
a centre can tell what goes on from a box from what goes on from its copy.
"""

from __future__ import annotations

from agent.deliver.spool import SpoolWorker

KEY = "start"


class Starts:
    """The line of starts of one box. `last`: the start before the one that runs now; 0: none is known."""

    def __init__(self, epoch: int, last: int) -> None:
        self._epoch = epoch
        self._last = last
        self._kept = 0

    @classmethod
    async def restore(cls, spool: SpoolWorker) -> Starts:
        """Learn which start was before, and remember the one that runs now."""
        text = (await spool.recall(KEY) or b"").decode("ascii", "replace")
        starts = cls(0, int(text) if text.isdecimal() else 0)
        await starts.keep(spool)
        return starts

    async def keep(self, spool: SpoolWorker) -> None:
        """Remember which start runs, where that is another one than before."""
        if self._kept != spool.epoch:
            self._kept = spool.epoch
            await spool.remember(KEY, str(spool.epoch).encode())

    def before(self, epoch: int) -> int:
        """Return the start before `epoch`, which is the one that runs now.

        It changes while the agent runs where the disk fails and events go to memory.
        """
        if epoch != self._epoch:
            self._last = self._epoch or self._last
            self._epoch = epoch
        return self._last
