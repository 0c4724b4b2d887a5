"""What somebody who watches a camera gets: its boxes, and a small picture where its owner allows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent import wire
from agent.track.tracker import Tracks

BOXES_INTERVAL = 0.1
PICTURE_INTERVAL = 0.2
PICTURE_WIDTH = 640


@dataclass(slots=True)
class Viewing:
    """Somebody watches this camera until `until` (monotonic seconds)."""

    until: float = 0.0
    picture: bool = False
    next_boxes: float = 0.0
    next_picture: float = 0.0


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


def picture(image: np.ndarray) -> bytes:
    """Return a preview JPEG, at most 640 pixels wide."""
    height, width = image.shape[:2]
    if width > PICTURE_WIDTH:
        size = (PICTURE_WIDTH, max(round(height * PICTURE_WIDTH / width), 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    ok, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return encoded.tobytes() if ok else b""
