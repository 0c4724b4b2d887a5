"""Show a model a picture before it counts anything, and say in words what comes out.

What always holds: a model that answers with numbers that are no boxes, with specks or with boxes beside the
picture is told as wrong; one that sees nothing is never told as good. The pictures are those of the built-in
street, or the one that a file's stored answer is about.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from agent.boxes import Detections, Uint8
from agent.see import self_test
from agent.see.infer import Detector, InferenceError
from agent.street.scene import CLASSES, Scene

FRAMES = ((7, 450), (11, 300))  # seed and number: streets with people, bicycles and vehicles
SPECK = 2.0  # pixels: nobody marks an object as small as this


class Trial(NamedTuple):
    """Hold what came of a trial: whether the model may count, whether it is worth a warning, and why."""

    good: bool
    sure: bool
    told: str


def pictures(detector: Detector) -> list[Uint8]:
    """Return the pictures (H,W,3) that a model is shown."""
    stored = detector.metadata.get(self_test.KEY)
    if stored:
        return [self_test.picture(int(json.loads(stored)["seed"]), detector.input_size)]
    return list(_streets())


@lru_cache(maxsize=1)  # drawn once, however many models there are
def _streets() -> tuple[Uint8, ...]:
    return tuple(Scene(seed).frame(number) for seed, number in FRAMES)


def try_model(detector: Detector) -> Trial:
    """Show a model some pictures; its stored answer, if any, must have been checked."""
    shown = pictures(detector)
    try:
        found = [detector.detect_uncut(image) for image in shown]
    except InferenceError as error:
        return Trial(False, True, str(error))
    count = sum(map(len, found))
    useful = sum(_useful(each, image) for each, image in zip(found, shown, strict=True))
    if useful:
        return Trial(True, True, f"sees {useful} object(s) in {len(shown)} picture(s)")
    if count:
        where = f"only boxes under {SPECK:g} pixels or outside the picture come out ({count} of them)"
        return Trial(False, True, f"{where}: its layout or preprocess is another; see docs/models.md")
    nothing = (
        f"sees nothing in {len(shown)} pictures of a street with confidence over {detector.confidence:g}"
    )
    if set(CLASSES) & set(detector.names.values()):
        return Trial(
            False, True, f"{nothing}: its layout, preprocess or names are others; see docs/models.md"
        )
    return Trial(
        True, False, f"{nothing}; it may be right, for none of its classes is drawn there: try a picture"
    )


def _useful(found: Detections, image: Uint8) -> int:
    """Count the boxes that are in the picture and no specks."""
    height, width = image.shape[:2]
    xyxy = np.clip(found.xyxy, 0, (width, height, width, height))
    return int(((xyxy[:, 2:] - xyxy[:, :2]) >= SPECK).all(1).sum())
