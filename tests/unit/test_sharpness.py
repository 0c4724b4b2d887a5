"""Sharpness: what is blurred, tiny or flat weighs little, whatever the light."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from agent.see.sharpness import sharpness

BOX = np.array([[20, 20, 148, 148]], np.float32)


def pattern(seed: int = 1) -> np.ndarray:
    """Return a picture (168,168,3) of a few large shapes with hard edges, as faces have."""
    random = np.random.default_rng(seed)
    image = np.full((168, 168, 3), 120, np.uint8)
    for _ in range(5):
        x, y = random.integers(10, 110, 2).tolist()
        w, h = random.integers(25, 60, 2).tolist()
        cv2.rectangle(image, (x, y), (x + w, y + h), random.uniform(0, 255, 3).tolist(), -1)
    return image


def of(image: np.ndarray, box: np.ndarray = BOX) -> float:
    return float(sharpness(image, box)[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_more_blurred_the_less_sharp(seed: int) -> None:
    """Each stronger blur gives a smaller figure, and all lie between 0 and 1."""
    image = pattern(seed)
    figures = [of(image)] + [of(cv2.GaussianBlur(image, (0, 0), sigma)) for sigma in (3.0, 6.0, 12.0)]
    assert all(1 >= one > two >= 0 for one, two in pairwise(figures))


def test_what_was_tiny_is_not_sharp() -> None:
    """A picture of eight pixels, brought up to any size, tells little."""
    image = pattern()
    tiny = cv2.resize(image, (10, 10), interpolation=cv2.INTER_AREA)
    assert of(tiny, np.array([[0, 0, 10, 10]], np.float32)) < 0.9 * of(image)


def test_light_makes_no_difference() -> None:
    """The same face in half the light is as sharp."""
    image = pattern()
    assert of((image * 0.5 + 20).astype(np.uint8)) == pytest.approx(of(image), rel=0.05)


def test_flat_empty_and_outside() -> None:
    """A flat crop is not sharp; boxes without pixels, or none at all, are no error."""
    flat = np.full((50, 50, 3), 90, np.uint8)
    wild = np.array([[0, 0, 40, 40], [60, 60, 80, 80], [-30, -30, -5, -5], [10, 10, 10, 30]], np.float32)
    assert sharpness(flat, wild).tolist() == [0, 0, 0, 0]
    assert sharpness(flat, np.zeros((0, 4), np.float32)).shape == (0,)


def test_a_box_that_leaves_the_frame_is_judged_by_what_is_in_it() -> None:
    """A box over the edge is as sharp as its part within."""
    image = pattern()
    over = np.array([[-40, -40, 100, 100]], np.float32)
    assert of(image, over) == of(image, np.array([[0, 0, 100, 100]], np.float32))
