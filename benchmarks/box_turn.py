"""One turn of `benchmarks.box`, in a process of its own: a build's camera loop over one video.

    python -P benchmarks/box_turn.py VIDEO LINE-AS-JSON [KEYS-AS-JSON]        (PYTHONPATH chooses the build)

What always holds: it uses only names that version 0.2.0 has too, so that both builds do the same work. The
frames' clock is the film's own, so a crossing can be matched with what people saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent import bench, wire


class Recorder:
    """A spool that also remembers the crossings, and counts the frames that were looked at."""

    def __init__(self, spool: Any) -> None:
        self._spool = spool
        self.crossings: list[tuple[float, str, str]] = []
        self.looks = 0

    async def append(self, events: Sequence[wire.AnyEvent], **more: Any) -> None:
        """Store events."""
        passed = [event for event in events if isinstance(event, wire.Crossing)]
        self.crossings += [(event.at / 1000, event.direction, event.label) for event in passed]
        self.looks += sum(event.inferred for event in events if isinstance(event, wire.Tally))
        await self._spool.append(events, **more)

    async def remember(self, key: str, value: bytes) -> None:
        """Store what outlives a restart."""
        await self._spool.remember(key, value)


def follow_the_film(looker: Any) -> None:
    """Let each frame's wall clock be the film's."""
    take = looker.camera.take

    def taken(timeout: float) -> Any:
        frame = take(timeout)
        return frame and replace(frame, wall=frame.seconds)

    looker.camera.take = taken


async def turn(video: str, line: Sequence[tuple[float, float]], keys: dict[str, Any]) -> dict[str, Any]:
    """Watch a video whole; return CPU seconds, frames, looks and crossings.

    `keys`: more of the camera's table.
    """
    lines = {"main": wire.Line(points=[(x, y) for x, y in line])}
    camera = bench.CameraConfig(source=video, pace="fast", lines=lines, **keys)
    detector = bench.Detector(camera.model_path, 0.1)
    looker = bench.Pipeline("cam0", camera, detector, camera.settings(), bench.Totals(), workers=1)
    follow_the_film(looker)
    with tempfile.TemporaryDirectory() as folder:
        async with bench.SpoolWorker(bench.Spool.open(Path(folder) / "spool.db", 64 << 20)) as spool:
            recorder = Recorder(spool)
            begun = time.process_time()
            await bench.file_rate(looker, recorder)  # type: ignore[arg-type]
            spent = time.process_time() - begun
    return {
        "cpu": spent,
        "frames": looker.camera.captured,
        "looks": recorder.looks,
        "crossings": recorder.crossings,
    }


if __name__ == "__main__":
    video, line, keys = (*sys.argv[1:3], (sys.argv[3:] or ["{}"])[0])
    print(json.dumps(asyncio.run(turn(video, json.loads(line), json.loads(keys)))))
