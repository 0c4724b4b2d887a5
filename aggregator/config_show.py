"""Shows who watches which document a node wants and runs, as soon as that changes.

What always holds: a node that changes often meanwhile is shown once, and those that change together, as at a
start all do, are one question to the database.
"""

from __future__ import annotations

import asyncio
import logging

from aggregator.desired import DesiredDocuments, NotWanted
from aggregator.live import Hub
from aggregator.store.errors import StoreError

_LOG = logging.getLogger(__name__)
_TOGETHER = 200  # nodes


class ConfigShow:
    """The nodes whose configuration has changed, until they are shown."""

    def __init__(self, wants: DesiredDocuments, hub: Hub) -> None:
        self._wants = wants
        self._hub = hub
        self._changed: dict[str, None] = {}  # in this order, each once
        self._any = asyncio.Event()

    def changed(self, node: str) -> None:
        """Take that a node has told of another configuration."""
        self._changed[node] = None
        self._any.set()

    async def run(self) -> None:
        """Send nodes what they now know, and show what they run, for ever."""
        while True:
            await self._any.wait()
            self._any.clear()
            while self._changed:
                nodes = list(self._changed)[:_TOGETHER]
                for node in nodes:
                    del self._changed[node]
                try:
                    await self._show(nodes)
                except StoreError as error:
                    _LOG.debug("the configuration of %d nodes is shown later: %s", len(nodes), error)

    async def _show(self, nodes: list[str]) -> None:
        for node, wanted in (await self._wants.read_all(nodes)).items():
            try:
                await self._wants.catch_up(node, wanted)
            except NotWanted as error:
                _LOG.warning("%s is sent its new document later: %s", node, error)
                continue
            if self._hub.is_watched(node):
                self._hub.config(node, await self._wants.config(node))
