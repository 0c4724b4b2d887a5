"""A page of the fleet: which nodes, in what order, from where on.

What always holds: two nodes never have the same place in an order, so pages put together are all nodes, each
once, as long as nothing changes between them. Nothing here asks the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aggregator import schemas
from aggregator.node_view import NodeView

_STANDINGS = {"offline": 0, "stale": 1, "online": 2}


def _urgency(view: NodeView, at: int) -> int:
    """Return 0 for a node that needs a person, 2 for one that is well."""
    state = view.state
    if view.standing(at) != "online" or (state and any(camera.state != "ok" for camera in state.cameras)):
        return 0
    return 1 if view.warnings(at) else 2


def _sample(name: str) -> Callable[[NodeView, int], int]:
    """Return a key that reads a field of the newest sample; a node without one comes last going up."""

    def read(view: NodeView, at: int) -> int:
        value = getattr(view.resources, name, None) if view.standing(at) == "online" else None
        return -1 if value is None else int(value)

    return read


SORTS: dict[str, Callable[[NodeView, int], int]] = {
    "name": lambda view, at: 0,
    "urgency": _urgency,
    "state": lambda view, at: _STANDINGS[view.standing(at)],
    "since": lambda view, at: view.since,
    "seen": lambda view, at: view.heard,
    "cpu": _sample("cpu_percent"),
    "memory": _sample("memory_bytes"),
    "temperature": _sample("temperature"),
}


def ordered(views: Sequence[NodeView], sort: str, at: int) -> list[NodeView]:
    """Return nodes in an order of `SORTS`, downwards with a `-` before it; equal ones by name.

    Args:
        views: by name.
        sort: which order.
        at: Unix ms.
    """
    key = SORTS[sort.removeprefix("-")]
    if sort == "name":
        return list(views)
    if sort == "-name":
        return list(reversed(views))
    return sorted(views, key=lambda view: key(view, at), reverse=sort.startswith("-"))


def summary(views: Sequence[NodeView], at: int) -> schemas.FleetSummary:
    """Return how many nodes are in which state, and how many cameras see nothing."""
    amounts = dict.fromkeys(_STANDINGS, 0)
    blind = 0
    for view in views:
        standing = view.standing(at)
        amounts[standing] += 1
        cameras: Sequence[Any] = view.state.cameras if view.state else ()
        blind += len(cameras) if standing != "online" else sum(camera.state != "ok" for camera in cameras)
    return schemas.FleetSummary(len(views), amounts["online"], amounts["offline"], amounts["stale"], blind)
