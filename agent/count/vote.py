"""What an object is: the vote of all its sightings.

What always holds: a sighting's vote weighs its confidence, the object's size and how sharp it was, so one
good look beats many poor ones; a vote loses half of its weight in FADE_SECONDS. Another label must lead
clearly to take over. Who wears a mask is "unknown" until the vote is clear, and again when it is no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent import wire
from agent.count.object_table import Columns, Float, Float32, Int, ObjectTable
from agent.count.paths import START
from agent.track.tracks import Tracks

NOT_TOLD = -2
SETTLE_SECONDS = 1.0  # an object is told at most so long after its first sight
SETTLE_FRAMES = 3  # or sooner, when so many sightings
SETTLE_SHARE = 0.75  # agree so well
CHANGE_SHARE = 0.6  # of the votes for another label to take over
MASK_SHARE = 0.65  # of the votes to say whether a mask is worn
MASK_DOUBT = 0.55  # below this share the state is unknown again
FADE_SECONDS = 20.0
JUDGE_TIMES = 3.0  # what the word of a judge of enlarged faces weighs beside a detection's
LEAST_SIZE = 0.01  # frame heights: however small, a vote still
LEAST_SHARPNESS = 0.05  # however blurred
_ERA = 20 * FADE_SECONDS  # after so long all weights are written anew, before they grow too large


class _Votes(Columns):
    votes: Float  # (R,C)
    weight: Float  # (R,) what the votes would be if the detector were sure
    held: Int  # (R,) the label by vote, -1: unknown
    told: Int  # (R,) the label of the last Detection, NOT_TOLD: none yet


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Hold what a closer look says of K tracks: track_id (K,), class_id (K,), probability (K,)."""

    track_id: Int
    class_id: Int
    probability: Float32


class Vote:
    """The rules of one camera's vote, and the votes. `names`: label of each of the C classes.

    New votes grow heavier instead of old ones lighter: then a frame only touches what was seen in it.
    """

    def __init__(self, names: dict[int, str]) -> None:
        self.names = [names.get(kind, f"class {kind}") for kind in range(max(names, default=-1) + 1)]
        self._need = np.array([MASK_SHARE if "mask" in name else 0.0 for name in self.names])
        self._since = 0.0
        self._rows = _Votes(
            votes=np.zeros(len(self.names)), weight=0.0, held=np.int64(-1), told=np.int64(NOT_TOLD)
        )
        self._rows.reach(START)

    @property
    def about_state(self) -> bool:
        """True where the labels are states that only a good look tells."""
        return bool(self._need.any())

    def forget(self, rows: Int) -> None:
        """Make rows free."""
        self._rows.clear(rows)

    def cast(
        self,
        objects: ObjectTable,
        rows: Int,
        kinds: Int,
        confidence: Float32,
        sharpness: Float | None,
        now: float,
        times: float = 1.0,
    ) -> None:
        """Add a frame's votes, (N,) each, so many times, and see which label holds."""
        self._rows.reach(len(objects))
        weight = np.maximum(objects.size[rows], LEAST_SIZE) * self._gain(now) * times
        if sharpness is not None:
            weight *= np.maximum(sharpness, LEAST_SHARPNESS)
        self._rows.weight[rows] += weight
        self._rows.votes[rows, kinds] += confidence * weight
        odd = rows[kinds != self._rows.held[rows]]  # a vote for the label that holds changes nothing
        if len(odd):
            self._hold(odd)

    def heed(self, objects: ObjectTable, judged: Judged, tracks: Tracks, sharpness: Float | None) -> None:
        """Add the votes of a closer look at some of a frame's tracks, of which `sharpness` (N,) is known."""
        place = {number: i for i, number in enumerate(tracks.track_id.tolist())}
        known = [i for i, number in enumerate(judged.track_id.tolist()) if number in objects.row]
        numbers = judged.track_id[known].tolist()
        rows = np.array([objects.row[number] for number in numbers], np.int64)
        sharp = None if sharpness is None else sharpness[[place[number] for number in numbers]]
        said = judged.probability[known]
        self.cast(objects, rows, judged.class_id[known], said, sharp, objects.now, JUDGE_TIMES)

    def _gain(self, now: float) -> float:
        """Return what a vote weighs now against one of `_since`."""
        if not 0 <= now - self._since < _ERA:
            past = 0.5 ** (max(now - self._since, 0.0) / FADE_SECONDS)
            self._rows.votes *= past
            self._rows.weight *= past
            self._since = now
        return float(2.0 ** ((now - self._since) / FADE_SECONDS))

    def _hold(self, rows: Int) -> None:
        best, share = self._best(rows)
        held = self._rows.held[rows]
        held = np.where((self._need[best] > 0) & (share < MASK_DOUBT), -1, held)
        need = np.where(held >= 0, CHANGE_SHARE, self._need[best])
        self._rows.held[rows] = np.where(share >= need, best, held)

    def _best(self, rows: Int) -> tuple[Int, Float]:
        """Return the leading class (N,) and its share of the votes (N,)."""
        votes = self._rows.votes[rows]
        return votes.argmax(axis=1), votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-12)

    def due(self, objects: ObjectTable, now: float, step: float) -> Int:
        """Return the rows whose label has settled, or is another than was told. `step`: to the next frame."""
        held = self._rows.held
        rows = np.flatnonzero((held != self._rows.told) & (objects.number != 0))
        fresh = rows[self._rows.told[rows] == NOT_TOLD]
        if not len(fresh):
            return rows
        _, share = self._best(fresh)
        settled = (objects.frames[fresh] >= SETTLE_FRAMES) & (share >= SETTLE_SHARE) & (held[fresh] >= 0)
        settled |= now - objects.first[fresh] + step > SETTLE_SECONDS
        return rows[~np.isin(rows, fresh[~settled])]

    def is_open(self, row: int) -> bool:
        """Say whether an object's label is not told yet, is unknown, or hardly leads."""
        if self._rows.held[row] < 0 or self._rows.told[row] == NOT_TOLD:
            return True
        return bool(self._best(np.array([row]))[1][0] < SETTLE_SHARE)

    def tell(self, row: int) -> None:
        """Note that the label by vote is told now."""
        self._rows.told[row] = self._rows.held[row]

    def told(self, row: int) -> bool:
        """Say whether any label of an object was told."""
        return bool(self._rows.told[row] != NOT_TOLD)

    def held(self, row: int) -> int:
        """Return the class of an object by vote, -1 where that is unknown."""
        return int(self._rows.held[row])

    def label(self, row: int) -> str:
        """Return an object's label by vote."""
        return self.name(self.held(row))

    def name(self, kind: int) -> str:
        """Return the label of a class by vote."""
        return self.names[kind] if kind >= 0 else wire.UNKNOWN

    def score(self, row: int) -> int:
        """Return the mean confidence given to the label over all sightings, percent."""
        held = self.held(row)
        votes = self._rows.votes[row, held] if held >= 0 else self._rows.votes[row].max()
        return min(max(round(100 * float(votes / self._rows.weight[row])), 0), 100)

    def shares(self, row: int) -> dict[str, int]:
        """Return each label's share of the votes in percent, where there was more than one."""
        votes = self._rows.votes[row]
        share = (100 * votes / max(votes.sum(), 1e-12)).tolist()
        shares = {name: round(part) for name, part in zip(self.names, share, strict=True) if part >= 0.5}
        return shares if len(shares) > 1 else {}
