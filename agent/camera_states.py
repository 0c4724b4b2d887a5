"""What is told of a camera's state: what the camera itself says, and what its model's failures make of it.

What always holds: changes come out in the order in which they came, each at its place between the frames. A
camera whose model cannot judge has failed, however well it gives pictures; an absent one stays absent.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable

from agent import wire
from agent.see.status import StateChange
from agent.see.trouble import Trouble

_LOG = logging.getLogger(__name__)

MOST_CHANGES = 1000  # that wait for the loop; the oldest go first
LONGEST_REASON = 200


class CameraStates:
    """The states of one camera. `wall`: the Unix seconds of now."""

    def __init__(self, name: str, wall: Callable[[], float]) -> None:
        self.since_ms = round(wall() * 1000)
        self.trouble = Trouble(self._model_changed)
        self._name = name
        self._wall = wall
        self._changes: deque[StateChange] = deque(maxlen=MOST_CHANGES)
        self._model_events: list[wire.AnyEvent] = []

    def changed(self, change: StateChange) -> None:
        """Take a change of the camera; called from the capture thread."""
        self._changes.append(change)

    def shown(self, state: wire.SourceStatus, reason: str) -> tuple[wire.CameraStatus, str]:
        """Return the state and the reason of a camera that says these of itself."""
        if state == "ok" and self.trouble.reason:
            return "failed", self.trouble.reason
        return state, reason or (self.trouble.note if state == "ok" else "")

    def of_camera(self, until: float = math.inf) -> list[wire.AnyEvent]:
        """Return what the camera said before it had captured more than `until` frames."""
        events: list[wire.AnyEvent] = []
        while self._changes and self._changes[0].captured <= until:
            change = self._changes.popleft()
            self.since_ms = round(change.wall * 1000)
            _LOG.info("%s: %s%s", self._name, change.state, f": {change.reason}" if change.reason else "")
            events.append(self._event(*self.shown(change.state, change.reason)))
        return events

    def of_model(self) -> list[wire.AnyEvent]:
        """Return what the model's failures, or their end, have changed."""
        events = self._model_events
        self._model_events = []
        return events

    def _model_changed(self, state: str, reason: str) -> None:
        """Tell what the model's failures make of the camera."""
        self.since_ms = round(self._wall() * 1000)
        _LOG.log(logging.WARNING if reason else logging.INFO, "%s: %s: %s", self._name, state, reason)
        self._model_events.append(self._event("failed" if state == "failed" else "ok", reason))

    def _event(self, state: wire.CameraStatus, reason: str) -> wire.CameraState:
        return wire.CameraState(self.since_ms, self._name, state, reason[:LONGEST_REASON])
