"""GB-YOLO-n: Ghost modules, one BiFPN layer, an anchor-free head; built for CPUs.

The whole network is in this file. What always holds: every activation is a ReLU and every normalisation a
BatchNorm, so that `fold` can melt all of it, and the fusion weights too, into plain convolutions.

    picture ─ stem ─ ghost ─ GB ─┬─ P3 ──────┐            stride  8
                                 ├─ P4 ──────┤ BiFPN ─ heads    16
                                 └─ P5 ─SPPF─┘                  32
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
EPSILON = 1e-4  # of eq. (4)


class Convolution(nn.Sequential):
    """Convolve, normalise, and (unless `linear`) ReLU: (B,c1,H,W) -> (B,c2,H/s,W/s)."""

    def __init__(
        self, c1: int, c2: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, linear: bool = False
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c1, c2, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03),
        ]
        super().__init__(*layers, *([] if linear else [nn.ReLU(inplace=True)]))


class Ghost(nn.Module):
    """Make half of the channels by a convolution and the other half cheaply from those.

    Eq. (1) of the GhostNet paper (arXiv 1911.11907): a plain convolution of n channels costs
    n*h*w*c*k*k, the Ghost module n/2*h*w*c*k*k + n/2*h*w*d*d, so with s = 2 the ratio is

        r = c*k*k*s / (c*k*k + (s-1)*d*d)  ->  s = 2 for c*k*k >> d*d

    (B,c1,H,W) -> (B,c2,H/stride,W/stride); d = 3.
    """

    def __init__(self, c1: int, c2: int, kernel: int = 1, stride: int = 1, *, linear: bool = False) -> None:
        super().__init__()
        half = c2 // 2
        self.primary = Convolution(c1, half, kernel, stride, linear=linear)
        self.cheap = Convolution(half, half, 3, groups=half, linear=linear)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)  # (B,c2/2,H/s,W/s)
        return torch.cat((primary, self.cheap(primary)), 1)


class GhostBottleneck(nn.Module):
    """Two Ghost modules round an identity: GB(c) keeps (B,c,H,W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = Ghost(channels, channels)
        self.project = Ghost(channels, channels, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.expand(x))


class Pyramid(nn.Module):
    """Pool at three sizes and mix (spatial pyramid pooling, three 5x5 pools in a row)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = Convolution(channels, channels // 2)
        self.mix = Convolution(channels * 2, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)  # (B,c/2,H,W)
        once = self.pool(x)
        twice = self.pool(once)
        return self.mix(torch.cat((x, once, twice, self.pool(twice)), 1))


class Separable(nn.Sequential):
    """Depthwise 3x3, then 1x1, BatchNorm and ReLU: the node of the neck and the tower of the head."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False),
            Convolution(channels, channels),
        )


