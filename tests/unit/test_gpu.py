"""How busy a GPU is, read as the kernel and NVIDIA's library tell it; a box without one says nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agent.gpu import Gpu

NONE = "libno-such-library.so.1"
CARD = "class/drm/card"
BUSY = "device/gpu_busy_percent"
NVML = """
typedef struct { unsigned gpu, memory; } use;
int nvmlInit_v2(void) { return %d; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = (void *)(i + 1UL); return i == 1; }
int nvmlDeviceGetUtilizationRates(void *device, use *u) { u->gpu = 20 * (unsigned long)device; return 0; }
"""


def write(file: Path, text: str) -> None:
    """Write a file of the kernel's."""
    file.parent.mkdir(parents=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("files", "percent"),
    [
        ({}, None),
        ({f"{CARD}0/{BUSY}": "37\n"}, 37),
        ({f"{CARD}0/{BUSY}": "0\n", f"{CARD}1/{BUSY}": "9\n"}, 9),
        ({"devices/gpu.0/load": "615\n"}, 61),
        ({"devices/platform/bus@0/17000000.gpu/load": "1000\n"}, 100),
        ({f"{CARD}0/{BUSY}": "garbled\n"}, None),
        ({f"{CARD}0/device/vendor": "0x8086\n"}, None),
    ],
)
def test_what_the_kernel_tells(tmp_path: Path, files: dict[str, str], percent: int | None) -> None:
    """AMD tells percent, a Jetson tenths of it; of several the busiest counts; rubbish is nothing."""
    for name, text in files.items():
        write(tmp_path / name, text)
    assert Gpu(tmp_path, NONE).percent() == percent


@pytest.mark.parametrize(("begun", "percent"), [(0, 60), (9, None)])
def test_what_nvidias_library_tells(tmp_path: Path, begun: int, percent: int | None) -> None:
    """Of three devices, one of which cannot be asked, the busiest counts; without a driver it is nothing."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler on this machine")
    source = tmp_path / "nvml.c"
    source.write_text(NVML % begun)
    library = tmp_path / "libnvml.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    assert Gpu(tmp_path, str(library)).percent() == percent
