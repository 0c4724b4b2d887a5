"""The judge's network, after paper 2: six convolutions with pooling, kernels 5x5 twice, then 3x3.

The first two step by two, and a mean over the last map replaces the paper's large full layer, so the whole of
it is 26 million multiplications and the number of crops is free.

    (N,3,64,64) ─5x5/2─▶ 32² ─5x5/2─▶ 16² ─3x3─▶─3x3─▶ pool 8² ─3x3─▶─3x3─▶ mean ─▶ (N,3)
"""

# mypy: allow-subclassing-any

from __future__ import annotations

import torch
from torch import Tensor, nn

MEAN = 114.0  # of pixel values, and their deviation
DEVIATION = 64.0
SIDE = 64
WIDTHS = (16, 32, 48, 64, 96, 128)
KERNELS = (5, 5, 3, 3, 3, 3)
STRIDES = (2, 2, 1, 1, 1, 1)
POOLED = (3,)  # after these


class CropNetwork(nn.Module):
    """Say the state of crops (N,3,SIDE,SIDE) BGR 0..255 as logits (N,states)."""

    def __init__(self, states: int) -> None:
        super().__init__()
        before = (3, *WIDTHS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, k, stride, k // 2, bias=False)
            for a, b, k, stride in zip(before, WIDTHS, KERNELS, STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.last = nn.Linear(WIDTHS[-1], states)

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits (N,states)."""
        maps = (crops - MEAN) / DEVIATION
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            maps = torch.relu(norm(convolution(maps)))
            if place in POOLED:
                maps = torch.max_pool2d(maps, 2)
        logits: Tensor = self.last(nn.functional.dropout(maps.mean((2, 3)), 0.2, self.training))
        return logits
