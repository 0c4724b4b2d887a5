"""Where checkpoints lie, and what can be read of them.

What always holds: a checkpoint whose activations were not ReLU yet is used for nothing but going on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from export.errors import TrainError
from export.train.activation_annealing import END as SHARP
from export.train.warm_start import read_file


def cache_folder(recipe: dict[str, Any]) -> Path:
    """Return where a recipe's checkpoints lie: in the user's cache, never in the tree."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "gb-fleet" / "train" / str(recipe["name"])


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to use it; raises `TrainError` where its training is not far enough."""
    state = read_checkpoint(path)
    if state.get("soft"):
        raise TrainError(
            f"{path}: stopped before {SHARP:.0%} of its training, when its activations were not ReLU yet; "
            "the command that began it goes on from there"
        )
    return state


def check_weights(path: Path) -> None:
    """Raise `TrainError` for weights that no training can begin with."""
    if not path.exists():
        raise TrainError(
            f"{path}: no such file to start from; --weights takes the name of a packaged model "
            "(traffic, mask, mask-free), a float .onnx of `gb-export onnx`, or a checkpoint"
        )
    if path.suffix == ".onnx":
        read_file(path)
    else:
        load_checkpoint(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as it is, to go on from it; raises `TrainError` where there is none."""
    if not path.exists():
        raise TrainError(f"{path}: no such checkpoint; train first, or give another by --checkpoint")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
