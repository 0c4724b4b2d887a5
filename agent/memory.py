"""How little memory the process keeps: one heap, nothing freed kept, no code that only the start needed.

What always holds: nothing is thrown away that is not still in a file. glibc gives each thread a heap of its
own, eight for each core, and keeps large blocks once they were freed; pictures that come and go through
several threads leave a hole in each. And of the libraries, half of what the start has touched (their tables
of operators, their kernels' set-up) is never touched again: it is unmapped, and read anew from the page
cache where it is needed after all. Sources: mallopt(3), malloc_trim(3), madvise(2), proc_pid_smaps(5).
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path

ARENAS = 1
LARGE = 1 << 20  # bytes: a block of so many goes back to the system as soon as it is freed
SETTLED = 2.0  # seconds after the start, by which the libraries have made themselves ready
AGAIN = 10.0  # seconds between two times of giving back
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1
_MADV_DONTNEED = 4
_SMAPS = Path("/proc/self/smaps")


def be_sparing() -> bool:
    """Keep little memory; return whether this C library can be told so (glibc; others cannot)."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    wishes = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, LARGE), (_M_TRIM_THRESHOLD, LARGE))
    return all([bool(library.mallopt(name, value)) for name, value in wishes])


async def stay_small() -> None:
    """Give back what is not needed, soon after the start and again and again, for ever."""
    await asyncio.sleep(SETTLED)
    while True:
        give_back()
        await asyncio.sleep(AGAIN)


def give_back() -> None:
    """Give back what was freed, and the libraries' pages that nobody uses now."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    if _SMAPS.exists():
        for start, length in unchanged(_SMAPS.read_text().splitlines()):
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def unchanged(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of each part of a file that is mapped, cannot be written, and never was.

    `smaps` are the lines of /proc/PID/smaps. A part with anonymous pages was written to, then protected.
    """
    part: tuple[int, int] | None = None
    for line in smaps:
        fields = line.split()
        if fields[0].endswith(":"):
            if fields[0] == "Anonymous:" and part is not None and fields[1] == "0":
                yield part
            continue
        begin, _, end = fields[0].partition("-")
        of_file = len(fields) > 5 and fields[5].startswith("/") and "w" not in fields[1]
        part = (int(begin, 16), int(end, 16) - int(begin, 16)) if of_file else None
