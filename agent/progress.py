"""One line on the terminal that says how far long work is; nothing where nobody watches.

[#########...............] 37.5%  traffic: 2 worker(s)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeVar

T = TypeVar("T")

WIDTH = 24
DRAW_SECONDS = 0.2


def drawn(share: float, words: str) -> str:
    """Return the line of a share 0..1."""
    share = min(max(share, 0.0), 1.0)
    filled = int(share * WIDTH)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:5.1%}  {words}"


class Bar:
    """Draw one line again and again.

    Args:
        steps: how many times `step` will be called.
        stream: where to; None: standard error.
        log: where no terminal is, print each line below the others.
    """

    def __init__(self, steps: int = 1, stream: TextIO | None = None, *, log: bool = False) -> None:
        self._steps = steps
        self._done = 0
        self._stream = stream or sys.stderr
        self._log = log

    def step(self, words: str) -> None:
        """Begin the next step."""
        self.show(self._done / max(self._steps, 1), words)
        self._done += 1

    def show(self, share: float, words: str) -> None:
        """Draw a share 0..1."""
        if self._stream.isatty():
            self._stream.write(f"\r\033[K{drawn(share, words)}")
            self._stream.flush()
        elif self._log:
            self._stream.write(f"{drawn(share, words)}\n")
            self._stream.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._stream.isatty():
            self._stream.write("\r\033[K")
            self._stream.flush()


def watched(items: Sequence[T], words: str, stream: TextIO | None = None) -> Iterator[T]:
    """Yield the items, and draw how many are done and how long the rest takes."""
    bar = Bar(stream=stream)
    begin = time.monotonic()
    said = begin
    for number, item in enumerate(items):
        now = time.monotonic()
        if number and now - said > DRAW_SECONDS:
            said = now
            left = (now - begin) / number * (len(items) - number)
            bar.show(number / len(items), f"{number}/{len(items)} {words}, {left:.0f} s left")
        yield item
    bar.close()
