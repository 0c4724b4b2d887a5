"""Cameras of this box, read through V4L2: opened, asked for a size, a rate and a format, and what they
gave.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cv2

from agent.see.feed.picture import NO_IMAGE, Feed, Picture, SourceError, Wants, always
from agent.see.feed.video import rate, retrieved
from agent.see.feed.wish import NOTHING, Wish

STALL_SECONDS = 2.0  # OpenCV waits three before it gives up


class DeviceSource(Feed):
    """Read a camera of this box through V4L2."""

    live = True

    def __init__(self, capture: Any, name: str, wish: Wish = NOTHING) -> None:
        self._capture = capture
        self.name = name
        self.note = ask(capture, wish)
        self.fps = rate(capture)

    @classmethod
    def open(cls, path: Path, wish: Wish) -> DeviceSource:
        """Open a camera; raise SourceError with the reason."""
        real = os.path.realpath(path)
        shown = str(path) if real == str(path) else f"{path} ({real})"
        if not os.path.exists(real):
            raise SourceError(f"no camera at {shown}; plug one in, or choose another source")
        if not os.access(real, os.R_OK | os.W_OK):
            raise SourceError(f"{shown} may not be read; add the user to the group that owns it (video)")
        capture = cv2.VideoCapture(real, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{shown} does not open as a camera; is another program using it?")
        return cls(capture, shown, wish)

    def read(self, wants: Wants = always) -> Picture:
        """Return the next picture; raise SourceError if there is none."""
        begun = time.monotonic()
        if self._capture.grab():
            image = retrieved(self._capture, self.name) if wants(time.monotonic()) else NO_IMAGE
            if image is not None:
                return Picture(image, None)
        if time.monotonic() - begun >= STALL_SECONDS:
            raise SourceError(f"{self.name} sends no picture any more; unplug it and plug it in", "stalled")
        raise SourceError(f"{self.name} gives no picture any more; is it still plugged in?")

    def close(self) -> None:
        """Close the capture."""
        self._capture.release()


def ask(capture: Any, wish: Wish) -> str:
    """Ask an opened camera for format, size and rate, in this order; return in words what it gives.

    A camera that cannot do what is asked takes the nearest that it can, without an error.
    """
    if wish.format:
        capture.set(cv2.CAP_PROP_FOURCC, int.from_bytes(wish.format.encode("ascii"), "little"))
    if all(wish.size):
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wish.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wish.size[1])
    if wish.fps:
        capture.set(cv2.CAP_PROP_FPS, wish.fps)
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    given = Wish(size, round(float(capture.get(cv2.CAP_PROP_FPS)), 1), _letters(capture))
    missed = [
        f"{name} {_shown(asked)} was asked for, the camera gives {_shown(got)}"
        for name, asked, got in (
            ("size", wish.size, given.size),
            ("fps", wish.fps, given.fps),
            ("format", wish.format, given.format),
        )
        if asked not in (0.0, "", (0, 0)) and asked != got
    ]
    return "; ".join([given.format, *missed])


def _letters(capture: Any) -> str:
    """Return the four letters of the format that a camera gives."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = code.to_bytes(4, "little", signed=code < 0).decode("ascii", "replace")
    return letters.strip() if letters.isprintable() else "format unknown"


def _shown(value: tuple[int, int] | float | str) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else f"{value}"
