"""A camera's second look as its pipeline sees it: frames and tracks go in, finds and verdicts come out.

What always holds: where nothing is to be looked at again, nothing here costs anything; regions and the judge
of faces live on one budget; a face is judged only while its vote is open, the best crop first, and again only
where it is seen clearly better than before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, Int64, Uint8, area
from agent.look.heads import Heads
from agent.look.judge import UNTOLD, Judge
from agent.look.stage import Looked, LookStage
from agent.look.still import Finder
from agent.see.infer import InferenceError

CROPS = 8  # faces a frame that the judge is asked about at most
BETTER = 1.15  # times as good a view, before a face is judged again
FRONTAL = 0.75  # width by height of a face from the front; a profile's box is narrower
BLURRED = 0.05  # the least that sharpness counts

Bool = NDArray[np.bool_]


class Followed(Protocol):
    """What is asked of tracks: the arrays of `agent.track.tracker.Tracks`."""

    @property
    def xyxy(self) -> Float32:
        """Boxes (N,4), pixels."""
        ...

    @property
    def track_id(self) -> Int64:
        """Numbers (N,)."""
        ...

    @property
    def class_id(self) -> Int64:
        """Classes (N,)."""
        ...

    @property
    def ended(self) -> Int64:
        """Numbers of the tracks that are no more."""
        ...


class Said(NamedTuple):
    """Hold what the judge says of K tracks: track_id (K,), class_id (K,), probability (K,)."""

    track_id: Int64
    class_id: Int64
    probability: Float32


class CameraLook:
    """Look again for one camera.

    Args:
        detector: what looks at frames and regions.
        budget: milliseconds of CPU a second of video; None: half of the first look's cost; 0: nothing.
        judge: what tells the states of enlarged faces, or None.
        threads: how many threads one look of the detector uses.
    """

    def __init__(
        self, detector: Finder, budget: float | None, judge: Judge | None, *, threads: int = 1
    ) -> None:
        self._detector = detector
        self._threads = threads
        self._judge = judge
        self._stage = self._stage_for(budget)
        self._asked: dict[int, float] = {}  # track -> how good the best view was that was judged
        self._heads = Heads(detector.names)
        self._found = Detections.empty()  # in the last frame, by both looks
        self._hints = np.zeros((0, 4), np.float32)

    def _stage_for(self, budget: float | None) -> LookStage:
        return LookStage(self._detector, budget, clock=lambda: time.thread_time() * self._threads)

    def allow(self, budget: float | None) -> None:
        """Take another budget from the next frame on; what was seen is forgotten where it is another."""
        if budget != self._stage.budget:
            self._stage = self._stage_for(budget)
            self.clear()

    def refine(self, image: Uint8, found: Detections, seconds: float) -> Detections | InferenceError:
        """Return what both looks see in a frame at its time, or why that cannot be said."""
        try:
            self._found = self._stage.refine(image, found, seconds, self._hints)
        except InferenceError as error:
            return error
        return self._found

    def judge(
        self,
        image: Uint8,
        tracks: Followed,
        sharpness: NDArray[np.float64] | None,
        is_open: Callable[[Int64], Bool],
    ) -> Said | None:
        """Return what the judge says of the tracks (N) whose vote is open, None where it is not asked.

        Args:
            image: the frame (H,W,3) BGR.
            tracks: the tracks that were seen in it.
            sharpness: (N,) 0..1, or None where nobody knows.
            is_open: says of tracks' numbers (N,) whether their vote is open (N,).
        """
        if not self._stage.works:
            return None
        heads = self._heads.unseen(tracks.xyxy, tracks.class_id, self._found)
        self._hints = np.concatenate((tracks.xyxy, heads))
        if self._judge is None:
            return None
        for number in tracks.ended.tolist():
            self._asked.pop(number, None)
        view = np.sqrt(area(tracks.xyxy)) * _front(tracks.xyxy)
        if sharpness is not None:
            view = view * np.maximum(sharpness, BLURRED)
        numbers = tracks.track_id
        before = np.asarray([self._asked.get(number, 0.0) for number in numbers.tolist()])
        rows = np.flatnonzero(is_open(numbers) & (view > BETTER * before))
        rows = rows[np.argsort(-view[rows], kind="stable")][:CROPS]
        if not len(rows) or not self._stage.affords_crops(len(rows)):
            return None
        with self._stage.paying_for_crops(len(rows)):
            said = self._judge.judge(image, tracks.xyxy[rows])
        self._asked |= zip(numbers[rows].tolist(), view[rows].tolist(), strict=True)
        told = said.class_id != UNTOLD
        return Said(numbers[rows][told], said.class_id[told], said.probability[told])

    def clear(self) -> None:
        """Forget what was seen: the picture is another one."""
        self._stage.clear()
        self._asked.clear()
        self._found = Detections.empty()
        self._hints = np.zeros((0, 4), np.float32)

    def take(self) -> Looked:
        """Return the account since the last call."""
        return self._stage.take()


def _front(xyxy: Float32) -> Float32:
    """Return how frontal faces (N,4) are by their shape, 0..1."""
    width = xyxy[:, 2] - xyxy[:, 0]
    height = np.maximum(xyxy[:, 3] - xyxy[:, 1], 1e-6)
    return np.asarray(np.clip(width / height / FRONTAL, 0.0, 1.0), np.float32)
