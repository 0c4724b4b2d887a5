"""The newest frame of a camera: one place between the thread that captures and the worker that takes.

What always holds:

* `waits=False`: a frame that nobody took in time is replaced by the next and counted as dropped.
* `waits=True`: who puts a frame waits until the place is empty; nothing is dropped.
* `seconds` grows strictly from frame to frame.
* The time of pictures that came and were not worth a look is `calm`; it goes out with the next frame, or by
  `take_calm`, once.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from agent.see.feed.picture import Image

BREAK_SECONDS = 3.0  # a longer time without a picture was not watched


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Hold one frame: image (H,W,3) blue green red, its number, its time on two clocks, its pass.

    Nothing is followed from one pass to the next: a looped file begins again, a slide show goes on.
    `calm`: seconds before it in which pictures came that were not worth a look; `look`: its number at the
    gate.
    """

    image: Image
    number: int
    seconds: float
    wall: float
    pass_: int = 0
    calm: float = 0.0
    look: int = 0


class Slot:
    """Hold at most one frame, and count what came."""

    def __init__(self, waits: bool) -> None:
        self.waits = waits
        self.captured = 0
        self.dropped = 0
        self.skipped = 0
        self.seconds = -1.0  # of the newest frame
        self.stopping = threading.Event()
        self._frame: Frame | None = None
        self._changed = threading.Condition()
        self._pass = 0
        self._calm = 0.0
        self._came: float | None = None  # when the picture before came, while the camera is well

    def stop(self) -> None:
        """Let go of everybody who waits."""
        with self._changed:
            self.stopping.set()
            self._changed.notify_all()

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame that was not taken yet, or None after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self.stopping.is_set(), timeout)
            frame = self._frame
            self._frame = None
            self._changed.notify_all()
        return frame

    def take_calm(self) -> float:
        """Return the seconds in which pictures came that were not worth a look, and were not told yet."""
        with self._changed:
            calm = self._calm
            self._calm = 0.0
        return calm

    # ── the capture thread's ──

    def put(self, image: Image, seconds: float, look: int) -> None:
        """Hand on one frame: replace the one that is held, or wait until it is taken."""
        seconds = max(seconds, self.seconds + 1e-6)
        with self._changed:
            if self.waits:
                self._wait_until_taken(None)
            if self.stopping.is_set():
                return
            if self._frame is not None:
                self.dropped += 1
                self._calm += self._frame.calm
            self._frame = Frame(image, self.captured, seconds, time.time(), self._pass, self._calm, look)
            self._calm = 0.0
            self._came = seconds
            self.captured += 1
            self.seconds = seconds
            self._changed.notify_all()

    def drain(self, patience: float | None) -> None:
        """Wait until the last frame is taken, at most `patience` seconds."""
        with self._changed:
            self._wait_until_taken(patience)

    def _wait_until_taken(self, patience: float | None) -> None:
        self._changed.wait_for(lambda: self._frame is None or self.stopping.is_set(), patience)

    def pass_over(self, count: int) -> None:
        """Count pictures that came and are not handed on."""
        self.captured += count
        self.dropped += count

    def spare(self, count: int) -> None:
        """Count pictures that came and were not decoded; their time is told with the next one."""
        self.captured += count
        self.skipped += count

    def skip(self, seconds: float) -> None:
        """Count a picture that is not worth a look; its time was watched, if the camera was well."""
        with self._changed:
            self.captured += 1
            self.skipped += 1
            step = 0.0 if self._came is None else seconds - self._came
            self._calm += step if 0.0 < step <= BREAK_SECONDS else 0.0
            self._came = seconds

    def interrupt(self) -> None:
        """The time until the next picture was not watched."""
        self._came = None

    def begin_pass(self) -> None:
        """What comes has nothing to do with what was."""
        self._pass += 1
        self.interrupt()
