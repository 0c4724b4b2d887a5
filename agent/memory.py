"""How the C library keeps memory that was freed: little of it, and in few places.

glibc gives each thread a heap of its own, eight for each core, and keeps large blocks once they were freed;
pictures that come and go through several threads leave a hole in each. Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

ARENAS = 2
LARGE = 1 << 20  # bytes: a block of so many goes back to the system as soon as it is freed
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1


def be_sparing() -> bool:
    """Keep little memory; return whether this C library can be told so (glibc; others cannot)."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    wishes = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, LARGE), (_M_TRIM_THRESHOLD, LARGE))
    return all([bool(library.mallopt(name, value)) for name, value in wishes])
