"""Fold a trained network for export: norms and fusion weights disappear into plain convolutions.

What always holds: the folded network says what the network said, to float precision, and holds no BatchNorm
and no `Fusion` any more.
"""

# mypy: allow-subclassing-any
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.model.network import BiFPN, Convolution, Fusion, Head, Network


class Sum(nn.Module):
    """Add feature maps, each times a fixed share; without shares as they are: what a `Fusion` becomes."""

    def __init__(self, shares: list[float] | None = None) -> None:
        super().__init__()
        self.shares = shares

    def forward(self, *maps: Tensor) -> Tensor:
        if self.shares:
            maps = tuple(x * share for x, share in zip(maps, self.shares, strict=True))
        return maps[0] + maps[1] if len(maps) == 2 else maps[0] + maps[1] + maps[2]


def _fold_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution with bias that does what the two did."""
    folded = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
        groups=convolution.groups,
    )
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded.weight.data = convolution.weight.data * scale.data[:, None, None, None]
    folded.bias.data = norm.bias.data - norm.running_mean * scale.data
    return folded


def _scale(convolution: nn.Conv2d, factor: Tensor) -> None:
    convolution.weight.data *= factor
    if convolution.bias is not None:
        convolution.bias.data *= factor


def _fold_fusion(neck: BiFPN, heads: list[Head]) -> None:
    """Move the shares of eq. (4) into the convolutions before and after, exactly.

    A positive factor passes through ReLU, nearest upsampling and max pooling, so every node may carry its own
    scale, chosen so that each fusion becomes a plain sum; whoever reads the node next divides it out again.
    """
    mid4, out3, out4, out5 = (
        fusion.shares().detach()
        for fusion in (neck.fuse_mid4, neck.fuse_out3, neck.fuse_out4, neck.fuse_out5)
    )
    if min(float(share.min()) for share in (mid4, out3, out4, out5)) <= 0:
        raise ValueError("a fusion weight is zero, so it cannot be folded; train without it or longer")
    one = torch.ones(())
    s_p4 = one
    s_p5 = mid4[1] / mid4[0]
    s_mid4 = out4[1] / out4[0]
    s_out3 = out4[2] / out4[0]
    s_p3 = s_mid4 * out3[0] / out3[1]
    s_out4 = s_p5 * out5[1] / out5[0]
    for lateral, scale in zip(neck.lateral, (s_p3, s_p4, s_p5), strict=True):
        _scale(lateral[0], scale)
    nodes = (  # node, what its plain sum is too large by, the scale its output shall have
        (neck.mid4, s_p4 / mid4[0], s_mid4),
        (neck.out3, s_p3 / out3[0], s_out3),
        (neck.out4, s_p4 / out4[0], s_out4),
        (neck.out5, s_p5 / out5[0], one),
    )
    for node, excess, scale in nodes:
        _scale(node[0], 1 / excess)
        _scale(node[1][0], scale)
    for head, scale in zip(heads, (s_out3, s_out4, one), strict=True):
        _scale(head.class_tower[0], 1 / scale)
        _scale(head.box_tower[0], 1 / scale)
    neck.fuse_mid4 = neck.fuse_out3 = neck.fuse_out4 = neck.fuse_out5 = Sum()


def _fix_fusion(neck: BiFPN) -> None:
    """Leave the shares where they are, as constants."""
    for name in ("fuse_mid4", "fuse_out3", "fuse_out4", "fuse_out5"):
        fusion: Fusion = getattr(neck, name)
        setattr(neck, name, Sum(fusion.shares().tolist()))


def fold(model: Network, *, fusions: bool = True) -> Network:
    """Melt BatchNorm and fusion weights into the convolutions, in place; nothing that it says changes.

    Without `fusions` their weights stay in the graph as constants, which only a comparison of speed wants.
    Raises `ValueError` for a fusion weight of zero.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, Convolution):
            folded = _fold_norm(module[0], module[1])
            module[0] = folded
            module[1] = nn.Identity()
    if isinstance(model.neck, BiFPN):
        if fusions:
            _fold_fusion(model.neck, list(model.heads))
        else:
            _fix_fusion(model.neck)
    return model
