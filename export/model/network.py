"""GB-YOLO: Ghost modules, one BiFPN layer, an anchor-free head; built for CPUs, and as the paper has it.

The whole network is in this file; `export.onnx.fold` melts it for export, `export.model.baseline` holds what
it is
compared with. What always holds: a network is four stages, a neck and three heads, and every activation
between a fusion and the next convolution is a ReLU, so that norms and fusion weights can be folded away.

    picture ─ stem ─ ghost ─ GB ─┬─ P3 ──────┐            stride  8
                                 ├─ P4 ──────┤ BiFPN ─ heads    16
                                 └─ P5 ─SPPF─┘                  32
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
EPSILON = 1e-4  # of eq. (4)


class Convolution(nn.Sequential):
    """Convolve, normalise, and (unless `linear`) activate: (B,c1,H,W) -> (B,c2,H/s,W/s)."""

    def __init__(
        self,
        c1: int,
        c2: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        linear: bool = False,
        smooth: bool = False,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c1, c2, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03),
        ]
        if not linear:
            layers.append(nn.SiLU(inplace=True) if smooth else nn.ReLU(inplace=True))
        super().__init__(*layers)


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
    """Two Ghost modules round an identity, the first `wider` times as wide: GB(c) keeps (B,c,H,W)."""

    def __init__(self, channels: int, wider: int = 1) -> None:
        super().__init__()
        self.expand = Ghost(channels, wider * channels)
        self.project = Ghost(wider * channels, channels, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.expand(x))


class Pyramid(nn.Module):
    """Pool at three sizes and mix (spatial pyramid pooling, three 5x5 pools in a row)."""

    def __init__(self, channels: int, *, smooth: bool = False) -> None:
        super().__init__()
        self.reduce = Convolution(channels, channels // 2, smooth=smooth)
        self.mix = Convolution(channels * 2, channels, smooth=smooth)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)  # (B,c/2,H,W)
        once = self.pool(x)
        twice = self.pool(once)
        return self.mix(torch.cat((x, once, twice, self.pool(twice)), 1))


class Separable(nn.Sequential):
    """Depthwise 3x3, then 1x1, BatchNorm and ReLU: the node of the neck and the tower of the head."""

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__(nn.Conv2d(c1, c1, 3, 1, 1, groups=c1, bias=False), Convolution(c1, c2))


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
        self.fuse_mid4 = Fusion(2)
        self.fuse_out3 = Fusion(2)
        self.fuse_out4 = Fusion(3)
        self.fuse_out5 = Fusion(2)
        self.mid4, self.out3, self.out4, self.out5 = (Separable(width, width) for _ in range(4))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.down = nn.MaxPool2d(3, 2, 1)

    def nodes(self) -> list[tuple[Separable, Fusion]]:
        """Return the nodes in the order in which they are computed, each with the fusion before it."""
        names = ("mid4", "out3", "out4", "out5")
        return [(getattr(self, name), getattr(self, f"fuse_{name}")) for name in names]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        p3, p4, p5 = (lateral(x) for lateral, x in zip(self.lateral, maps, strict=True))  # (B,width,·,·)
        mid4 = self.mid4(self.fuse_mid4(p4, self.up(p5)))
        out3 = self.out3(self.fuse_out3(p3, self.up(mid4)))
        out4 = self.out4(self.fuse_out4(p4, mid4, self.down(out3)))
        out5 = self.out5(self.fuse_out5(p5, self.down(out4)))
        return [out3, out4, out5]


class Head(nn.Module):
    """Say for every cell of one level what is there and how far its four sides are."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.class_tower = Separable(channels, width)
        self.box_tower = Separable(channels, width)
        self.class_out = nn.Conv2d(width, classes, 1)
        self.box_out = nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.class_out.bias, -math.log(99.0))  # score 0.01 at first
        nn.init.constant_(self.box_out.bias, 2.0)  # boxes of about four cells at first

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (B,C,H,W) and raw sides (B,4,H,W)."""
        return self.class_out(self.class_tower(x)), self.box_out(self.box_tower(x))


class Raw(NamedTuple):
    """What the network says for all A cells: logits (B,A,C), xyxy (B,A,4) pixels."""

    logits: Tensor
    xyxy: Tensor


class Network(nn.Module):
    """Find objects: pictures (B,3,H,W) RGB in 0..1, H and W multiples of 32 -> `Raw`."""

    def __init__(
        self, classes: int, stages: Sequence[nn.Module], neck: nn.Module, heads: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.classes = classes
        self.stage2, self.stage3, self.stage4, self.stage5 = stages
        self.neck = neck
        self.heads = nn.ModuleList(heads)

    def levels(self, pictures: Tensor) -> list[Any]:
        """Return what the three heads say, fine level first: logits (B,C,h,w) and raw sides (B,4,h,w)."""
        p3 = self.stage3(self.stage2(pictures))  # (B,w3,H/8,W/8)
        p4 = self.stage4(p3)  # (B,w4,H/16,W/16)
        p5 = self.stage5(p4)  # (B,w5,H/32,W/32)
        return [head(x) for head, x in zip(self.heads, self.neck([p3, p4, p5]), strict=True)]

    def forward(self, pictures: Tensor) -> Raw:
        outputs = self.levels(pictures)
        logits = torch.cat([logits.flatten(2) for logits, _ in outputs], 2).transpose(1, 2).float()
        sides = torch.cat([sides.flatten(2) for _, sides in outputs], 2).transpose(1, 2).float()
        centres, strides = cells(pictures.shape[2], pictures.shape[3], pictures.device)
        reach = functional.softplus(sides) * strides[:, None]  # (B,A,4) pixels
        return Raw(logits, torch.cat((centres - reach[..., :2], centres + reach[..., 2:]), -1))


def ghost_stages(widths: Sequence[int], depths: Sequence[int]) -> list[nn.Module]:
    """Return the four stages built for CPUs: a plain stem, Ghost modules with a dense primary at stride 2."""
    w1, w2, w3, w4, w5 = widths
    d2, d3, d4, d5 = depths
    return [
        nn.Sequential(Convolution(3, w1, 3, 2), Ghost(w1, w2, 3, 2), *_bottlenecks(w2, d2)),
        nn.Sequential(Ghost(w2, w3, 3, 2), *_bottlenecks(w3, d3)),
        nn.Sequential(Ghost(w3, w4, 3, 2), *_bottlenecks(w4, d4)),
        nn.Sequential(Ghost(w4, w5, 3, 2), *_bottlenecks(w5, d5), Pyramid(w5)),
    ]


def _bottlenecks(width: int, count: int, wider: int = 1) -> list[nn.Module]:
    return [GhostBottleneck(width, wider) for _ in range(count)]


def paper_stages(widths: Sequence[int], depths: Sequence[int]) -> list[nn.Module]:
    """Return YOLOv5's four stages with Ghost bottlenecks where it has CSP blocks; convolutions keep SiLU."""
    w1, w2, w3, w4, w5 = widths
    d2, d3, d4, d5 = depths
    stem, *shrink = (
        Convolution(c1, c2, kernel, 2, smooth=True)
        for c1, c2, kernel in ((3, w1, 6), (w1, w2, 3), (w2, w3, 3), (w3, w4, 3), (w4, w5, 3))
    )
    return [
        nn.Sequential(stem, shrink[0], *_bottlenecks(w2, d2, 2)),
        nn.Sequential(shrink[1], *_bottlenecks(w3, d3, 2)),
        nn.Sequential(shrink[2], *_bottlenecks(w4, d4, 2)),
        nn.Sequential(shrink[3], *_bottlenecks(w5, d5, 2), Pyramid(w5, smooth=True)),
    ]


class GBYolo(Network):
    """Build GB-YOLO of some widths (one a stride from 2 to 32) and neck; `literal` as the paper has it."""

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        neck: int = 64,
        depths: Sequence[int] = (1, 2, 3, 1),
        *,
        literal: bool = False,
    ) -> None:
        stages = (paper_stages if literal else ghost_stages)(widths, depths)
        fuse = BiFPN((widths[2], widths[3], widths[4]), neck)
        super().__init__(classes, stages, fuse, [Head(neck, neck, classes) for _ in STRIDES])


def cells(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return the centres (A,2) in pixels and the strides (A,) of all cells, fine level first, row by row."""
    centres = []
    strides = []
    for stride in STRIDES:
        y = (torch.arange(height // stride, device=device) + 0.5) * stride
        x = (torch.arange(width // stride, device=device) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)  # (h*w,2)
        centres.append(grid)
        strides.append(torch.full((len(grid),), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)
