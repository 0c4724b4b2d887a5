"""Whether size and sharpness help the vote: held-out faces, seen several times each, well and badly.

A track is one picture of `masks/val` shown EIGHT times, each time smaller or larger, blurred as by a lens
or by motion or not, brighter or darker, with noise, elsewhere in the frame. The packaged model judges each;
the share of faces whose state the vote tells rightly, wrongly or not at all is printed for each way of
weighing. Worn incorrectly counts as without.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent import wire
from agent.boxes import iou
from agent.count.analyst import Analyst, Totals
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from agent.see.sharpness import sharpness
from agent.track.tracker import Tracks

EIGHT = 8
LARGEST = 1280
WEIGHINGS = ("size and sharpness", "size", "neither")
MATCH = 0.4  # overlap of a face and its detection


@dataclass(frozen=True, slots=True)
class Face:
    """A labelled face, and each time it was seen: class, confidence, xyxy, sharpness, the frame's size."""

    masked: bool
    sights: list[tuple[int, float, NDArray[np.float32], float, tuple[int, int]]]


def faces(folder: Path, pictures: list[Path], detector: Detector) -> Iterator[Face]:
    """Give the faces of some pictures, each seen EIGHT times."""
    random = np.random.default_rng(3)
    for picture in pictures:
        image = cv2.imread(str(picture))
        rows = [row.split() for row in (folder / "labels" / f"{picture.stem}.txt").read_text().splitlines()]
        if image is None or not rows:
            continue
        shrink = min(LARGEST / max(image.shape[:2]), 1.0)
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        height, width = image.shape[:2]
        label = np.array([[float(part) for part in row] for row in rows])
        center = label[:, 1:3] * (width, height)
        half = label[:, 3:5] * (width, height) / 2
        boxes = np.concatenate([center - half, center + half], axis=1)  # (F,4)
        found = [Face(kind == 0, []) for kind in label[:, 0]]
        for _ in range(EIGHT):
            shown, scale, shift = _shown(np.asarray(image, np.uint8), boxes, random)
            seen = detector.detect(shown)
            overlap = iou((boxes * scale + np.tile(shift, 2)).astype(np.float32), seen.xyxy)
            sharp = sharpness(shown, seen.xyxy)
            for face, row in enumerate(overlap):
                if len(row) and row.max() > MATCH:
                    best = int(row.argmax())
                    sight = int(seen.class_id[best]), float(seen.confidence[best]), seen.xyxy[best]
                    found[face].sights.append((*sight, float(sharp[best]), (width, height)))
        yield from found


def _shown(
    image: NDArray[np.uint8], boxes: NDArray[np.float64], random: np.random.Generator
) -> tuple[NDArray[np.uint8], float, NDArray[np.int64]]:
    """Return the picture as a camera may show it, its scale and its shift."""
    scale = float(random.uniform(0.2, 1.0))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = float(np.median(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)))) * scale
    kind = random.integers(0, 3)
    if kind == 1:
        small = cv2.GaussianBlur(small, (0, 0), max(size * random.uniform(0.02, 0.12), 0.1))
    elif kind == 2:
        small = cv2.filter2D(small, -1, _smear(max(round(size * random.uniform(0.05, 0.3)), 1), random))
    light = small * random.uniform(0.5, 1.3) + random.normal(0, 4, small.shape)
    canvas = np.full_like(image, 110)
    room = np.array([image.shape[1] - small.shape[1], image.shape[0] - small.shape[0]])
    x, y = shift = random.integers(0, room + 1)
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = np.clip(light, 0, 255)
    return canvas, scale, shift


def _smear(length: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the kernel of a straight motion over so many pixels."""
    angle = random.uniform(0, np.pi)
    middle = length // 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    kernel = np.zeros((length, length))
    ends = [tuple(np.rint(middle + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return kernel / max(float(kernel.sum()), 1.0) if kernel.any() else np.ones((1, 1))


def verdict(face: Face, names: dict[int, str], weighing: str) -> str:
    """Return what the analyst says of a face: right, wrong or unknown."""
    totals = Totals()
    analyst = Analyst("cam0", wire.CameraSettings(), names, totals)
    for number, (kind, sure, box, sharp, size) in enumerate(face.sights):
        shape = box if weighing != "neither" else np.array([0, 0, 100, 100], np.float32)
        sures = np.array([sure], np.float32)
        kinds = np.array([kind], np.int64)
        tracks = Tracks.of_boxes(shape[None], np.array([1]), sures, kinds, number / 10)
        weight = np.array([sharp]) if weighing == "size and sharpness" else None
        analyst.update(tracks, [], size, number / 10, number * 100, weight)
    analyst.close(1000)
    (label,) = totals.objects
    if label == "unknown":
        return label
    return "right" if (label == "with_mask") == face.masked else "wrong"


def main() -> int:
    """Print the shares."""
    folder = Path(os.environ.get("GB_DATA", ""), "masks", "val")
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    detector = Detector(MODELS / "gb-yolo-n-mask.onnx", confidence=0.1)
    pictures = sorted((folder / "images").iterdir())
    judged = [face for face in faces(folder, pictures, detector) if len(face.sights) >= 3]
    print(f"{len(judged)} faces found at least 3 times of {EIGHT}")
    for weighing in WEIGHINGS:
        said = Counter(verdict(face, detector.names, weighing) for face in judged)
        shares = "   ".join(
            f"{word} {100 * said[word] / len(judged):5.1f} %" for word in ("right", "wrong", "unknown")
        )
        print(f"{weighing:20} {shares}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
