"""Several looks at one small object agree, or they do not: what one sees and others overlook counts less.

What always holds: a look has a voice only where it shows an object whole and upright, one voice for one
object, the surest that it overlaps; what a turned region sees is not weighed, for upright looks are blind to
what leans; what the first look shows large enough is not weighed either, for nearer looks show it too large;
the boxes and classes stay.

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
from agent.look.region import BORDER, Region, Size

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]


def agreed(
    found: Detections,
    first: Detections,
    looked: Sequence[tuple[Region, Finds]],
    kinds: Int64,
    picture: Size,
    zoom: float,
    silent: Bool | None = None,
) -> Detections:
    """Return what was found with scores that all looks at a place agree on, best first.

    Args:
        found: both looks as one set.
        first: the first look.
        looked: the R regions that were looked at, and what they showed.
        kinds: (C,) of each class.
        picture: width and height.
        zoom: input pixels a pixel of the picture in the first look.
        silent: (R,) which regions have changed since: what they do not show may be there; None: none.
    """
    quiet = np.zeros(len(looked), np.bool_) if silent is None else silent
    upright = np.asarray([not region.roll for region, _ in looked], np.bool_)
    looks = [first, *(seen.found for region, seen in looked if not region.roll)]
    score = voices(found, looks, kinds)
    regions = [region for region, _ in looked if not region.roll]
    asked = shown(regions, found.xyxy, picture) & ~quiet[upright]
    heard = np.concatenate((np.ones((len(found), 1), np.bool_), asked), axis=1) | (score > 0)
    mean = score.sum(1) / heard.sum(1)
    turned = [seen.found for region, seen in looked if region.roll]
    leans = (voices(found, turned, kinds) > 0).any(1)
    small = np.sqrt(area(found.xyxy)) * zoom < PLAIN
    weighed = small & (heard.sum(1) > 1) & (mean > 0) & ~leans
    told = np.sqrt(found.confidence * mean)
    confidence = np.where(weighed, told, found.confidence).astype(np.float32)
    order = np.argsort(-confidence, kind="stable")
    return Detections(found.xyxy[order], confidence[order], found.class_id[order])


def voices(found: Detections, looks: Sequence[Detections], kinds: Int64) -> Float:
    """Return how sure each of R looks is of each of some finds: (N,R), 0 where it does not see it."""
    score = np.zeros((len(found), len(looks)))
    if not looks or not len(found):
        return score
    xyxy = np.concatenate([look.xyxy for look in looks])
    confidence = np.concatenate([look.confidence for look in looks])
    class_id = np.concatenate([look.class_id for look in looks])
    owner = np.repeat(np.arange(len(looks)), [len(look) for look in looks])
    alike = kinds[found.class_id][:, None] == kinds[class_id][None]
    mine = alike & (iou(found.xyxy, xyxy) >= SAME)  # (N,M)
    surest = np.where(mine, found.confidence[:, None], -1.0).argmax(0)
    speaks = np.flatnonzero(np.any(mine, axis=0))
    np.maximum.at(score, (surest[speaks], owner[speaks]), confidence[speaks])
    return score


def shown(regions: Sequence[Region], xyxy: Float32, picture: Size) -> Bool:
    """Say which boxes (N,4) each of R regions of a picture (width, height) shows whole: (N,R)."""
    edges = np.asarray([region.box[0] for region in regions], np.float32).reshape(-1, 4)
    near = BORDER * (edges[:, 2:] - edges[:, :2]).max(1, initial=0.0)[:, None]
    inner = np.concatenate((edges[:, :2] > 0, edges[:, 2:] < np.asarray(picture)), axis=1)
    room = np.where(inner, near, -np.inf)  # (R,4): a box that ends within it may be cut
    low = xyxy[:, None, :2] > edges[:, :2] + room[:, :2]
    high = xyxy[:, None, 2:] < edges[:, 2:] - room[:, 2:]
    return np.asarray(low.all(2) & high.all(2), np.bool_)
