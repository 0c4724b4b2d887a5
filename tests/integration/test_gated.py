"""The gate before the model, with the packaged model and a real video: the same counts by fewer looks."""

from __future__ import annotations

from pathlib import Path

from benchmarks.box import Video
from benchmarks.box_turn import turn
from benchmarks.videos import CLIPS


async def test_a_lane_is_counted_as_people_did_with_fewer_than_half_of_the_looks(data: Path) -> None:
    """All four vehicles in their direction and at their time; most pictures of the empty lane are free."""
    clip = CLIPS[1]
    video = Video(data / "videos" / clip.file, clip.line, clip, clip.truth())
    done = await turn(str(video.path), video.line)
    result = video.result(done["crossings"])
    assert (result.true, result.told, result.hits) == (4, 4, 4)
    assert done["frames"] == 377
    assert done["looks"] < 377 / 2
