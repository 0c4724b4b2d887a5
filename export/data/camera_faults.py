"""Faults of real cameras: darkness with noise, a moving blur, coarse JPEG, rain and haze.

What always holds: a picture (H,W,3) uint8 goes in and one of the same size comes out; where things are does
not change; the same generator gives the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from agent.boxes import Uint8

Fault = Callable[[Uint8, np.random.Generator], Uint8]


def darken(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Show the picture as at night: dark tones darker, a tint of lamps, and the noise of a high gain."""
    gamma = rng.uniform(1.2, 2.2)
    gain = rng.uniform(0.5, 1.0)
    ramp = 255 * gain * (np.arange(256) / 255) ** gamma
    tint = 1 + rng.uniform(-0.12, 0.12, 3)
    table = np.clip(ramp[:, None] * tint, 0, 255).astype(np.uint8)[None]  # (1,256,3)
    return add_noise(np.asarray(cv2.LUT(picture, table), np.uint8), rng)


def add_noise(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Add the grain of a sensor, the same in all colours, up to 14 of 255 (one sigma)."""
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(3, 14))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def blur_motion(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Smear the picture by 3 to 9 pixels in some direction, as a slow shutter does."""
    length = int(rng.integers(3, 10))
    angle = rng.uniform(0, math.pi)
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    along = np.asarray((math.cos(angle), math.sin(angle))) * length / 2
    ends = [tuple(round(float(middle + sign * part)) for part in along) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def compress(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Show the blocks of a JPEG, or of a film of few bits, of quality 8 to 40."""
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 41))])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def rain(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Draw bright streaks, all in one direction, and take some contrast away as wet air does."""
    height, width = picture.shape[:2]
    haze = rng.uniform(0.0, 0.35)
    shown = np.asarray(cv2.addWeighted(picture, 1 - haze, np.full_like(picture, 190), haze, 0), np.uint8)
    lean = rng.uniform(-0.3, 0.3)
    length = rng.uniform(0.02, 0.06) * height
    starts = rng.uniform(0, 1, (int(rng.integers(60, 260)), 2)) * (width, height)
    lines = np.stack((starts, starts + np.asarray((lean * length, length))), 1).astype(np.int32)
    wet = shown.copy()
    cv2.polylines(wet, list(lines), False, (200, 200, 200), 1, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(shown, 0.5, wet, 0.5, 0), np.uint8)


FAULTS: tuple[Fault, ...] = (darken, add_noise, blur_motion, compress, rain)


def worsen(picture: Uint8, rng: np.random.Generator) -> Uint8:
    """Return the picture (H,W,3) with one fault, or with two one after the other."""
    for number in rng.permutation(len(FAULTS))[: int(rng.integers(1, 3))]:
        picture = FAULTS[number](picture, rng)
    return picture
