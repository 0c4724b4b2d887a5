"""Two boxes under one name: how it shows in what they send.

A box has one agent, and each start of it is a new epoch, a random number; its state says which start was
`before` it on its disk. So a box that runs never goes back to an epoch that it has left. Who copies a box's
disk, or restores an old one, makes this happen:

    states of   7 9 7                    two boxes push each other off the broker in turn
    batches of  7 9 7 9                  the same, each begun after the one before
    a state of  5, before it 7, after 9  an older disk was put back

What always holds: what a box sends late (a backlog of the epoch before) is no sign, and neither is a batch
that comes again. The same number with other content is another matter: a conflict, see `ingest`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

REMEMBERED_MS = 3_600_000  # how long after the last sign it is told
_AHEAD_MS = 60_000  # a clock that is further ahead says nothing of what comes after
_EPOCHS = 64
_RETURNS = 2  # of batches, whose order is by the box's clock, which may be set back once


class Turns(NamedTuple):
    """Two starts of an agent that send in turn: which came first, which later, and since when (Unix ms).

    The one that came later is the copy: a box that begins anew has ended the start before.
    """

    elder: int
    newcomer: int
    since: int


class Copies:
    """What the epochs of one node say about it. Times are Unix milliseconds of the server."""

    def __init__(self) -> None:
        self._told: list[int] = []  # epochs of its states, the newest last
        self._first: dict[int, int] = {}  # epoch -> when it first sent a state, in that order
        self._begun: list[int] = []  # epochs of its batches in the order in which they were begun
        self._last_base = 0
        self._returns = 0
        self._returned_at = 0
        self._taking_turns: tuple[int, int] = (0, 0)
        self._turns_at = 0
        self._went_back: tuple[int, int] = (0, 0)
        self._went_back_at = 0

    def state(self, epoch: int, at: int, before: int = 0) -> Turns | None:
        """Take the epoch of a state that a node sent just now; return who takes turns if that is seen by it.

        `before`: the epoch before it on the box's disk, 0 if that is not known.
        """
        if not epoch or self._told[-1:] == [epoch]:
            return None
        found = None
        self._first.setdefault(epoch, at)
        if epoch in self._told:
            elder, newcomer = sorted((self._told[-1], epoch), key=list(self._first).index)
            self._turns(elder, newcomer, at)
            found = Turns(elder, newcomer, self._first[newcomer])
        elif before in self._told[:-1]:
            self._went_back = (self._told[-1], epoch)
            self._went_back_at = at
        self._told = _moved(self._told, epoch)
        self._first = {each: self._first[each] for each in self._first if each in self._told}
        return found

    def batch(self, epoch: int, base: int, at: int) -> None:
        """Take a batch that is new to the store; `base`: when it was begun, by the node's clock."""
        if not self._last_base < base < at + _AHEAD_MS:
            return
        self._last_base = base
        if self._begun[-1:] == [epoch]:
            return
        if epoch in self._begun:
            self._returns = self._returns + 1 if at - self._returned_at < REMEMBERED_MS else 1
            self._returned_at = at
            if self._returns >= _RETURNS:
                self._turns(self._begun[-1], epoch, at)
        self._begun = _moved(self._begun, epoch)

    def _turns(self, one: int, two: int, at: int) -> None:
        self._taking_turns = (min(one, two), max(one, two))
        self._turns_at = at

    def settled(self) -> None:
        """Forget who took turns: a person has said which is the box, or one of them has another name."""
        self._turns_at = 0

    def warnings(self, at: int) -> Iterable[str]:
        """Return what a person should know."""
        if self._turns_at and at - self._turns_at < REMEMBERED_MS:
            one, two = self._taking_turns
            yield (
                f"Two boxes send under this name in turn (starts {one} and {two}): one is a copy of the "
                "other. Stop one, and add it under a name of its own"
            )
        if self._went_back_at and at - self._went_back_at < REMEMBERED_MS:
            before, now = self._went_back
            yield (
                f"The box went back from start {before} to start {now}: an older copy of its disk seems to "
                "run. What it sends under numbers that were used is kept apart"
            )


def _moved(epochs: list[int], last: int) -> list[int]:
    """Return the epochs with this one as the last; the oldest are forgotten."""
    return [*(epoch for epoch in epochs[-_EPOCHS:] if epoch != last), last]
