"""The newest frame of each camera: one thread per camera, one slot, reconnects, and a word when it is blind.

What always holds:

* `pace="real"`: the slot keeps the newest frame; one that nobody took in time is counted as dropped.
  Files, folders and the scene keep their own clock.
* `pace="fast"`: the thread waits until the slot is empty; nothing is dropped.
* `seconds` grows strictly from frame to frame, over reconnects and passes too.
* A source that is absent, stalled, frozen or degraded is a state with a reason, never an error; the thread
  tries on.
* With a gate (`agent.see.gate`), what is not worth a look is passed over, and most of that not even
  converted: it is counted as skipped, and its time is `calm`.
* A frozen, torn or blind picture is not handed on (`agent.see.health`): nobody counts on what is not seen.
* `state` is true at once; how often a change is told is bounded (`agent.see.flaps`).

      source ──thread──▶ [ slot ] ──take──▶ the worker
                 │
                 └── on_state(StateChange)      absent ─▶ ok ─▶ stalled | frozen | degraded ─▶ ok … ended
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from agent import wire
from agent.see.feed.wish import NOTHING
from agent.see.flaps import Flaps
from agent.see.gate import Gate
from agent.see.health import Health, Stillness, Verdict
from agent.see.probe import probe
from agent.see.sources import Image, Picture, Source, SourceError, Wish, open_source, redact

__all__ = ["Camera", "Frame", "SourceError", "StateChange", "Stillness", "probe"]

log = logging.getLogger(__name__)

State = wire.SourceStatus

FIRST_WAIT = 0.25  # seconds between attempts; with opening, a camera is back within 5
LONGEST_WAIT = 2.5
FROZEN_SECONDS = 10.0
REOPEN_USELESS = 30.0  # a frozen or degraded camera is opened again after so long, and again
STOP_SECONDS = 10.0  # a thread inside OpenCV cannot be woken; its longest wait is shorter than this
LAST_TAKE = 2.0  # how long the end of a file waits for its last frame to be taken
RATE_SECONDS = 3.0
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


@dataclass(frozen=True, slots=True)
class StateChange:
    """Say what a camera became, why, and when (Unix seconds)."""

    state: State
    reason: str
    wall: float


@dataclass(slots=True)
class Course:
    """How far one open source has come.

    Attributes:
        source: what is read.
        offset: from its clock to the camera's; None before the first picture.
        start: the monotonic moment of its clock's zero; None: it begins with the next picture.
        broken: what it had passed over when that was counted last.
        waited: what it had waited when that was taken into account last.
        count: pictures read.
    """

    source: Source
    offset: float | None = None
    start: float | None = None
    broken: int = 0
    waited: float = 0.0
    count: int = 0


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
        wish: Wish = NOTHING,
        gate: Gate | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self.pace = pace
        self.loop = loop
        self.state: State = "absent"
        self.reason = f"{redact(url)} is being opened"
        self.captured = 0
        self.dropped = 0
        self.skipped = 0
        self.moving = True  # pictures follow each other as a camera's do
        self._gate = gate  # None where each picture is one of its own
        self._gate_of_moving = gate
        self._calm = 0.0
        self._came: float | None = None  # when the picture before came, while the camera is well
        self._on_state = on_state
        self._wish = wish
        self._flaps = Flaps(self._tell)
        self._slot: Frame | None = None
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)
        self._pass = 0
        self._seconds = -1.0
        self._reached: float | None = None  # on the clock of a recording that was lost in its middle
        self._health = Health(frozen_seconds)
        self._useless_since: float | None = None
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
        now = time.monotonic()
        moments = list(self._moments)
        recent = [moment for moment in moments if now - moment <= RATE_SECONDS]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(now - recent[0], 1e-3)

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame that was not taken yet, or None after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(self._awake, timeout)
            frame = self._slot
            self._slot = None
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
        """Open, read, and open again, until stopped or at the end of a recording."""
        wait = FIRST_WAIT
        course: Course | None = None
        while not self._stopping.is_set():
            before = self.captured
            try:
                course = course or Course(open_source(self.url, wish=self._wish))
                self._follow(course)
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

    def _lost(self, course: Course | None, error: SourceError) -> Course | None:
        """Say that the source is lost, and how; return the course that goes on, or None if it is to be
        opened.
        """
        if error.state != "frozen":
            self._become(error.state, str(error))
        if course is None or course.source.lasting:
            if course is not None:
                course.start = None
            return course
        course.source.close()
        return None

    def _begin_again(self) -> bool:
        """End, or begin a recording again."""
        self._reached = None
        if self.loop:
            self._seam()
            return True
        self._drain()
        self._become("ended", f"{redact(self.url)} has come to its end")
        return False

    def _seam(self) -> None:
        """Begin another pass: what comes has nothing to do with what was."""
        self._pass += 1
        self._came = None
        if self._gate is not None:
            self._gate.renew()

    def _follow(self, course: Course) -> None:
        """Read one source to its end; raise SourceError where it is lost."""
        source = course.source
        self.moving = source.moving
        self._gate = self._gate_of_moving if source.moving else None
        while not self._stopping.is_set():
            picture = source.read(lambda seconds: self._worth(course, seconds))
            self._pass_over(source.broken - course.broken)
            course.broken = source.broken
            if picture is None:
                break
            if self._known(source, picture):
                continue
            if picture.cut and course.count > 0:
                self._seam()
            course.count += 1
            if picture.seconds is None:
                taken = time.monotonic() if picture.taken is None else picture.taken
                self._take(source, picture, taken)
            else:
                self._take_in_time(course, picture, picture.seconds)
        if not course.count and not self._stopping.is_set():
            raise SourceError(f"{redact(self.url)} holds no picture that can be decoded; check the file")

    def _worth(self, course: Course, seconds: float) -> bool:
        """Tell whether a picture at `seconds` of its source is to be decoded."""
        if self._gate is None or self.state != "ok" or not course.count:
            return True
        self._gate.listen(self.pace == "fast", self._stopping)
        return self._gate.due(seconds + (course.offset or 0.0))

    def _known(self, source: Source, picture: Picture) -> bool:
        """Tell whether a recording that was lost in its middle has given this picture before."""
        if source.live or source.lasting or picture.seconds is None:
            return False
        if self._reached is not None and picture.seconds <= self._reached:
            return True
        self._reached = picture.seconds
        return False

    def _take_in_time(self, course: Course, picture: Picture, seconds: float) -> None:
        """Take a picture when it is due on its source's clock."""
        source = course.source
        if course.offset is None:
            course.offset = 0.0 if self._seconds < 0 else self._seconds + 1 / source.fps - seconds
        now = time.monotonic()
        if course.start is None:
            course.start = now - seconds
        waited = source.waited - course.waited
        course.waited = source.waited
        course.start += min(waited, max(now - course.start - seconds, 0.0))
        due = course.start + seconds
        if self.pace == "real":
            self._stopping.wait(max(0.0, due - time.monotonic()))
        self._take(source, picture, seconds + course.offset)
        if self.pace == "real":
            self._catch_up(source, time.monotonic() - due)

    def _catch_up(self, source: Source, late: float) -> None:
        """Pass over the pictures for which it is too late on the source's clock."""
        for _ in range(min(int(late * source.fps), 50)):
            if not source.skip():
                return
            self._pass_over(1)

    def _pass_over(self, count: int) -> None:
        """Count pictures that came and are not handed on."""
        self.captured += count
        self.dropped += count

    def _take(self, source: Source, picture: Picture, seconds: float) -> None:
        """Hand on a picture taken at `seconds`, unless a live camera shows nothing in it, or nothing new."""
        if not picture.image.size:
            self._skip(seconds)
            return
        if not source.live:
            self._become("ok", "")
            self._choose(picture.image, seconds)
            return
        verdict = self._health.look(picture.image, seconds, source.period)
        if not verdict.good:
            self._refuse(verdict)
            return
        self._useless_since = None
        self._become("ok", "")
        if picture.new:
            self._choose(picture.image, seconds)

    def _choose(self, image: Image, seconds: float) -> None:
        """Hand on a picture that is worth a look."""
        if self._gate is None or self._gate.wants(image, seconds):
            self._put(image, seconds)
        else:
            self._skip(seconds)

    def _skip(self, seconds: float) -> None:
        """Count a picture that is not worth a look; its time was watched."""
        with self._changed:
            self.captured += 1
            self.skipped += 1
            self._note_calm(seconds)

    def _note_calm(self, seconds: float) -> None:
        """Add the time since the picture before, if the camera was well meanwhile."""
        step = 0.0 if self._came is None else seconds - self._came
        self._calm += step if 0.0 < step <= BREAK_SECONDS else 0.0
        self._came = seconds

    def take_calm(self) -> float:
        """Return the seconds in which pictures came that were not worth a look, and were not told yet."""
        with self._changed:
            calm = self._calm
            self._calm = 0.0
        return calm

    def _refuse(self, verdict: Verdict) -> None:
        """Pass over a picture that shows nothing; raise SourceError when it is time to open the camera
        again.
        """
        self._pass_over(1)
        if verdict.state is None:
            return
        now = time.monotonic()
        self._become(verdict.state, verdict.reason)
        if self._useless_since is None:
            self._useless_since = now
        elif now - self._useless_since > REOPEN_USELESS:
            self._useless_since = now
            raise SourceError("the camera is opened again", "frozen")

    def _put(self, image: Image, seconds: float) -> None:
        """Hand on one frame: replace the one in the slot, or wait until the slot is empty."""
        seconds = max(seconds, self._seconds + 1e-6)
        with self._changed:
            if self.pace == "fast":
                self._changed.wait_for(lambda: self._slot is None or self._stopping.is_set())
            if self._stopping.is_set():
                return
            if self._slot is not None:
                self.dropped += 1
                self._calm += self._slot.calm
            look = self._gate.looks if self._gate is not None else 0
            self._slot = Frame(image, self.captured, seconds, time.time(), self._pass, self._calm, look)
            self._calm = 0.0
            self._came = seconds
            self.captured += 1
            self._seconds = seconds
            self._changed.notify_all()
        self._moments.append(time.monotonic())

    def _drain(self) -> None:
        """Wait a little until the last frame is taken, so that the end comes after it."""
        patience = None if self.pace == "fast" else LAST_TAKE
        with self._changed:
            self._changed.wait_for(lambda: self._slot is None or self._stopping.is_set(), patience)

    def _become(self, state: State, reason: str) -> None:
        """Change the state, and tell it if it is another one or the reason is."""
        if state != "ok" and self._gate is not None:
            self._gate.renew()
            self._came = None
        self.state = state
        self.reason = reason
        self._flaps.become(state, reason, time.monotonic())

    def _tell(self, state: str, reason: str) -> None:
        if self._on_state is not None:
            self._on_state(StateChange(self.state, reason, time.time()))
