"""A bar on the terminal for long work; nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def watched(items: Sequence[T], words: str) -> Iterator[T]:
    """Yield the items and draw, on standard error, how many are done and how long the rest takes."""
    begin = said = time.monotonic()
    show = sys.stderr.isatty()
    for number, item in enumerate(items):
        now = time.monotonic()
        if show and now - said > 0.2:
            said = now
            left = (now - begin) / number * (len(items) - number)
            filled = 24 * number // len(items)
            bar = f"[{'#' * filled}{'.' * (24 - filled)}] {number}/{len(items)} {words}, {left:.0f} s left"
            print(f"\r{bar:<78}", end="", file=sys.stderr, flush=True)
        yield item
    if show:
        print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
