"""The newest frame of each camera: one thread per camera, one slot, reconnects, and a word when it is blind.

What always holds:

* `pace="real"`: the slot keeps the newest frame; one that nobody took in time is counted as dropped.
  Files, folders and the scene keep their own clock.
* `pace="fast"`: the thread waits until the slot is empty; nothing is dropped.
* `seconds` grows strictly from frame to frame, over reconnects and passes too.
* A source that is absent, stalled or frozen is a state with a reason, never an error; the thread tries on.
* A frozen picture is not handed on: nobody counts on what was seen before.

      source ──thread──▶ [ slot ] ──take──▶ the worker
                 │
                 └── on_state(StateChange)      absent ─▶ ok ─▶ stalled | frozen | absent ─▶ ok … ended
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import numpy as np

from agent.sources import Image, Picture, Source, SourceError, open_source, redact

__all__ = ["Camera", "Frame", "SourceError", "StateChange", "probe"]

log = logging.getLogger(__name__)

State = Literal["ok", "absent", "stalled", "frozen", "ended"]

FIRST_WAIT, LONGEST_WAIT = 0.25, 2.5  # seconds between attempts; with opening, a camera is back within 5
FROZEN_SECONDS = 10.0
REOPEN_FROZEN = 30.0  # a frozen camera is opened again after so long, and again
STOP_SECONDS = 10.0  # a thread inside OpenCV cannot be woken; its longest wait is shorter than this
LAST_TAKE = 2.0  # how long the end of a file waits for its last frame to be taken
RATE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Hold one frame: image (H,W,3) blue green red, its number, its time on two clocks, its pass.

    Nothing is followed from one pass to the next: a looped file begins again, a slide show goes on.
    """

    image: Image
    number: int
    seconds: float
    wall: float
    pass_: int = 0


@dataclass(frozen=True, slots=True)
class StateChange:
    """Say what a camera became, why, and when (Unix seconds)."""

    state: State
    reason: str
    wall: float


class Stillness:
    """Notice a picture that does not change, on a coarse grid of its pixels."""

    def __init__(self) -> None:
        self._grid: Image | None = None
        self._since = 0.0

    def seconds(self, image: Image, now: float) -> float:
        """Return for how long the picture has been the same."""
        grid = image[::8, ::8]
        if self._grid is None or grid.shape != self._grid.shape or _differ(grid, self._grid):
            self._grid, self._since = grid.copy(), now
        return now - self._since


def _differ(a: Image, b: Image) -> bool:
    """Tell whether two grids differ by more than the rounding of a decoder."""
    return bool((np.maximum(a, b) - np.minimum(a, b)).max(initial=0) > 1)


