"""Batches that wait to be stored: taken in turn, one of each node, so that none waits for another's crowd.

What always holds: what is taken at once is bounded in number and in bytes, whoever sent it. The fast lane
makes the giver wait while it is full. The slow one is for what is larger than any agent sends, and for nodes
that send poison; it takes no more of a node than its share: what is left out was not acknowledged and comes
again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from aggregator.store.parcel import Parcel

NODE_BATCHES = 2000  # of one node in the slow lane; an agent has 32 on their way
NODE_BYTES = 4 * 1024 * 1024
LANE_BYTES = 64 * 1024 * 1024


class Lane:
    """Batches of many nodes. `most`: how many may wait before `put` does."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._nodes: OrderedDict[str, deque[Parcel]] = OrderedDict()
        self._amount = 0
        self._bytes_of: dict[str, int] = {}
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return self._amount

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self._bytes

    async def put(self, parcel: Parcel) -> None:
        """Add a batch; wait while the lane is full."""
        while self._amount >= self._most:
            self._room.clear()
            await self._room.wait()
        self._add(parcel)

    def offer(self, parcel: Parcel) -> bool:
        """Add a batch, or return False if its node or all of them have too many waiting."""
        held = self._bytes_of.get(parcel.node, 0) + len(parcel.payload)
        if len(self._nodes.get(parcel.node, ())) >= NODE_BATCHES or held > NODE_BYTES:
            return False
        if self._bytes + len(parcel.payload) > LANE_BYTES:
            return False
        self._add(parcel)
        return True

    def _add(self, parcel: Parcel) -> None:
        size = len(parcel.payload)
        self._nodes.setdefault(parcel.node, deque()).append(parcel)
        self._bytes_of[parcel.node] = self._bytes_of.get(parcel.node, 0) + size
        self._bytes += size
        self._amount += 1
        self._arrived.set()

    async def wait(self) -> None:
        """Wait until there is something to take."""
        while not self._amount:
            self._arrived.clear()
            await self._arrived.wait()

    def take(self, batches: int, size: int) -> list[Parcel]:
        """Take one batch of each node in turn, at least one, up to a number and to so many bytes."""
        group: list[Parcel] = []
        taken = 0
        while self._nodes and len(group) < batches and (taken < size or not group):
            parcel = self._next()
            taken += len(parcel.payload)
            group.append(parcel)
        self._room.set()
        return group

    def _next(self) -> Parcel:
        node, waiting = self._nodes.popitem(last=False)
        parcel = waiting.popleft()
        size = len(parcel.payload)
        self._bytes -= size
        self._amount -= 1
        if waiting:
            self._nodes[node] = waiting
            self._bytes_of[node] -= size
        else:
            del self._bytes_of[node]
        return parcel
