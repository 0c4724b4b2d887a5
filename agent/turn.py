"""What goes into a turn of a camera's loop beside its frame, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent import wire
from agent.boxes import Detections
from agent.see.slot import Frame
from agent.track.tracker import Tracks


@dataclass(frozen=True, slots=True)
class Step:
    """What one turn of the loop gave."""

    events: list[wire.AnyEvent]
    live: wire.Live | None = None
    tells: bool = False  # the camera's state, or what ails it, is another one


class Witness(Protocol):
    """Sees each frame that was judged, with the model's own boxes and the tracks; changes nothing."""

    def saw(self, frame: Frame, found: Detections, tracks: Tracks) -> None:
        """Take a frame, on the camera's thread; return at once."""
