"""Both looks at one picture: the whole of it first, then its parts, then the faces one by one.

What always holds: a budget of 0 is the first look alone; what was looked at costs no more than the budget,
what a picture leaves of it serves the next, at most until one region is paid; what no time was left for
stays as the first look saw it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from agent.boxes import Detections, Int64, Uint8, area
from agent.look.agree import agreed
from agent.look.heads import is_face
from agent.look.judge import UNTOLD, Judge
from agent.look.merge import BELIEVED, BELIEVED_TURNED, Finds, distinct, finds, mend, merge
from agent.look.plan import Float, Place, closest, need, places, sharpest
from agent.look.region import Region, Size

CANVAS = (640, 640)  # of a detector that does not tell the size of its input
JUDGED = 0.05  # score from which on a face is worth the judge's time
CROPS = 16  # faces that the judge is asked about at once


class Finder(Protocol):
    """Whatever finds objects in a picture: `agent.infer.Detector`, or what looks like it."""

    @property
    def names(self) -> Mapping[int, str]:
        """The classes."""
        ...

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what is in a picture (H,W,3) BGR."""
        ...


def canvas_of(detector: Finder) -> Size:
    """Return width and height of a detector's input."""
    height, width = getattr(detector, "input_size", CANVAS[::-1])
    return int(width), int(height)


def kinds_of(names: Mapping[int, str]) -> Int64:
    """Return the kind (C,) of each class: states of one thing, as with and without a mask, are one kind."""
    count = max(names, default=-1) + 1
    masks = [number for number, name in names.items() if "mask" in name]
    kinds = np.arange(count)
    kinds[masks] = masks[0] if masks else 0
    return kinds


def leans(names: Mapping[int, str]) -> bool:
    """Say whether the classes are of faces, which may lean; what stands on a road does not."""
    return any(map(is_face, names.values()))


class Purse:
    """The time that may be spent: what each picture gives, and what earlier ones left.

    `strict`: no picture costs more than it gives, unless it gives less than one region costs.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._left = 0.0
        self.paid = 0.0  # for regions, in all
        self.price = 0.0  # seconds of one region, as the last ones cost

    def earn(self, seconds: float) -> None:
        """Take what the next picture gives."""
        most = max(seconds, self.price) if self._strict else seconds + self.price
        self._left = min(self._left + seconds, most)

    def affords(self, seconds: float) -> bool:
        """Say whether there is enough for something that costs so much."""
        return self._left >= seconds

    def pay(self, seconds: float) -> None:
        """Take out what was spent."""
        self._left -= seconds

    def spent(self, seconds: float) -> None:
        """Pay for a region, and remember what one costs: the dearest of late."""
        self.pay(seconds)
        self.paid += seconds
        self.price = max(seconds, 0.9 * self.price)


class SecondLook:
    """Look twice at still pictures.

    Args:
        detector: an `agent.infer.Detector`, or what has its `names` and `detect`.
        judge: the path of a crop classifier (`gb-export judge`), or None: the detector's classes stay.
        budget: milliseconds of CPU a picture for all after the first look; 0 for none, None for no limit.
        turned: look also for what leans to a side; None: where the classes are of faces.
        clock: seconds of CPU that this thread has used.

    Raises:
        ModelError: where the judge cannot be used with this detector.
        ValueError: for a negative budget.
    """

    def __init__(
        self,
        detector: Finder,
        judge: str | Path | None = None,
        budget: float | None = None,
        *,
        turned: bool | None = None,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        if budget is not None and budget < 0:
            raise ValueError(f"budget must be 0 or more milliseconds, or None, not {budget}")
        self.detector = detector
        self.looked = 0  # regions at the last picture
        self._judge = Judge(judge, [detector.names[k] for k in sorted(detector.names)]) if judge else None
        self._budget = budget
        self._purse = Purse(strict=True)
        self._turned = leans(detector.names) if turned is None else turned
        self._clock = clock
        self._per_crop = 0.0  # seconds of the judge, as the last faces cost
        self._canvas = canvas_of(detector)
        self._kinds = kinds_of(detector.names)

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what both looks see in a picture (H,W,3) BGR, best first, in its pixels."""
        begin = self._clock()
        first = self.detector.detect(image_bgr)
        self.looked = 0
        if self._budget == 0:
            return first
        self._purse.price = self._purse.price or self._clock() - begin
        picture = (image_bgr.shape[1], image_bgr.shape[0])
        zoom = min(self._canvas[0] / picture[0], self._canvas[1] / picture[1])
        looked = self.regions(image_bgr, finds(first, zoom))
        both = merge(finds(first, zoom), mend(looked, picture), self._kinds, zoom)
        found = agreed(both, first, looked, self._kinds, picture, zoom)
        return self._judged(image_bgr, found)

    def regions(self, image: Uint8, first: Finds) -> list[tuple[Region, Finds]]:
        """Look at all tiles of a picture (H,W,3), then nearer at what is still small."""
        self._purse.earn(np.inf if self._budget is None else self._budget / 1000)
        picture = (image.shape[1], image.shape[0])
        tiles = places(picture, self._canvas, turned=self._turned)
        looked = self._look(image, tiles, need(tiles, first, self._canvas))
        known = sharpest(first, distinct(mend(looked, picture), self._kinds), self._kinds)
        nearer = closest(picture, self._canvas)
        wanted = need(nearer, known, self._canvas)
        some = np.flatnonzero(wanted)
        looked += self._look(image, [nearer[row] for row in some.tolist()], wanted[some])
        self.looked = len(looked)
        return looked

    def _look(self, image: Uint8, some: Sequence[Place], wanted: Float) -> list[tuple[Region, Finds]]:
        """Look at places (P) of a picture for as long as the purse lasts, the most wanted (P,) first."""
        looked = []
        for row in np.argsort(-wanted, kind="stable").tolist():
            if not self._purse.affords(self._purse.price):
                break
            begin = self._clock()
            region = some[row].region
            looked.append((region, look_at(self.detector, image, region, self._canvas)))
            self._purse.spent(self._clock() - begin)
        return looked

    def _judged(self, image: Uint8, found: Detections) -> Detections:
        """Return what was found with the judge's word for what it can tell, the largest first."""
        if self._judge is None:
            return found
        rows = np.flatnonzero(found.confidence >= JUDGED)
        rows = rows[np.argsort(-area(found.xyxy[rows]), kind="stable")]
        while len(rows) and self._purse.affords(self._per_crop * len(rows[:CROPS])):
            begin = self._clock()
            found = judged(self._judge, image, found, rows[:CROPS])
            spent = self._clock() - begin
            self._purse.pay(spent)
            self._per_crop = spent / len(rows[:CROPS])
            rows = rows[CROPS:]
        return found


def judged(judge: Judge, image: Uint8, found: Detections, rows: Int64) -> Detections:
    """Return what was found in a picture (H,W,3), some rows of it with the judge's word where it can tell."""
    said = judge.judge(image, found.xyxy[rows]).class_id
    class_id = found.class_id.copy()
    class_id[rows[said != UNTOLD]] = said[said != UNTOLD]
    return Detections(found.xyxy, found.confidence, class_id)


def look_at(detector: Finder, image: Uint8, region: Region, canvas: Size) -> Finds:
    """Return what a detector finds in one region of a picture (H,W,3), in the picture's pixels."""
    found = detector.detect(np.ascontiguousarray(region.pixels(image)))
    least = BELIEVED_TURNED if region.roll else BELIEVED
    found = region.back(found[found.confidence >= least])
    return finds(found, 0.0 if region.roll else region.zoom(canvas))
