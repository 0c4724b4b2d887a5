"""Hears from the boxes which pictures left them, and keeps it.

What always holds: a series is kept under its box, start, camera, way and who it was for, so hearing it again,
from the retained state or at another aggregator, keeps it once. A store that is away is asked again with the
next state.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from agent import wire
from aggregator.store.departures import DepartureStore
from aggregator.store.errors import StoreError

_LOG = logging.getLogger(__name__)


class Pictures:
    """What is known at this aggregator of the pictures that left boxes."""

    def __init__(self, store: DepartureStore) -> None:
        self._store = store
        self._kept: dict[str, list[wire.Departure]] = {}

    async def take(self, node: str, told: Sequence[wire.Departure]) -> None:
        """Keep what is new in a node's state."""
        before = self._kept.get(node, [])
        new = [row for row in told if row not in before]
        if not new:
            return
        try:
            await self._store.keep(node, new)
        except StoreError as error:
            _LOG.warning("the log of pictures of %s is not kept now: %s", node, error)
            return
        self._kept[node] = list(told)
