"""What a face wears, by a small network that sees nothing but the enlarged face (paper 2's last step).

What always holds: a crop is the square round the middle of a box, MARGIN times its longer side, so that the
whole head is seen whatever the box's shape; what lies outside the picture is grey; where the network does not
know, the answer is UNTOLD and the first word stays.

    box (4,) ─ square, x1.4 ─▶ crop (side,side,3) ─ session ─▶ with_mask | without_mask | not to be judged
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from agent.boxes import GREY, Float32, Int64, Uint8
from agent.see.arena import session_options
from agent.see.infer import RUNTIME_ERRORS, ModelError

FORMAT = "gb-judge 1"
MARGIN = 1.4
UNTOLD = -1
SURE = 0.9  # a state that is less probable is not told
LEAST_SIDE = 8.0  # pixels: a smaller face has nothing to see
NOT_JUDGED = "not to be judged"
PACKAGED = Path(__file__).parents[1] / "models" / "gb-judge-mask.onnx"
TOLD = {"with_mask", "without_mask"}  # by the packaged one
ADVICE = "give a file made by `gb-export judge`"


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Hold what is said of N crops: class_id (N,) of the detector or UNTOLD, probability (N,)."""

    class_id: Int64
    probability: Float32


def cut_crops(image: Uint8, xyxy: Float32, side: int, margin: float = MARGIN) -> Uint8:
    """Return the enlarged crops (N,side,side,3) round boxes (N,4) of a picture (H,W,3)."""
    crops = np.full((len(xyxy), side, side, 3), GREY, np.uint8)
    for crop, (left, top, right, bottom) in zip(crops, xyxy.astype(np.float64), strict=True):
        length = max(right - left, bottom - top, 1.0) * margin
        scale = side / length
        x = (left + right - length) / 2
        y = (top + bottom - length) / 2
        matrix = np.array([[scale, 0.0, -x * scale], [0.0, scale, -y * scale]])
        source = image
        if scale < 0.5:  # far smaller: every pixel counts, as in `letterbox`
            source, matrix = _shrunk(image, (x, y, length), side)
        cv2.warpAffine(
            source, matrix, (side, side), dst=crop, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
        )
    return crops


def _shrunk(image: Uint8, square: tuple[float, float, float], side: int) -> tuple[Uint8, NDArray[np.float64]]:
    """Return what of a picture is under a square (left, top, length), made small, and its way to the crop."""
    x, y, length = square
    height, width = image.shape[:2]
    left, right = (int(np.clip(edge, 0, width)) for edge in (x, x + length + 1))
    top, bottom = (int(np.clip(edge, 0, height)) for edge in (y, y + length + 1))
    scale = side / length
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    if right <= left or bottom <= top:
        return np.full((1, 1, 3), GREY, np.uint8), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    small = cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    moved = np.array([[1.0, 0.0, (left - x) * scale], [0.0, 1.0, (top - y) * scale]])
    return np.asarray(small, np.uint8), moved


def open_judge(wanted: str, names: Sequence[str]) -> Judge | None:
    """Return the judge that a config wants for a detector's classes: "auto", "off", or a path.

    "auto" is the packaged one where the detector tells its states. Raises `ModelError`.
    """
    if wanted == "off" or (wanted == "auto" and not (PACKAGED.exists() and set(names) >= TOLD)):
        return None
    return Judge(PACKAGED if wanted == "auto" else wanted, names)


class Judge:
    """Say what faces wear. `names` are the detector's classes; raises `ModelError` for an unfit file."""

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        self.path = Path(path)
        try:
            content = self.path.read_bytes()
            self._session = onnxruntime.InferenceSession(
                content, session_options(1), providers=["CPUExecutionProvider"]
            )
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); {ADVICE}") from None
        except RUNTIME_ERRORS:
            raise ModelError(f"{path}: not a model that can be run; {ADVICE}") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{path}: is no judge of crops; {ADVICE}")
        self.states: list[str] = json.loads(metadata["names"])
        self._side = int(self._session.get_inputs()[0].shape[1])
        unknown = set(self.states) - set(names) - {NOT_JUDGED}
        if unknown:
            said = ", ".join(names)
            raise ModelError(f"{path}: judges {sorted(unknown)[0]!r}, and the detector knows {said}")
        self._class = np.asarray(
            [list(names).index(s) if s != NOT_JUDGED else UNTOLD for s in self.states], np.int64
        )

    def probabilities(self, crops: Uint8) -> Float32:
        """Return how probable each of `states` is (N,S) for crops (N,side,side,3) BGR."""
        return np.asarray(self._session.run(None, {"crops": crops})[0], np.float32)

    def judge(self, image: Uint8, xyxy: Float32) -> Verdicts:
        """Say what the faces in boxes (N,4) of a picture (H,W,3) BGR wear."""
        if not len(xyxy):
            return Verdicts(np.zeros(0, np.int64), np.zeros(0, np.float32))
        says = self.probabilities(cut_crops(image, xyxy, self._side))  # (N,S)
        best = says.argmax(1)
        probability = says.max(1)
        small = (xyxy[:, 2:] - xyxy[:, :2]).max(1) < LEAST_SIDE
        told = np.where((probability >= SURE) & ~small, self._class[best], UNTOLD)
        return Verdicts(told, probability)
