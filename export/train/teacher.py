"""A finished, larger network that a training listens to."""

# mypy: allow-untyped-decorators

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.errors import TrainError
from export.model.network import Raw
from export.model.zoo import make_model
from export.onnx.fold import fold
from export.train.checkpoint import load_checkpoint


class Teacher:
    """Hold a finished, larger network of the same classes, which never changes."""

    def __init__(self, recipe: dict[str, Any], device: torch.device) -> None:
        state = load_checkpoint(Path(recipe["teacher"]).expanduser())
        if state["recipe"]["names"] != recipe["names"]:
            raise TrainError(f"teacher = {recipe['teacher']!r}: it knows other classes than this recipe")
        self.gain = float(recipe.get("teacher_gain", 1.0))
        model = make_model(state["recipe"])
        model.load_state_dict(state["average"])
        self.model = fold(model, fusions=False).to(device, memory_format=torch.channels_last)

    @torch.no_grad()
    def ask(self, pictures: Tensor) -> Raw:
        """Return what it says of pictures (B,3,H,W)."""
        raw: Raw = self.model(pictures)
        return raw
