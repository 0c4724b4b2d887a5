"""How many cores there are, where a control group says fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import cpu_quota

ALL = len(os.sched_getaffinity(0))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/box/agent", {"box/agent/cpu.max": "max 100000"}, ALL),
        ("0::/box/agent", {"box/agent/cpu.max": "max 100000", "box/cpu.max": "100000 100000"}, 1),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "not a number"}, ALL),
        ("4:cpu,cpuacct:/box", {"cpu/box/cpu.cfs_quota_us": "-1", "cpu/box/cpu.cfs_period_us": "1"}, ALL),
        ("4:cpu,cpuacct:/box", {"cpu/box/cpu.cfs_quota_us": "150", "cpu/box/cpu.cfs_period_us": "100"}, 1),
    ],
)
def test_the_limit_of_a_group_counts(
    tmp_path: Path, group: str, files: dict[str, str], expected: int
) -> None:
    """The least limit on the way up holds; none, or one that cannot be read, leaves the affinity."""
    for name, text in files.items():
        write(tmp_path / "groups" / name, text)
    write(tmp_path / "own", group + "\n")
    assert cpu_quota.usable(tmp_path / "groups", tmp_path / "own") == expected
    assert cpu_quota.usable(tmp_path / "groups", tmp_path / "none") == ALL


def test_cameras_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each camera has a worker; what the cores allow beyond is divided, up to four."""
    monkeypatch.setattr(cpu_quota, "usable", lambda: 8)
    assert [cpu_quota.share(cameras) for cameras in (1, 3, 8, 20)] == [4, 2, 1, 1]
    assert cpu_quota.share(1, threads=4) == 2
