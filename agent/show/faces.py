"""Where faces and people's heads may be, by the camera's own model and by a model of faces.

What always holds: a doubt covers. Boxes count from a score of 0.05; they are grown, and stay for a while
where they were seen last, since a detector that has missed one frame has not made anybody go.

    a face, head or mask: the whole box       a person: the upper third, and a little above it
    +-------+                                 ┌───────┐ ◀ a tenth higher
    | o   o |                                 |███████|
    |   ^   |                                 |███████| ◀ a third of the height
    +-------+                                 |  /|\\  |
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from agent.boxes import Detections, Float32, Uint8
from agent.see.infer import Detector, InferenceError, ModelError
from agent.show.cover import grown

LEAST = 0.05  # the score from which a face is covered
GROW = 0.3  # of a face's box, on each side
HOLD_SECONDS = 1.5  # a box stays for so long after it was seen
HOLD_GROW = 0.15  # and is larger by so much more then
MOST = 1000  # boxes that are held; the oldest go first
_HEADS = ("face", "head", "mask", "helmet", "hat")
_PEOPLE = ("person", "people", "pedestrian", "human", "man", "woman", "child", "rider", "cyclist")

Look = Callable[[Uint8], Detections]


class Faces:
    """Finds faces with a model of faces, loaded at the first picture; all that it finds is a face."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._detector: Detector | None = None

    def __call__(self, image: Uint8) -> Detections:
        """Return the faces in a picture (H,W,3); raise InferenceError."""
        with self._lock:
            if self._detector is None:
                self._detector = self._open()
        return self._detector.detect(image)

    def _open(self) -> Detector:
        try:
            return Detector(self._model, LEAST)
        except ModelError as error:
            raise InferenceError(f"faces cannot be looked for: {error}") from None


class Heads:
    """The boxes of one camera that have to be covered, held over missed frames.

    `names`: the classes of the camera's own model; `look`: finds faces in the picture that leaves.
    """

    def __init__(self, names: Mapping[int, str], look: Look) -> None:
        self._heads = _ids(names, _HEADS)
        self._people = _ids(names, _PEOPLE)
        self._look = look
        self._held = np.zeros((0, 4), np.float32)  # fractions of the frame
        self._seen = np.zeros(0)

    def find(self, image: Uint8, found: Detections, scale: Float32, seconds: float) -> Float32:
        """Return the boxes (N,4) to cover in a picture.

        Args:
            image: the picture (H,W,3) that is to leave.
            found: what the camera's own model has found in its frame.
            scale: (4,) pixels of `image` for each pixel of that frame.
            seconds: when, on a clock that only grows.
        """
        height, width = image.shape[:2]
        size = np.array([width, height, width, height], np.float32)
        new = np.concatenate([self.of(found) * scale, grown(self._look(image).xyxy, GROW)]) / size
        keep = seconds - self._seen <= HOLD_SECONDS
        age = (seconds - self._seen[keep])[:, None]
        old = self._held[keep]
        self._held = np.concatenate([old, new])[-MOST:]
        self._seen = np.concatenate([self._seen[keep], np.full(len(new), seconds)])[-MOST:]
        wider = np.concatenate([old + _spread(old, age), new])
        return np.asarray(wider * size, np.float32)

    def still(self, image: Uint8) -> Float32:
        """Return the boxes (N,4) of a picture that stands: it is looked at whole and in four parts."""
        height, width = image.shape[:2]
        part = (min(round(0.6 * height) + 1, height), min(round(0.6 * width) + 1, width))
        corners = [(y, x) for y in (0, height - part[0]) for x in (0, width - part[1])]
        boxes = [self._look(image).xyxy]
        for y, x in corners:
            found = self._look(image[y : y + part[0], x : x + part[1]]).xyxy
            boxes.append(found + np.array([x, y, x, y], np.float32))
        return grown(np.concatenate(boxes).astype(np.float32), GROW)

    def of(self, found: Detections) -> Float32:
        """Return the boxes (N,4) of heads, grown, that detections imply."""
        heads = grown(found.xyxy[np.isin(found.class_id, self._heads)], GROW)
        people = found.xyxy[np.isin(found.class_id, self._people)]
        height = people[:, 3] - people[:, 1]
        upper = people.copy()
        upper[:, 1] -= 0.1 * height
        upper[:, 3] = people[:, 1] + height / 3
        return np.concatenate([heads, upper])


def _spread(boxes: Float32, age: np.ndarray) -> Float32:
    """Return what is added to boxes (N,4) that were seen `age` (N,1) seconds ago."""
    size = boxes[:, 2:] - boxes[:, :2]
    more = size * HOLD_GROW * np.minimum(age / HOLD_SECONDS, 1.0)
    return np.asarray(np.concatenate([-more, more], axis=1), np.float32)


def _ids(names: Mapping[int, str], words: tuple[str, ...]) -> list[int]:
    """Return the classes in whose names one of the words stands as a part."""
    parts = {key: name.lower().replace("-", "_").replace(" ", "_").split("_") for key, name in names.items()}
    return [
        key for key, said in parts.items() if any(p.removesuffix("s") in words or p in words for p in said)
    ]
