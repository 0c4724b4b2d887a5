"""What ails a camera that shows something: told as states with `since`, never booked as blind.

What always holds: what was drawn while a camera is told as moved is where it belongs; when nothing else is
left, the camera is anchored anew. A line that nobody has drawn again stays off.
"""

from __future__ import annotations

import logging

import msgspec
import numpy as np
from msgspec import Struct

from agent import wire
from agent.boxes import Uint8
from agent.see.moved import Move, Moved, Packed
from agent.see.optics import Flaw, Look, Optics

_LOG = logging.getLogger(__name__)

LEAST_OFF = 0.01  # of the width: what a line may be displaced
SIDES = (("left", "right"), ("up", "down"))
WORDS = {
    "dark": "the picture is too dark to count on; is there light?",
    "unfocused": "the picture is not as sharp as it was; is the camera out of focus, or its lens fogged?",
    "dirty": "{percent} of the picture has lost its sharpness; is the lens dirty, or does something plain "
    "stand before it?",
    "flickering": "the brightness of the picture jumps up and down; look at the lamps and the exposure",
}
NAMED = 20  # lines and zones that are off, at most


class Kept(Struct, frozen=True):
    """What is remembered over a restart.

    `drawn`: which lines and zones there were; `fresh`: those drawn since the camera moved.
    """

    anchor: Packed
    drawn: dict[str, str]
    fresh: list[str]
    told: list[wire.Ailment]
    sharpness: list[float] = []  # of the tiles, at first
    contrast: list[float] = []


class Ailments:
    """Look at one camera's pictures now and then. `kept`: what an earlier start remembered."""

    def __init__(self, name: str, settings: wire.CameraSettings, kept: bytes | None = None) -> None:
        self.told: list[wire.Ailment] = []
        self.unsaved = False
        self._name = name
        self._moved = Moved()
        self._optics = Optics()
        self._settings = settings
        self._drawn = _drawn(settings)
        self._fresh: set[str] = set()
        if kept:
            self._restore(kept)

    def _restore(self, kept: bytes) -> None:
        """Take up the anchor of an earlier start, and what was drawn since."""
        try:
            known = msgspec.msgpack.decode(kept, type=Kept)
            since = next((ailment.since for ailment in known.told if ailment.kind == "moved"), None)
            self._moved.restore(known.anchor, since)
        except (msgspec.DecodeError, ValueError) as error:
            _LOG.warning("%s: its stored view cannot be read and is learnt again: %s", self._name, error)
            return
        self._drawn = known.drawn
        self._fresh = set(known.fresh)
        self.told = [ailment for ailment in known.told if ailment.kind == "moved"]
        if known.sharpness and len(known.sharpness) == len(known.contrast):
            sharpness = np.array(known.sharpness, np.float32)
            self._optics.first = Look(sharpness, np.array(known.contrast, np.float32), 0.0)
        self.apply(self._settings)

    def apply(self, settings: wire.CameraSettings) -> bool:
        """Take new lines and zones; return True if what is told has changed."""
        now = _drawn(settings)
        changed = {name for name, key in now.items() if self._drawn.get(name) != key}
        self._settings = settings
        self._drawn = now
        self.unsaved |= bool(changed)
        if not changed or not self._moved.told:
            return False
        self._fresh |= changed
        if not set(now) - self._fresh:
            self._fresh.clear()
            self._moved.renew()
            self._optics.renew()
        return self._tell()

    def look(self, image: Uint8, seconds: float, wall_ms: int) -> bool:
        """Take a picture (H,W,3) at `seconds`; return True if what is told has changed."""
        known = (self._moved.anchor is not None, self._optics.first is not None)
        told = self._moved.told
        judged = self._optics.look(image, seconds, wall_ms)
        if not self._moved.look(image, seconds, wall_ms) and not judged:
            return False
        if self._moved.told != told:
            self._optics.renew()
        if not self._moved.told and self._fresh:
            self._fresh.clear()
            self.unsaved = True
        self.unsaved |= known != (self._moved.anchor is not None, self._optics.first is not None)
        return self._tell()

    def keep(self) -> bytes:
        """Return what is to be remembered over a restart, and note that it is."""
        self.unsaved = False
        packed = self._moved.pack()
        if packed is None:
            return b""
        kept = Kept(packed, self._drawn, sorted(self._fresh), self.told)
        first = self._optics.first
        if first is not None:
            kept = msgspec.structs.replace(
                kept, sharpness=first.sharpness.tolist(), contrast=first.contrast.tolist()
            )
        return msgspec.msgpack.encode(kept)

    def _tell(self) -> bool:
        before = self.told
        move = self._moved.move
        if move:
            self.told = [self._ailment(move)]
        elif self._moved.told:  # by an earlier start; the first minute of this one is not over
            self.told = [self._without_fresh(ailment) for ailment in before if ailment.kind == "moved"]
        else:
            self.told = []
        self.told += [_flaw(flaw) for flaw in self._optics.flaws]
        if _heads(before) == _heads(self.told):
            self.told = before  # the last digits change each minute; nobody is told of that
            return False
        self.unsaved = True
        for ailment in self.told:
            _LOG.warning("%s: %s", self._name, ailment.text)
        if before and not self.told:
            _LOG.info("%s: its pictures are in order again", self._name)
        return True

    def _ailment(self, move: Move) -> wire.Ailment:
        off = [name for name, points in _gates(self._settings) if self._is_off(name, points, move)]
        across, down = (round(value, 4) for value in move.shift)
        return wire.Ailment(
            "moved", move.since, _sentence(move, off), round(move.amount, 4), (across, down), off[:NAMED]
        )

    def _without_fresh(self, ailment: wire.Ailment) -> wire.Ailment:
        off = [name for name in ailment.off if name not in self._fresh]
        return msgspec.structs.replace(ailment, off=off)

    def _is_off(self, name: str, points: wire.LinePoints, move: Move) -> bool:
        return name not in self._fresh and move.at(np.array(points, np.float32)) >= LEAST_OFF


def _flaw(flaw: Flaw) -> wire.Ailment:
    return wire.Ailment(flaw.kind, flaw.since, WORDS[flaw.kind].format(percent=f"{flaw.share:.0%}"))


def _gates(settings: wire.CameraSettings) -> list[tuple[str, wire.LinePoints]]:
    lines = [(name, line.points) for name, line in settings.lines.items()]
    return lines + [(name, zone.points) for name, zone in settings.zones.items()]


def _drawn(settings: wire.CameraSettings) -> dict[str, str]:
    """Return what was drawn: name -> its version and points."""
    gates: dict[str, wire.Line | wire.Zone] = {**settings.lines, **settings.zones}
    return {name: f"{gate.version} {gate.points}" for name, gate in gates.items()}


def _heads(told: list[wire.Ailment]) -> list[tuple[str, list[str], int]]:
    """Return what makes a difference to people: which, what is off, and the whole percents."""
    return [(ailment.kind, ailment.off, round(ailment.amount * 100)) for ailment in told]


def _sentence(move: Move, off: list[str]) -> str:
    ways = [
        side[value > 0] for side, value in zip(SIDES, move.shift, strict=True) if abs(value) >= LEAST_OFF / 2
    ]
    text = f"the camera has moved: its picture is displaced by {move.amount * 100:.1f} % of its width"
    text += f", {' and '.join(ways)}" if ways else ", turned"
    if not off:
        return text
    names = ", ".join(off[:5]) + (f" and {len(off) - 5} more" if len(off) > 5 else "")
    return f"{text}; off: {names}. Turn the camera back, or draw these again"
