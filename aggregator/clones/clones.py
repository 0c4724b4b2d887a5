"""A cloned box is stopped: one of two boxes of a name counts, the other is kept out until a person decides.

    states 7 9 7  ──▶  7 is the box, 9 its copy  ──▶  what 9 told is set aside, what it sends is left with it,
                                                      and it is told to stand aside

What always holds:

* The start that came later is the copy: a box that begins anew has ended the start before, so one that
  still speaks was there first. Whatever goes on from a copy (`State.before`) is a copy; what goes on from the
  box is the box.
* What a copy sends is neither stored nor acknowledged, so the copy keeps it. If a person says that the copy
  is the box, that comes in, what was set aside comes back, and what the other told since the copy appeared
  is set aside in its place: each moment is counted once.
* What is decided is kept before anything is moved, together with what is to be moved; a move that is cut is
  done again, also by an aggregator that starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from agent import wire
from agent.mqtt.client import BrokerError
from aggregator.copies import Turns
from aggregator.orders.orders import Tell
from aggregator.store.clones import CloneStore
from aggregator.store.errors import StoreError
from aggregator.work_queue import WorkQueue

_LOG = logging.getLogger(__name__)
_ORDER_SECONDS = 60
_FORGOTTEN_MS = 60_000  # what was decided so long ago and is not kept was taken away by another aggregator
_STARTS = 200  # of copies that are remembered of a node

Show = Callable[[str, str], None]


class Clone(Struct, omit_defaults=False):
    """What is decided of a node. `forked`: since when there are two; `since`: when that was seen, Unix ms.

    `kept`: the start of the box. `stopped`: starts of its copies. `resolved`: a person has said which is
    which, or the copy has joined under a name of its own; `by`: who, or that name. `aside`: starts that are
    still to be taken out of the counts, each from a moment on (Unix ms); `back`: those still to be put back.
    """

    kept: int
    stopped: list[int]
    since: int
    forked: int
    resolved: bool = False
    by: str = ""
    aside: dict[str, int] = {}
    back: list[int] = []

    @property
    def text(self) -> str:
        """Return what a person should know."""
        if self.resolved or not self.stopped:
            return ""
        return (
            f"What start {self.stopped[-1]} sends is kept out of the counts: start {self.kept} was there "
            "first. Say on the node's page which of them is the box"
        )


class Clones:
    """The copies of all nodes.

    `tell`: sends an order. `show`: takes a node and what a person should know of its copies. `counted_anew`:
    is called with a node whose counts have changed.
    """

    def __init__(
        self, store: CloneStore, tell: Tell, show: Show, counted_anew: Callable[[str], None]
    ) -> None:
        self._store = store
        self._tell = tell
        self._show = show
        self._counted_anew = counted_anew
        self._known: dict[str, Clone] = {}
        self._work = WorkQueue("copies", self.load, (StoreError,))
        self._moving = asyncio.Lock()

    def of(self, node: str) -> Clone | None:
        """Return what is decided of a node; None if it never had a copy."""
        return self._known.get(node)

    def is_apart(self, node: str, epoch: int) -> bool:
        """True if a start is a copy's."""
        clone = self._known.get(node)
        return clone is not None and epoch in clone.stopped

    def hears(self, node: str, state: wire.State) -> bool:
        """Take a node's state; return whether it is a copy's, which is then told to stand aside."""
        self._see_moved(node, state)
        clone = self._known.get(node)
        if clone is None:
            return False
        if state.epoch not in clone.stopped and state.epoch != clone.kept:
            if state.before in clone.stopped:
                self._stop(node, clone, state.epoch)
            elif state.before == clone.kept:
                clone.kept = state.epoch
                self._work.put(partial(self._save, node))
        if state.epoch not in clone.stopped:
            return False
        if state.online:
            self._work.put(partial(self._order, node, state.epoch))
        return True

    def _see_moved(self, node: str, state: wire.State) -> None:
        """Take that a copy has joined under a name of its own: nobody needs to say anything any more."""
        for other, clone in self._known.items():
            if other != node and not clone.resolved and state.before and state.before in clone.stopped:
                clone.resolved = True
                clone.by = node
                self._show(other, "")
                self._work.put(partial(self._save, other))

    def take_turns(self, node: str, turns: Turns) -> None:
        """Take that two starts send in turn: the one that came later is stopped."""
        clone = self._known.get(node)
        if clone is None or not {turns.elder, turns.newcomer} & set(clone.stopped):
            known = clone or Clone(turns.elder, [], 0, 0)
            clone = self._known[node] = Clone(
                turns.elder, known.stopped, _now_ms(), turns.since, aside=known.aside, back=known.back
            )
            self._stop(node, clone, turns.newcomer)
            self._work.put(partial(self._order, node, turns.newcomer))

    def _stop(self, node: str, clone: Clone, epoch: int) -> None:
        """Keep a start out of the counts from now on."""
        _LOG.warning("%s: start %d is a copy's; it is kept out of the counts", node, epoch)
        clone.stopped = [*clone.stopped, epoch][-_STARTS:]
        clone.aside[str(epoch)] = 0
        clone.back = [each for each in clone.back if each != epoch]
        self._show(node, clone.text)
        self._work.put(partial(self._save, node))
        self._work.put(partial(self._move, node))

    async def keep(self, node: str, epoch: int, user: str) -> Clone | None:
        """Take a person's word for which start is the box; None if that is no start of it or of a copy.

        Raises:
            StoreError: The database is away; nothing is decided.
        """
        clone = self._known.get(node)
        if clone is None or epoch not in (clone.kept, *clone.stopped):
            return None
        before = clone.kept
        if epoch != before:
            stopped = [each for each in clone.stopped if each != epoch] + [before]
            aside = {**clone.aside, str(before): clone.forked}
            aside.pop(str(epoch), None)
            back = [each for each in (*clone.back, epoch) if each != before]
            clone = Clone(epoch, stopped, clone.since, clone.forked, aside=aside, back=back)
        clone = msgspec.structs.replace(clone, resolved=True, by=user)
        self._known[node] = clone
        await self._save(node)
        self._show(node, clone.text)
        if epoch != before:
            self._work.put(partial(self._move, node))
            self._work.put(partial(self._order, node, before))
            with contextlib.suppress(StoreError):  # it is decided, and done again
                await self._move(node)
        return clone

    async def forget(self, node: str) -> None:
        """Forget a node's copies: it was removed, or another box takes its place. Raise StoreError."""
        if self._known.pop(node, None) is not None:
            await self._store.remove(node)
            self._show(node, "")

    # ── what is done in its own time ──

    async def _save(self, node: str) -> None:
        """Keep what is decided of a node now, however long this has waited."""
        clone = self._known.get(node)
        if clone is not None:
            await self._store.put(node, msgspec.to_builtins(clone))

    async def _move(self, node: str) -> None:
        """Take out of the counts, and put back, what is still to be moved of a node's starts."""
        async with self._moving:
            clone = self._known.get(node)
            if clone is None or not (clone.aside or clone.back):
                return
            aside, back = dict(clone.aside), list(clone.back)  # more may come while these are moved
            amount = 0
            for epoch, since in aside.items():
                amount += await self._store.set_aside(node, int(epoch), since)
            for start in back:
                amount += await self._store.take_back(node, start)
            clone = self._known.get(node)
            if clone is not None and (clone.aside, clone.back) == (aside, back):
                self._known[node] = msgspec.structs.replace(clone, aside={}, back=[])
                await self._save(node)
        if amount:
            self._counted_anew(node)

    async def _order(self, node: str, epoch: int) -> None:
        """Tell a copy to stand aside. It says so again itself when it comes back, so one order is enough."""
        expires = _now_ms() + _ORDER_SECONDS * 1000
        command = wire.Command(f"aside-{epoch:012d}", wire.STAND_ASIDE, expires, "admin", epoch=epoch)
        try:
            await self._tell(node, msgspec.structs.replace(command, id=f"{command.id}-{expires}"))
        except BrokerError as error:
            _LOG.debug("a copy of %s is told to stand aside when it comes again: %s", node, error)

    async def load(self) -> None:
        """Learn what is decided; raise StoreError."""
        rows = await self._store.all()
        for node in self._known.keys() - {row["_id"] for row in rows}:
            if _now_ms() - self._known[node].since > _FORGOTTEN_MS:
                del self._known[node]
                self._show(node, "")
        for row in rows:
            known = self._known.get(row["_id"])
            found = msgspec.convert({key: _plain(row[key]) for key in row if key != "_id"}, Clone)
            if known is None or set(known.stopped) <= set(found.stopped) or found.resolved:
                self._known[row["_id"]] = found
                self._show(row["_id"], found.text)
            if found.aside or found.back:
                self._work.put(partial(self._move, row["_id"]))

    async def run(self) -> None:
        """Do what is due, and notice what other aggregators have decided, for ever."""
        await self._work.run()


def _plain(value: Any) -> Any:
    """Return the driver's own kinds of numbers as plain ones."""
    if isinstance(value, list):
        return [int(each) for each in value]
    if isinstance(value, dict):
        return {key: int(each) for key, each in value.items()}
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _now_ms() -> int:
    return int(time.time() * 1000)
