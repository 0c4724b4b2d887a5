"""What each node is wanted to do: one document per node, kept in the store and retained at the broker.

What always holds: a document is always whole, and its version is higher than every one before it, wanted or
applied. Two people who change it at once both get through, one after the other. A line's or zone's `version`
is the document's version at which it changed; the others keep theirs. Every change is in the audit log.
After each connect the wanted documents are published again, so a broker that lost its memory loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from agent import wire
from agent.mqtt.client import BrokerError
from aggregator import schemas
from aggregator.fleet import Fleet
from aggregator.live import Hub
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 10
_PAUSE_SECONDS = 1.0

Publish = Callable[[str, bytes], Awaitable[None]]
Change = Callable[[wire.Document, int], wire.Document]


class NotWanted(Exception):
    """A change that makes no sense here: code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DesiredDocuments:
    """The desired documents of the fleet."""

    def __init__(self, store: Store, fleet: Fleet, hub: Hub, publish: Publish) -> None:
        self._store = store
        self._fleet = fleet
        self._hub = hub
        self._publish = publish
        self._due = asyncio.Event()

    async def change(self, node: str, user: str, action: str, change: Change) -> int:
        """Change a node's document and send it; return its version. Raise NotWanted."""
        for _ in range(_ATTEMPTS):
            found = await self._store.registry.want(node)
            current, wanted, unread = self._current(node, found)
            if unread:
                raise NotWanted(
                    "newer_node",
                    f"{node} has settings that this centre does not know ({', '.join(unread[:3])}) and would "
                    "lose; upgrade the centre, then change them here",
                )
            version = max(wanted, current.version, self._report(node).applied) + 1
            document = change(current, version)
            text = msgspec.json.encode(document)
            if await self._store.registry.put_want(node, found["version"] if found else None, version, text):
                break
        else:
            raise NotWanted("busy", "too many changes at once; try again")
        await self._store.registry.write_audit(
            {"user": user, "action": action, "node": node, "version": version}
        )
        with contextlib.suppress(BrokerError):  # it is published at the next connect
            await self._publish(node, text)
        self._hub.config(node, await self.config(node))
        return version

    async def config(self, node: str) -> schemas.ConfigState:
        """Return what is wanted of a node and what it does."""
        found = await self._store.registry.want(node)
        current, wanted, _ = self._current(node, found)
        report = self._report(node)
        return schemas.ConfigState(max(wanted, report.applied), report.applied, report.error, current)

    def publish_again(self) -> None:
        """Have every wanted document published, as soon as the database gives them."""
        self._due.set()

    async def run(self) -> None:
        """Publish all documents whenever that is due, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                for row in await self._store.registry.wants():
                    await self._publish(row["_id"], row["document"].encode())
            except BrokerError as error:
                _LOG.debug("the wanted documents are published at the next connect: %s", error)
            except StoreError:
                await asyncio.sleep(_PAUSE_SECONDS)
                self._due.set()

    def _report(self, node: str) -> wire.ConfigReport:
        state = self._fleet.state(node)
        return state.config if state else wire.ConfigReport()

    def _current(self, node: str, found: dict[str, object] | None) -> tuple[wire.Document, int, list[str]]:
        """Return the newest document (wanted or applied), the wanted version, what of it is unknown here."""
        report = self._report(node)
        if found is None:
            return report.document, 0, report.unread
        document, unread = wire.read_document(str(found["document"]).encode())
        if report.applied > document.version:
            return report.document, document.version, report.unread
        return document, document.version, unread
