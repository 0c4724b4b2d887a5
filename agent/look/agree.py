"""Several looks at one small object agree, or they do not: what one sees and others overlook counts less.

What always holds: a look has a voice only where it shows an object whole and upright; what a turned region
sees is not weighed, for upright looks are blind to what leans; what the first look shows large enough is not
weighed either, for nearer looks show it too large; the boxes and classes stay.

                first look     region      region       mean     told
    a face         0.4           0.8         0.6        0.60     sqrt(0.64 x 0.60) = 0.62
    a pattern      0             0.8         0          0.27     sqrt(0.64 x 0.27) = 0.42
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, Int64, area, iou
from agent.look.merge import PLAIN, SAME, Finds
from agent.look.region import Region, Size

Bool = NDArray[np.bool_]


def agreed(
    found: Detections,
    first: Detections,
    looked: Sequence[tuple[Region, Finds]],
    kinds: Int64,
    picture: Size,
    zoom: float,
) -> Detections:
    """Return what was found with scores that all looks at a place agree on, best first.

    Args:
        found: both looks as one set.
        first: the first look.
        looked: the regions that were looked at, and what they showed.
        kinds: (C,) of each class.
        picture: width and height.
        zoom: input pixels a pixel of the picture in the first look.
    """
    total = says(found, first, kinds)
    voices = np.ones(len(found))
    leans = np.zeros(len(found), np.bool_)
    for region, seen in looked:
        score = says(found, seen.found, kinds)
        if region.roll:
            leans |= score > 0
            continue
        heard = shown(region, found.xyxy, picture) | (score > 0)
        total += np.where(heard, score, 0.0)
        voices += heard
    small = np.sqrt(area(found.xyxy)) * zoom < PLAIN
    weighed = small & (voices > 1) & (total > 0) & ~leans
    told = np.sqrt(found.confidence * total / voices)
    confidence = np.where(weighed, told, found.confidence).astype(np.float32)
    order = np.argsort(-confidence, kind="stable")
    return Detections(found.xyxy[order], confidence[order], found.class_id[order])


def says(found: Detections, seen: Detections, kinds: Int64) -> Float32:
    """Return with which score (N,) a look sees each of some finds, 0 where it does not."""
    alike = kinds[found.class_id][:, None] == kinds[seen.class_id][None]
    same = alike & (iou(found.xyxy, seen.xyxy) >= SAME)
    return np.asarray(np.where(same, seen.confidence[None], 0.0).max(1, initial=0.0), np.float32)


def shown(region: Region, xyxy: Float32, picture: Size) -> Bool:
    """Say which boxes (N,4) a region of a picture (width, height) shows whole."""
    box = region.box[0]
    inside = (xyxy[:, :2] >= box[:2]).all(1) & (xyxy[:, 2:] <= box[2:]).all(1)
    return np.asarray(inside & ~region.borders(xyxy, picture).any(1), np.bool_)
