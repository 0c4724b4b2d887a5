"""A node's true rename: the box learns its new name, and everything that is stored of it follows.

    asked ──the box joins under the new name and says so──▶ moving ──it speaks under it──▶ done  (or: refused)

What always holds: what comes under the new name is left with its box until the names of its batches have
moved, so nothing is stored twice; what the box still has it sends then. The old name is free when it is done.
A rename that a restart cuts goes on. An aggregator that was not asked itself knows of it before the box does.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from agent import wire
from agent.mqtt.client import BrokerError
from aggregator.config import Config
from aggregator.fleet import Fleet
from aggregator.link import Link
from aggregator.places.places import Places
from aggregator.setup import enrol, rename
from aggregator.setup.control import EnrolError, NoRightsError, NoSuchNodeError
from aggregator.store.errors import StoreError
from aggregator.store.store import Store
from aggregator.work_queue import WorkQueue

_LOG = logging.getLogger(__name__)
_PREFIX = "rename-"
_ANSWER_MS = 600_000
_ORDER_MS = 60_000
_SILENT_MS = 120_000  # after so long what is stored follows though the box has not spoken under its name


class CannotRename(Exception):
    """A rename that makes no sense here: code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Rename(NamedTuple):
    """A rename on its way: from which name, to which, since when (Unix ms), and how far it is."""

    was: str
    node: str
    at: int
    by: str
    state: str
    reason: str = ""


class Renaming:
    """The renames of one centre. `published`: has the wanted documents sent again."""

    def __init__(
        self,
        config: Config,
        store: Store,
        fleet: Fleet,
        link: Link,
        places: Places,
        published: Callable[[], None],
    ) -> None:
        self._config = config
        self._store = store
        self._fleet = fleet
        self._link = link
        self._places = places
        self._published = published
        self._known: dict[str, Rename] = {}  # the new name -> its rename
        self._late: dict[str, bytes] = {}  # the new name -> the state that it sent meanwhile
        self._work = WorkQueue("renames", self.load, (StoreError, EnrolError, BrokerError))

    def all(self) -> list[Rename]:
        """Return the renames that are on their way, and those that were refused lately."""
        return sorted(self._known.values(), key=lambda one: one.at)

    def holds(self, node: str) -> bool:
        """True if what comes under a name has to wait: its history is on the way there."""
        found = self._known.get(node)
        return found is not None and found.state in ("asked", "moving")

    def hears(self, node: str, payload: bytes) -> bool:
        """Take a state under a name that a box was asked to take; return whether it has to wait."""
        if not self.holds(node):
            return False
        if payload:
            self._late[node] = payload
            self._work.put(partial(self._move, node))
        return True

    async def ask(self, old: str, new: str, user: str) -> Rename:
        """Ask a box to take another name; raise CannotRename, EnrolError or StoreError."""
        rename.valid(new)
        if self._fleet.standing(old) != "online":
            raise CannotRename("node_away", f"{old} is not online, and a box has to learn its new name")
        if self._fleet.known(new) or self.holds(new) or not await self._store.renames.is_free(new):
            raise CannotRename(
                "taken", f"the name {new} is taken, or something is stored under it: erase that first"
            )
        try:
            code = await rename.let_join(self._config, new)
        except NoRightsError:
            code = ""  # a broker without rights: whoever says the name has it
        await self._store.renames.ask(old, new, user)
        self._known[new] = Rename(old, new, _now_ms(), user, "asked")
        what = {"name": new, "code": code}
        id_ = f"{_PREFIX}{secrets.token_hex(4)}-{new}"
        command = wire.Command(id_, "rename", _now_ms() + _ORDER_MS, "admin", user=user, what=what)
        try:
            await self._link.command(old, command)
        except BrokerError as error:
            await self._give_up(new, f"the box could not be asked: {error}")
            raise CannotRename("not_sent", f"the box could not be asked: {error}") from None
        return self._known[new]

    def on_response(self, node: str, response: wire.Response) -> bool:
        """Take a box's answer; return whether it is one to a rename."""
        if not response.id.startswith(_PREFIX):
            return False
        new = response.id.removeprefix(_PREFIX).partition("-")[2]
        found = self._known.get(new)
        if found is not None and found.was == node and found.state == "asked":
            work = self._confirm if response.ok else partial(self._give_up, why=response.error)
            self._work.put(partial(work, new))
        return True

    # ── what is done in its own time ──

    async def _confirm(self, new: str) -> None:
        """Take that the box has the name: what is stored follows once it speaks under it."""
        found = self._known.get(new)
        if found is not None and found.state == "asked":
            await self._store.renames.confirm(new)
            self._known[new] = found._replace(state="moving")

    async def _move(self, new: str) -> None:
        """Let everything that is stored follow the box, and take the old name away."""
        found = self._known.get(new)
        if found is None or found.state not in ("asked", "moving"):
            return
        await self._store.renames.confirm(new)
        self._known[new] = found._replace(state="moving")
        await self._take_user(found.was)
        await self._store.renames.move(found.was, new)
        await self._store.renames.move(found.was, new)  # what was being stored meanwhile
        self._fleet.rename(found.was, new)
        await self._link.forget(found.was)
        await self._places.load()
        entry = {"user": found.by, "action": "renamed", "node": new, "what": found.was}
        await self._store.registry.write_audit(entry)
        await self._store.renames.done(new)  # the last that can fail: until then all of it is done again
        del self._known[new]
        self._published()
        if payload := self._late.pop(new, b""):
            self._fleet.on_state(new, payload, False)
        _LOG.info("%s is %s from now on", found.was, new)

    async def _take_user(self, node: str) -> None:
        try:
            await asyncio.to_thread(enrol.remove_node, self._config, node)
        except (NoSuchNodeError, NoRightsError) as error:
            _LOG.debug("%s has no rights to be taken: %s", node, error)

    async def _give_up(self, new: str, why: str) -> None:
        """Take the new name back: the box has not taken it."""
        if not self.holds(new):
            return
        found = self._known[new]
        await self._store.renames.done(new)
        self._known[new] = found._replace(state="refused", reason=why[:300], at=_now_ms())
        self._work.put(partial(self._take_back_user, new))
        _LOG.warning("%s was not renamed to %s: %s", found.was, new, why)

    async def _take_back_user(self, new: str) -> None:
        """Take a refused name's rights away, unless somebody is asked to take that name again."""
        if not self.holds(new):
            await self._take_user(new)

    async def load(self) -> None:
        """Learn what other aggregators, or this one before its restart, have begun; raise StoreError."""
        rows = {row["_id"]: row for row in await self._store.renames.all()}
        for new, row in rows.items():
            at = round(row["at"].timestamp() * 1000)
            known = self._known.get(new)
            if known is None or known.state == "refused":
                self._known[new] = Rename(row["was"], new, at, row.get("by", ""), row["state"])
            if row["state"] == "moving" and _now_ms() - at > _SILENT_MS:
                self._work.put(partial(self._move, new))
            elif _now_ms() - at > _ANSWER_MS:
                self._work.put(partial(self._give_up, new, "the box has not answered"))
        for new, known in list(self._known.items()):
            is_old = _now_ms() - known.at > _ANSWER_MS
            if known.state == "refused" and is_old:
                del self._known[new]
            elif known.state != "refused" and new not in rows:
                self._known.pop(new)  # another aggregator has done it
                self._fleet.rename(known.was, new)

    async def run(self) -> None:
        """Do what is due, and notice what others have begun, for ever."""
        await self._work.run()


def _now_ms() -> int:
    return int(time.time() * 1000)
