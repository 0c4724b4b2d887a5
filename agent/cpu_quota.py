"""How many CPU cores this process may really use: its affinity, and the limit of its control group."""

from __future__ import annotations

import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")


def usable(groups: Path = GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the cores to plan with, at least 1; a limit of 1.5 cores is one."""
    return max(1, int(min(len(os.sched_getaffinity(0)), _quota(groups, own))))


def share(cameras: int, threads: int = 1) -> int:
    """Return the default number of workers of each of so many cameras: its share of the cores, 1 to 4."""
    return min(max(usable() // max(cameras * threads, 1), 1), 4)


def _quota(groups: Path, own: Path) -> float:
    """Return the least limit of the control groups that this process is in, in cores."""
    try:
        places = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return float("inf")
    limits = [float("inf")]
    for _, kinds, place in places:
        if kinds == "":
            limits += [_v2(folder) for folder in _upwards(groups, place)]
        elif "cpu" in kinds.split(","):
            limits += [_v1(folder) for folder in _upwards(groups / "cpu", place)]
    return min(limits)


def _upwards(groups: Path, place: str) -> list[Path]:
    """Return a group's folder and those above it; in a container the mount itself is the group."""
    folder = groups / place.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(groups))]


def _v2(folder: Path) -> float:
    try:
        most, period = (folder / "cpu.max").read_text().split()
        return float("inf") if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        return float("inf")


def _v1(folder: Path) -> float:
    try:
        most = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return most / period if most > 0 and period > 0 else float("inf")
    except (OSError, ValueError):
        return float("inf")
