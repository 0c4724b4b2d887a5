"""Look at the next frames while the last one is being followed: several workers, results in frame order.

What always holds: frames are taken one after the other and come out in that order, whoever was finished
first. A worker takes its frame itself when it is free, so a live camera's newest frame waits for nobody else;
at most `workers` + 1 frames are between the camera's slot and `next`. What cannot be judged takes its own
place in the order and no other's.

      slot ──take, in turn──▶ worker 1 ─┐
           ──take, in turn──▶ worker 2 ─┴─▶ next(), in order ─▶ tracker

The workers share one detector: a session with one thread of its own computes in the thread that calls it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from agent.boxes import Detections, Uint8
from agent.see.capture import Camera
from agent.see.infer import RUNTIME_ERRORS, InferenceError
from agent.see.slot import Frame

# What somebody else's graph raises in the runtime, and in the arithmetic on what it answered.
UNFIT = (*RUNTIME_ERRORS, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Hold one frame and what is in it, or that none came.

    `after`: a frame number; camera events up to it precede this one.
    """

    frame: Frame | None
    found: Detections | InferenceError
    after: int


class OrderedDetector:
    """Take a camera's frames and detect in them, `workers` at a time."""

    def __init__(
        self, camera: Camera, detect: Callable[[Uint8], Detections], workers: int, patience: float
    ) -> None:
        self._camera = camera
        self._detect = detect
        self._patience = patience
        self._pool = ThreadPoolExecutor(workers, f"infer {camera.name}")
        self._places = workers + 1
        self._flying: deque[Future[Sight]] = deque()
        self._turn = threading.Condition()
        self._issued = self._served = 0
        self._closing = False

    def next(self) -> Sight:
        """Return the next frame's sight, or one without a frame after `patience` seconds without any."""
        while len(self._flying) < self._places:
            self._flying.append(self._pool.submit(self._look, self._issued))
            self._issued += 1
        return self._flying.popleft().result()

    def rest(self) -> Iterator[Sight]:
        """Take no more frames, give what was taken, and end the workers."""
        self._closing = True
        while self._flying:
            yield self._flying.popleft().result()
        self.stop()

    def stop(self) -> None:
        """End the workers; what they are looking at is forgotten."""
        self._closing = True
        self._flying.clear()
        self._pool.shutdown(cancel_futures=True)

    def _look(self, ticket: int) -> Sight:
        """Take one frame when it is this ticket's turn, then judge it beside the others."""
        with self._turn:
            self._turn.wait_for(lambda: self._served == ticket)
        before = self._camera.captured
        try:
            frame = None if self._closing else self._camera.take(self._patience)
        finally:
            with self._turn:
                self._served += 1
                self._turn.notify_all()
        if frame is None:
            return Sight(None, Detections.empty(), before)
        return Sight(frame, self.judge(frame), frame.number)

    def judge(self, frame: Frame) -> Detections | InferenceError:
        """Return what is in a frame, or why that cannot be said."""
        try:
            return self._detect(frame.image)
        except InferenceError as error:
            return error
        except UNFIT as error:
            return InferenceError(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}")
