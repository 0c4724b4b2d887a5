"""Which of a camera's pictures are worth a look of the model: those in which something moves, or may.

Invariants:

* Nothing is decided that a person did not see move, or that was not looked at: every picture that is passed
  over is like the last one that was looked at, or lies between two looks that are near enough together for
  what is followed.
* However quiet it is, there is a look each IDLE seconds, and each PARKED seconds while anything is in the
  picture: what the grid is too coarse for (a start far away, dusk) is found by the model itself.
* With `wait`, decisions depend on the pictures alone, not on how fast anybody computes.

       due?          moved, or time for a look?           what is in it, and how soon the next is due
    ───────▶ picture ─────────────────────▶ look ─▶ model ─▶ tell(Attention)
       │ no     │ no
       ▼        ▼
     not even  passed over: watched, not looked at
     converted
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.see.feed.picture import Image
from agent.see.motion import Bool, Change, Motion

FASTEST = 0.08  # seconds between two looks: nobody is counted better by more than these
INSPECT = 0.3  # seconds between two pictures that are compared while nothing happens
PARKED = 2.0  # shorter than the gap that the counting takes for not watched
IDLE = 5.0
EARLY = 0.3  # of an interval (of a second, if longer) by which a picture may come too early and still count
GROWN = 0.3  # of its size by which a box is grown to hold all that moves with it
WAIT = 0.5  # seconds of a wait for an answer, before it is asked whether to go on

FloatBoxes = NDArray[np.float32]
Region = Callable[[tuple[int, ...], float], Bool | None]  # shape (h,w), width over height -> cells (h,w)


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """What a look gave: boxes (N,4) in fractions, weak ones too, and how soon the next is needed.

    `interval`: seconds, inf where nothing moves that is followed. `empty`: nothing at all is followed.
    """

    interval: float = math.inf
    empty: bool = True
    boxes: FloatBoxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A look by its number, and where (h,w) the picture had changed, by how much; None: not comparable."""

    number: int
    change: Change | None


class Gate:
    """Decide for one camera. All but `tell`, `open`, `pace` and `region` belong to the camera's thread."""

    def __init__(self) -> None:
        self.open = False  # somebody watches: every picture that is due is looked at
        self.looks = 0  # called for
        self.pace = FASTEST  # seconds between two looks at least; the budget's
        self.held = 0  # pictures that were due but for the budget
        self.region: Region | None = None  # outside of it nothing that moves calls for a look
        self._cells: tuple[Region | None, Bool | None] = (None, None)  # that region, as cells
        self._motion = Motion()
        self._attention = Attention()
        self._asked: deque[_Look] = deque()  # not answered yet
        self._answers: deque[tuple[int, Attention]] = deque()
        self._answered = threading.Condition()
        self._heard = 0  # the number of the newest look that was answered
        self._last = -math.inf  # the last look
        self._next = -math.inf  # when a picture is compared again

    @property
    def still(self) -> bool:
        """True while nobody watches, the last look is answered, and nothing moves that is followed."""
        return not self.open and not self._asked and math.isinf(self._attention.interval)

    def due(self, seconds: float) -> bool:
        """Tell whether the picture at `seconds` is to be compared at all."""
        if seconds >= self._next or seconds < self._last:
            return True
        wanted = self._last + _at_least(FASTEST)
        self.held += self.pace > FASTEST >= self._attention.interval and seconds >= wanted
        return False

    def wants(self, image: Image, seconds: float) -> bool:
        """Tell whether a picture (H,W,3) is to be looked at; if so, the look's number is `looks`."""
        change = self._in_region(self._motion.compare(image), image)
        if change is None or self.open or self._time_for_one(seconds) or self._moved(change):
            self.looks += 1
            self._asked.append(_Look(self.looks, change))
            self._motion.looked()
            self._last = seconds
            self._next = seconds + _at_least(self.pace)
            return True
        self._next = seconds + _at_least(min(INSPECT, self._attention.interval))
        return False

    def renew(self) -> None:
        """The next picture has nothing to do with those before: look at it."""
        self._motion.forget()
        self._next = -math.inf

    def _in_region(self, change: Change | None, image: Image) -> Change | None:
        """Return a picture's change without what lies outside of the region."""
        region = self.region
        if change is None or region is None:
            return change
        if (
            self._cells[0] is not region
            or self._cells[1] is None
            or self._cells[1].shape != change.where.shape
        ):
            self._cells = (region, region(change.where.shape, image.shape[1] / image.shape[0]))
        cells = self._cells[1]
        return change if cells is None else Change(change.levels, change.where & cells)

    def _time_for_one(self, seconds: float) -> bool:
        """Tell whether what is followed, or the time that has passed, calls for a look."""
        rest = IDLE if self._attention.empty else PARKED
        interval = min(self._attention.interval, rest)
        return not self._last <= seconds < self._last + _at_least(interval)

    def _moved(self, change: Change) -> bool:
        """Tell whether anything has changed that is not explained by what is followed."""
        if not change.where.any() or math.isinf(self._attention.interval):
            return bool(change.where.any())
        return bool((change.where & ~covered(self._attention.boxes, change.where.shape)).any())

    def tell(self, look: int, attention: Attention) -> None:
        """Say what a look gave, by its number; in their order. From any thread."""
        with self._answered:
            self._answers.append((look, attention))
            self._heard = look
            self._answered.notify_all()

    def listen(self, wait: bool, stopping: threading.Event) -> None:
        """Take in what the looks gave.

        `wait`: for the answer to all of them; where much happens, to all but the last.
        """
        if not self._asked:
            return
        fit = self.looks
        if wait and self._attention.interval <= FASTEST:
            fit -= 1
        with self._answered:
            while wait and self._heard < fit and not stopping.is_set():
                self._answered.wait(WAIT)
            taken = [self._answers.popleft() for each in list(self._answers) if each[0] <= fit]
        for number, attention in taken:
            self._take(number, attention)

    def _take(self, number: int, attention: Attention) -> None:
        """Go on by an answer; a look before it without one was lost on its way."""
        self._attention = attention
        while self._asked and self._asked[0].number <= number:
            look = self._asked.popleft()
            if look.number == number and look.change is not None:
                self._motion.learn(look.change, covered(attention.boxes, look.change.where.shape))


def _at_least(interval: float) -> float:
    """Return the seconds after which a picture counts for an interval."""
    return interval - EARLY * min(interval, 1.0)


def covered(boxes: FloatBoxes, shape: tuple[int, ...]) -> Bool:
    """Return the cells (h,w) that boxes (N,4) of fractions cover, each grown a little."""
    height, width = shape
    mask = np.zeros((height, width), np.bool_)
    if not len(boxes):
        return mask
    margin = GROWN * (boxes[:, 2:] - boxes[:, :2])
    grown = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
    scaled = grown * np.array([width, height, width, height], np.float32)
    low = np.maximum(np.floor(scaled[:, :2]).astype(int) - 1, 0)
    high = np.maximum(np.ceil(scaled[:, 2:]).astype(int) + 1, 0)
    for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True):
        mask[top:bottom, left:right] = True
    return mask
