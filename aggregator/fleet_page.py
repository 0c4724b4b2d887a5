"""A page of the fleet: which nodes, in what order, from where on.

What always holds: two nodes never have the same place in an order, so pages put together are all nodes, each
once, as long as nothing changes between them. Nothing here asks the store. What a node's place depends on is
found anew only when the node has changed, once a second or when somebody asks: a page of ten thousand costs
what has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregator import schemas
from aggregator.node_view import NodeView
from aggregator.slices import in_turns

_TOGETHER = 100  # nodes, a millisecond
_STANDINGS = {"offline": 0, "stale": 1, "online": 2}


class Rank(NamedTuple):
    """What a node's place depends on; what is not known of it is -1. `dark`: cameras that see nothing."""

    urgency: int
    state: int
    since: int
    seen: int
    cpu: int
    memory: int
    temperature: int
    dark: int


SORTS = ("name", *Rank._fields[:-1])


def rank(view: NodeView, at: int) -> Rank:
    """Return a node's rank at a moment (Unix ms)."""
    standing = view.standing(at)
    sample = view.resources if standing == "online" else None
    cameras = view.state.cameras if view.state else ()
    dark = len(cameras) if standing != "online" else sum(camera.state != "ok" for camera in cameras)
    needs_a_person = standing != "online" or dark
    urgency = 0 if needs_a_person else 1 if view.warnings(at) else 2
    return Rank(
        urgency, _STANDINGS[standing], view.since, view.heard,
        _known(sample.cpu_percent if sample else None), _known(sample.memory_bytes if sample else None),
        _known(sample.temperature if sample else None), dark,
    )  # fmt: skip


def _known(value: int | None) -> int:
    return -1 if value is None else value


class Ranks:
    """The ranks of all nodes. `views`: name -> node; `members_changed` is told when there are others."""

    def __init__(self, views: Mapping[str, NodeView]) -> None:
        self.unranked: set[NodeView] = set()  # those that have changed; the nodes put themselves in
        self._views = views
        self._names: list[str] | None = None  # sorted; None: to be sorted anew
        self._array: NDArray[np.object_] = np.zeros(0, object)  # the same
        self._places: dict[str, int] = {}
        self._columns: NDArray[np.int64] = np.zeros((0, len(Rank._fields)), np.int64)  # a row a node

    def members_changed(self) -> None:
        """Take that a node has come or gone."""
        self._names = None

    @property
    def names(self) -> Sequence[str]:
        """All nodes by name."""
        if self._names is None:
            self._names = sorted(self._views)
            before = np.array([self._places.get(name, -1) for name in self._names], np.intp)
            columns = np.full((len(before), len(Rank._fields)), -1, np.int64)
            columns[before >= 0] = self._columns[before[before >= 0]]
            self._columns = columns
            self._array = np.array(self._names, object)
            self._places = {name: place for place, name in enumerate(self._names)}
        return self._names

    async def renew(self, at: int) -> None:
        """Find the ranks of nodes that have changed, some at a time. `at`: Unix ms."""
        async for views in in_turns(list(self.unranked), _TOGETHER):
            self._renew(self.unranked.intersection(views), at)

    def _renew(self, views: Iterable[NodeView], at: int) -> Sequence[str]:
        """Find the ranks of nodes anew; return all nodes by name, as the rows are now."""
        everybody = self.names
        for view in list(views):
            self.unranked.discard(view)
            if self._views.get(view.name) is view:
                self._columns[self._places[view.name]] = rank(view, at)
        return everybody

    def ordered(self, names: Sequence[str], sort: str, at: int) -> Sequence[str]:
        """Return nodes in an order of `SORTS`, downwards with a `-` before it; equal ones by name.

        Args:
            names: by name.
            sort: which order.
            at: Unix ms.
        """
        by = sort.removeprefix("-")
        if by == "name":
            return names if by == sort else names[::-1]
        keys = self._rows(names, at)[:, Rank._fields.index(by)]
        order = np.argsort(keys if by == sort else -keys, kind="stable")
        array = self._array if names is self._names else np.array(names, object)
        ordered: list[str] = array[order].tolist()
        return ordered

    def summary(self, names: Sequence[str], at: int) -> schemas.FleetSummary:
        """Return how many of some nodes are in which state, and how many cameras see nothing."""
        rows = self._rows(names, at)
        offline, stale, online = np.bincount(rows[:, Rank._fields.index("state")], minlength=3).tolist()
        dark = int(rows[:, Rank._fields.index("dark")].sum())
        return schemas.FleetSummary(len(names), online, offline, stale, dark)

    def _rows(self, names: Sequence[str], at: int) -> NDArray[np.int64]:
        """Return the ranks of some nodes, shape (nodes, fields)."""
        if names is self._renew(self.unranked, at):
            return self._columns
        return self._columns[[self._places[name] for name in names]]
