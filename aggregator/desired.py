"""What each node is wanted to do: one document per node, kept in the store and retained at the broker.

What always holds: a document is always whole, and its version is higher than every one before it, wanted or
applied. Two people who change it at once both get through, one after the other; who changes a whole camera
says which version of it they saw, and is refused if somebody was faster. A line's or zone's `version` is the
document's version at which it changed; the others keep theirs. Every change is in the audit log, and every
document in the history. After each connect the wanted documents are published again, so a broker that lost
its memory loses none.

    base       what people have set                    document   base with the profile that runs now
    sent       what of the document the node knows     applied    what the node reports
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError
from aggregator import schemas
from aggregator.fleet import Fleet
from aggregator.live import Hub
from aggregator.site_time import now
from aggregator.store.errors import StoreError
from aggregator.store.store import Store
from aggregator.wanted import merge

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 10
_PAUSE_SECONDS = 1.0
CENTRE_USER = "centre"  # who changes something by itself: a profile's hour has come, a box was upgraded

Publish = Callable[[str, bytes], Awaitable[None]]
Change = Callable[[wire.Document, int], wire.Document]


class NotWanted(Exception):
    """A change that makes no sense here: code and sentence, and what a program may need to know."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Profile(NamedTuple):
    """A profile that runs on a node: its mark (name and content) and the settings that it replaces."""

    mark: str = ""
    settings: Mapping[str, Any] = {}


class Wanted(NamedTuple):
    """What is wanted of a node, read from the store and from what it reports. `row`: as it is kept."""

    row: dict[str, Any] | None
    base: wire.Document
    document: wire.Document
    version: int
    unread: list[str]

    def version_of(self, camera: str) -> int:
        """Return the version at which a camera's settings last changed."""
        changed = dict(self.row.get("changed", [])) if self.row else {}
        if self.row and self.document.version > self.row["version"]:
            return self.document.version  # the box's owner has changed them since
        return int(changed.get(camera, self.document.version))


