"""What a camera is, and why: true at once; how often a change is told is bounded (`agent.see.flaps`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent import wire
from agent.see.flaps import Flaps

State = wire.SourceStatus


@dataclass(frozen=True, slots=True)
class StateChange:
    """Say what a camera became, why, and when (Unix seconds).

    `captured`: how many frames it had captured until then.
    """

    state: State
    reason: str
    wall: float
    captured: int = 0


class Status:
    """One camera's state with its reason.

    Args:
        reason: why it is absent until it is open.
        captured: how many frames it has captured until now.
        on_change: told each change that is worth telling, on the thread that brought it.
    """

    def __init__(
        self, reason: str, captured: Callable[[], int], on_change: Callable[[StateChange], None] | None
    ) -> None:
        self.state: State = "absent"
        self.reason = reason
        self._captured = captured
        self._on_change = on_change
        self._flaps = Flaps(self._tell)

    def become(self, state: State, reason: str) -> None:
        """Change the state, and tell it if it is another one or the reason is."""
        self.state = state
        self.reason = reason
        self._flaps.become(state, reason, time.monotonic())

    def _tell(self, state: str, reason: str) -> None:
        if self._on_change is not None:
            self._on_change(StateChange(self.state, reason, time.time(), self._captured()))
