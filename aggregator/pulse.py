"""The pulse of the fleet: once a second what has changed is shown to who watches it, and saved.

What always holds: only nodes that somebody watches are read for a show, many in one question, and at most
`_SHOWN` of them a second, so a watcher of a large fleet is never cut off for what all nodes did at once. Of a
large fleet a share is looked at in a beat, and all within `_ROUND_BEATS`: so late is silence noticed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from aggregator import site_time
from aggregator.fleet import Fleet
from aggregator.live import Hub
from aggregator.metrics import Metrics
from aggregator.node_view import NodeView
from aggregator.slices import in_turns
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
_SHOWN = 500
_SAVE_MS = 30_000
_SAVED = 250  # nodes a second, or a quarter of a share
_SHARE = 1000  # nodes that are looked at in a beat; of a large fleet as many as it takes for
_ROUND_BEATS = 5  # a round


class Pulse:
    """What is done for all nodes, again and again."""

    def __init__(self, store: Store, fleet: Fleet, hub: Hub, metrics: Metrics) -> None:
        self._store = store
        self._fleet = fleet
        self._hub = hub
        self._metrics = metrics
        self._turn: Sequence[NodeView] = ()  # who is still to be looked at in this round
        self._share = _SHARE

    async def run(self) -> None:
        """Beat once a second, for ever."""
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._beat()
            except StoreError as error:
                _LOG.debug("the fleet is shown later: %s", error)

    async def _beat(self) -> None:
        at = round(time.time() * 1000)
        views = await self._look(at)
        await self._fleet.ranks.renew(at)
        summary = self._fleet.ranks.summary(self._fleet.names, at)
        for state in ("online", "offline", "stale"):
            self._metrics.nodes.labels(state).set(getattr(summary, state))
        await self._show_changed()
        await self._fleet.let_go()
        await self._save(views, at)

    async def _look(self, at: int) -> Sequence[NodeView]:
        """Notice which of the nodes whose turn it is fell silent, or began a day; return these."""
        if not self._turn:
            self._turn = self._fleet.views()
            self._share = max(_SHARE, math.ceil(len(self._turn) / _ROUND_BEATS))
        views = self._turn[: self._share]
        self._turn = self._turn[self._share :]
        days: dict[ZoneInfo, int] = {}
        async for some in in_turns(views):
            for view in some:
                standing = view.standing(at)
                zone = self._fleet.zone_of(view.name)
                if zone not in days:
                    days[zone] = site_time.day_start(at, zone)
                if standing != view.shown or view.day.start != days[zone]:
                    view.shown = standing
                    view.changed = True
        return views

    async def _show_changed(self) -> None:
        """Show what has changed; without the database its state only, and all of it when that is back."""
        if not self._hub.watched:
            return
        changed = [view for view in self._named() if view.changed and self._hub.is_watched(view.name)]
        changed = changed[:_SHOWN]
        for view in changed:
            view.changed = False
        try:
            entries = await self._fleet.entries([view.name for view in changed])
        except StoreError:
            entries = [self._fleet.glance(view) for view in changed]
            for view in changed:
                view.changed = True
        for entry in entries:
            self._hub.node(entry.node, entry)

    def _named(self) -> Sequence[NodeView]:
        """Return the nodes that somebody may watch."""
        named = self._hub.named
        if named is None:
            return self._fleet.views()
        return [self._fleet.view(name) for name in named if self._fleet.known(name)]

    async def _save(self, views: Sequence[NodeView], at: int) -> None:
        """Save what is known of those of some nodes of which something new is known."""
        due = [view for view in views if view.state and _due(view, at) and self._fleet.holds(view)]
        due = due[: max(_SAVED, self._share // 4)]
        if not due:
            return
        for view in due:
            view.saved = at
        back = [view for view in due if view.is_back]
        await self._store.registry.save_nodes({view.name: _fields(view) for view in due})
        for view in back:
            view.is_back = False


def _due(view: NodeView, at: int) -> bool:
    return view.saved == 0 or (view.heard > view.saved and at - view.saved > _SAVE_MS)


def _fields(view: NodeView) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "state": msgspec.json.encode(view.state).decode(),
        "online": view.online, "since": view.since, "heard": view.heard,
        "first": [[camera, at] for camera, at in view.first.items() if camera in view.known_first],
    }  # fmt: skip
    return fields | {"removed": False} if view.is_back else fields
