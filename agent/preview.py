"""What who watches a camera over the centre gets: its boxes, and small pictures where its owner allows."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from agent import wire
from agent.boxes import Uint8
from agent.see.slot import Frame
from agent.show.privacy import shrink
from agent.show.showing import Shown
from agent.track.tracker import Tracks

BOXES_INTERVAL = 0.1
PICTURE_INTERVAL = 0.2


class Preview:
    """The way out over the broker: open while the centre says that somebody watches."""

    name = "preview"
    every = PICTURE_INTERVAL

    def __init__(self, camera: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.send: Callable[[wire.Live], object] = lambda live: None
        self._camera = camera
        self._monotonic = monotonic
        self._until = 0.0
        self._pictures_until = 0.0
        self._watcher = ("", "")
        self._next_boxes = 0.0

    def watch(self, seconds: float, picture: bool, who: str, role: str) -> None:
        """Give boxes, and pictures if `picture`, for so many seconds."""
        self._until = self._monotonic() + seconds
        self._pictures_until = self._until if picture else 0.0
        self._watcher = (who, role)

    @property
    def watched(self) -> bool:
        """True while somebody watches."""
        return self._monotonic() < self._until

    def watchers(self) -> list[tuple[str, str]]:
        """Return who asked for pictures, and in which role."""
        return [self._watcher] if self._monotonic() < self._pictures_until else []

    def boxes(self, frame: Frame, tracks: Tracks, size: tuple[int, int]) -> wire.Live | None:
        """Return a frame's boxes if somebody watches and it is time for some.

        `size`: width, height of the frame in pixels.
        """
        now = self._monotonic()
        if not self.watched or now < self._next_boxes:
            return None
        self._next_boxes = now + BOXES_INTERVAL
        return wire.Live(round(frame.wall * 1000), self._camera, rows(tracks, size))

    def take(self, shown: Shown) -> None:
        """Send a picture with its boxes."""
        self.send(wire.Live(shown.at, self._camera, rows(shown.tracks, shown.size), picture(shown.image)))


def rows(tracks: Tracks, size: tuple[int, int]) -> bytes:
    """Pack tracks into the 12-byte rows of a live frame. `size`: width, height in pixels."""
    scaled = tracks.xyxy / np.array([*size, *size], dtype=np.float32)  # (N, 4) fractions
    scores = np.clip(np.rint(tracks.confidence * 100), 0, 100).astype(int)
    columns = zip(
        tracks.track_id.tolist(), scaled.tolist(), tracks.class_id.tolist(), scores.tolist(), strict=True
    )
    return wire.pack_rows(
        (track, x1, y1, x2, y2, kind, score) for track, (x1, y1, x2, y2), kind, score in columns
    )


def picture(image: Uint8) -> bytes:
    """Return a preview JPEG, at most 640 pixels wide."""
    ok, encoded = cv2.imencode(".jpg", shrink(image), [cv2.IMWRITE_JPEG_QUALITY, 75])
    return encoded.tobytes() if ok else b""
