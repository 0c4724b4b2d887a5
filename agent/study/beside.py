"""A second model beside the one that runs: both on the same pictures, compared.

What always holds: the camera's own counting never waits for it and takes nothing from it. The second model
computes on one thread that gives way to all others; a picture that comes while it is at work, or while the
box holds looks back, is passed over for both. So both are counted on the same pictures, by the first look
alone, from nothing.

    frame, boxes of the model that runs ─ saw ─▶ [ at work? ] ─▶ second model ─▶ two counts aside
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from math import nan

import numpy as np

from agent import wire
from agent.boxes import Detections, Uint8
from agent.percentile import medians
from agent.see.infer import Detector, InferenceError
from agent.see.prefetch import UNFIT
from agent.see.slot import Frame
from agent.study.aside import Aside
from agent.track.tracker import Tracks

NICE = 10  # how much the second model's thread gives way
TIMED = 8  # pictures on which both models are timed, one after the other


class Beside:
    """Compares two models. `held`: tells that the box holds looks back now."""

    def __init__(self, own: Aside, other: Aside, held: Callable[[], bool]) -> None:
        self.judged = 0
        self.passed_over = 0
        self.failed = ""  # why the second model could not judge, the last time
        self._own = own
        self._other = other
        self._held = held
        self._kept: list[Uint8] = []
        self._last = 0.0
        self._worker = ThreadPoolExecutor(1, "beside", _give_way)
        self._running: Future[None] | None = None

    def saw(self, frame: Frame, found: Detections, tracks: Tracks) -> None:
        """Have the second model judge a frame too, if it is free."""
        if self._held() or (self._running is not None and not self._running.done()):
            self.passed_over += 1
            return
        if self._running is not None:
            self._running.result()  # what must not be silent
        self._running = self._worker.submit(self._judge, frame, found)

    def _judge(self, frame: Frame, found: Detections) -> None:
        try:
            others = self._other.detector.detect(frame.image)
        except (InferenceError, *UNFIT) as error:
            self.failed = str(error)
            self.passed_over += 1
            return
        self.judged += 1
        self._last = frame.wall
        if self.judged % 10 == 1:
            self._kept = [*self._kept, frame.image][-TIMED:]
        self._own.follow(frame, found)
        self._other.follow(frame, others)

    def report(self) -> list[str]:
        """End the second model's work; return the comparison, a line each. Takes some looks of both."""
        if self._running is not None:
            self._running.result()
        times = self._worker.submit(self._times).result()
        self._own.close(self._last)
        self._other.close(self._last)
        rows = [("milliseconds a look", *(f"{each:.1f}" for each in times)), *self._counts()]
        names = (self._own.detector.path.stem, self._other.detector.path.stem)
        width = max(len(row[0]) for row in rows)
        return [
            f"{self.judged} pictures judged by both, {self.passed_over} passed over",
            _row("", names, width, names),
            *(_row(row[0], row[1:], width, names) for row in rows),
        ]

    def close(self) -> None:
        """End the second model's thread."""
        self._worker.shutdown()

    def _times(self) -> list[float]:
        """Return the median ms of a look, of each model, in turn on the same pictures and thread."""
        detectors = (self._own.detector, self._other.detector)
        taken = [[_milliseconds(one, image) for one in detectors] for image in self._kept]
        return [float(each) for each in medians(np.asarray(taken))] if taken else [nan, nan]

    def _counts(self) -> list[tuple[str, str, str]]:
        """Return rows of what each model found and counted: boxes, objects, crossings."""
        both = (self._own, self._other)
        rows = self._of("boxes of {}", *(one.boxes for one in both))
        rows += self._of("objects {}", *(one.totals.objects for one in both))
        crossings = [one.crossings() for one in both]
        for line, direction, label in sorted(crossings[0].keys() | crossings[1].keys()):
            counts = [each[line, direction, label] for each in crossings]
            rows.append((f"{line} {direction} {label}", *self._cells(label, counts)))
        return rows

    def _of(self, text: str, own: dict[str, int], other: dict[str, int]) -> list[tuple[str, str, str]]:
        labels = sorted(own.keys() | other.keys())
        return [
            (text.format(label), *self._cells(label, [own.get(label, 0), other.get(label, 0)]))
            for label in labels
        ]

    def _cells(self, label: str, counts: list[int]) -> tuple[str, str]:
        """Return two counts as text, a dash where a model does not know the label at all."""
        known = [label in {*one.labels, wire.UNKNOWN} for one in (self._own, self._other)]
        own, other = (str(count) if knows else "-" for count, knows in zip(counts, known, strict=True))
        return own, other


def _row(text: str, cells: Iterable[str], width: int, names: tuple[str, str]) -> str:
    columns = [cell.rjust(max(len(name), 8)) for cell, name in zip(cells, names, strict=True)]
    return "  ".join([text.ljust(width), *columns])


def _milliseconds(detector: Detector, image: Uint8) -> float:
    begun = time.perf_counter()
    detector.detect(image)
    return (time.perf_counter() - begun) * 1000


def _give_way() -> None:
    """Let this thread compute when no other wants to. Source: setpriority(2), of a thread on Linux.

    One that gives way more already is left as it is: to go back needs a right that the agent does not have.
    """
    thread = threading.get_native_id()
    nice = os.getpriority(os.PRIO_PROCESS, thread)
    os.setpriority(os.PRIO_PROCESS, thread, max(nice, NICE))
