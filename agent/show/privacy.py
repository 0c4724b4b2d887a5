"""The one door through which a camera's picture leaves: zones black, faces covered, and only then encoded.

What always holds, whatever the way out (preview, the box's page, RTSP, the picture that shows nobody):

1. Private zones are black before anything else looks at the picture. The owner's cannot be taken away by the
   centre; the centre's are added to them.
2. The picture is at most 640 pixels wide.
3. With `blurred`: all that differs from the background (the median of a minute) is coarse; until a minute was
   seen, and wherever the camera has moved, that is the whole picture. So who was found by no model is not
   sharp.
4. With `blurred`: faces and heads are covered, by the camera's model and by a model of faces, held over
   missed frames.

`unblurred` leaves out 3 and 4, and only the owner's file can say so. The built-in street shows nobody: it is
`drawn`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import cv2
import numpy as np

from agent.boxes import Detections, Uint8
from agent.show.cover import Polygon, black_out, changed, coarse, cover
from agent.show.faces import Heads, Look
from agent.show.nobody import Nobody

WIDTH = 640

Manner = Literal["blurred", "unblurred", "drawn"]


class Privacy:
    """What one camera's pictures lose before they leave. Not for several threads at once.

    `owner`: polygons that stay black whatever the centre says. `look`: finds faces, loaded at the first
    picture.
    """

    def __init__(
        self, manner: Manner, owner: Sequence[Polygon], names: Mapping[int, str], look: Look
    ) -> None:
        self.manner: Manner = manner
        self.nobody = Nobody()
        self._owner = list(owner)
        self._centre: list[Polygon] = []
        self._look = look
        self._heads = Heads(names, look)
        self._standing = np.zeros((0, 4), np.float32)  # boxes to cover in the background

    @property
    def zones(self) -> list[Polygon]:
        """The polygons that are black."""
        return [*self._owner, *self._centre]

    def know(self, names: Mapping[int, str]) -> None:
        """Take another model's labels: by them it is known which of its boxes are faces."""
        self._heads = Heads(names, self._look)

    def add_zones(self, centre: Sequence[Polygon]) -> None:
        """Set the centre's zones. A changed one begins the background anew."""
        if list(centre) != self._centre:
            self._centre = list(centre)
            self.nobody.clear()

    def clear(self, frame: Uint8, found: Detections, seconds: float) -> Uint8:
        """Return what may leave of a frame (H,W,3), at most 640 wide; a new array.

        Args:
            frame: as it came from the camera.
            found: what the camera's model found in it, down to its weakest score.
            seconds: when, on a clock that only grows.
        """
        image = shrink(black_out(frame, self.zones))
        image = image.copy() if image is frame else image
        scale = np.tile(np.array(image.shape[1::-1], np.float32) / frame.shape[1::-1], 2).astype(np.float32)
        renewed = self.nobody.add(image, seconds)
        if self.manner != "blurred":
            return image
        if renewed and self.nobody.picture is not None:
            self._standing = self._heads.still(self.nobody.picture)
        boxes = self._heads.find(image, found, scale, seconds)
        safe = cover(self._coarse_where_changed(image), np.concatenate([boxes, self._standing]))
        return black_out(safe, self.zones)  # again: coarse fields reach over the edges

    def empty(self) -> Uint8 | None:
        """Return the picture that shows nobody, faces covered in it too; None until a minute was watched."""
        background = self.nobody.picture
        if background is None or self.manner != "blurred":
            return background
        return cover(background.copy(), self._standing)

    def _coarse_where_changed(self, image: Uint8) -> Uint8:
        background = self.nobody.picture
        rough = coarse(image)
        if background is None:
            self._standing = self._standing[:0]
            return rough
        return np.where(changed(image, background)[:, :, None], rough, image)


def shrink(image: Uint8) -> Uint8:
    """Return a picture (H,W,3) at most 640 pixels wide."""
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image
    size = (WIDTH, max(round(height * WIDTH / width), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
