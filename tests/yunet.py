"""YuNet-n, somebody else's face detector, as the judge of what is left of faces (Wu et al., 2023)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime

SIDE = 640


class YuNet:
    """Counts faces in pictures."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [port.name for port in self._session.get_outputs()]

    def faces(self, image: np.ndarray, least: float = 0.5) -> int:
        """Return how many faces a picture (H,W,3) shows with at least this score."""
        scale = SIDE / max(image.shape[:2])
        inner = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
        canvas = np.zeros((SIDE, SIDE, 3), np.float32)
        canvas[: inner.shape[0], : inner.shape[1]] = inner
        answer = self._session.run(None, {self._input: canvas.transpose(2, 0, 1)[None]})
        by_name = dict(zip(self._outputs, answer, strict=True))
        boxes: list[list[float]] = []
        scores: list[float] = []
        for stride in (8, 16, 32):
            sure = np.sqrt(by_name[f"cls_{stride}"].clip(0, 1) * by_name[f"obj_{stride}"].clip(0, 1)).ravel()
            raw = by_name[f"bbox_{stride}"].reshape(-1, 4)
            for cell in np.flatnonzero(sure >= least):
                row, column = divmod(int(cell), SIDE // stride)
                width, height = np.exp(raw[cell, 2:]) * stride
                left = (column + raw[cell, 0]) * stride - width / 2
                top = (row + raw[cell, 1]) * stride - height / 2
                boxes.append([left, top, width, height])
                scores.append(float(sure[cell]))
        return len(cv2.dnn.NMSBoxes(boxes, scores, least, 0.45)) if boxes else 0