class DesiredDocuments:
    """The desired documents of the fleet. `profile_of`: the profile that ought to run on a node now."""

    def __init__(self, store: Store, fleet: Fleet, hub: Hub, publish: Publish) -> None:
        self._store = store
        self._fleet = fleet
        self._hub = hub
        self._publish = publish
        self._due = asyncio.Event()
        self.profile_of: Callable[[str], Profile] = lambda node: Profile()
        self.profiles: dict[str, str] = {}  # node -> the mark of what runs

    async def change(
        self,
        node: str,
        user: str,
        action: str,
        change: Change,
        seen: Mapping[str, int] = MappingProxyType({}),
    ) -> int:
        """Change a node's document and send it; return its version.

        Args:
            node: whose document.
            user: who wants it.
            action: what they do, in words, for the audit log.
            change: makes the new base of the old one, at the version that is given.
            seen: camera -> the version of its settings that the user saw; none: whatever they are now.

        Raises:
            NotWanted: it makes no sense here, or somebody else was faster.
        """
        for _ in range(_ATTEMPTS):
            wanted = await self.read(node)
            if wanted.unread:
                raise NotWanted(
                    "newer_node",
                    f"{node} has settings that this centre does not know ({', '.join(wanted.unread[:3])}) "
                    "and would lose; upgrade the centre, then change them here",
                )
            for camera, shown in seen.items():
                _check_seen(wanted, camera, shown)
            version = max(wanted.version, wanted.document.version, self.report(node).applied) + 1
            base = change(wanted.base, version)
            fields = self._row(node, user, wanted, base)
            replaces = wanted.row["version"] if wanted.row else None
            text = fields.pop("document")
            if await self._store.registry.put_want(node, replaces, version, text, **fields):
                break
        else:
            raise NotWanted("busy", "too many changes at once; try again")
        self.profiles[node] = str(fields["profile"])
        kept = {"version": version, "document": text, "by": user, "action": action, "at": now()}
        await self._store.registry.keep_version(node, kept)
        await self._store.registry.write_audit(
            {"user": user, "action": action, "node": node, "version": version}
        )
        with contextlib.suppress(BrokerError):  # it is published at the next connect
            await self._publish(node, fields["sent"])
        if self._hub.watched:
            self._hub.config(node, await self.config(node))
        return version

    def _row(self, node: str, user: str, wanted: Wanted, base: wire.Document) -> dict[str, Any]:
        """Return what is kept of a change."""
        profile = self.profile_of(node)
        document = merge.overlaid(base, profile.settings, wanted.document) if profile.mark else base
        sent, left = merge.understood(document, self.report(node).knows)
        names = document.cameras.keys() | wanted.document.cameras.keys()
        changed = {
            camera: base.version if base.cameras.get(camera) != wanted.base.cameras.get(camera) else
            wanted.version_of(camera)
            for camera in names
        }  # fmt: skip
        return {
            "document": msgspec.json.encode(document),
            "base": msgspec.json.encode(base).decode() if profile.mark else None,
            "profile": profile.mark,
            "changed": sorted(changed.items()),
            "sent": sent,
            "left": sorted(left.items()),
            "by": user,
        }

    async def read(self, node: str) -> Wanted:
        """Return what is wanted of a node now."""
        return self.wanted(node, await self._store.registry.want(node))

    def wanted(self, node: str, row: dict[str, Any] | None) -> Wanted:
        """Return what is wanted of a node whose row of the store is at hand."""
        report = self.report(node)
        if row is None:
            return Wanted(None, report.document, report.document, 0, report.unread)
        document, unread = wire.read_document(str(row["document"]).encode())
        document = merge.fitted(document, report.document)
        if report.applied > document.version:
            return Wanted(row, report.document, report.document, document.version, report.unread)
        base = document
        if row.get("base"):
            base = merge.fitted(wire.read_document(row["base"].encode())[0], report.document)
        return Wanted(row, base, document, document.version, unread)

    async def config(self, node: str) -> schemas.ConfigState:
        """Return what is wanted of a node and what it does."""
        return self.state_of(node, await self.read(node))

    def state_of(self, node: str, wanted: Wanted) -> schemas.ConfigState:
        """Return what became of what is wanted of a node."""
        report = self.report(node)
        row = wanted.row or {}
        return schemas.ConfigState(
            max(wanted.version, report.applied),
            report.applied,
            report.error,
            wanted.document,
            refused={**dict(row.get("left", [])), **report.refused},
            since=round(row["at"].timestamp() * 1000) if "at" in row else None,
            by=row.get("by", ""),
            profile=row.get("profile", "").partition(" ")[0],
        )

    async def read_all(self, nodes: Sequence[str]) -> dict[str, Wanted]:
        """Return node -> what is wanted of it now, in one question; raise StoreError."""
        rows = {row["_id"]: row for row in await self._store.registry.wants(nodes)}
        return {node: self.wanted(node, rows.get(node)) for node in nodes}

    async def catch_up(self, node: str, wanted: Wanted) -> None:
        """Send a node what it did not understand before it was upgraded."""
        left = (wanted.row or {}).get("left")
        if left and merge.understood(wanted.document, self.report(node).knows)[1] != dict(left):
            await self.change(node, CENTRE_USER, "send what the node now knows", _same)

    async def show_profile(self, node: str) -> None:
        """Send a node the profile that ought to run on it now, if it is another than the one that does."""
        if self.profile_of(node).mark != self.profiles.get(node, ""):
            await self.change(node, CENTRE_USER, f"profile {self.profile_of(node).mark or 'none'}", _same)

    def in_profiles(self) -> list[str]:
        """Return the nodes that run a profile."""
        return [node for node, mark in self.profiles.items() if mark and self._fleet.known(node)]

    def publish_again(self) -> None:
        """Have every wanted document published, as soon as the database gives them."""
        self._due.set()

    async def load(self) -> None:
        """Learn which profiles run."""
        for row in await self._store.registry.wants():
            self.profiles[row["_id"]] = row.get("profile", "")

    async def run(self) -> None:
        """Publish all documents whenever that is due, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                for row in await self._store.registry.wants():
                    self.profiles[row["_id"]] = row.get("profile", "")
                    await self._publish(row["_id"], bytes(row.get("sent") or row["document"].encode()))
            except BrokerError as error:
                _LOG.debug("the wanted documents are published at the next connect: %s", error)
            except StoreError:
                await asyncio.sleep(_PAUSE_SECONDS)
                self._due.set()

    def report(self, node: str) -> wire.ConfigReport:
        """Return what a node last said of its configuration."""
        state = self._fleet.state(node)
        return state.config if state else wire.ConfigReport()


def _same(document: wire.Document, version: int) -> wire.Document:
    return msgspec.structs.replace(document, version=version)


def _check_seen(wanted: Wanted, camera: str, version: int) -> None:
    """Raise NotWanted if a camera's settings have changed since the version that somebody saw."""
    now = wanted.version_of(camera)
    if version >= now:
        return
    row = wanted.row or {}
    settings = wanted.base.cameras.get(camera)
    who = row.get("by", "") or "the box's owner"
    raise NotWanted(
        "changed",
        f"{who} has changed {camera} since: it is at version {now}, yours was made from version {version}. "
        "Nothing was overwritten; look at the difference and send it again",
        {"version": now, "by": who, "settings": msgspec.to_builtins(settings) if settings else None},
    )
