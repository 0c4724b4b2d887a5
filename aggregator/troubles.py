"""What was refused or lost of each node, as the store knows it, read again now and then."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aggregator.node_view import NodeView
from aggregator.store import codec
from aggregator.store.store import Store

_SECONDS = 30.0


class Troubles:
    """When the troubles of all nodes are read, in one question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_at = 0.0  # monotonic seconds

    def read_soon(self) -> None:
        """Have them read when somebody asks next."""
        self._read_at = 0.0

    def due(self) -> bool:
        """Return whether they are to be read now; who asks first does it."""
        if time.monotonic() - self._read_at < _SECONDS:
            return False
        self._read_at = time.monotonic()
        return True

    async def read(self, views: Iterable[NodeView]) -> None:
        """Bring nodes up to date; raise StoreError."""
        found = await self._store.troubles()
        for view in views:
            troubles = found.get(view.name, {})
            if view.losses_before and codec.LOSSES in troubles:
                troubles[codec.LOSSES] -= view.losses_before
            if troubles != view.troubles:
                view.troubles = troubles
                view.changed = True
