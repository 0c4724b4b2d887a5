"""From pixels to counts with the packaged model and no setting: real videos, and the street."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.videos import CLIPS, Clip, crossings, street, vehicles


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.file)
def test_real_video_is_counted(data: Path, clip: Clip) -> None:
    """Each direction that people counted by eye is counted right, to within one vehicle in eight."""
    counted = vehicles(crossings(str(data / "videos" / clip.file), clip.y))
    for direction, by_eye in clip.counted.items():
        assert abs(counted.get(direction, 0) - by_eye) <= by_eye // 8, counted


def test_the_street_is_counted() -> None:
    """On the built-in street, crossings match the truth one to one in time and direction."""
    truth, found, hits = street(seed=7, frames=600)
    assert len(truth) >= 8
    assert hits >= 0.9 * len(truth)
    assert hits >= 0.9 * len(found)
