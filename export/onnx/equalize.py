"""Give the channels of a map more alike ranges before int8, where one scale serves them all.

A 3x3 convolution with one kernel a channel, without norm or activation behind it, leaves channels whose
ranges differ a hundredfold; with one scale for all, the small ones keep two or three steps. What always
holds: the network says what it said, to float precision, since what a channel is divided by, whoever reads it
multiplies again, and a positive factor passes through a ReLU. After Nagel et al. 2019 (arXiv 1906.04721),
with ranges of real pictures and the square root between both sides.
"""

# mypy: allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.model.network import Head, Network, Separable

LEAST = 1e-3  # a channel's range is taken as at least this share of the widest


def pairs(network: Network) -> Iterator[tuple[nn.Conv2d, nn.Conv2d]]:
    """Yield each convolution of a folded network whose result one other alone reads, with that other."""
    for module in network.modules():
        if isinstance(module, Separable):
            yield module[0], module[1][0]
        if isinstance(module, Head):
            yield module.class_tower[1][0], module.class_out
            yield module.box_tower[1][0], module.box_out


@torch.no_grad()
def ranges(
    network: Network, layers: list[nn.Conv2d], canvases: Iterable[NDArray[np.uint8]]
) -> dict[int, Tensor]:
    """Return the largest magnitude (channels,) that each layer gives, by its place; canvases (h,w,3)."""
    widest: dict[int, Tensor] = {}

    def note(place: int) -> Any:
        def hook(layer: nn.Module, inputs: Any, result: Tensor) -> None:
            top = result.abs().amax((0, 2, 3))
            widest[place] = torch.maximum(widest.get(place, top), top)

        return hook

    hooks = [layer.register_forward_hook(note(place)) for place, layer in enumerate(layers)]
    for canvas in canvases:
        network.levels(torch.from_numpy(canvas.copy()).permute(2, 0, 1)[None].float())
    for hook in hooks:
        hook.remove()
    return widest


@torch.no_grad()
def equalize(network: Network, canvases: Iterable[NDArray[np.uint8]]) -> Network:
    """Make the channels' ranges of a folded network more alike, in place; canvases are (h,w,3) BGR."""
    both = list(pairs(network))
    for place, top in ranges(network, [first for first, _ in both], canvases).items():
        first, second = both[place]
        share = (top / top.max().clamp_min(1e-9)).clamp_min(LEAST).sqrt()
        first.weight /= share[:, None, None, None]
        if first.bias is not None:
            first.bias /= share
        second.weight *= share[None, :, None, None]
    return network
