"""Samples of what the box spends: CPU, GPU, memory, disk, heat, network.

A box that cannot tell (no sensor, no permission) says None, never a made-up zero.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from agent import wire
from agent.gpu import Gpu

_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "soc_thermal", "acpitz")


class Sampler:
    """Takes `wire.Resources` samples; rates are since the sample before."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._gpu = Gpu()
        self._process = psutil.Process()
        self._process.cpu_percent(None)
        psutil.cpu_percent(None)
        self._sent, self._received = _network()

    def sample(
        self,
        wall_ms: int,
        fps: dict[str, float],
        level: int = 0,
        throttled: bool = False,
        power: wire.Power | None = None,
    ) -> wire.Resources:
        """Return one sample.

        Args:
            wall_ms: Unix milliseconds of now.
            fps: camera -> frames inferred a second.
            level: of the budget.
            throttled: whether the board says so.
            power: what the board says of it.
        """
        sent, received = _network()
        resources = wire.Resources(
            at=wall_ms,
            camera="",
            cpu_percent=round(psutil.cpu_percent(None)),
            agent_cpu_percent=round(self._process.cpu_percent(None)),
            memory_bytes=self._process.memory_info().rss,
            memory_percent=round(psutil.virtual_memory().percent),
            disk_percent=disk_percent(self._disk),
            temperature=temperature(),
            sent_bytes=max(sent - self._sent, 0),
            received_bytes=max(received - self._received, 0),
            throttled=throttled,
            fps_tenths={camera: round(rate * 10) for camera, rate in fps.items()},
            level=level,
            gpu_percent=self._gpu.percent(),
            power=power,
        )
        self._sent = sent
        self._received = received
        return resources


def disk_percent(folder: Path) -> int:
    """Return how full the disk of a folder is; where that cannot be asked, of the nearest folder above.

    A state folder may be missing: the box works in memory then.
    """
    for place in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError):
            percent: float = psutil.disk_usage(str(place)).percent
            return round(percent)
    return 100  # a disk that cannot be asked has no room


def _network() -> tuple[int, int]:
    counters = psutil.net_io_counters()
    return (counters.bytes_sent, counters.bytes_recv) if counters else (0, 0)


def temperature() -> int | None:
    """Return the processor's temperature in degrees Celsius, None where no sensor can be read."""
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    sensors = psutil.sensors_temperatures()
    for name in (*_SENSORS, *sensors):
        if sensors.get(name):
            return int(max(reading.current for reading in sensors[name]))
    return None
