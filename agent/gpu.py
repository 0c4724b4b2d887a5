"""How busy the box's GPU is, where it has one that says so; nothing of ours computes there.

Asked are the library of NVIDIA's driver (NVML), and the files in /sys of AMD's driver and of a Jetson's. A
box without any of them says None, never a made-up zero.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from pathlib import Path

_LOG = logging.getLogger(__name__)
_NVML = "libnvidia-ml.so.1"
_AMD = "class/drm/card*/device/gpu_busy_percent"
_JETSON = ("devices/gpu.0/load", "devices/platform/gpu.0/load", "devices/platform/*/*.gpu/load")  # in tenths


class _Utilization(ctypes.Structure):
    """NVML's `nvmlUtilization_t`: percent of the time in which the GPU, and its memory, did something."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Gpu:
    """The GPUs of this box. `sysfs`: where the kernel's files lie; `library`: NVML's name."""

    def __init__(self, sysfs: Path = Path("/sys"), library: str = _NVML) -> None:
        self._sysfs = sysfs
        self._nvml = _nvml(library)

    def percent(self) -> int | None:
        """Return how busy the busiest GPU is; None where there is none that says so."""
        found = [min(100, max(0, one)) for one in (*self._nvidia(), *self._files())]
        return max(found, default=None)

    def _nvidia(self) -> Iterator[int]:
        if self._nvml is None:
            return
        amount = ctypes.c_uint()
        if self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(amount)):
            return
        for number in range(amount.value):
            device = ctypes.c_void_p()
            use = _Utilization()
            if self._nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)):
                continue
            if not self._nvml.nvmlDeviceGetUtilizationRates(device, ctypes.byref(use)):
                yield use.gpu

    def _files(self) -> Iterator[int]:
        for pattern, unit in ((_AMD, 1), *((name, 10) for name in _JETSON)):
            for file in self._sysfs.glob(pattern):
                try:
                    yield int(file.read_text()) // unit
                except (OSError, ValueError) as error:
                    _LOG.debug("%s cannot be read: %s", file, error)


def _nvml(library: str) -> ctypes.CDLL | None:
    """Return NVIDIA's library, begun; None where it is not there or finds no driver."""
    try:
        found = ctypes.CDLL(library)
    except OSError:
        return None
    return None if found.nvmlInit_v2() else found
