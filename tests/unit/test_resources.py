"""Resource samples are those of this machine, in whole numbers."""

from __future__ import annotations

from pathlib import Path

import psutil

from agent import wire
from agent.resources import Sampler, disk_percent


def test_sample_is_of_this_process(tmp_path: Path) -> None:
    """Memory and disk agree with the system's own figures; the wire form is small."""
    sample = Sampler(tmp_path).sample(1_700_000_000_000, {"cam0": 14.96})
    assert abs(sample.memory_bytes - psutil.Process().memory_info().rss) < 50e6
    assert abs(sample.disk_percent - psutil.disk_usage(str(tmp_path)).percent) <= 1
    assert sample.fps_tenths == {"cam0": 150}
    assert len(wire.encode_event(sample, 1_700_000_000_000)) <= 45


def test_a_state_folder_that_is_gone_is_on_the_disk_above_it(tmp_path: Path) -> None:
    """A box that cannot keep anything works in memory, and still tells what it spends."""
    folder = tmp_path / "gone" / "state"
    full = psutil.disk_usage(str(tmp_path)).percent
    assert abs(disk_percent(folder) - full) <= 1
    assert abs(Sampler(folder).sample(1, {}).disk_percent - full) <= 1