class Fusion(nn.Module):
    """Add feature maps of one shape with learned shares.

    Fast normalised fusion, eq. (4) here, after EfficientDet (arXiv 1911.09070):

        O = sum_i  w_i / (epsilon + sum_j w_j) * I_i,    w_i = ReLU(v_i)
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))

    def shares(self) -> Tensor:
        """Return the normalised weights (inputs,)."""
        positive = functional.relu(self.weight)
        return positive / (EPSILON + positive.sum())

    def forward(self, *maps: Tensor) -> Tensor:
        total: Tensor = sum(share * x for share, x in zip(self.shares(), maps, strict=True))
        return total


class Sum(nn.Module):
    """Add feature maps as they are: what a folded `Fusion` becomes."""

    def forward(self, *maps: Tensor) -> Tensor:
        return maps[0] + maps[1] if len(maps) == 2 else maps[0] + maps[1] + maps[2]


class BiFPN(nn.Module):
    """Exchange between the three levels, down and up again.

    P5 ───────────────┬────────────▶ (+) out5
      \\ up            \\              ▲ down
    P4 ─▶ (+) mid4 ─────▶ (+) out4 ──┘      out4 sees P4, mid4 and out3
             \\ up          ▲ down
    P3 ──────▶ (+) out3 ───┘
    """

    def __init__(self, channels: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(Convolution(c, width, linear=True) for c in channels)
        self.fuse_mid4, self.fuse_out3, self.fuse_out4, self.fuse_out5 = (
            Fusion(2),
            Fusion(2),
            Fusion(3),
            Fusion(2),
        )
        self.mid4, self.out3, self.out4, self.out5 = (Separable(width) for _ in range(4))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.down = nn.MaxPool2d(3, 2, 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        p3, p4, p5 = (lateral(x) for lateral, x in zip(self.lateral, maps, strict=True))  # (B,width,·,·)
        mid4 = self.mid4(self.fuse_mid4(p4, self.up(p5)))
        out3 = self.out3(self.fuse_out3(p3, self.up(mid4)))
        out4 = self.out4(self.fuse_out4(p4, mid4, self.down(out3)))
        out5 = self.out5(self.fuse_out5(p5, self.down(out4)))
        return [out3, out4, out5]


class Head(nn.Module):
    """Say for every cell of one level what is there and how far its four sides are."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.class_tower, self.box_tower = Separable(width), Separable(width)
        self.class_out, self.box_out = nn.Conv2d(width, classes, 1), nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.class_out.bias, -math.log(99.0))  # score 0.01 at first
        nn.init.constant_(self.box_out.bias, 2.0)  # boxes of about four cells at first

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (B,H*W,C) and raw sides (B,H*W,4)."""
        logits = self.class_out(self.class_tower(x))
        sides = self.box_out(self.box_tower(x))
        return logits.flatten(2).transpose(1, 2), sides.flatten(2).transpose(1, 2)


class Raw(NamedTuple):
    """What the network says for all A cells: logits (B,A,C), xyxy (B,A,4) pixels."""

    logits: Tensor
    xyxy: Tensor


class GBYolo(nn.Module):
    """Find objects: pictures (B,3,H,W) RGB in 0..1, H and W multiples of 32 -> `Raw`."""

    def __init__(
        self, classes: int, widths: tuple[int, ...] = (16, 32, 64, 128, 256), neck: int = 64
    ) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = widths
        self.classes = classes
        self.stage2 = nn.Sequential(Convolution(3, w1, 3, 2), Ghost(w1, w2, 3, 2), GhostBottleneck(w2))
        self.stage3 = nn.Sequential(Ghost(w2, w3, 3, 2), *(GhostBottleneck(w3) for _ in range(2)))
        self.stage4 = nn.Sequential(Ghost(w3, w4, 3, 2), *(GhostBottleneck(w4) for _ in range(3)))
        self.stage5 = nn.Sequential(Ghost(w4, w5, 3, 2), GhostBottleneck(w5), Pyramid(w5))
        self.neck = BiFPN((w3, w4, w5), neck)
        self.heads = nn.ModuleList(Head(neck, classes) for _ in STRIDES)

    def forward(self, pictures: Tensor) -> Raw:
        p3 = self.stage3(self.stage2(pictures))  # (B,64,H/8,W/8)
        p4 = self.stage4(p3)  # (B,128,H/16,W/16)
        p5 = self.stage5(p4)  # (B,256,H/32,W/32)
        outputs = [head(x) for head, x in zip(self.heads, self.neck([p3, p4, p5]), strict=True)]
        logits = torch.cat([logits for logits, _ in outputs], 1).float()
        sides = torch.cat([sides for _, sides in outputs], 1).float()
        centres, strides = cells(pictures.shape[2], pictures.shape[3], pictures.device)
        reach = functional.softplus(sides) * strides[:, None]  # (B,A,4) pixels
        return Raw(logits, torch.cat((centres - reach[..., :2], centres + reach[..., 2:]), -1))


def cells(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return the centres (A,2) in pixels and the strides (A,) of all cells, fine level first, row by row."""
    centres, strides = [], []
    for stride in STRIDES:
        y = (torch.arange(height // stride, device=device) + 0.5) * stride
        x = (torch.arange(width // stride, device=device) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)  # (h*w,2)
        centres.append(grid)
        strides.append(torch.full((len(grid),), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def parameters(model: nn.Module) -> int:
    """Count the learned numbers."""
    return sum(p.numel() for p in model.parameters())


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


def _fold_fusion(model: GBYolo) -> None:
    """Move the shares of eq. (4) into the convolutions before and after, exactly.

    A positive factor passes through ReLU, nearest upsampling and max pooling, so every node may carry its own
    scale, chosen so that each fusion becomes a plain sum; whoever reads the node next divides it out again.
    """
    neck = model.neck
    mid4, out3, out4, out5 = (
        fusion.shares().detach()
        for fusion in (neck.fuse_mid4, neck.fuse_out3, neck.fuse_out4, neck.fuse_out5)
    )
    if min(float(share.min()) for share in (mid4, out3, out4, out5)) <= 0:
        raise ValueError("a fusion weight is zero, so it cannot be folded; train without it or longer")
    one = torch.ones(())
    s_p4, s_p5, s_mid4, s_out3 = one, mid4[1] / mid4[0], out4[1] / out4[0], out4[2] / out4[0]
    s_p3, s_out4 = s_mid4 * out3[0] / out3[1], s_p5 * out5[1] / out5[0]
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
    for head, scale in zip(model.heads, (s_out3, s_out4, one), strict=True):
        _scale(head.class_tower[0], 1 / scale)
        _scale(head.box_tower[0], 1 / scale)
    neck.fuse_mid4 = neck.fuse_out3 = neck.fuse_out4 = neck.fuse_out5 = Sum()


def fold(model: GBYolo) -> GBYolo:
    """Melt BatchNorm and fusion weights into the convolutions, in place; nothing that it says changes."""
    model.eval()
    for module in model.modules():
        if isinstance(module, Convolution):
            folded = _fold_norm(module[0], module[1])
            module[0], module[1] = folded, nn.Identity()
    _fold_fusion(model)
    return model
