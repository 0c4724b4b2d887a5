"""A folder of pictures, shown one after the other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from agent.see.feed.picture import Feed, Image, Picture, SourceError, Wants, always

LOOKS = 4  # how often a picture of a folder is given
PICTURES = (".webp", ".jpg", ".jpeg", ".png", ".bmp")


class FolderSource(Feed):
    """Show the pictures of a folder in the order of their names, each for so many seconds.

    Each is given several times in that time, as a camera would see a print that is held before it: what is in
    it can be followed, and confirmed. Between two pictures is a cut.
    """

    moving = False

    def __init__(self, path: Path, seconds: float) -> None:
        self.paths = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES and p.is_file())
        if not self.paths:
            raise SourceError(f"{path} holds no picture ({', '.join(PICTURES)}); put some there")
        self.seconds = seconds / LOOKS
        self.fps = LOOKS / seconds
        self.number = 0
        self._image: Image | None = None

    def read(self, wants: Wants = always) -> Picture | None:
        """Return the next look at a picture that can be decoded."""
        while self.number < LOOKS * len(self.paths):
            place, look = divmod(self.number, LOOKS)
            if look == 0:
                self._image = _decode(self.paths[place])
                self.broken += LOOKS * (self._image is None)
            self.number += 1 if self._image is not None else LOOKS
            if self._image is not None:
                return Picture(self._image, (self.number - 1) * self.seconds, cut=look == 0)
        return None

    def skip(self) -> bool:
        """Pass over one look, but never over the first of a picture."""
        if not self.number % LOOKS or self._image is None:
            return False
        self.number += 1
        return True


def _decode(path: Path) -> Image | None:
    """Return the picture in a file, or None where there is none."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    return decode(data)


def decode(data: np.ndarray | bytes) -> Image | None:
    """Return the picture (H,W,3) in the bytes of a JPEG, PNG, WebP or BMP, or None where there is none."""
    raw = np.frombuffer(data, np.uint8)
    if not len(raw):
        return None
    try:
        image: Image | None = cv2.imdecode(raw, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return image
