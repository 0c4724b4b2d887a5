"""No task ends in silence, and none leaves a mark on the task that waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import pytest

from agent.tasks import EndedError, alone, first_error, lasting


async def returns() -> None:
    await asyncio.sleep(0)


async def raises() -> None:
    await asyncio.sleep(0)
    raise ValueError("broken")


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def dies_cancelled() -> None:
    """As `asyncio.timeout` did up to Python 3.11.2 after a lost child."""
    await asyncio.sleep(0)
    raise asyncio.CancelledError


Work = Callable[[], Awaitable[None]]


@pytest.mark.parametrize(
    ("work", "fault", "words"),
    [
        (returns, EndedError, "it returned"),
        (raises, ValueError, "it raised ValueError('broken')"),
        (cancels_itself, EndedError, "it was cancelled"),
        (dies_cancelled, EndedError, "it was cancelled"),
    ],
)
async def test_a_lasting_task_that_ends_in_whatever_way_ends_its_group(
    work: Work, fault: type[Exception], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Return, exception, cancelled by itself: the group and all in it end, and a line of the log says why."""

    async def group_of_two() -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(lasting(work(), "part"), name="part lasts")  # type: ignore[arg-type]
            group.create_task(asyncio.Event().wait(), name="other")

    with caplog.at_level(logging.CRITICAL), pytest.raises(ExceptionGroup) as caught:
        await group_of_two()
    assert [type(error) for error in caught.value.exceptions] == [fault]
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert f"the task 'part' has ended: {words}" in caplog.text


async def test_a_lasting_task_may_return_when_it_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    """The ordered end is none of a fault, and what is expected to be raised is raised without a word."""
    await lasting(returns(), "part", asked=lambda: True)
    with pytest.raises(ValueError, match="broken"):
        await lasting(raises(), "part", expected=(ValueError,))
    assert caplog.text == ""


async def test_cancelling_from_outside_cancels_the_work_and_waits_for_it() -> None:
    """The work is over, its `finally` run, when the one who waits for it is."""
    over = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            over.append(True)

    for way in (alone(work(), "work"), lasting(work(), "work")):
        task = asyncio.create_task(way)
        await asyncio.sleep(0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    assert over == [True, True]


async def test_a_group_whose_child_failed_leaves_no_mark_outside() -> None:
    """After a lost child, `asyncio.timeout` of the task that goes on raises TimeoutError."""

    async def group_with_a_failing_child() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(raises(), name="child")
            group.create_task(asyncio.sleep(5), name="other child")

    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(ExceptionGroup):
        await alone(group_with_a_failing_child(), "group")
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)


async def test_work_alone_that_is_cancelled_by_itself_is_a_fault() -> None:
    """`alone` gives the result, and never mistakes the death of its work for an order to end."""

    async def seven() -> int:
        return 7

    assert await alone(seven(), "seven") == 7
    with pytest.raises(EndedError, match="cancelled"):
        await alone(dies_cancelled(), "dies")


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        ([OSError("a"), ExceptionGroup("", [OSError("b")])], OSError),
        ([ExceptionGroup("", [OSError("b")])], OSError),
        ([OSError("a"), ValueError("c")], ExceptionGroup),
    ],
)
def test_a_group_of_one_kind_is_raised_as_its_first_error(
    raised: list[Exception], seen: type[Exception]
) -> None:
    """A fault of another kind beside it is not swallowed."""
    with pytest.raises(seen) as told, first_error(OSError):
        raise ExceptionGroup("", raised)
    if isinstance(told.value, ExceptionGroup):
        assert [type(error) for error in told.value.exceptions] == [ValueError]