class Camera:
    """Own the capture thread of one camera; a context manager."""

    def __init__(
        self,
        name: str,
        url: str,
        pace: Literal["real", "fast"] = "real",
        loop: bool = False,
        *,
        on_state: Callable[[StateChange], None] | None = None,
        frozen_seconds: float = FROZEN_SECONDS,
    ) -> None:
        self.name, self.url, self.pace, self.loop = name, url, pace, loop
        self.state: State = "absent"
        self.reason = f"{redact(url)} is being opened"
        self.captured = 0
        self.dropped = 0
        self._on_state = on_state
        self._frozen_seconds = frozen_seconds
        self._told = False
        self._slot: Frame | None = None
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)
        self._pass = 0
        self._seconds = -1.0
        self._stillness = Stillness()
        self._frozen_at = 0.0
        self._moments: deque[float] = deque(maxlen=1000)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, a bounded time."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)
            if self._thread.is_alive():
                log.warning("%s: %s does not let go; its thread is left behind", self.name, redact(self.url))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def fps(self) -> float:
        """Return the frames that came in each of the last few seconds."""
        now, moments = time.monotonic(), list(self._moments)
        recent = [moment for moment in moments if now - moment <= RATE_SECONDS]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(now - recent[0], 1e-3)

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame that was not taken yet, or None after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(self._awake, timeout)
            frame, self._slot = self._slot, None
            self._changed.notify_all()
        if frame is None and self._died():
            raise RuntimeError(f"the capture thread of {self.name} has died; see the traceback above")
        return frame

    def _awake(self) -> bool:
        return self._slot is not None or self._stopping.is_set()

    def _died(self) -> bool:
        done = self.state == "ended" or self._stopping.is_set() or self._thread.ident is None
        return not done and not self._thread.is_alive()

    # ── the thread ──

    def _run(self) -> None:
        """Open, read, and open again, until stopped or at the end of a file."""
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            before = self.captured
            try:
                with closing(open_source(self.url)) as source:
                    self._follow(source)
            except SourceError as error:
                wait = FIRST_WAIT if self.captured > before else wait
                self._lost(error)
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
                continue
            if self._stopping.is_set():
                return
            if not self.loop:
                self._drain()
                self._become("ended", f"{redact(self.url)} has come to its end")
                return
            self._pass += 1

    def _lost(self, error: SourceError) -> None:
        """Say that the source is lost, and how."""
        if error.state != "frozen":
            self._become(error.state, str(error))

    def _follow(self, source: Source) -> None:
        """Read one source to its end; raise SourceError where it is lost."""
        offset: float | None = None
        start, broken, count = 0.0, 0, 0
        while not self._stopping.is_set():
            picture = source.read()
            self._pass_over(source.broken - broken)
            broken = source.broken
            if picture is None:
                break
            self._pass += picture.cut and count > 0
            count += 1
            if picture.seconds is None:
                self._watch(picture)
                continue
            if offset is None:
                offset = 0.0 if self._seconds < 0 else self._seconds + 1 / source.fps - picture.seconds
                start = time.monotonic() - picture.seconds
            due = start + picture.seconds
            if self.pace == "real":
                self._stopping.wait(max(0.0, due - time.monotonic()))
            self._become("ok", "")
            self._put(picture.image, picture.seconds + offset)
            if self.pace == "real":
                self._catch_up(source, time.monotonic() - due)
        if not count and not self._stopping.is_set():
            raise SourceError(f"{redact(self.url)} holds no picture that can be decoded; check the file")

    def _catch_up(self, source: Source, late: float) -> None:
        """Pass over the pictures for which it is too late on the source's clock."""
        for _ in range(min(int(late * source.fps), 50)):
            source.skip()
            self._pass_over(1)

    def _pass_over(self, count: int) -> None:
        """Count pictures that came and are not handed on."""
        self.captured += count
        self.dropped += count

    def _watch(self, picture: Picture) -> None:
        """Take a live picture, unless it is frozen."""
        now = time.monotonic()
        if self._stillness.seconds(picture.image, now) < self._frozen_seconds:
            self._become("ok", "")
            self._put(picture.image, now)
            return
        if self.state != "frozen":
            self._frozen_at = now
        self._become(
            "frozen", f"the picture has not changed for {self._frozen_seconds:.0f} s; is the camera stuck?"
        )
        self._pass_over(1)
        if now - self._frozen_at > REOPEN_FROZEN:
            self._frozen_at = now
            raise SourceError("the picture is frozen; the camera is opened again", "frozen")

    def _put(self, image: Image, seconds: float) -> None:
        """Hand on one frame: replace the one in the slot, or wait until the slot is empty."""
        seconds = max(seconds, self._seconds + 1e-6)
        frame = Frame(image, self.captured, seconds, time.time(), self._pass)
        with self._changed:
            if self.pace == "fast":
                self._changed.wait_for(lambda: self._slot is None or self._stopping.is_set())
            if self._stopping.is_set():
                return
            self.dropped += self._slot is not None
            self.captured += 1
            self._slot, self._seconds = frame, seconds
            self._changed.notify_all()
        self._moments.append(time.monotonic())

    def _drain(self) -> None:
        """Wait a little until the last frame is taken, so that the end comes after it."""
        patience = None if self.pace == "fast" else LAST_TAKE
        with self._changed:
            self._changed.wait_for(lambda: self._slot is None or self._stopping.is_set(), patience)

    def _become(self, state: State, reason: str) -> None:
        """Change the state and tell it, if it is another one or the reason is."""
        if self._told and (state, reason) == (self.state, self.reason):
            return
        self._told = True
        self.state, self.reason = state, reason
        if self._on_state is not None:
            self._on_state(StateChange(state, reason, time.time()))


def probe(url: str, timeout: float = 10.0) -> tuple[int, int, float]:
    """Return (width, height, frames a second) of a source, or raise SourceError with the reason."""
    with closing(open_source(url, timeout)) as source:
        picture = source.read()
        if picture is None:
            raise SourceError(f"{redact(url)} holds no picture that can be decoded; check the file")
        height, width = picture.image.shape[:2]
        return width, height, _rate(source) if url.startswith("http") else source.fps


def _rate(source: Source) -> float:
    """Measure for a second: a stream of JPEGs does not say its rate. What was waiting comes first."""
    begun, moments = time.monotonic(), [0.0]
    while moments[-1] < 1.5:
        source.read()
        moments.append(time.monotonic() - begun)
    steady = [moment for moment in moments if moment > 0.4]
    return (len(steady) - 1) / (steady[-1] - steady[0]) if len(steady) > 1 else 1 / steady[0]
