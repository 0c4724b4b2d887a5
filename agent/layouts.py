"""Read the files of other exporters of YOLO networks, where their layout is plain.

What always holds: a layout is told by the file's own shapes and metadata, never guessed from its name; what
fits none is refused with the names and shapes of its outputs. Boxes are in input pixels; suppression, where
the file has none, is done here over all classes together: one object is one box, whatever it is called.

    input   float32 (1,3,h,w), red green blue, 0..1; where h and w are open, the metadata's `imgsz`, else 640
    outputs one of
            (1, 4+C, N)         centre x, y, width, height, a score for each class      anchor-free
            (1, N, 5+C)         centre x, y, width, height, objectness, classes         with anchors
            (1, N, 6) or (N, 6) left, top, right, bottom, score, class                  suppressed already
    names   the metadata's `names`, a Python or JSON list or dict; or the caller's
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32, Int64, Uint8, nms

USUAL_SIZE = 640
CANDIDATES = 1000  # the best boxes, before suppression
MOST_SUPPRESSED = 1000  # a longer list of six columns has not been suppressed
STRIDES = (8, 16, 32)
KNOWN = "(1, 4+C, N), (1, N, 5+C), (1, N, 6) or (N, 6) for C classes"

Found = tuple[Float32, Float32, Int64]


class LayoutError(Exception):
    """Say in one line what keeps a file from being read."""


def read_names(metadata: Mapping[str, str], given: Sequence[str]) -> dict[int, str]:
    """Return class names: the caller's, else the file's; raise LayoutError."""
    if given:
        return dict(enumerate(given))
    said = _literal(metadata.get("names", ""))
    if isinstance(said, list | tuple):
        said = dict(enumerate(said))
    if not said:
        raise LayoutError('it tells no class names; write them into the config, names = ["car", ...]')
    if not isinstance(said, dict) or sorted(said, key=str) != sorted(range(len(said)), key=str):
        raise LayoutError("the names in its metadata are no list of classes from 0 on")
    if not all(isinstance(name, str) and 0 < len(name) <= 48 for name in said.values()):
        raise LayoutError("a class name in its metadata has not 1 to 48 characters")
    return {number: said[number] for number in range(len(said))}


def _literal(text: str) -> Any:
    """Return the value that a text spells, or None."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _size(shape: Sequence[Any], metadata: Mapping[str, str]) -> tuple[int, int]:
    """Return the input's height and width; raise LayoutError."""
    said = _literal(metadata.get("imgsz", ""))
    if isinstance(said, int):
        said = [said, said]
    wanted = said if isinstance(said, list | tuple) and len(said) == 2 else [USUAL_SIZE, USUAL_SIZE]
    size = [
        fixed if isinstance(fixed, int) else open_ for fixed, open_ in zip(shape[2:], wanted, strict=True)
    ]
    if not all(isinstance(side, int) and 0 < side <= 8192 for side in size):
        raise LayoutError(f"its input size {size} makes no sense")
    return size[0], size[1]


class Foreign:
    """Run a file of another exporter: a canvas goes in, boxes, scores and classes come out."""

    def __init__(self, session: Any, metadata: Mapping[str, str], names: Sequence[str]) -> None:
        self._session = session
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self._ports = f"inputs {_list(inputs)}, outputs {_list(outputs)}"
        shape = inputs[0].shape
        plain = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) == 4 and shape[1] == 3
        if not plain or (isinstance(shape[0], int) and shape[0] != 1):
            raise LayoutError(
                f"a foreign model whose input is not float (1, 3, height, width): {self._ports}"
            )
        if len(outputs) != 1:
            raise LayoutError(f"a foreign model with {len(outputs)} outputs, not one {KNOWN}: {self._ports}")
        self._input = inputs[0].name
        self.names = read_names(metadata, names)
        self.size = _size(shape, metadata)
        self._decode = self._choose(self._raw(np.full((*self.size, 3), 114, np.uint8)).shape)

    def run(self, canvas: Uint8, confidence: float) -> Found:
        """Return boxes (N,4), scores (N,) and classes (N,) of a canvas (h,w,3), best first."""
        xyxy, scores, classes = self._decode(self._raw(canvas), confidence)
        if len(scores) > CANDIDATES:
            best = np.argpartition(-scores, CANDIDATES)[:CANDIDATES]
            xyxy, scores, classes = xyxy[best], scores[best], classes[best]
        kept = nms(xyxy, scores, np.zeros(len(scores), np.int64))
        return xyxy[kept], scores[kept], classes[kept]

    def _raw(self, canvas: Uint8) -> NDArray[Any]:
        blob = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)  # (1,3,h,w)
        return np.asarray(self._session.run(None, {self._input: blob})[0])

    def _choose(self, shape: tuple[int, ...]) -> Any:
        """Return the way to read an output of this shape; raise LayoutError."""
        count = len(self.names)
        if len(shape) == 2 and shape[1] == 6:
            return suppressed
        if len(shape) == 3 and shape[0] == 1:
            rows, columns = shape[1:]
            if columns == 6 and not (count == 1 and (rows == self._anchors() or rows > MOST_SUPPRESSED)):
                return suppressed
            if columns == 5 + count:
                return with_anchors
            if rows == 4 + count:
                return anchor_free
        told = f"its output is {shape}, with {count} class names; known is one {KNOWN}"
        raise LayoutError(f"a foreign model of unknown layout: {told}; {self._ports}")

    def _anchors(self) -> int:
        height, width = self.size
        return 3 * sum((height // stride) * (width // stride) for stride in STRIDES)


def _list(ports: Sequence[Any]) -> str:
    return ", ".join(f"{port.name} {port.type} {port.shape}" for port in ports)


def _corners(centred: NDArray[Any]) -> Float32:
    """Turn (N,4) centres and sizes into corners."""
    half = centred[:, 2:] / 2
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], axis=1).astype(np.float32)


def anchor_free(raw: NDArray[Any], confidence: float) -> Found:
    """Read (1, 4+C, N)."""
    scores, classes = raw[0, 4:].max(0), raw[0, 4:].argmax(0)
    good = ~(scores <= confidence)  # not-a-number stays, to be refused
    return _corners(raw[0, :4, good]), scores[good].astype(np.float32), classes[good].astype(np.int64)


def with_anchors(raw: NDArray[Any], confidence: float) -> Found:
    """Read (1, N, 5+C): a score is the objectness times the class."""
    sure = raw[0, ~(raw[0, :, 4] <= confidence)]  # (M,5+C): no score is above its objectness
    scores, classes = sure[:, 4] * sure[:, 5:].max(1), sure[:, 5:].argmax(1)
    good = ~(scores <= confidence)
    return _corners(sure[good, :4]), scores[good].astype(np.float32), classes[good].astype(np.int64)


def suppressed(raw: NDArray[Any], confidence: float) -> Found:
    """Read (1, N, 6) or (N, 6)."""
    rows = raw.reshape(-1, 6)
    rows = rows[~(rows[:, 4] <= confidence)]
    return rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32), rows[:, 5].astype(np.int64)
