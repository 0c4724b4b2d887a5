"""From pixels to counts with the packaged model and no setting: real videos, and the street."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.see.slot import Frame
from benchmarks.videos import CLIPS, Clip, clip_result, matched, slower, street_result


@pytest.mark.parametrize("clip", CLIPS[:2], ids=lambda clip: clip.file)
@pytest.mark.parametrize("rate", [None, 5.0], ids=["native", "5 fps"])
def test_real_video_is_counted(data: Path, clip: Clip, rate: float | None) -> None:
    """Each vehicle that people saw cross is told in its direction and at its time, all but one in eight."""
    result = clip_result(clip, data / "videos", rate)
    assert result.hits >= result.true - result.true // 8, result
    assert result.told <= result.true + result.true // 8, result


def test_the_street_is_counted() -> None:
    """On the built-in street, crossings match the truth one to one in time and direction."""
    result = street_result(seed=7, frames=600)
    assert result.true >= 8
    assert result.recall >= 0.9
    assert result.precision >= 0.9


def test_matching_is_one_to_one() -> None:
    """Two told crossings never share one true one, and direction and time both have to fit."""
    true = [(1.0, "AB"), (5.0, "BA")]
    assert matched(true, [(1.1, "AB"), (1.2, "AB"), (5.0, "AB"), (9.0, "BA")], 1.0) == {0}


def test_a_slower_box_sees_the_newest_frame_of_each_tick() -> None:
    """At 10 fps of 24, frames are at most a tick and a frame apart, and ten are seen a second."""
    frames = [Frame(np.zeros((1, 1, 3), np.uint8), number, number / 24, number / 24) for number in range(240)]
    times = [frame.wall for frame in slower(frames, 10.0)]
    assert len(times) == 100
    assert max(b - a for a, b in pairwise(times)) <= 1 / 10 + 1 / 24


def test_a_phase_is_a_part_of_a_tick_late() -> None:
    """At 2.5 fps of 10, each of four phases sees every fourth frame, and together they see all."""
    frames = [Frame(np.zeros((1, 1, 3), np.uint8), number, number / 10, number / 10) for number in range(40)]
    seen = [[frame.number for frame in slower(frames, 2.5, phase / 4)] for phase in range(4)]
    assert seen == [list(range(phase, 40, 4)) for phase in range(4)]
