"""The nodes that were ever heard, by name: what is known of each, to look up and to note.

What always holds: a node that was removed has no view; how many losses it had told of is kept, for when it is
heard again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from agent import wire
from aggregator import schemas
from aggregator.fleet_page import Ranks
from aggregator.node_view import NodeView


class NodeViews:
    """A view of each node."""

    def __init__(self) -> None:
        self._views: dict[str, NodeView] = {}
        self.ranks = Ranks(self._views)
        self._removed: dict[str, int] = {}  # node -> losses that it had told of

    def views(self) -> Sequence[NodeView]:
        """Return every node as it stands."""
        return list(self._views.values())

    @property
    def names(self) -> Sequence[str]:
        """All nodes by name."""
        return self.ranks.names

    def known(self, node: str) -> bool:
        """True if something was ever heard of this node."""
        return node in self._views

    def holds(self, view: NodeView) -> bool:
        """True if this is a node that is known now: it was not removed since."""
        return self._views.get(view.name) is view

    def view(self, node: str) -> NodeView:
        """Return a known node."""
        return self._views[node]

    def state(self, node: str) -> wire.State | None:
        """Return the last state that a node reported."""
        return self._views[node].state if node in self._views else None

    def standing(self, node: str) -> schemas.NodeState:
        """Return whether a known node is online, offline or stale."""
        return self._views[node].standing(now_ms())

    def show_again(self, node: str) -> None:
        """Have a node's entry shown again: what is known of it elsewhere has changed."""
        if node in self._views:
            self._views[node].changed = True

    def shift(self, by: int) -> None:
        """Move what is remembered along with this machine's clock, which was set by some ms."""
        for view in self._views.values():
            view.shift(by)

    def _view(self, node: str) -> NodeView:
        """Return a node's view; make one where there is none."""
        view = self._views.get(node)
        if view is None:
            view = self._add(node)
            view.losses_before = self._removed.get(node, 0)
        return view

    def _add(self, node: str) -> NodeView:
        self.ranks.members_changed()
        view = self._views[node] = NodeView(node, now_ms(), self.ranks.unranked)
        return view


def now_ms() -> int:
    """Return this machine's clock in ms."""
    return int(time.time() * 1000)
