"""The fleet as it stands: each node's state, its cameras, its day, and what needs a person.

What always holds: a node's state comes from its retained `state` (the broker's last will says offline), and
from silence: online, but nothing heard for 150 s, is stale. "Today" is the site's day. Counts of the day are
read from the store, never added up here, so several aggregators show the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from agent import wire
from aggregator import schemas
from aggregator.copies import Turns
from aggregator.days import Days
from aggregator.ingest import Fact, Parcel
from aggregator.live import Hub
from aggregator.node_view import CLOCK_OFF_MS, NodeView, with_last_cameras
from aggregator.node_views import NodeViews, now_ms
from aggregator.store import codec
from aggregator.store.store import Store
from aggregator.troubles import Troubles

_LONGEST_MS = 10**13
_REMOVED_SECONDS = 2.0
_READ_BACK = 500  # nodes whose newest sample is read at the start


class Fleet(NodeViews):
    """All nodes that were ever heard: what comes in of them, and what is shown."""

    def __init__(self, store: Store, hub: Hub, zone: ZoneInfo) -> None:
        super().__init__()
        self._store = store
        self._hub = hub
        self.zone_of: Callable[[str], ZoneInfo] = lambda node: zone
        self._ask_removed = False
        self._asked_removed = 0.0
        self._days = Days(store, lambda node: self.zone_of(node))
        self._troubles = Troubles(store)
        self.on_moment: Callable[[str, wire.State, float], None] = lambda node, state, came: None
        self.on_turns: Callable[[str, Turns], None] = lambda node, turns: None
        self.is_apart: Callable[[str, wire.State], bool] = lambda node, state: False  # of a copy of the box
        self.on_config: Callable[[str], None] = lambda node: None
        self.dress: Callable[[schemas.Node], schemas.Node] = lambda entry: entry  # with its place

    # ── what comes in ──

    async def load(self) -> None:
        """Take over what the store knows."""
        loaded = []
        for row in await self._store.registry.nodes():
            if row.get("removed"):
                self._removed[row["_id"]] = int(row.get("losses", 0))
                continue
            if "state" not in row:
                continue
            view = self._add(row["_id"])
            view.losses_before = int(row.get("losses", 0))
            view.state = wire.decode_state(row["state"].encode())
            view.copies.state(view.state.epoch, 0)
            view.online = row["online"]
            view.since, view.heard = (min(int(row[name]), now_ms()) for name in ("since", "heard"))
            view.first = {camera: int(at) for camera, at in row.get("first", [])}
            view.known_first = set(view.first)
            loaded.append(view)
        for view in loaded if len(loaded) <= _READ_BACK else ():  # of a large fleet they come within a minute
            samples = await self._store.archive.resources(view.name, 0, now_ms(), 1)
            if samples:
                view.resources = codec.decode_samples(samples[0])[-1][1]

    def on_state(self, node: str, payload: bytes, retained: bool, came: float | None = None) -> None:
        """Take a node's `state`, which came at `came` (monotonic seconds; None: now).

        Raise WireError if it is malformed or says another's name.

        An empty one says that the broker has forgotten it, as it does when a node is removed.
        """
        if not payload:
            self._ask_removed = True
            return
        state = wire.decode_state(payload)
        if state.node != node:
            raise wire.WireError(f"the state of {state.node[:40]!r} came from {node}")
        if node in self._removed and (retained or not state.online):
            return  # its last word, still at the broker
        at = now_ms()
        if self.is_apart(node, state):
            return
        view = self._view(node)
        if node in self._removed:
            del self._removed[node]
            view.is_back = True
        before = view.state
        view.is_newborn = view.is_newborn or (before is None and not retained and not view.is_back)
        state = with_last_cameras(state, before)
        restarted = before is not None and state.online and state.epoch != before.epoch
        if before is None or state.online != view.online or restarted:
            view.since = at
        config_changed = before is None or before.config != state.config
        view.state = state
        view.online = state.online
        view.changed = True
        view.saved = 0
        if not retained and state.online:
            view.hear(at)
            turns = view.copies.state(state.epoch, at, state.before)
            if turns is not None:
                self.on_turns(node, turns)
            self.on_clock(node, state.at - at)
            self.on_moment(node, state, time.monotonic() if came is None else came)
        elif retained:
            view.listening_since = at
        if config_changed:
            self.on_config(node)

    def on_clock(self, node: str, off: int) -> None:
        """Take by how many ms a node's clock is ahead of ours now."""
        if node in self._removed:
            return
        view = self._view(node)
        off = min(max(off, -_LONGEST_MS), _LONGEST_MS)
        off = off if abs(off) > CLOCK_OFF_MS else 0
        view.changed = view.changed or bool(off) != bool(view.clock_off)
        view.clock_off = off

    def on_right(self, node: str, off: int, amount: int) -> None:
        """Take that times of a node were wrong by some ms and have been put right."""
        if node not in self._removed and off:
            view = self._view(node)
            view.put_right = (off, now_ms())
            self._days.forget(view)
            view.changed = True

    def on_batches(self, parcels: Sequence[Parcel]) -> None:
        """Take batches that were new to the store."""
        at = now_ms()
        for parcel in parcels:
            if parcel.node not in self._removed:
                view = self._view(parcel.node)
                view.copies.batch(parcel.epoch, parcel.batch.base, at)
                view.hear(at)

    def on_stored(self, facts: Sequence[Fact]) -> None:
        """Take what was stored just now."""
        at = now_ms()
        for node, some in groupby(facts, lambda fact: fact.node):
            if node not in self._removed and self._view(node).take(some, at):  # else sent before that
                self._troubles.read_soon()

    def keep_apart(self, node: str, text: str) -> None:
        """Take what a person should know of a node's copies; empty: nothing any more."""
        view = self._views.get(node)
        if view is not None and view.kept_apart != text:
            view.kept_apart = text
            if not text:
                view.copies.settled()
            view.changed = True

    def count_anew(self, node: str) -> None:
        """Have a node's day read anew: something was taken out of its counts, or put back."""
        view = self._views.get(node)
        if view is not None:
            self._days.forget(view)
            view.changed = True

    def rename(self, old: str, new: str) -> None:
        """Let a node go on under another name. Its last word under the old one is nobody's."""
        view = self._views.pop(old, None)
        self._removed[old] = 0
        self._removed.pop(new, None)
        self._hub.gone(old)
        if view is not None:
            view.name = new
            view.known_first.clear()
            view.changed = True
            view.saved = 0
            self._views[new] = view
            self._days.forget(view)
        self.ranks.members_changed()

    # ── what is asked ──

    async def entry(self, node: str) -> schemas.Node:
        """Return a node's entry with its day up to date."""
        return (await self.entries([node]))[0]

    async def entries(self, nodes: Sequence[str]) -> list[schemas.Node]:
        """Return the entries of known nodes, in this order, with their days up to date; raise StoreError.

        Who is removed meanwhile is left out, unless it is the only one.
        """
        views = [self._views[node] for node in nodes]
        if self._troubles.due():
            await self.let_go(at_once=True)
            await self._troubles.read(self._views.values())
        await self._days.refresh(views, now_ms())
        return [self.glance(view) for view in views if len(views) == 1 or self.known(view.name)]

    def glance(self, view: NodeView) -> schemas.Node:
        """Return a node's entry with its day as it was read last."""
        return self.dress(view.entry(now_ms()))

    async def let_go(self, at_once: bool = False) -> None:
        """Drop the nodes that were removed, by whichever aggregator or command."""
        recent = time.monotonic() - self._asked_removed < _REMOVED_SECONDS
        if recent and not self._ask_removed and not at_once:
            return
        self._ask_removed = False
        self._asked_removed = time.monotonic()
        for node, losses in (await self._store.registry.removed()).items():
            view = self._views.get(node)
            if view is not None and not view.is_back:
                del self._views[node]
                self.ranks.members_changed()
                self._hub.gone(node)
            if view is None or not view.is_back:
                self._removed[node] = losses
