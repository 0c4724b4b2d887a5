"""Training batches made of labelled pictures: cut, scaled, mirrored, recoloured and mixed.

What always holds:

- batch number n of a seed is always the same batch, so that a resumed training goes on where it was;
- a class that a source does not label is never taught as "not there": its region carries it as unlabelled.

    one picture               mosaic of four, each cropped to its part
    +-----------+             +----+------+
    |           |             |    |      |
    |           |             +----+------+   the cross lies anywhere in the middle half
    |           |             |    |      |
    +-----------+             +----+------+
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import GREY, Float32, Uint8
from export.data.camera_faults import worsen
from export.data.sample import Bool, Picture, quarter_turned, turn_boxes

NINE = 9  # parts of a mosaic of many, and how much smaller its pictures are
SHRUNK = 0.5
SPECK = 5.0  # pixels: a smaller object is neither taught nor punished


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hold what one step needs: pictures (B,H,W,3) RGB uint8 and what is in each.

    `boxes[i]` (n,4), `allowed[i]` (n,C); `regions[i]` (r,4), `unlabelled[i]` (r,C): where a class is unknown.
    """

    pictures: Uint8
    boxes: list[Float32]
    allowed: list[Bool]
    regions: list[Float32]
    unlabelled: list[Bool]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Say how a training picture is varied; `fit` (height, width) is what scale 1 fits a picture into.

    `size` is the side of a batch's pictures, or their (height, width). Every other cut is turned, by `roll`
    degrees (one sigma); what is in a box is then taken as an ellipse. A share `nines` of the mosaics has
    nine small parts instead of four, and a share `faults` of the pictures the faults of real cameras
    (`export.data.camera_faults`).
    """

    size: int | tuple[int, int]
    fit: tuple[int, int]
    scale: tuple[float, float] = (0.3, 1.7)
    mosaic: float = 0.75
    roll: float = 0.0
    hue: float = 0.02
    saturation: float = 0.6
    value: float = 0.4
    nines: float = 0.0
    faults: float = 0.0

    @property
    def canvas(self) -> tuple[int, int]:
        """Return height and width of a batch's pictures."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


def _place(
    picture: Picture,
    part: tuple[int, int, int, int],
    how: Augmentation,
    rng: np.random.Generator,
    canvas: Uint8,
    shrink: float = 1.0,
) -> tuple[Float32, Bool]:
    """Draw a random cut of a picture into a part (x0,y0,x1,y1) of the canvas; return its boxes there."""
    x0, y0, x1, y1 = part
    if picture.headings:
        picture = quarter_turned(picture, int(rng.integers(4)))
    height, width = picture.image.shape[:2]
    low, high = np.log(picture.scale or how.scale)
    scale = shrink * min(how.fit[0] / height, how.fit[1] / width) * float(np.exp(rng.uniform(low, high)))
    cut_w = min(width, math.ceil((x1 - x0) / scale))
    cut_h = min(height, math.ceil((y1 - y0) / scale))
    left = int(rng.integers(0, width - cut_w + 1))
    top = int(rng.integers(0, height - cut_h + 1))
    out_w = min(x1 - x0, max(1, round(cut_w * scale)))
    out_h = min(y1 - y0, max(1, round(cut_h * scale)))
    to_x = x0 + int(rng.integers(0, x1 - x0 - out_w + 1))
    to_y = y0 + int(rng.integers(0, y1 - y0 - out_h + 1))
    cut = picture.image[top : top + cut_h, left : left + cut_w]
    method = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    canvas[to_y : to_y + out_h, to_x : to_x + out_w] = cv2.resize(cut, (out_w, out_h), interpolation=method)
    boxes = picture.boxes
    allowed = picture.allowed
    if rng.random() < 0.5:
        canvas[to_y : to_y + out_h, to_x : to_x + out_w] = canvas[to_y : to_y + out_h, to_x : to_x + out_w][
            :, ::-1
        ]
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (2 * left + cut_w, 0, 2 * left + cut_w, 0)
    shift = (to_x - left * scale, to_y - top * scale)
    moved = boxes * scale + np.asarray(shift + shift)
    inside = (to_x, to_y), (to_x + out_w, to_y + out_h)
    if not how.roll or rng.random() >= 0.5:
        return _visible(moved, inside, allowed)
    moved, allowed = _visible(moved, inside, allowed, 0.7)  # what is cut off does not come in again by a turn
    shown = canvas[to_y : to_y + out_h, to_x : to_x + out_w]
    moved = _roll(shown, (to_x, to_y), moved, float(rng.normal(0, how.roll)))
    return _visible(moved, inside, allowed, 0.6)


