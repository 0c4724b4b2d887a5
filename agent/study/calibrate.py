"""What some minutes of a camera say of its confidence and of the model's habits there, without any truth.

What is measured is whether a box is *followed*: whether the tracker has made a confirmed track of it, before
or after. What passes through a picture is followed; what flickers up once is not. So the share of followed
boxes above a score says where noise begins at this camera.

What always holds: nothing is changed; a person sets the confidence. Followed is not right: what the model
takes for something at the same place for a long time is followed too. Such places are named.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, iou
from agent.see.slot import Frame
from agent.track.tracker import Tracks

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

STEPS = np.arange(2, 19) * 0.05  # confidences: 0.10, 0.15 ... 0.90
SAME = 0.5  # overlap of a box with the track that follows it
UNDECIDED = 3.0  # seconds, in which a box may turn out to be the beginning of a track
GOOD = 0.9  # share of followed boxes that is asked of a confidence
FEWEST_OBJECTS = 10
FEWEST_ALONE = 20
STANDS = 0.5  # share of the time, after which what does not move is named
CLUSTER = 0.3  # share of the boxes that nobody followed, in one cell
CELLS = 10  # each way
FINE = 1e-6


@dataclass(slots=True)
class _Look:
    """One look whose boxes may still turn out to be followed: centres (N,2) pixels, followed (N,)."""

    seconds: float
    size: tuple[int, int]
    found: Detections
    followed: Bool

    @property
    def centres(self) -> Float:
        return np.asarray((self.found.xyxy[:, :2] + self.found.xyxy[:, 2:]) / 2, np.float64)


@dataclass(slots=True)
class _Object:
    """One track: its label, best score, times, where it was seen last (fractions), how long it had stood."""

    label: str
    best: float
    first: float
    last: float
    place: tuple[float, float]
    still: float


class Calibration:
    """Collects one camera's looks. `names`: the model's labels.

    `confidence`: the one that is set; `wanted`: labels that are counted, empty: all.
    """

    def __init__(self, names: Mapping[int, str], confidence: float, wanted: Collection[str] = ()) -> None:
        self.looks = 0
        self._names = names
        self._confidence = confidence
        kept = [kind for kind, label in names.items() if not wanted or label in wanted]
        self._ids = np.asarray(kept, np.int64)
        self._lock = threading.Lock()
        self._open: deque[_Look] = deque()
        self._objects: dict[int, _Object] = {}
        self._followed: list[Float] = []  # scores
        self._alone: list[Float] = []
        self._cells: Counter[tuple[int, int]] = Counter()
        self._span = (np.inf, -np.inf)

    def saw(self, frame: Frame, found: Detections, tracks: Tracks) -> None:
        """Take one look."""
        height, width = frame.image.shape[:2]
        found = found[np.isin(found.class_id, self._ids)]
        followed: Bool = np.any(iou(found.xyxy, tracks.xyxy) >= SAME, axis=1)
        look = _Look(frame.seconds, (width, height), found, followed)
        with self._lock:
            self.looks += 1
            self._span = (min(self._span[0], frame.seconds), max(self._span[1], frame.seconds))
            self._open.append(look)
            self._meet(tracks, frame.seconds, (width, height))
            while self._open and frame.seconds - self._open[0].seconds > UNDECIDED:
                self._decide(self._open.popleft())

    def _meet(self, tracks: Tracks, seconds: float, size: tuple[int, int]) -> None:
        """Note the tracks; of one that is new, the boxes were its own since its first sight."""
        for row, number in enumerate(tracks.track_id.tolist()):
            left, top, right, bottom = tracks.xyxy[row].tolist()
            place = ((left + right) / 2 / size[0], (top + bottom) / 2 / size[1])
            score = float(tracks.confidence[row])
            known = self._objects.get(number)
            if known is None:
                self._own(tracks, row)
                label = self._names[int(tracks.class_id[row])]
                first = float(tracks.since[row])
                known = self._objects[number] = _Object(label, score, first, seconds, place, 0.0)
            known.best = max(known.best, score)
            known.last = seconds
            known.place = place
            known.still = max(known.still, float(tracks.still[row]))

    def _own(self, tracks: Tracks, row: int) -> None:
        """Give a new track the boxes between its first sight and now."""
        low = np.minimum(tracks.origin[row, :2], tracks.xyxy[row, :2])
        high = np.maximum(tracks.origin[row, 2:], tracks.xyxy[row, 2:])
        for look in self._open:
            if look.seconds >= tracks.since[row]:
                look.followed |= ((look.centres >= low) & (look.centres <= high)).all(axis=1)

    def _decide(self, look: _Look) -> None:
        """Count a look's boxes as followed, or alone."""
        scores = np.asarray(look.found.confidence, np.float64)
        self._followed.append(scores[look.followed])
        alone = ~look.followed & (scores >= self._confidence)
        self._alone.append(scores[~look.followed])
        for x, y in (look.centres[alone] / look.size * CELLS).astype(int).tolist():
            self._cells[min(x, CELLS - 1), min(y, CELLS - 1)] += 1

    def report(self) -> list[str]:
        """Return what was seen, a line each."""
        with self._lock:
            while self._open:
                self._decide(self._open.popleft())
        followed = np.concatenate([np.zeros(0), *self._followed])
        alone = np.concatenate([np.zeros(0), *self._alone])
        best = np.asarray([each.best for each in self._objects.values()])
        kinds = Counter(each.label for each in self._objects.values())
        told = ", ".join(f"{count} {label}" for label, count in kinds.most_common()) or "none"
        return [
            f"{self.looks} looks, {len(followed) + len(alone)} boxes, objects followed: {told}",
            *_table(followed, alone, best),
            self._advice(followed, alone, best),
            *self._standing(),
            *self._cluster(),
            "Followed is not the same as right: whether a count is right, only who looks on can tell. "
            "A road's plane needs measured points, and cannot be calibrated from pictures alone.",
        ]

    def _advice(self, followed: Float, alone: Float, best: Float) -> str:
        """Return in words which confidence these minutes speak for."""
        if len(best) < FEWEST_OBJECTS:
            few = f"{len(best)} objects, {FEWEST_OBJECTS} are needed"
            return f"Too little passed to advise a confidence: {few}. Order it again, when more passes."
        good = [step for step in STEPS if _share(followed, alone, step) >= GOOD - FINE]
        if not good:
            return (
                f"At no confidence are {GOOD:.0%} of the boxes followed: another model may fit this camera."
            )
        advised = float(good[0])
        gone = int((best < advised - FINE).sum())
        share = _share(followed, alone, self._confidence)
        return (
            f"These minutes speak for confidence {advised:.2f}, the lowest at which {GOOD:.0%} of the boxes "
            f"are followed; {gone} of {len(best)} objects would not be counted with it. "
            f"At {self._confidence:.2f}, which is set, {share:.0%} are followed."
        )

    def _standing(self) -> list[str]:
        """Name what stood for most of the time: parked, or never there."""
        first, last = self._span
        long = [each for each in self._objects.values() if each.still >= STANDS * max(last - first, 1.0)]
        return [
            f"Stands at {each.place[0]:.2f}, {each.place[1]:.2f} for {each.still:.0f} s: {each.label}, "
            f"score up to {each.best:.2f}. Look whether it is one."
            for each in sorted(long, key=lambda one: -one.still)[:CELLS]
        ]

    def _cluster(self) -> list[str]:
        """Name the cell in which many of the boxes lie that nobody followed."""
        total = sum(self._cells.values())
        if total < FEWEST_ALONE:
            return []
        (x, y), count = self._cells.most_common(1)[0]
        if count < CLUSTER * total:
            return []
        across = f"{x / CELLS:.1f} to {(x + 1) / CELLS:.1f}"
        down = f"{y / CELLS:.1f} to {(y + 1) / CELLS:.1f}"
        return [
            f"{count} of the {total} boxes above {self._confidence:g} that were not followed lie at "
            f"{across} of the width, {down} of the height: see what is there."
        ]


def _share(followed: Float, alone: Float, least: float) -> float:
    """Return the share of followed boxes among those of at least this score; 0 without any."""
    good = int((followed >= least - FINE).sum())
    return good / max(good + int((alone >= least - FINE).sum()), 1)


def _table(followed: Float, alone: Float, best: Float) -> list[str]:
    """Return, for each tenth of confidence, boxes of at least that score, which part is followed, objects."""
    steps = [float(step) for step in STEPS[::2]]
    boxes = [int((followed >= step - FINE).sum() + (alone >= step - FINE).sum()) for step in steps]
    shares = [
        f"{_share(followed, alone, step):.0%}" if n else "-" for step, n in zip(steps, boxes, strict=True)
    ]
    reach = [int((best >= step - FINE).sum()) for step in steps]
    rows = {
        "confidence": [f"{step:.1f}" for step in steps],
        "boxes": [str(count) for count in boxes],
        "followed": shares,
        "objects": [str(count) for count in reach],
    }
    return [name.ljust(10) + "".join(cell.rjust(8) for cell in cells) for name, cells in rows.items()]
