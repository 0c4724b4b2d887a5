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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ARENAS = 1
LARGE = 1 << 20  # bytes: a block of so many goes back to the system as soon as it is freed
SETTLED = 2.0  # seconds after the start, by which the libraries have made themselves ready
AGAIN = 4.0  # seconds between two times of giving back
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1
_MADV_DONTNEED = 4
_MAPS = Path("/proc/self/maps")
_SMAPS = Path("/proc/self/smaps")


def be_sparing() -> bool:
    """Keep little memory; return whether this C library can be told so (glibc; others cannot)."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    wishes = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, LARGE), (_M_TRIM_THRESHOLD, LARGE))
    return all([bool(library.mallopt(name, value)) for name, value in wishes])


async def stay_small(empty: Callable[[], None]) -> None:
    """Give back what is not needed, soon after the start and again and again, for ever.

    `empty` frees what the models computed in, where none of them does.
    """
    mapped = Mapped()
    await asyncio.sleep(SETTLED)
    while True:
        empty()
        mapped.give_back()
        await asyncio.sleep(AGAIN)


class Mapped:
    """Give back what was freed, and the libraries' pages that nobody uses now.

    Which parts of files were never written to is asked when others are mapped than before: the system counts
    pages for the answer, which takes ten times as long as to give them back.
    """

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}  # each part of a file that cannot be written: was it never?

    def give_back(self) -> None:
        """Give back once."""
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
        if not _MAPS.exists():
            return
        parts = [line for line in _MAPS.read_text().splitlines() if of_file(line)]
        if not self._known.keys() >= set(parts):
            clean = set(unchanged(_SMAPS.read_text().splitlines()))
            self._known = {line: line in clean for line in parts}
        for line in parts:
            if self._known[line]:
                start, length = place(line)
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def of_file(line: str) -> bool:
    """Tell whether a line of /proc/PID/maps is a part of a file that cannot be written."""
    fields = line.split(maxsplit=5)
    return len(fields) > 5 and fields[5].startswith("/") and "w" not in fields[1]


def place(line: str) -> tuple[int, int]:
    """Return the address of a part and its bytes, of its line in /proc/PID/maps."""
    begin, end = (int(word, 16) for word in line.split(maxsplit=1)[0].split("-"))
    return begin, end - begin


def unchanged(smaps: Iterable[str]) -> Iterator[str]:
    """Yield the first line of each part of a file that is mapped, cannot be written, and never was.

    `smaps` are the lines of /proc/PID/smaps. A part with anonymous pages was written to, then protected.
    """
    part = ""
    for line in smaps:
        name, *values = line.split()
        if not name.endswith(":"):
            part = line if of_file(line) else ""
        elif name == "Anonymous:" and part and values[0] == "0":
            yield part
