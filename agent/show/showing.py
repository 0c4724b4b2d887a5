"""Shows one camera: takes a frame now and then, makes it safe, and hands it to who wants pictures.

What always holds: counting never waits for a picture. One picture at a time is made, on a thread of its own;
frames that come meanwhile are not shown. Nothing reaches a way out but what `Privacy.clear` gave, and each
picture is in the log before it goes. A picture whose faces could not be looked for does not leave.

    frame, boxes ─ offer ─▶ [ busy? ] ─▶ Privacy.clear ─▶ preview (MQTT) │ page │ RTSP
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from agent.boxes import Detections, Uint8
from agent.see.infer import InferenceError
from agent.see.slot import Frame
from agent.show.departures import Departures
from agent.show.privacy import Privacy
from agent.track.tracker import Tracks

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture that may leave: image (h,w,3); its frame's tracks, width and height, and Unix ms."""

    image: Uint8
    tracks: Tracks
    size: tuple[int, int]
    at: int


class Way(Protocol):
    """A way out: its name in the log, how often it wants a picture, for whom, and where the picture goes."""

    name: str
    every: float  # seconds between two pictures

    def watchers(self) -> list[tuple[str, str]]:
        """Return (who, role) of each who waits for pictures now; empty: none is wanted."""

    def take(self, shown: Shown) -> None:
        """Send a picture; called on the showing thread."""


@dataclass(slots=True)
class _Turn:
    way: Way
    due: float = field(default=0.0)


class Showing:
    """The ways out of one camera."""

    def __init__(
        self,
        camera: str,
        privacy: Privacy,
        departures: Departures,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.privacy = privacy
        self._camera = camera
        self._departures = departures
        self._monotonic = monotonic
        self._turns: list[_Turn] = []
        self._worker: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None
        self._told = ""

    def add(self, way: Way) -> None:
        """Open a way out."""
        self._turns.append(_Turn(way))

    def remove(self, way: Way) -> None:
        """Close a way out."""
        self._turns = [turn for turn in self._turns if turn.way is not way]

    @property
    def wanted(self) -> bool:
        """True if a picture is due."""
        now = self._monotonic()
        return any(turn.due <= now and turn.way.watchers() for turn in self._turns)

    def offer(self, frame: Frame, found: Detections, tracks: Tracks) -> None:
        """Show a frame if a picture is due and none is being made; returns at once."""
        if not self.wanted or (self._running is not None and not self._running.done()):
            return
        if self._running is not None:
            self._running.result()  # what must not be silent
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, f"show {self._camera}")
        self._running = self._worker.submit(self._show, frame, found, tracks)

    def empty(self, who: str, role: str) -> Uint8 | None:
        """Return the picture that shows nobody, noted in the log; None until a minute was watched."""
        image = self.privacy.empty()
        if image is not None:
            at = round(time.time() * 1000)
            self._departures.left(self._camera, "empty", who, role, self.privacy.manner, at)
        return image

    def stop(self) -> None:
        """End the thread, after the picture at hand."""
        if self._worker is not None:
            self._worker.shutdown()

    def _show(self, frame: Frame, found: Detections, tracks: Tracks) -> None:
        now = self._monotonic()
        turns = [turn for turn in self._turns if turn.due <= now]
        try:
            image = self.privacy.clear(frame.image, found, now)
        except InferenceError as error:
            self._say(f"no picture leaves: {error}")
            return
        self._say("")
        height, width = frame.image.shape[:2]
        shown = Shown(image, tracks, (width, height), round(frame.wall * 1000))
        for turn in turns:
            self._send(turn, shown, now)

    def _send(self, turn: _Turn, shown: Shown, now: float) -> None:
        watchers = turn.way.watchers()
        if not watchers:
            return
        turn.due = now + turn.way.every
        for who, role in watchers:
            manner = self.privacy.manner
            self._departures.left(self._camera, turn.way.name, who, role, manner, shown.at)
        turn.way.take(shown)

    def _say(self, problem: str) -> None:
        if problem and problem != self._told:
            _LOG.warning("%s: %s", self._camera, problem)
        self._told = problem
