"""Make scores mean something: of the boxes told at 0.5, half are right.

    held-back training pictures ─ the file's boxes ─▶ score, right or wrong ─ fit ─▶ a, b
    new logit = a * logit + b, folded into the class head's last 1x1 convolution

After Platt 1999. What always holds: pictures to judge by have no part in it; where little is known, scores
stay nearer to what they were; one curve serves all classes, so that no box changes its class and the order of
all boxes stays. (One curve a class moved boxes between classes: four vehicles 0.506 for 0.523.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from export.errors import DataError, TrainError
from export.judge.assess import checkpoint_file
from export.judge.evaluate import Seen, detector_for, look
from export.judge.metrics import match_picture
from export.model.network import Network
from export.model.zoo import make_model
from export.train.checkpoint import load_checkpoint

Float64 = NDArray[np.float64]
LEAST = 0.02  # score from which on boxes are asked
PRIOR = 30.0  # boxes that the word "leave it as it is" is worth
STEPS = 50


class Shift(NamedTuple):
    """Hold what becomes of logits: scale and bias."""

    scale: float
    bias: float


def asked(seen: Sequence[Seen], label: int) -> tuple[Float64, NDArray[np.bool_]]:
    """Return the scores of a class's boxes and whether each is right, where the class is labelled."""
    scores: list[NDArray[np.float32]] = []
    right: list[NDArray[np.bool_]] = []
    for picture, found in seen:
        if picture.unlabelled[label]:
            continue
        boxes = picture.boxes[picture.allowed[:, label]]
        hidden = picture.boxes[~picture.allowed.any(1)]
        matched = match_picture(found, boxes, np.asarray([label]), hidden)
        scores.append(matched.scores)
        right.append(matched.hit[:, 0])
    if not scores:
        return np.zeros(0), np.zeros(0, np.bool_)
    score = np.concatenate(scores).astype(np.float64)
    hit = np.concatenate(right)
    return score[score >= LEAST], hit[score >= LEAST]


def logit(score: Float64) -> Float64:
    """Return the logit of scores, those of 0 and 1 a little inside."""
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def fit(score: Float64, right: NDArray[np.bool_]) -> Shift:
    """Fit a logistic curve to (n,) scores and whether they are right, by Newton's steps.

    A pull towards scale 1 and bias 0 keeps few boxes from saying much.
    """
    columns = np.stack((logit(score), np.ones(len(score))), 1)  # (n,2)
    start = np.asarray((1.0, 0.0))
    value = start.copy()
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-columns @ value))
        slope = columns.T @ (said - right) + PRIOR * (value - start)
        curvature = (columns * (said * (1 - said))[:, None]).T @ columns + PRIOR * np.eye(2)
        value = value - np.linalg.solve(curvature, slope)
        value[0] = max(value[0], 0.1)  # a curve that falls would turn the order round
    return Shift(float(value[0]), float(value[1]))


def apply(model: Network, shift: Shift) -> None:
    """Fold a shift of all logits into the class head's last convolution, in place."""
    with torch.no_grad():
        for head in model.heads:
            head.class_out.weight.mul_(shift.scale)
            head.class_out.bias.mul_(shift.scale).add_(shift.bias)


def calibrate(checkpoint: Path, held: Sequence[Any], out: Path) -> Shift:
    """Write a copy of a checkpoint whose average tells calibrated scores; `held` are pictures it never saw.

    Raises `DataError` without pictures, `TrainError` for a checkpoint that is calibrated already.
    """
    if not held:
        raise DataError("no pictures to calibrate by: the recipe needs held_back = 0.08 while it trains")
    state = load_checkpoint(checkpoint)
    if "calibrated" in state["recipe"]:
        raise TrainError(f"{checkpoint}: is calibrated already; start from the training's own checkpoint")
    names = state["recipe"]["names"]
    with tempfile.TemporaryDirectory() as folder:
        path, _ = checkpoint_file(checkpoint, Path(folder), version("gb-fleet"))
        seen = look(detector_for(path), held)
    parts = [asked(seen, row) for row in range(len(names))]
    shift = fit(np.concatenate([score for score, _ in parts]), np.concatenate([right for _, right in parts]))
    model = make_model(state["recipe"])
    model.load_state_dict(state["average"])
    apply(model, shift)
    told = [round(part, 4) for part in shift]
    torch.save(state | {"average": model.state_dict(), "recipe": state["recipe"] | {"calibrated": told}}, out)
    return shift
