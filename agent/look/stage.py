"""The second look of a camera: between the first look and the tracker, within a budget.

What always holds:

* Without a budget the first look's answer goes on untouched.
* What is spent, on regions and on all that is done round them, is at most what the budget gives in the time
  of the frames; what is not affordable waits, and the place that is wanted most, for longest, is looked at
  next. A frame that pays for no region is only compared with what stands.
* What a region showed stands for as long as its pixels do (`agent.look.change`); then it is the first look's
  alone again.
* Every place of the coarsest level comes in turn, however little speaks for it, where the picture has pixels
  that the first look did not show. A place whose pixels have not changed since comes after those that were
  not seen yet, or not as they are now: it would only say again what is known.

        frame ─▶ first look ─┐        urgency = seconds unseen x (its turn + need) x (AGAIN: nothing changed)
                             ▼
       memory ─▶ finds ─▶ merge ─▶ tracker ─▶ tracks ─▶ hints of the next frame
          ▲                  ▲
          └──── regions ◀── plan, motion
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, Int64, Uint8, iou
from agent.look.agree import agreed
from agent.look.change import Cells, Memory, cells_of, moving
from agent.look.merge import Finds, distinct, finds, mend, united
from agent.look.plan import Place, closest, need, places, sharpest
from agent.look.region import Region, Size
from agent.look.still import Finder, Purse, canvas_of, kinds_of, leans, look_at

Float = NDArray[np.float64]

SHARE = 0.5  # of what the first look costs, where no budget is said
FRAME = 0.06  # of the same: what a frame costs beside its regions,
PIXELS = 0.012  # each million of its pixels,
FINDS = 0.0004  # and each find that is compared; measured on walls of faces at 1080p and 4K
VOICES = 0.023  # of the same: the agreement of looks, where they are asked; measured on views from above
CROP = 0.05  # of the same: a face that is judged
TURN = 1.0  # how much speaks for a place that shows new pixels, whatever is in it
FINER = 0.3  # the same of each finer level
AGAIN = 0.1  # times as much speaks for a place that has not changed since it was looked at,
AGAIN_COARSE = 0.5  # or for its turn alone, on the coarsest level: a camera sees more than its cells tell
TURN_EVERY = 3  # times that a look is paid for, the coarsest place that waits longest comes first,
TURN_AFTER = 5.0  # seconds, if it waits for so long
TURNED = 0.05  # the same of a turned region
NEVER = 30.0  # seconds that count for a place that was not looked at yet
LONGEST_STEP = 1.0  # seconds between frames that give a budget; in a longer gap nothing was to be seen


@dataclass(frozen=True, slots=True)
class Looked:
    """A minute's account: regions looked at, and the seconds for which the oldest place waits."""

    regions: int
    oldest: float


