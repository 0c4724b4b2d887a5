"""How sharp the picture of an object is, so that one good look weighs more than many blurred ones.

What always holds: 0 is flat or all blurred, 1 as sharp as it gets; a flat light or a dark one makes no
difference; the cost depends on how many objects there are, not on how large they are.

A crop is brought to SIDE pixels. What lies between neighbouring pixels there, against the contrast of the
whole crop, is large where edges are sharp and small where they are smeared. A small object brought up to
SIDE pixels is smooth and so tells little, which is as it should be.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 32  # pixels
FLAT = 6.0  # grey levels of contrast below which there is nothing to see
FULL = 0.36  # of the contrast's energy between neighbours: as sharp as it gets


def sharpness(image: NDArray[np.uint8], xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how sharp (N,) each box (N,4) of an image (H,W,3) is, 0..1."""
    if not len(xyxy):
        return np.zeros(0)
    crops = np.stack([_crop(image, box) for box in np.rint(xyxy).astype(int).tolist()])  # (N,SIDE,SIDE)
    across = np.diff(crops, axis=2)[:, 1:] ** 2  # (N,SIDE-1,SIDE-1)
    down = np.diff(crops, axis=1)[:, :, 1:] ** 2
    energy = (across + down).mean(axis=(1, 2))
    contrast = crops.var(axis=(1, 2))
    return np.asarray(np.clip(energy / np.maximum(contrast, FLAT**2) / FULL, 0.0, 1.0), np.float64)


def _crop(image: NDArray[np.uint8], box: list[int]) -> NDArray[np.float32]:
    """Return one box in grey, SIDE x SIDE; flat where there is nothing of it in the image."""
    x1, y1, x2, y2 = (max(edge, 0) for edge in box)
    part = image[y1:y2, x1:x2]
    if not part.size:
        return np.zeros((SIDE, SIDE), np.float32)
    smaller = min(part.shape[:2]) >= SIDE
    small = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)
