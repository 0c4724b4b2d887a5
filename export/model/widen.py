"""Make a network wider without changing what it says (Net2WiderNet, arXiv 1511.05641).

Channels are copied, and whoever reads copies takes each for its share; a little noise tells copies apart, so
that they learn different things. What always holds: without the noise, the wider network says what the small
one says, to float precision.

    small  a b      a and b are copied     large  a b a b      read by halves
"""

# mypy: allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.errors import TrainError
from export.model.network import (
    Convolution,
    GBYolo,
    Ghost,
    GhostBottleneck,
    Head,
    Network,
    Pyramid,
    Separable,
)

NOISE = 0.01  # of a kernel's own spread; 0.05 took 13 points of people from the street's model


@torch.no_grad()
def widen(small: Network, large: Network, seed: int = 0) -> None:
    """Fill a wider GB-YOLO of the same layers and classes with what a small one knows.

    Raises `TrainError` where `large` has other layers, or fewer channels somewhere.
    """
    if not (isinstance(small, GBYolo) and isinstance(large, GBYolo) and _wider(small, large)):
        raise TrainError("the weights to start from are of a network neither like this one nor narrower")
    Widening(seed).network(small, large)


def _wider(small: Network, large: Network) -> bool:
    one = small.state_dict()
    other = large.state_dict()
    same = one.keys() == other.keys() and all(one[name].ndim == other[name].ndim for name in one)
    return same and all(
        a <= b for name in one for a, b in zip(one[name].shape, other[name].shape, strict=True)
    )


class Widening:
    """Copy a network's arrays into those of a wider one, following which channel is a copy of which.

    A map (N,) says for each channel of the wider network which one of the small network it copies.
    """

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)

    def convolution(self, small: nn.Conv2d, large: nn.Conv2d, reads: Tensor) -> Tensor:
        """Fill one convolution that reads channels by a map; return the map of what it gives."""
        if small.groups > 1:
            gives = reads
            weight = small.weight[reads]
        else:
            gives = torch.arange(large.out_channels) % small.out_channels
            copies = torch.bincount(reads)[reads]
            weight = small.weight[gives][:, reads] / copies[None, :, None, None]
        noise = torch.randn(weight.shape, generator=self.random) * weight.std() * NOISE
        large.weight.copy_(weight + noise)
        if large.bias is not None:
            large.bias.copy_(small.bias[gives])
        return gives

    def layer(self, small: nn.Sequential, large: nn.Sequential, reads: Tensor) -> Tensor:
        """Fill a `Convolution` and its norm."""
        gives = self.convolution(small[0], large[0], reads)
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(large[1], name).copy_(getattr(small[1], name)[gives])
        return gives

    def ghost(self, small: Ghost, large: Ghost, reads: Tensor) -> Tensor:
        """Fill both halves; the second half's channels count on behind the first's."""
        first = self.layer(small.primary, large.primary, reads)
        second = self.layer(small.cheap, large.cheap, first)
        return torch.cat((first, small.primary[0].out_channels + second))

    def block(self, small: nn.Module, large: nn.Module, reads: Tensor) -> Tensor:
        """Fill one block of a stage."""
        match small:
            case Convolution():
                return self.layer(small, large, reads)
            case Ghost():
                return self.ghost(small, large, reads)
            case GhostBottleneck():
                return self.ghost(small.project, large.project, self.ghost(small.expand, large.expand, reads))
            case Pyramid():
                reduced = self.layer(small.reduce, large.reduce, reads)
                width = small.reduce[0].out_channels
                four = torch.cat([reduced + number * width for number in range(4)])
                return self.layer(small.mix, large.mix, four)
        raise TypeError(f"no way to widen {type(small).__name__}")

    def separable(self, small: Separable, large: Separable, reads: Tensor) -> Tensor:
        """Fill a depthwise kernel and the 1x1 behind it."""
        return self.layer(small[1], large[1], self.convolution(small[0], large[0], reads))

    def head(self, small: Head, large: Head, reads: Tensor) -> None:
        """Fill a head's two towers and what they say."""
        for tower, out in (("class_tower", "class_out"), ("box_tower", "box_out")):
            gives = self.separable(getattr(small, tower), getattr(large, tower), reads)
            self.convolution(getattr(small, out), getattr(large, out), gives)

    def network(self, small: GBYolo, large: GBYolo) -> None:
        """Fill a whole network."""
        maps = []
        at = torch.arange(3)
        for name in ("stage2", "stage3", "stage4", "stage5"):
            for few, many in zip(getattr(small, name), getattr(large, name), strict=True):
                at = self.block(few, many, at)
            maps.append(at)
        laterals = zip(small.neck.lateral, large.neck.lateral, maps[1:], strict=True)
        neck = [self.layer(few, many, reads) for few, many, reads in laterals].pop()  # all three are alike
        for (few, fusion), (many, wider) in zip(small.neck.nodes(), large.neck.nodes(), strict=True):
            self.separable(few, many, neck)
            wider.weight.copy_(fusion.weight)
        for few, many in zip(small.heads, large.heads, strict=True):
            self.head(few, many, neck)
