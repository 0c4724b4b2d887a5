"""Long work cut into slices, so that nobody else on the event loop waits for the whole of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

SLICE = 500

T = TypeVar("T")


def slices(rows: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """Cut a long list into short ones."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


async def in_turns(rows: Sequence[T], size: int = SLICE) -> AsyncIterator[Sequence[T]]:
    """Iterate over slices of a list, and let others have their turn after each."""
    for part in slices(rows, size):
        yield part
        await asyncio.sleep(0)


async def each_in_turn(steps: Iterator[None]) -> None:
    """Do a piece of work step by step, and let others have their turn after each."""
    for _ in steps:
        await asyncio.sleep(0)
