"""Where the heads of followed people must be: a face is looked for there until one is found.

What always holds: only where the model knows people and faces both; a person's box in which a face was found,
by either look, asks for nothing.

    ┌──┬──┬──┐  a head is a STATURE-th of who stands upright, in the middle of the upper edge
    │  └──┘  │
    │ person │
    └────────┘
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Float32, Int64

Bool = NDArray[np.bool_]

PEOPLE = frozenset({"person", "people", "pedestrian"})
STATURE = 7.0  # heads: an adult's height


class Heads:
    """Say where to look for faces. `names` are the detector's classes."""

    def __init__(self, names: Mapping[int, str]) -> None:
        classes = np.arange(max(names, default=-1) + 1)
        self._people: Bool = np.isin(classes, [k for k, name in names.items() if name.lower() in PEOPLE])
        faces = [k for k, name in names.items() if is_face(name)]
        self._faces: Bool = np.isin(classes, faces)

    def unseen(self, xyxy: Float32, class_id: Int64, found: Detections) -> Float32:
        """Return the heads (M,4) of the people among tracks (N) in which no face was found."""
        if not (self._people.any() and self._faces.any()):
            return np.zeros((0, 4), np.float32)
        head = squares(xyxy[self._people[class_id]])
        face = found.xyxy[self._faces[found.class_id]]
        middle = (face[:, :2] + face[:, 2:]) / 2
        inside = (middle >= head[:, None, :2]) & (middle <= head[:, None, 2:])  # (M,F,2)
        has_face = np.asarray(np.any(inside.all(2), axis=1), np.bool_)
        return head[~has_face]


def is_face(name: str) -> bool:
    """Say whether a class is of faces."""
    return "mask" in name or "face" in name


def squares(people: Float32) -> Float32:
    """Return the squares (N,4) in which the heads of upright people (N,4) must be."""
    side = (people[:, 3] - people[:, 1]) / STATURE
    middle = (people[:, 0] + people[:, 2]) / 2
    top = people[:, 1]
    return np.stack((middle - side / 2, top, middle + side / 2, top + side), 1).astype(np.float32)
