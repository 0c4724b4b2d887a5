"""The gate before the model, with the packaged model and a real video: the same counts by fewer looks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent import wire
from agent.camera_loop import run_camera
from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.deliver.spool import Spool, SpoolWorker
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.startup import WEAK
from agent.watchdog import Watchdog
from benchmarks.box import Video
from benchmarks.box_turn import turn
from benchmarks.videos import CLIPS


async def test_a_lane_is_counted_as_people_did_with_fewer_than_half_of_the_looks(data: Path) -> None:
    """All four vehicles in their direction and at their time; most pictures of the empty lane are free."""
    clip = CLIPS[1]
    video = Video(data / "videos" / clip.file, clip.line, clip, clip.truth())
    done = await turn(str(video.path), video.line, {})
    result = video.result(done["crossings"])
    assert (result.true, result.told, result.hits) == (4, 4, 4)
    assert done["frames"] == 377
    assert done["looks"] < 377 / 2


@pytest.mark.parametrize("region", [False, True])
async def test_a_region_changes_no_count(region: bool, data: Path, tmp_path: Path) -> None:
    """The lane's vehicles and their directions are counted the same with and without a region of interest."""
    clip = CLIPS[1]
    lines = {"main": wire.Line(points=list(clip.line))}
    source = str(data / "videos" / clip.file)
    camera = CameraConfig(source=source, pace="fast", lines=lines, region=region)
    totals = Totals()
    pipeline = Pipeline(
        "cam0", camera, Detector(camera.model_path, WEAK), camera.settings(), totals, workers=1
    )

    def ended() -> None:
        if pipeline.camera.state == "ended":
            pipeline.end()

    async with SpoolWorker(Spool.open(tmp_path / "spool.db", 64 << 20)) as spool:
        await run_camera(pipeline, spool, Watchdog(), lambda live: None, ended)
    ways = Counter({way: 0 for way in clip.seen})
    for (_, _, way, _), total in totals.rows.items():
        ways[way] += total
    assert ways == {way: len(frames) for way, frames in clip.seen.items()}
