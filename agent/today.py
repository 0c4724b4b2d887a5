"""What was counted today, on the box alone: running totals less what they were when its day began.

What always holds: the day is the box's own local day. Where the box has not seen the day begin (the page was
turned on later), the figures say since when they count. A crossing is never lost by an edit of its line:
versions are summed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from agent import atomic_file
from agent.count.totals import Totals

NAME = "page-day.json"
Row = tuple[str, str, str]  # line, direction, label


class Figures(Struct):
    """Counts of one camera: since when (Unix ms), and rows of line, direction, label, count."""

    since: int
    rows: list[tuple[str, str, str, int]]


class _Day(Struct):
    day: str
    since: int
    base: dict[str, list[tuple[str, str, str, int]]]


class Today:
    """The day of one box, for several threads. `totals`: camera -> its running totals, as they grow."""

    def __init__(self, state_dir: Path, totals: Mapping[str, Totals]) -> None:
        self._path = state_dir / NAME
        self._totals = totals
        self._kept = self._read()
        self._beginning = threading.Lock()

    def figures(self, now: float) -> dict[str, Figures]:
        """Return what each camera has counted today; `now`: Unix seconds."""
        day = time.strftime("%Y-%m-%d", time.localtime(now))
        with self._beginning:
            if self._kept is None or self._kept.day != day:
                self._begin(day, now)
            kept = self._kept
        assert kept is not None
        answer = {}
        for camera, totals in list(self._totals.items()):
            base = Counter({(line, way, label): n for line, way, label, n in kept.base.get(camera, [])})
            grown = {key: n - base[key] for key, n in sums(totals).items() if n > base[key]}
            answer[camera] = Figures(kept.since, [(*key, n) for key, n in sorted(grown.items())])
        return answer

    def _begin(self, day: str, now: float) -> None:
        """Begin a day: at its midnight if the day before was known, else now, or at zero on a new box."""
        midnight = time.mktime(time.strptime(day, "%Y-%m-%d"))
        untouched = not any(sums(totals) for totals in self._totals.values())
        since = midnight if self._kept is not None or untouched else now
        now_there = list(self._totals.items())  # another thread may add a camera
        base = {camera: [(*key, n) for key, n in sums(totals).items()] for camera, totals in now_there}
        self._kept = _Day(day, round(since * 1000), base)
        with contextlib.suppress(OSError):  # it is kept in memory; the spool says what is wrong with the disk
            atomic_file.write(self._path, msgspec.json.encode(self._kept), 0o644)

    def _read(self) -> _Day | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Day)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def sums(totals: Totals) -> Counter[Row]:
    """Return the crossings of a camera by line, direction and label, over all versions of a line."""
    found: Counter[Row] = Counter()
    for (line, _version, direction, label), total in list(totals.rows.items()):
        found[line, direction, label] += total
    return found
