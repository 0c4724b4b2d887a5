"""Which of the pictures that a source gives are handed on.

What always holds:

* A frozen, torn or blind picture of a live camera is not handed on (`agent.see.health`): nobody counts on
  what is not seen.
* With a gate (`agent.see.gate`), what is not worth a look is passed over, and most of that not even
  converted: it is counted as skipped, and its time is `calm`.

      picture ─▶ does it show anything? ─▶ is it worth a look? ─▶ slot
"""

from __future__ import annotations

import time

from agent.see.asleep import Sleep
from agent.see.feed.picture import Image, Picture, Source, SourceError
from agent.see.gate import Gate
from agent.see.health import Health, Verdict
from agent.see.slot import Slot
from agent.see.status import State, Status

REOPEN_USELESS = 30.0  # seconds; a frozen or degraded camera is opened again after so long, and again


class Intake:
    """Choose for one camera. `gate`: None where every picture is looked at."""

    def __init__(self, slot: Slot, status: Status, gate: Gate | None, frozen_seconds: float) -> None:
        self.slot = slot
        self.sleep = Sleep()
        self.moving = True  # pictures follow each other as a camera's do
        self._status = status
        self._gate = gate  # None where each picture is one of its own
        self._gate_of_moving = gate
        self._health = Health(frozen_seconds)
        self._useless_since: float | None = None

    def begin(self, source: Source) -> None:
        """Take pictures of another source."""
        self.moving = source.moving
        self._gate = self._gate_of_moving if source.moving else None

    def begin_pass(self) -> None:
        """Begin another pass: what comes has nothing to do with what was."""
        self.slot.begin_pass()
        if self._gate is not None:
            self._gate.renew()

    def become(self, state: State, reason: str) -> None:
        """Change the camera's state; but for `ok`, what comes after has nothing to do with what was."""
        if state != "ok":
            self.slot.interrupt()
            if self._gate is not None:
                self._gate.renew()
        self._status.become(state, reason)

    @property
    def calm(self) -> bool:
        """True while nothing happens that a picture more or less could change."""
        return self._gate is not None and self._status.state == "ok" and self._gate.still

    def wants(self, seconds: float) -> bool:
        """Tell whether a picture at `seconds` of the camera is to be decoded at all."""
        if self._gate is None or self._status.state != "ok":
            return True
        self._gate.listen(self.slot.waits, self.slot.stopping)
        return self._gate.due(seconds)

    def take(self, source: Source, picture: Picture, seconds: float) -> None:
        """Hand on a picture taken at `seconds`, unless a live camera shows nothing in it, or nothing new."""
        if not picture.image.size:
            self.slot.skip(seconds)
            return
        if not source.live:
            self.become("ok", "")
            self._choose(picture.image, seconds)
            return
        verdict = self._health.look(picture.image, seconds, source.period)
        if not verdict.good:
            self._refuse(verdict)
            return
        self._useless_since = None
        self.become("ok", "")
        if picture.new:
            self._choose(picture.image, seconds)

    def _choose(self, image: Image, seconds: float) -> None:
        """Hand on a picture that is worth a look."""
        if self._gate is None:
            self.slot.put(image, seconds, look=0)
        elif self._gate.wants(image, seconds):
            self.slot.put(image, seconds, self._gate.looks)
        else:
            self.slot.skip(seconds)

    def _refuse(self, verdict: Verdict) -> None:
        """Pass over a picture that shows nothing; raise SourceError when the camera is to be opened again."""
        self.slot.pass_over(1)
        if verdict.state is None:
            return
        now = time.monotonic()
        self.become(verdict.state, verdict.reason)
        if self._useless_since is None:
            self._useless_since = now
        elif now - self._useless_since > REOPEN_USELESS:
            self._useless_since = now
            raise SourceError("the camera is opened again", "frozen")
