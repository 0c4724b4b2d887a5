"""One open source, read to its end: live pictures as they come, recordings on their own clock.

What always holds: the camera's seconds go on over reconnects and passes, and while the machine sleeps. With
`pace="real"` a recording keeps its own clock, and pictures for which it is too late are passed over; with
"fast" none is. A recording that was lost in its middle and is opened again goes on where it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from agent.see.feed.picture import Picture, Source
from agent.see.intake import Intake

Pace = Literal["real", "fast"]

MOST_LATE = 50  # pictures passed over at once


@dataclass(slots=True)
class Course:
    """How far one open source has come.

    Attributes:
        source: what is read.
        intake: what takes its pictures.
        pace: whether a recording keeps its clock.
        reached: how far a recording had come when it was lost in its middle, on its own clock.
        offset: from its clock to the camera's; None before the first picture.
        start: the monotonic moment of its clock's zero; None: it begins with the next picture.
        broken: what it had passed over when that was counted last.
        waited: what it had waited when that was taken into account last.
        count: pictures read.
        slept: seconds for which the machine has slept; live pictures are so much later than their clock says.
    """

    source: Source
    intake: Intake
    pace: Pace
    reached: float | None = None
    offset: float | None = None
    start: float | None = None
    broken: int = 0
    waited: float = 0.0
    count: int = 0
    slept: float = 0.0

    def read(self) -> None:
        """Read the source to its end, or until the slot stops; raise SourceError where it is lost."""
        source = self.source
        stopping = self.intake.slot.stopping
        self.intake.begin(source)
        while not stopping.is_set():
            self.intake.slot.spare(source.spare(self.intake.calm))
            picture = source.read(self._wants)
            self.intake.slot.pass_over(source.broken - self.broken)
            self.broken = source.broken
            if picture is None:
                break
            if self._is_known(picture):
                continue
            if picture.cut and self.count > 0:
                self.intake.begin_pass()
            self.count += 1
            if picture.seconds is None:
                taken = time.monotonic() if picture.taken is None else picture.taken
                self.slept = self.intake.sleep.seconds()
                self.intake.take(source, picture, taken + self.slept)
            else:
                self._take_in_time(picture, picture.seconds)
            del picture  # while the next one is waited for, this one is the slot's alone

    def _wants(self, seconds: float) -> bool:
        """Tell whether a picture at `seconds` of the source is to be decoded; the first one is."""
        return not self.count or self.intake.wants(
            seconds + (self.slept if self.offset is None else self.offset)
        )

    def _is_known(self, picture: Picture) -> bool:
        """Tell whether a recording that was lost in its middle has given this picture before."""
        if self.source.live or self.source.lasting or picture.seconds is None:
            return False
        if self.reached is not None and picture.seconds <= self.reached:
            return True
        self.reached = picture.seconds
        return False

    def _take_in_time(self, picture: Picture, seconds: float) -> None:
        """Take a picture when it is due on its source's clock."""
        source = self.source
        slot = self.intake.slot
        if self.offset is None:
            self.offset = 0.0 if slot.seconds < 0 else slot.seconds + 1 / source.fps - seconds
        now = time.monotonic()
        if self.start is None:
            self.start = now - seconds
        waited = source.waited - self.waited
        self.waited = source.waited
        self.start += min(waited, max(now - self.start - seconds, 0.0))
        due = self.start + seconds
        if self.pace == "real":
            slot.stopping.wait(max(0.0, due - time.monotonic()))
        self.intake.take(source, picture, seconds + self.offset)
        if self.pace == "real":
            self._catch_up(time.monotonic() - due)

    def _catch_up(self, late: float) -> None:
        """Pass over the pictures for which it is too late on the source's clock."""
        for _ in range(min(int(late * self.source.fps), MOST_LATE)):
            if not self.source.skip():
                return
            self.intake.slot.pass_over(1)
