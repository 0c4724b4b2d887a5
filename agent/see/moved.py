"""Whether a camera still looks where it looked when its lines were drawn, and if not, by how much it moved.

What always holds:

* The *anchor* is what stayed where it was in the first minute. It is renewed by nothing but a person who
  draws (or a picture of another form): a camera that moved is told as moved until then, or until it looks
  there again.
* Told only when most of the tiles that are found again are displaced, in `CHECKS` minutes one after the
  other.
* By day and by night edges differ. Where too little of the anchor is found again, the newest minute that was
  known to be in place is compared with too; it is replaced only by one that is in place itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from agent.boxes import Uint8
from agent.percentile import medians, percentile
from agent.see.backdrop import Float, Places, compare, directions

EVERY_SECONDS = 5.0
WINDOW_SECONDS = 60.0
FEWEST = 6  # pictures of a window
CHECKS = 2
MOST = 0.6  # of the tiles found again
FEWEST_TILES = 4
KNOWN = 0.25  # of the tiles have to be found again
SCALE = 127  # of what is kept of an anchor


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A camera has moved since `since` (Unix ms): what was at a point is now `shift` from it.

    `shift`: to the right and down, in widths of the picture; `places`: the same of each tile.
    """

    since: int
    shift: tuple[float, float]
    places: Places

    @property
    def amount(self) -> float:
        """By how much, in widths of the picture: the middle of all tiles, which covers a turn too."""
        return percentile(np.linalg.norm(self.places.shifts, axis=1), 50)

    def at(self, points: Float) -> float:
        """Return the largest displacement, in widths, of the tiles next to some points (N,2) in fractions."""
        gaps = np.linalg.norm(points[:, None] - self.places.centres[None], axis=2)
        return float(np.linalg.norm(self.places.shifts[gaps.argmin(axis=1)], axis=1).max())


class Packed(Struct, frozen=True):
    """An anchor (h,w,2) in steps of 1/127: an outline of what does not move. It stays on the box."""

    shape: tuple[int, int]
    steps: bytes


class Moved:
    """Compare each minute of one camera with its anchor."""

    def __init__(self) -> None:
        self.anchor: Float | None = None
        self.move: Move | None = None
        self._since: int | None = None  # when the first of the displaced minutes in a row began
        self.told = False
        self._lately: Float | None = None
        self._sum: Float | None = None
        self._count = 0
        self._begun = 0.0
        self._begun_ms = 0
        self._last = -np.inf
        self._in_row = 0

    def look(self, image: Uint8, seconds: float, wall_ms: int) -> bool:
        """Take a picture (H,W,3) if it is time for one; return True where a minute has been judged."""
        if seconds - self._last < EVERY_SECONDS:
            return False
        self._last = seconds
        seen = directions(image)
        if self._sum is None or self._sum.shape != seen.shape or seconds - self._begun > 3 * WINDOW_SECONDS:
            self._begin(seen, seconds, wall_ms)
        assert self._sum is not None
        self._sum += seen
        self._count += 1
        if seconds - self._begun < WINDOW_SECONDS or self._count < FEWEST:
            return False
        window = self._sum / np.float32(self._count)
        begun_ms = self._begun_ms
        self._begin(seen, seconds, wall_ms)
        self._judge(window, begun_ms)
        return True

    def _begin(self, like: Float, seconds: float, wall_ms: int) -> None:
        self._sum = np.zeros_like(like)
        self._count = 0
        self._begun = seconds
        self._begun_ms = wall_ms

    def renew(self) -> None:
        """Somebody has drawn: the next minute is the anchor."""
        self.anchor = None
        self._lately = None
        self._sum = None
        self._clear()

    def _clear(self) -> None:
        self.move = None
        self._since = None
        self.told = False
        self._in_row = 0

    def pack(self) -> Packed | None:
        """Return the anchor as it is remembered, None as long as there is none."""
        if self.anchor is None:
            return None
        height, width = self.anchor.shape[:2]
        return Packed((height, width), np.round(self.anchor * SCALE).astype(np.int8).tobytes())

    def restore(self, packed: Packed, since: int | None) -> None:
        """Go on from a remembered anchor, told as moved since then (Unix ms); raise ValueError if damaged."""
        steps = np.frombuffer(packed.steps, np.int8).reshape(*packed.shape, 2)
        self.anchor = steps.astype(np.float32) / np.float32(SCALE)
        self._since = since
        self.told = since is not None

    def _judge(self, window: Float, begun_ms: int) -> None:
        """Compare a minute that began at `begun_ms` with the anchor."""
        if self.anchor is None or self.anchor.shape != window.shape:
            self.anchor = window
            self._clear()
            return
        places = self._find(window)
        if places is None:
            return  # too little is found again: what was said before stays
        displaced = np.linalg.norm(places.shifts, axis=1) > 0
        if displaced.mean() < 1 - MOST:
            self._lately = window
            self._clear()
        elif displaced.mean() >= MOST:
            self._displaced(places, begun_ms)

    def _find(self, window: Float) -> Places | None:
        """Find the anchor's tiles, or those of the newest minute in place; None if there are too few."""
        for before in (self.anchor, self._lately):
            if before is None:
                continue
            places = compare(before, window)
            if len(places.shifts) >= max(FEWEST_TILES, KNOWN * places.tiles):
                return places
        return None

    def _displaced(self, places: Places, begun_ms: int) -> None:
        self._in_row += 1
        if self._since is None:
            self._since = begun_ms
        if self._in_row >= CHECKS or self.told:
            across, down = medians(places.shifts).tolist()
            self.told = True
            self.move = Move(self._since, (across, down), places)
