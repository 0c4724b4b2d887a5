"""Resource samples are those of this machine, in whole numbers."""

from __future__ import annotations

from pathlib import Path

import psutil

from agent import wire
from agent.resources import Sampler


def test_sample_is_of_this_process(tmp_path: Path) -> None:
    """Memory and disk agree with the system's own figures; the wire form is small."""
    sample = Sampler(tmp_path).sample(1_700_000_000_000, {"cam0": 14.96})
    assert abs(sample.memory_bytes - psutil.Process().memory_info().rss) < 50e6
    assert abs(sample.disk_percent - psutil.disk_usage(str(tmp_path)).percent) <= 1
    assert sample.fps_tenths == {"cam0": 150}
    assert len(wire.encode_event(sample, 1_700_000_000_000)) <= 45
