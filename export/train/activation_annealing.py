"""Begin a training with a smooth activation, which learns faster, and end it with ReLU, which runs faster.

    x * sigmoid(sharpness * x)      1 is SiLU, without bound it is ReLU

    sharpness   1 ................ 1 ~~~~~~~~~~~~~~ 40 | ReLU itself
    progress    0               0.30              0.85           1

What always holds: the learned arrays are those of the network with ReLU, under the same names, and the last
part of a training, moving average and all, is one of that network.
"""

# mypy: allow-subclassing-any
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BEGIN = 0.30  # progress at which the activation begins to sharpen, and at which it is ReLU
END = 0.85
SHARPEST = 40.0


class Soft(nn.Module):
    """Activate by x * sigmoid(sharpness * x), any shape."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.sharpness == 1:
            return functional.silu(x)
        if math.isinf(self.sharpness):
            return torch.relu(x)
        return x * torch.sigmoid(self.sharpness * x)


def soften(model: nn.Module) -> None:
    """Put a `Soft` in the place of every ReLU, in place."""
    for name, layer in list(model.named_children()):
        if isinstance(layer, nn.ReLU):
            setattr(model, name, Soft())
        else:
            soften(layer)


def sharpness_at(progress: float) -> float:
    """Return how sharp the activation is at a progress 0..1."""
    if progress >= END:
        return math.inf
    return float(SHARPEST ** max((progress - BEGIN) / (END - BEGIN), 0.0))


def sharpen(model: nn.Module, progress: float) -> None:
    """Set every `Soft` of a model to what belongs to a progress 0..1."""
    for layer in model.modules():
        if isinstance(layer, Soft):
            layer.sharpness = sharpness_at(progress)


def is_soft(model: nn.Module) -> bool:
    """Say whether a model has activations that are not ReLU yet."""
    return any(isinstance(layer, Soft) and not math.isinf(layer.sharpness) for layer in model.modules())
