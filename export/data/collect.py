"""Pick frames worth labelling from a camera or a video of this box: unlike each other, and hard for a model.

    frame every so often ─▶ how it looks (grey, where objects are) ─▶ unlike all that are kept?  ─▶ keep
                       └──▶ how unsure the model is of it         ─▶ else the surer one of the two goes

What always holds: nothing leaves this machine; pictures lie in a folder that only its owner can read; at most
`count` are kept, however long it looks; the same frames give the same choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from agent.boxes import Detections, Float32, Uint8
from agent.see.capture import Camera
from agent.see.slot import Frame
from export.errors import DataError

GREY = 12  # cells a side of how a frame looks, and of where its objects are
PLACES = 6
ALIKE = 0.03  # distance of two frames that show the same
UNSURE = (0.05, 0.6)  # scores between which a model does not know
QUALITY = 95  # of the JPEG that is written


class Finder(Protocol):
    """Whatever finds objects in a frame."""

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return what it sees in a picture (H,W,3) BGR."""


@dataclass(slots=True, eq=False)
class Kept:
    """Hold one chosen frame: coded, how it looks, how much is to learn from it, and when it was."""

    coded: bytes
    looks: Float32
    worth: float
    number: int


def looks(image: Uint8, found: Detections) -> Float32:
    """Return a vector of unit parts: the grey of a small copy, and where how many objects are."""
    grey = cv2.cvtColor(cv2.resize(image, (GREY, GREY), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    flat = grey.astype(np.float32).ravel()
    flat -= flat.mean()
    places = np.zeros((PLACES, PLACES), np.float32)
    middle = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 / (image.shape[1], image.shape[0]) * PLACES
    column, row = np.clip(middle, 0, PLACES - 1).astype(int).T
    np.add.at(places, (row, column), found.confidence)
    parts = (flat, cv2.GaussianBlur(places, (3, 3), 0).ravel())
    return np.concatenate([part / max(float(np.linalg.norm(part)), 1e-6) for part in parts])


def worth(found: Detections) -> float:
    """Return how much a person's word would add: one for each object of which the model is just unsure."""
    low, high = UNSURE
    score = found.confidence
    return float(np.where((score >= low) & (score <= high), 1 - np.abs(2 * score - low - high), 0.2).sum())


def distance(one: Float32, other: Float32) -> float:
    """Return how unlike two frames look: 0 for the same, 1 for nothing in common."""
    return float(((one - other) ** 2).sum() / 4)


class Choice:
    """Hold the frames that are kept so far."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.kept: list[Kept] = []

    def offer(self, image: Uint8, found: Detections, number: int) -> bool:
        """Take a frame in if it shows something new, or more to learn than one that it resembles."""
        new = Kept(b"", looks(image, found), worth(found), number)
        near = [distance(new.looks, kept.looks) for kept in self.kept]
        nearest = int(np.argmin(near)) if near else -1
        if near and near[nearest] < ALIKE:
            return self._replace(nearest, new, image)
        if len(self.kept) < self.count:
            new.coded = _coded(image)
            self.kept.append(new)
            return True
        one, other, apart = self._closest()
        if near[nearest] <= apart:
            return self._replace(nearest, new, image)
        new.coded = _coded(image)
        self.kept[min(one, other, key=lambda place: self.kept[place].worth)] = new
        return True

    def _replace(self, place: int, new: Kept, image: Uint8) -> bool:
        if new.worth <= self.kept[place].worth:
            return False
        new.coded = _coded(image)
        self.kept[place] = new
        return True

    def _closest(self) -> tuple[int, int, float]:
        """Return the two kept frames that resemble each other most, and by how much they differ."""
        vectors = np.stack([kept.looks for kept in self.kept])
        square = (vectors**2).sum(1)
        apart = square[:, None] + square[None] - 2 * vectors @ vectors.T
        np.fill_diagonal(apart, np.inf)
        one, other = np.unravel_index(int(apart.argmin()), apart.shape)
        return int(one), int(other), distance(vectors[one], vectors[other])


def _coded(image: Uint8) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def sampled(frames: Iterable[Frame], seconds: float) -> Iterator[Frame]:
    """Give the first frame of each stretch of so many seconds of the source's own time."""
    due = -np.inf
    for frame in frames:
        if frame.seconds >= due:
            due = frame.seconds + seconds
            yield frame


def watch(source: str, minutes: float, clock: Callable[[], float] = time.monotonic) -> Iterator[Frame]:
    """Give the frames of a camera for so long, or of a file to its end; raises `DataError` for neither."""
    until = clock() + 60 * minutes
    seen = False
    with Camera("collect", source, pace="fast") as camera:
        while clock() < until and camera.state != "ended":
            frame = camera.take(0.5)
            if frame is not None:
                seen = True
                yield frame
        reason = camera.reason
    if not seen:
        raise DataError(f"no frame came: {reason}")


def collect(frames: Iterable[Frame], model: Finder, count: int, seconds: float) -> Choice:
    """Look at a frame every so many seconds; return at most `count` of them."""
    choice = Choice(count)
    for frame in sampled(frames, seconds):
        choice.offer(frame.image, model.detect(frame.image), frame.number)
    return choice


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can read; raises `DataError` for one that holds something already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty; give a new folder, so that nothing is mixed or overwritten")
    folder.chmod(0o700)
    return folder


def save(choice: Choice, folder: Path) -> list[Path]:
    """Write the chosen frames in the order in which they came, readable by their owner alone."""
    written = []
    for kept in sorted(choice.kept, key=lambda one: one.number):
        path = folder / f"frame-{kept.number:08d}.jpg"
        path.touch(mode=0o600)
        path.write_bytes(kept.coded)
        written.append(path)
    return written
