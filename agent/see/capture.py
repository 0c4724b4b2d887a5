"""The newest frame of each camera: one thread per camera, one slot, reconnects, and a word when it is blind.

What always holds:

* `pace="real"`: the slot keeps the newest frame; one that nobody took in time is counted as dropped.
  Files, folders and the scene keep their own clock.
* `pace="fast"`: the thread waits until the slot is empty; nothing is dropped.
* A source that is absent, stalled, frozen or degraded is a state with a reason, never an error; the thread
  tries on.

      source ─▶ course ─▶ intake ─▶ [ slot ] ──take──▶ the worker
      └─────────── thread ────────┘
                 │
                 └── on_state(StateChange)      absent ─▶ ok ─▶ stalled | frozen | degraded ─▶ ok … ended
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agent.see.course import Course, Pace
from agent.see.feed.wish import NOTHING
from agent.see.gate import Gate
from agent.see.intake import Intake
from agent.see.slot import Frame, Slot
from agent.see.sources import SourceError, Wish, open_source, prepare, redact
from agent.see.status import State, StateChange, Status

__all__ = ["Camera", "Frame", "SourceError", "StateChange"]

_LOG = logging.getLogger(__name__)

FIRST_WAIT = 0.25  # seconds between attempts; with opening, a camera is back within 5
LONGEST_WAIT = 2.5
FROZEN_SECONDS = 10.0
STOP_SECONDS = 10.0  # a thread inside OpenCV cannot be woken; its longest wait is shorter than this
LAST_TAKE = 2.0  # how long the end of a file waits for its last frame to be taken


class Camera:
    """Own the capture thread of one camera; a context manager.

    Args:
        name: its name in threads and logs.
        url: where its pictures come from, as `agent.see.sources` reads it.
        pace: "real" keeps the clock and may drop; "fast" waits and drops nothing.
        loop: whether a recording begins again at its end.
        on_state: told each change of state, on the capture thread.
        frozen_seconds: how long a live picture may stay the same.
        wish: what to ask of a camera: size, rate, form of its pictures.
        gate: which pictures are worth a look; None: all.
    """

    def __init__(
        self,
        name: str,
        url: str,
        pace: Pace = "real",
        loop: bool = False,
        *,
        on_state: Callable[[StateChange], None] | None = None,
        frozen_seconds: float = FROZEN_SECONDS,
        wish: Wish = NOTHING,
        gate: Gate | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self.pace = pace
        self.loop = loop
        self._wish = wish
        prepare(url)
        self._slot = Slot(waits=pace == "fast")
        self.status = Status(f"{redact(url)} is being opened", lambda: self._slot.captured, on_state)
        self._intake = Intake(self._slot, self.status, gate, frozen_seconds)
        self._stopping = self._slot.stopping
        self._reached: float | None = None  # on the clock of a recording that was lost in its middle
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, a bounded time."""
        self._slot.stop()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)
            if self._thread.is_alive():
                _LOG.warning("%s: %s does not close; its thread is abandoned", self.name, redact(self.url))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ── what is known of it ──

    @property
    def state(self) -> State:
        """What the camera is."""
        return self.status.state

    @property
    def reason(self) -> str:
        """Why it is that; empty while it is well."""
        return self.status.reason

    @property
    def captured(self) -> int:
        """How many frames came."""
        return self._slot.captured

    @property
    def dropped(self) -> int:
        """How many of them nobody took in time, or nobody could decode."""
        return self._slot.dropped

    @property
    def skipped(self) -> int:
        """How many of them were not worth a look."""
        return self._slot.skipped

    @property
    def moving(self) -> bool:
        """True where pictures follow each other as a camera's do."""
        return self._intake.moving

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame that was not taken yet, or None after `timeout` seconds."""
        frame = self._slot.take(timeout)
        if frame is None and self._has_died():
            raise RuntimeError(f"the capture thread of {self.name} has died; see the traceback above")
        return frame

    def take_calm(self) -> float:
        """Return the seconds in which pictures came that were not worth a look, and were not told yet."""
        return self._slot.take_calm()

    def _has_died(self) -> bool:
        done = self.state == "ended" or self._stopping.is_set() or self._thread.ident is None
        return not done and not self._thread.is_alive()

    # ── the thread ──

    def _run(self) -> None:
        """Open, read, and open again, until stopped or at the end of a recording."""
        wait = FIRST_WAIT
        course: Course | None = None
        while not self._stopping.is_set():
            before = self.captured
            try:
                course = course or self._open()
                self._read(course)
            except SourceError as error:
                wait = FIRST_WAIT if self.captured > before else wait
                course = self._lost(course, error)
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
                continue
            course.source.close()
            course = None
            if not self._stopping.is_set() and not self._begin_again():
                return
        if course is not None:
            course.source.close()

    def _open(self) -> Course:
        return Course(open_source(self.url, wish=self._wish), self._intake, self.pace, self._reached)

    def _read(self, course: Course) -> None:
        """Read an open source to its end; raise SourceError where it is lost, or holds nothing."""
        course.read()
        if not course.count and not self._stopping.is_set():
            raise SourceError(f"{redact(self.url)} holds no picture that can be decoded; check the file")

    def _lost(self, course: Course | None, error: SourceError) -> Course | None:
        """Say that the source is lost, and how; return the course that goes on, or None if it is to be
        opened.
        """
        if error.state != "frozen":
            self._intake.become(error.state, str(error))
        if course is None or course.source.lasting:
            if course is not None:
                course.start = None
            return course
        self._reached = course.reached
        course.source.close()
        return None

    def _begin_again(self) -> bool:
        """End, or begin a recording again."""
        self._reached = None
        if self.loop:
            self._intake.begin_pass()
            return True
        # The end comes after the last frame: wait a little until that is taken.
        self._slot.drain(None if self.pace == "fast" else LAST_TAKE)
        self._intake.become("ended", f"{redact(self.url)} has come to its end")
        return False
