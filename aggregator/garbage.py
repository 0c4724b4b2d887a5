"""Python's cyclic garbage collector, kept from holding up everybody.

A collection of the oldest generation looks at every object that lives: with 10,000 nodes that stops the event
loop for a third of a second, and again after each growth by a quarter. So what has lived for a while is set
aside (`gc.freeze`), where no collection looks at it, and once in a long while everything is looked through.

What always holds: what is set aside is freed, like everything else, when nobody refers to it any more. Only a
cycle that died after it was set aside stays until everything is looked through.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_EVERY_SECONDS = 10.0
_WHOLE_STEPS = 90  # of these, a quarter of an hour, until everything is looked through
_YOUNG = 1  # the generation up to which is collected before the rest is set aside


def set_aside() -> None:
    """Collect what is young, and set aside what is left."""
    gc.collect(_YOUNG)
    gc.freeze()


def look_through() -> None:
    """Collect everything, also of what was set aside, and set aside what is left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def calm() -> AsyncIterator[None]:
    """Keep collections short while this is open. For the whole process: one at a time."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_run(), name="garbage")
        try:
            yield
        finally:
            task.cancel()
            gc.unfreeze()


async def _run() -> None:
    while True:
        for _ in range(_WHOLE_STEPS):
            set_aside()
            await asyncio.sleep(_EVERY_SECONDS)
        look_through()
