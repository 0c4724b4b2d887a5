"""What runs a camera's loop: turns on a thread of its own, and what they gave on disk and on the wire.

What always holds: a frame's events are on disk before the next frame is followed, in one transaction with the
totals that they imply. However it ends, the camera is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from agent import wire
from agent.deliver.spool import SpoolWorker
from agent.pipeline import Pipeline
from agent.watchdog import Watchdog


def anchor_key(camera: str) -> str:
    """Return under which key a camera's anchor is remembered."""
    return f"anchor {camera}"


async def run_camera(
    pipeline: Pipeline,
    spool: SpoolWorker,
    watchdog: Watchdog,
    show: Callable[[wire.Live], None],
    changed: Callable[[], None],
) -> None:
    """Look at frames until the pipeline is to end; then close what is open and store it.

    Args:
        pipeline: the camera's loop.
        spool: where its events go.
        watchdog: told of each turn.
        show: takes what a viewer is shown.
        changed: called when the camera's state, or what ails it, is another one.
    """
    loop = asyncio.get_running_loop()
    part = f"infer {pipeline.name}"
    pipeline.preview.send = lambda live: loop.call_soon_threadsafe(show, live)
    with ThreadPoolExecutor(1, f"follow {pipeline.name}") as worker:
        await _store(pipeline, spool, [pipeline.minutes.baseline(pipeline.follower.analyst)])
        watchdog.progress(part)  # a first look that never ends is noticed too
        pipeline.camera.start()
        try:
            while not pipeline.ending:
                step = await loop.run_in_executor(worker, pipeline.step)
                watchdog.progress(part)
                await _store(pipeline, spool, step.events)
                if step.live:
                    show(step.live)
                if anchor := pipeline.take_anchor():
                    await spool.remember(anchor_key(pipeline.name), anchor)
                if step.tells:
                    changed()
            watchdog.forget(part)
            await _store(pipeline, spool, await loop.run_in_executor(worker, pipeline.close))
        finally:
            await loop.run_in_executor(worker, pipeline.stop)  # a dead address may hold it for seconds


async def _store(pipeline: Pipeline, spool: SpoolWorker, events: Sequence[wire.AnyEvent]) -> None:
    """Put events and the totals that they imply on disk, in one transaction."""
    if events:
        state = {f"totals {pipeline.name}": pipeline.running_totals.snapshot()}
        await spool.append(events, state=state)
