"""One labelled picture in memory, and how its pixels and a YOLO label file are read.

What always holds: pixels are uint8 BGR, boxes are left, top, right, bottom in those pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Uint8
from export.errors import DataError

Bool = NDArray[np.bool_]
LONGEST = 640  # pixels: to learn from, pictures are kept at most this long: no canvas shows more
JUDGED = 1280  # pixels: to judge by, as a camera gives them, so that all of a split fit into memory


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Hold one labelled picture: image (H,W,3) BGR, boxes (n,4) pixels, allowed (n,C), unlabelled (C,).

    `name` is its file's, `kind` (n,) the class numbers as that file has them, where they are known. To learn
    from, `scale` is by how much its size varies where that is not as the recipe says; `headings` allows
    quarter turns, as a camera that looks straight down may hang.
    """

    image: Uint8
    boxes: Float32
    allowed: Bool
    unlabelled: Bool
    source: str
    name: str = ""
    kind: NDArray[np.int64] | None = None
    scale: tuple[float, float] | None = None
    headings: bool = False


def one_hot(names: Sequence[str], chosen: Sequence[str]) -> Bool:
    """Return (C,) with the chosen names set; an unknown name is an error."""
    unknown = set(chosen) - set(names)
    if unknown:
        raise DataError(f"unknown class {sorted(unknown)[0]!r}: the recipe's names are {', '.join(names)}")
    return np.asarray([name in chosen for name in names], np.bool_)


def read_labels(path: Path, classes: int) -> tuple[NDArray[np.int64], Float32]:
    """Read a YOLO label file: class numbers (n,) and boxes (n,4) as centre and size in fractions."""
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = tuple(float(word) for word in line.split())
        except ValueError:
            raise DataError(f"{path}:{number}: not five numbers: {line.strip()!r}") from None
        if len(row) != 5 or not all(math.isfinite(value) for value in row):
            raise DataError(f"{path}:{number}: a label is five numbers: class x y width height")
        if row[0] not in range(classes):
            raise DataError(f"{path}:{number}: class {row[0]:g} is not one of 0..{classes - 1}")
        if not all(-0.01 <= value <= 1.01 for value in row[1:]):
            raise DataError(f"{path}:{number}: coordinates are fractions of the picture, 0..1")
        rows.append(row)
    table = np.asarray(rows, np.float32).reshape(-1, 5)
    return table[:, 0].astype(np.int64), table[:, 1:]


def corners(centred: Float32, width: int, height: int) -> Float32:
    """Turn boxes (n,4) of centre and size in fractions into left, top, right, bottom in pixels."""
    scale = np.asarray((width, height, width, height), np.float32)
    half = centred[:, 2:] / 2
    return np.asarray(np.concatenate((centred[:, :2] - half, centred[:, :2] + half), 1) * scale, np.float32)


def turn_boxes(boxes: Float32, matrix: NDArray[np.float64]) -> Float32:
    """Return boxes (n,4) round the ellipses in `boxes`, moved by an affine `matrix` (2,3)."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.sqrt(half**2 @ (matrix[:, :2] ** 2).T)  # half width and height of the moved ellipse
    return np.concatenate((centre - reach, centre + reach), 1).astype(np.float32)


def quarter_turned(picture: Picture, turns: int) -> Picture:
    """Return the picture turned anticlockwise by so many quarters, with its boxes."""
    image = picture.image
    boxes = picture.boxes
    for _ in range(turns % 4):
        width = image.shape[1]
        image = np.rot90(image)
        boxes = boxes[:, [1, 2, 3, 0]] * (1, -1, 1, -1) + (0, width, 0, width)
    return replace(picture, image=np.ascontiguousarray(image), boxes=boxes.astype(np.float32))


def read_picture(path: Path, longest: int | None = LONGEST) -> Uint8:
    """Read one picture as (H,W,3) BGR, no longer than `longest`."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: cannot be read as a picture; remove it or replace it")
    scale = longest / max(image.shape[:2]) if longest else 1.0
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)
