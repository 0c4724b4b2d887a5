"""What an object is: the vote of all its sightings.

What always holds: a sighting's vote weighs its confidence, the object's size and how sharp it was, so one
good look beats many poor ones; a vote loses half of its weight in FADE_SECONDS. Another label must lead
clearly to take over. Who wears a mask is "unknown" until the vote is clear, and again when it is no more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.objects import NOT_TOLD, Float, Float32, Int, Objects

UNKNOWN = "unknown"
SETTLE_SECONDS = 1.0  # an object is told at most so long after its first sight
SETTLE_FRAMES, SETTLE_SHARE = 3, 0.75  # or sooner, when so many sightings agree so well
CHANGE_SHARE = 0.6  # of the votes for another label to take over
MASK_SHARE, MASK_DOUBT = 0.65, 0.55  # to say whether a mask is worn; below: to say no more that one knows
FADE_SECONDS = 20.0
LEAST_SIZE, LEAST_SHARPNESS = 0.01, 0.05  # however small or blurred: a vote still
_ERA = 20 * FADE_SECONDS  # after so long all weights are written anew, before they grow too large


class Vote:
    """The rules of one camera's vote. `names`: label of each class; the votes are columns of `Objects`.

    New votes grow heavier instead of old ones lighter: then a frame only touches what was seen in it.
    """

    def __init__(self, names: dict[int, str]) -> None:
        self.names = [names.get(kind, f"class {kind}") for kind in range(max(names, default=-1) + 1)]
        self._need = np.array([MASK_SHARE if "mask" in name else 0.0 for name in self.names])
        self._since = 0.0

    @property
    def about_state(self) -> bool:
        """True where the labels are states that only a good look tells."""
        return bool(self._need.any())

    def cast(
        self, things: Objects, rows: Int, kinds: Int, confidence: Float32, sharpness: Float | None, now: float
    ) -> None:
        """Add a frame's votes, (N,) each, and see which label holds."""
        weight = np.maximum(things.size[rows], LEAST_SIZE) * self._gain(things, now)
        if sharpness is not None:
            weight *= np.maximum(sharpness, LEAST_SHARPNESS)
        things.weight[rows] += weight
        things.votes[rows, kinds] += confidence * weight
        odd = rows[kinds != things.held[rows]]  # a vote for the label that holds changes nothing
        if len(odd):
            self._hold(things, odd)

    def _gain(self, things: Objects, now: float) -> float:
        """Return what a vote weighs now against one of `_since`."""
        if not 0 <= now - self._since < _ERA:
            past = 0.5 ** (max(now - self._since, 0.0) / FADE_SECONDS)
            things.votes *= past
            things.weight *= past
            self._since = now
        return float(2.0 ** ((now - self._since) / FADE_SECONDS))

    def _hold(self, things: Objects, rows: Int) -> None:
        best, share = self.best(things, rows)
        held = np.where((self._need[best] > 0) & (share < MASK_DOUBT), -1, things.held[rows])
        need = np.where(held >= 0, CHANGE_SHARE, self._need[best])
        things.held[rows] = np.where(share >= need, best, held)

    def best(self, things: Objects, rows: Int) -> tuple[Int, Float]:
        """Return the leading class (N,) and its share of the votes (N,)."""
        votes = things.votes[rows]
        return votes.argmax(axis=1), votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-12)

    def due(self, things: Objects, now: float, step: float) -> Int:
        """Return the rows whose label has settled, or is another than was told. `step`: to the next frame."""
        rows = np.flatnonzero(things.held != things.told)
        fresh = rows[things.told[rows] == NOT_TOLD]
        if not len(fresh):
            return rows
        _, share = self.best(things, fresh)
        settled = (
            (things.frames[fresh] >= SETTLE_FRAMES) & (share >= SETTLE_SHARE) & (things.held[fresh] >= 0)
        )
        settled |= now - things.first[fresh] + step > SETTLE_SECONDS
        return np.setdiff1d(rows, fresh[~settled])

    def label(self, things: Objects, row: int) -> str:
        """Return an object's label by vote."""
        held = int(things.held[row])
        return self.names[held] if held >= 0 else UNKNOWN

    def score(self, things: Objects, row: int) -> int:
        """Return the mean confidence given to the label over all sightings, percent."""
        held = int(things.held[row])
        votes = things.votes[row, held] if held >= 0 else things.votes[row].max()
        return min(max(round(100 * float(votes / things.weight[row])), 0), 100)

    def shares(self, things: Objects, row: int) -> dict[str, int]:
        """Return each label's share of the votes in percent, where there was more than one."""
        votes = things.votes[row]
        share = (100 * votes / max(votes.sum(), 1e-12)).tolist()
        shares = {name: round(part) for name, part in zip(self.names, share, strict=True) if part >= 0.5}
        return shares if len(shares) > 1 else {}

    def wants(self, labels: list[str]) -> NDArray[np.bool_]:
        """Return (C+1,) which labels a list lets through, an empty one all; the last is "unknown"."""
        return np.array([not labels or name in labels for name in [*self.names, UNKNOWN]])
