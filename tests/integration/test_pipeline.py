"""A camera's loop with a real camera, spool and model."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from agent.camera_loop import run_camera
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.deliver.spool import Spool, SpoolWorker
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.watchdog import Watchdog


async def longest_pause(seconds: float) -> float:
    """Return for how long the event loop did nothing else, at most, in so many seconds."""
    begun = last = time.monotonic()
    longest = 0.0
    while last - begun < seconds:
        await asyncio.sleep(0.02)
        longest = max(longest, time.monotonic() - last)
        last = time.monotonic()
    return longest


async def test_the_end_waits_for_no_dead_address(tmp_path: Path) -> None:
    """A camera that accepts and says nothing holds up neither the last minute nor the other cameras."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        camera = CameraConfig(source=f"rtsp://127.0.0.1:{mute.getsockname()[1]}/street")
        detector = Detector(camera.model_path)
        async with SpoolWorker(Spool.open(tmp_path / "spool.db", 4 << 20)) as spool:
            pipeline = Pipeline("cam0", camera, detector, camera.settings(), Totals())
            run = asyncio.create_task(
                run_camera(pipeline, spool, Watchdog(), lambda live: None, lambda: None), name="camera"
            )
            await asyncio.sleep(1.5)
            before = (await spool.status())["pending"]
            pipeline.end()
            assert await longest_pause(2.0) < 1.0
            assert not run.done(), "the address has let go too soon to prove anything"
            assert (await spool.status())["pending"] > before
            await asyncio.wait_for(run, 15)
