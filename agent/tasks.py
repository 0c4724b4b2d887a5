"""Tasks that must last: in whatever way one ends unasked, its process ends, and a supervisor restarts it.

Work in `lasting` goes on for one step after its group has begun to end, so it begins no task in that group.

Two habits of asyncio make this a module of its own:

* A task group takes a child that was *cancelled* for one that was asked to end, and goes on without it.
* Up to Python 3.12 a group whose child has failed leaves the task it stands in marked as being cancelled
  (`cancelling()` stays 1), and up to 3.11.2 the next `asyncio.timeout` of that task then raises
  CancelledError in the place of TimeoutError. So work that may fail and is done again runs in a task of its
  own, `alone`: the mark goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class EndedError(Exception):
    """A task has ended that nobody had asked to end."""


async def alone(work: Coroutine[Any, Any, T], name: str) -> T:
    """Do `work` in a task of its own; return or raise what it does. Raise EndedError if it was cancelled."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    await _wait_for(task)
    if task.cancelled():
        raise EndedError(f"the task {name!r} was cancelled, and nobody had asked it to end")
    return task.result()


async def lasting(
    work: Coroutine[Any, Any, Any],
    name: str,
    *,
    asked: Callable[[], bool] = lambda: False,
    expected: tuple[type[Exception], ...] = (),
) -> None:
    """Do `work` in a task of its own, which may end only in the ways named here, or cancelled from outside.

    Args:
        work: What lasts.
        name: Of its task, for the log.
        asked: Tells whether it may return by now.
        expected: What it may raise; the caller deals with that.

    Raises:
        EndedError: It returned or was cancelled, unasked.
        Exception: What it raised.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    await _wait_for(task)
    fault = None if task.cancelled() else task.exception()
    if fault is None and not task.cancelled() and asked():
        return
    if isinstance(fault, expected):
        raise fault
    how = "it was cancelled" if task.cancelled() else f"it raised {fault!r}" if fault else "it returned"
    _LOG.critical("the task %r has ended: %s. The process ends, to be started again", name, how)
    raise fault or EndedError(f"the task {name!r} has ended: {how}")


@contextlib.contextmanager
def first_error(kind: type[BaseException]) -> Iterator[None]:
    """Raise the first error of a kind in the place of the group that holds it.

    A group that holds others too is raised with those alone, as `except*` does.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        others = group.split(kind)[1]
        raise (_first_of(group) if others is None else others) from None


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group, however deep it lies."""
    error = errors.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most some seconds."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        return


async def _wait_for(task: asyncio.Task[Any]) -> None:
    """Wait until a task has ended in whatever way; if we are cancelled, so is the task, first."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()  # what went wrong on the way out
        raise
