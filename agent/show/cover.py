"""What makes a picture tell less: black zones, coarse areas, covered boxes. Plain functions on arrays.

What always holds: nothing is undone by sharpening. A covered box keeps the mean colours of 3 x 3 fields, a
coarse area those of `FIELDS` fields along the picture's longer side.

    picture (H,W,3) ─ black_out ─▶ ─ coarsen where changed ─▶ ─ cover each box ─▶ what leaves
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Uint8

FIELDS = 64  # of a coarse picture, along its longer side
BOX_FIELDS = 3  # of a covered box, each way
CHANGE = 18  # grey levels between a picture and its background that are no noise
_SPREAD = 0.04  # of the longer side: how far a changed area is widened

Mask = NDArray[np.bool_]
Polygon = Sequence[tuple[float, float]]  # fractions of the frame


def black_out(image: Uint8, zones: Sequence[Polygon]) -> Uint8:
    """Return the picture (H,W,3) with polygons black; the picture itself where there are none.

    All that an outline encloses is black, also where it crosses itself.
    """
    if not zones:
        return image
    height, width = image.shape[:2]
    outlines = [np.rint(np.array(zone) * (width, height)).astype(np.int32) for zone in zones]
    safe = image.copy()
    for outline in outlines:  # one by one: where two overlap, fillPoly would leave a hole
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [outline], 255)
        cv2.polylines(inside, [outline], True, 255, 2)
        edges, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(safe, edges, -1, (0, 0, 0), cv2.FILLED)
    return safe


def coarse(image: Uint8) -> Uint8:
    """Return the picture (H,W,3) with `FIELDS` fields along its longer side, as a mosaic."""
    height, width = image.shape[:2]
    scale = FIELDS / max(height, width)
    if scale >= 1:
        return image
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    fields = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(fields, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def changed(image: Uint8, background: Uint8) -> Mask:
    """Return where (H,W) a picture differs from its background, widened; everywhere if their sizes do."""
    if image.shape != background.shape:
        return np.ones(image.shape[:2], np.bool_)
    soft = cv2.blur(cv2.absdiff(image, background), (3, 3)).max(axis=2)  # (H,W)
    side = max(round(max(image.shape[:2]) * _SPREAD), 3) | 1
    apart = (soft > CHANGE).astype(np.uint8)
    return np.asarray(cv2.dilate(apart, np.ones((side, side), np.uint8)) > 0)


def grown(boxes: Float32, share: float) -> Float32:
    """Return boxes (N,4) larger by a share of their size on each side."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - share * size, boxes[:, 2:] + share * size], axis=1)


def cover(image: Uint8, boxes: Float32) -> Uint8:
    """Cover boxes (N,4) of a picture (H,W,3) in place, and return it: 3 x 3 mean colours are left of each."""
    height, width = image.shape[:2]
    whole = np.clip(np.stack([np.floor(boxes), np.ceil(boxes)]), 0, [width, height, width, height]).astype(
        int
    )
    for (left, top), (right, bottom) in zip(whole[0, :, :2], whole[1, :, 2:], strict=True):
        part = image[top:bottom, left:right]
        if part.size:
            few = (min(BOX_FIELDS, part.shape[1]), min(BOX_FIELDS, part.shape[0]))
            fields = cv2.resize(part, few, interpolation=cv2.INTER_AREA)
            image[top:bottom, left:right] = cv2.resize(
                fields, part.shape[1::-1], interpolation=cv2.INTER_NEAREST
            )
    return image
