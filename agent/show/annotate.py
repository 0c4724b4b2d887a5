"""Draws what was seen onto a picture that may leave: boxes with their labels, lines with their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from agent.boxes import Uint8
from agent.show.showing import Shown

_BOX = (80, 220, 80)  # blue, green, red
_LINE = (0, 200, 255)
_DARK = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Drawn = Mapping[str, Sequence[tuple[float, float]]]  # name -> points, fractions of the frame


def annotated(shown: Shown, names: Mapping[int, str], lines: Drawn, counts: Mapping[str, int]) -> Uint8:
    """Return a copy of the picture with boxes and lines.

    Args:
        shown: the picture and its tracks.
        names: class -> label.
        lines: the lines of the camera.
        counts: line -> what was counted there.
    """
    image = shown.image.copy()
    height, width = image.shape[:2]
    scale = np.array([width / shown.size[0], height / shown.size[1]] * 2)
    for box, kind in zip(shown.tracks.xyxy * scale, shown.tracks.class_id, strict=True):
        left, top, right, bottom = np.rint(box).astype(int).tolist()
        cv2.rectangle(image, (left, top), (right, bottom), _BOX, 1)
        _write(image, names.get(int(kind), ""), (left, top - 3), _BOX)
    for name, points in lines.items():
        course = np.rint(np.array(points) * (width, height)).astype(np.int32)
        cv2.polylines(image, [course], False, _LINE, 2)
        _write(image, f"{name}: {counts.get(name, 0)}", (int(course[0][0]) + 4, int(course[0][1]) - 6), _LINE)
    return image


def _write(image: Uint8, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write a word with a dark edge, inside the picture."""
    plain = text.encode("ascii", "replace").decode()  # the font has no other letters
    spot = (max(place[0], 2), max(place[1], 12))
    cv2.putText(image, plain, spot, _FONT, 0.4, _DARK, 3, cv2.LINE_AA)
    cv2.putText(image, plain, spot, _FONT, 0.4, colour, 1, cv2.LINE_AA)