def _roll(part: Uint8, corner: tuple[int, int], boxes: Float32, degrees: float) -> Float32:
    """Turn a part of a canvas in place about its centre; return its boxes (n,4) of the canvas, turned."""
    size = (part.shape[1], part.shape[0])
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, 1.0)
    part[:] = cv2.warpAffine(part.copy(), matrix, size, borderValue=(GREY, GREY, GREY))
    offset = np.asarray(corner * 2, np.float32)
    return turn_boxes(boxes - offset, matrix) + offset


def _visible(
    moved: NDArray[Any], inside: tuple[tuple[int, int], tuple[int, int]], allowed: Bool, least: float = 0.4
) -> tuple[Float32, Bool]:
    """Cut boxes to (corner, corner); keep those of at least 2 pixels.

    What is cut to less than `least`, or smaller than `SPECK`, is hidden, not taught.
    """
    clipped = np.clip(moved, inside[0] * 2, inside[1] * 2).astype(np.float32)
    full = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    size = clipped[:, 2:] - clipped[:, :2]
    shown = size[:, 0] * size[:, 1] / np.maximum(full, 1e-6)
    keep = (size.min(axis=1) >= 2) & (shown > 0.05) if len(size) else np.zeros(0, np.bool_)
    clear = (shown >= least) & (size.prod(1) >= SPECK**2)
    return clipped[keep], allowed[keep] & clear[keep, None]


def _colour(canvas: Uint8, how: Augmentation, rng: np.random.Generator) -> Uint8:
    """Vary hue, saturation, light and sharpness; return RGB."""
    hue, saturation, value = 1 + rng.uniform(-1, 1, 3) * (how.hue, how.saturation, how.value)
    ramp = np.arange(256)
    table = np.stack(
        ((ramp * hue) % 180, np.clip(ramp * saturation, 0, 255), np.clip(ramp * value, 0, 255)), -1
    ).astype(np.uint8)[None]  # (1,256,3)
    hsv = cv2.LUT(cv2.cvtColor(canvas, cv2.COLOR_BGR2HSV), table)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    chance = rng.random()
    if chance < 0.1:
        rgb = cv2.GaussianBlur(rgb, (3, 3), 0)
    elif chance < 0.2:
        factor = float(rng.uniform(0.5, 0.9))
        small = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(small, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    elif chance < 0.25:
        rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(rgb, np.uint8)


def _parts(how: Augmentation, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    height, width = how.canvas
    if rng.random() >= how.mosaic:
        return [(0, 0, width, height)]
    if how.nines and rng.random() < how.nines:
        return _nine(how, rng)
    x, y = (int(rng.integers(side // 4, side - side // 4)) for side in (width, height))
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def _nine(how: Augmentation, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Cut the canvas into three rows and three columns of uneven sizes."""
    ys, xs = (
        [0, round(side * rng.uniform(0.25, 0.42)), round(side * rng.uniform(0.58, 0.75)), side]
        for side in how.canvas
    )
    return [(xs[i], ys[j], xs[i + 1], ys[j + 1]) for j in range(3) for i in range(3)]


def make_batch(pictures: Sequence[Picture], how: Augmentation, batch: int, seed: tuple[int, int]) -> Batch:
    """Make the batch that belongs to (seed, step)."""
    rng = np.random.default_rng(seed)
    result = Batch(np.empty((batch, *how.canvas, 3), np.uint8), [], [], [], [])
    for index in range(batch):
        canvas = np.full((*how.canvas, 3), GREY, np.uint8)
        parts = _parts(how, rng)
        chosen = [pictures[int(rng.integers(len(pictures)))] for _ in parts]
        shrink = SHRUNK if len(parts) == NINE else 1.0
        placed = [_place(*pair, how, rng, canvas, shrink) for pair in zip(chosen, parts, strict=True)]
        boxes, allowed = (np.concatenate(column) for column in zip(*placed, strict=True))
        taught = allowed.any(axis=1)
        hidden = np.ones((int((~taught).sum()), allowed.shape[1]), np.bool_)
        shown = _colour(canvas, how, rng)
        result.pictures[index] = worsen(shown, rng) if how.faults and rng.random() < how.faults else shown
        result.boxes.append(boxes[taught].astype(np.float32))
        result.allowed.append(allowed[taught])
        result.regions.append(
            np.concatenate((np.asarray(parts, np.float32), boxes[~taught])).astype(np.float32)
        )
        result.unlabelled.append(np.concatenate((np.stack([p.unlabelled for p in chosen]), hidden)))
    return result


def batches(
    pictures: Sequence[Picture], how: Augmentation, batch: int, seed: int, first: int = 0
) -> Iterator[Batch]:
    """Yield batches for ever from number `first` on; two are made ahead in a thread."""
    with ThreadPoolExecutor(1, "augment") as pool:
        ahead = [pool.submit(make_batch, pictures, how, batch, (seed, first + i)) for i in range(2)]
        step = first + 2
        while True:
            done = ahead.pop(0).result()
            ahead.append(pool.submit(make_batch, pictures, how, batch, (seed, step)))
            step += 1
            yield done