class LookStage:
    """Look again at a camera's frames.

    Args:
        detector: what the regions are looked at with.
        budget: milliseconds of CPU a second of video; None: SHARE of what the first look costs; 0: nothing.
        clock: seconds of CPU that this thread has used; not asked where no budget is said: a region is the
            same network on an input of the same size, so it costs what the first look costs, and the same
            frames are looked at alike on every machine.
    """

    def __init__(
        self, detector: Finder, budget: float | None, *, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._detector = detector
        self.budget = budget
        self._clock = clock if budget is not None else lambda: 0.0
        self._canvas = canvas_of(detector)
        self._kinds = kinds_of(detector.names)
        self._leans = leans(detector.names)
        self._purse = Purse()
        self._memory = Memory()
        self._cells: Cells | None = None  # of the last frame
        self._told: list[tuple[Region, Finds]] = []  # what stands, and that as one set without pieces
        self._second = finds(Detections.empty(), 1.0)
        self._plan: list[Place] = []
        self._wide = 0  # so many of them, the first, show all of the picture; the others are nearer
        self._picture: Size = (0, 0)
        self._zoom = 1.0  # input pixels a pixel of the frame in the first look
        self._turn: Float = np.zeros(0)
        self._seen: Float = np.zeros(0)  # (P,) when each place was looked at
        self._now = -np.inf
        self._since = -np.inf  # the first frame after all was forgotten
        self._regions = 0
        self._paid = 0  # times that looks were paid for since a place came for its turn alone
        self._per_crop = 0.0  # seconds of the judge, as the last faces cost

    @property
    def works(self) -> bool:
        """True where anything is ever looked at again."""
        return self.budget != 0

    def clear(self) -> None:
        """Forget what was seen: the picture is another one."""
        self._memory.clear()
        self._cells = None
        self._now = -np.inf
        self._seen[:] = -np.inf

    def refine(self, image: Uint8, found: Detections, seconds: float, hints: Float32) -> Detections:
        """Return what both looks see in a frame, best first.

        Args:
            image: the frame (H,W,3) BGR.
            found: the first look at it.
            seconds: the frame's time.
            hints: boxes (N,4) where something should be: what was followed up to here.
        """
        if not self.works:
            return found
        picture = (image.shape[1], image.shape[0])
        if picture != self._picture:
            self._survey(picture)
        step = float(np.clip(seconds - self._now, 0.0, LONGEST_STEP)) if np.isfinite(self._now) else 0.0
        self._since = self._since if np.isfinite(self._now) else seconds
        self._now = seconds
        begin = self._clock()
        paid = self._purse.paid
        self._purse.earn(self._income(step))
        now = cells_of(image)
        fresh = self._look(image, found, hints, now) if self._purse.affords(self._purse.price) else {}
        self._cells = now
        self._memory.keep(fresh, now)
        second = self._standing(now)
        told = self._weighed(united(finds(found, self._zoom), second, self._kinds, self._zoom), found)
        regions = self._purse.paid - paid
        self._purse.pay(self._own_work(len(found) + len(second), self._clock() - begin - regions))
        return told

    def _standing(self, now: Cells) -> Finds:
        """Return what regions showed and still stands as one set, made anew only where it changed."""
        told = self._memory.standing(now)
        if told is not self._told:
            self._told = told
            self._second = distinct(mend(told, self._picture), self._kinds)
        return self._second

    def _weighed(self, told: Detections, found: Detections) -> Detections:
        """Return what both looks tell with scores that all looks that stand agree on; of faces as it is."""
        if self._leans or not self._memory.looks:
            return told
        looks = self._memory.looks
        return agreed(told, found, looks, self._kinds, self._picture, self._zoom, self._memory.silent)

    def _own_work(self, finds_: int, seconds: float) -> float:
        """Return the price of all but the regions: seconds of CPU, or first looks where no budget is said."""
        if self.budget is not None:
            return seconds
        frame = FRAME if self._leans else FRAME + VOICES
        return frame + PIXELS * self._picture[0] * self._picture[1] / 1e6 + FINDS * finds_

    def affords_crops(self, count: int) -> bool:
        """Say whether the budget lasts for so many faces."""
        return self._purse.affords(self._per_crop * count)

    @contextmanager
    def paying_for_crops(self, count: int) -> Iterator[None]:
        """Pay for what is done within, the judging of so many faces."""
        begin = self._clock()
        yield
        spent = CROP * count if self.budget is None else self._clock() - begin
        self._purse.pay(spent)
        self._per_crop = spent / count

    def take(self) -> Looked:
        """Return the account since the last call, and begin anew."""
        turns = self._seen[self._turn >= TURN]
        oldest = self._now - max(turns.min(), self._since) if len(turns) and np.isfinite(self._now) else 0.0
        told = Looked(self._regions, float(max(oldest, 0.0)))
        self._regions = 0
        return told

    def _survey(self, picture: Size) -> None:
        """Make the plan for frames of a size (width, height)."""
        self.clear()
        self._picture = picture
        self._zoom = min(self._canvas[0] / picture[0], self._canvas[1] / picture[1])
        wide = places(picture, self._canvas, turned=self._leans)
        self._wide = len(wide)
        self._plan = wide + closest(picture, self._canvas)
        self._turn = np.asarray([self._turn_of(place) for place in self._plan])
        self._seen = np.full(len(self._plan), -np.inf)

    def _turn_of(self, place: Place) -> float:
        """Return how much speaks for a place that holds nothing known."""
        shown = self._zoom * 2 ** (place.level - 1)  # input pixels a pixel, one level before
        if shown >= 1.0:
            return 0.0
        return TURNED if place.region.roll else TURN * FINER ** (place.level - 1)

    def _order(self, found: Detections, hints: Float32, now: Cells) -> Int64:
        """Return the numbers of the places that are wanted, the most urgent first."""
        moved = moving(self._cells, now, found.xyxy)
        hints = np.concatenate((_unseen(hints, found.xyxy), moved))
        age = np.minimum(self._now - self._seen, NEVER)
        again = np.ones(len(self._plan))
        again[list(self._memory.same)] = AGAIN
        turn = self._turn * np.maximum(again, np.where(self._turn >= TURN, AGAIN_COARSE, 0.0))
        turned = np.asarray([bool(place.region.roll) for place in self._plan])
        known = sharpest(finds(found, self._zoom), self._second, self._kinds)
        wide = need(self._plan[: self._wide], known, self._canvas, hints)
        near = need(self._plan[self._wide :], known, self._canvas)
        wanted = np.concatenate((wide, near)) * np.where(turned, TURNED, 1.0)
        urgency = age * (turn + wanted * again)
        order = np.argsort(-urgency, kind="stable")
        urgent = order[urgency[order] > 0]
        due = self._overdue()
        return np.concatenate((due, urgent[~np.isin(urgent, due)])).astype(np.int64)

    def _overdue(self) -> Int64:
        """Return the coarsest place that waits longest, (1,), where it is its turn; none else, (0,)."""
        self._paid += 1
        coarsest = np.flatnonzero(self._turn >= TURN)
        if self._paid >= TURN_EVERY and len(coarsest):
            longest = coarsest[[self._seen[coarsest].argmin()]]
            if self._now - max(float(self._seen[longest[0]]), self._since) > TURN_AFTER:
                self._paid = 0
                return np.asarray(longest, np.int64)
        return np.zeros(0, np.int64)

    def _income(self, step: float) -> float:
        """Return what a frame gives, `step` seconds after the last one: seconds of CPU, or first looks."""
        if self.budget is None:
            return SHARE
        return self.budget / 1000 * step

    def _look(
        self, image: Uint8, found: Detections, hints: Float32, now: Cells
    ) -> dict[int, tuple[Region, Finds]]:
        """Look at places for as long as the purse lasts; return what they showed by their number."""
        looked: dict[int, tuple[Region, Finds]] = {}
        for number in self._order(found, hints, now).tolist():
            price = self._purse.price
            if price and not self._purse.affords(price):  # what a region costs shows with the first one
                break
            begin = self._clock()
            region = self._plan[number].region
            looked[number] = (region, look_at(self._detector, image, region, self._canvas))
            self._purse.spent(1.0 if self.budget is None else self._clock() - begin)
            self._seen[number] = self._now
        self._regions += len(looked)
        return looked


def _unseen(hints: Float32, found: Float32) -> Float32:
    """Return which of some boxes (N,4) the first look does not show (M,4)."""
    return np.asarray(hints[iou(hints, found).max(1, initial=0.0) < 0.3], np.float32)
