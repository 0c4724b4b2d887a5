"""A finished network that a training listens to: a larger one, or the one that it begins with.

A larger one says more than the labels do. The one that it begins with keeps what it knew while new pictures
teach something else (Li and Hoiem 2016, learning without forgetting).
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.data.pseudo_labels import packaged
from export.errors import TrainError
from export.model.network import Network, Raw
from export.model.zoo import make_model
from export.onnx.fold import fold
from export.onnx.to_onnx import unfold_input
from export.train.checkpoint import load_checkpoint
from export.train.warm_start import read_file


class Teacher:
    """Hold a finished network of the same classes, which never changes.

    `teacher` in a recipe names a packaged model, or a float .onnx of ours or a checkpoint by its path.
    """

    def __init__(self, recipe: dict[str, Any], device: torch.device) -> None:
        path = packaged(recipe["teacher"]).expanduser()
        if not path.exists():
            raise TrainError(
                f"teacher = {recipe['teacher']!r}: no such file; it takes the name of a packaged model "
                "(traffic, mask, mask-free), a float .onnx of `gb-export onnx`, or a checkpoint"
            )
        known, names = _folded(path)
        if names != recipe["names"]:
            raise TrainError(f"teacher = {recipe['teacher']!r}: it knows other classes than this recipe")
        self.gain = float(recipe.get("teacher_gain", 1.0))
        self.model = known.to(device, memory_format=torch.channels_last)

    @torch.no_grad()
    def ask(self, pictures: Tensor) -> Raw:
        """Return what it says of pictures (B,3,H,W)."""
        raw: Raw = self.model(pictures)
        return raw


def _folded(path: Path) -> tuple[Network, list[str]]:
    """Return a folded network that takes RGB 0..1, and its classes."""
    if path.suffix == ".onnx":
        known, recipe = read_file(path)
        return unfold_input(known), recipe["names"]
    state = load_checkpoint(path)
    model = make_model(state["recipe"])
    model.load_state_dict(state["average"])
    return fold(model, fusions=False), state["recipe"]["names"]
