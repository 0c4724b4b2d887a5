"""The networks that GB-YOLO is measured against: the shape of YOLOv5 n and s, from its published description.

Written from the description alone: widths and depths by multiples, cross-stage blocks (CSP, arXiv 1911.11929)
with three convolutions, fast spatial pyramid pooling, a path aggregation neck (PANet, arXiv 1803.01534).
What always holds: with `published` it has SiLU and the coupled head on anchors, to measure speed only;
otherwise ReLU and the head of GB-YOLO, so that accuracy is compared with the same head, loss and data.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.model.network import STRIDES, Convolution, Head, Network, Pyramid, Raw

# Width and height of the three boxes that each level starts from, pixels.
ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)


class Bottleneck(nn.Module):
    """Convolve 1x1, then 3x3, and add the input where there is a `shortcut`: keeps (B,c,H,W)."""

    def __init__(self, channels: int, *, shortcut: bool, smooth: bool) -> None:
        super().__init__()
        self.squeeze = Convolution(channels, channels, smooth=smooth)
        self.spread = Convolution(channels, channels, 3, smooth=smooth)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.spread(self.squeeze(x))
        return x + y if self.shortcut else y


class CrossStage(nn.Module):
    """Send half of the channels through bottlenecks and half past them: (B,c1,H,W) -> (B,c2,H,W)."""

    def __init__(self, c1: int, c2: int, depth: int, *, shortcut: bool = True, smooth: bool) -> None:
        super().__init__()
        half = c2 // 2
        self.enter, self.bypass = (Convolution(c1, half, smooth=smooth) for _ in range(2))
        self.deep = nn.Sequential(*(Bottleneck(half, shortcut=shortcut, smooth=smooth) for _ in range(depth)))
        self.mix = Convolution(2 * half, c2, smooth=smooth)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(torch.cat((self.deep(self.enter(x)), self.bypass(x)), 1))


class PANet(nn.Module):
    """Exchange between the three levels by concatenation, down and up again; widths stay as they come."""

    def __init__(self, widths: Sequence[int], *, smooth: bool) -> None:
        super().__init__()
        w3, w4, w5 = widths

        def mix(c1: int, c2: int) -> CrossStage:
            return CrossStage(c1, c2, 1, shortcut=False, smooth=smooth)

        self.reduce5 = Convolution(w5, w4, smooth=smooth)
        self.mid4 = mix(2 * w4, w4)
        self.reduce4 = Convolution(w4, w3, smooth=smooth)
        self.out3 = mix(2 * w3, w3)
        self.down3 = Convolution(w3, w3, 3, 2, smooth=smooth)
        self.out4 = mix(2 * w3, w4)
        self.down4 = Convolution(w4, w4, 3, 2, smooth=smooth)
        self.out5 = mix(2 * w4, w5)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        p3, p4, p5 = maps
        n5 = self.reduce5(p5)  # (B,w4,h,w)
        n4 = self.reduce4(self.mid4(torch.cat((self.up(n5), p4), 1)))  # (B,w3,2h,2w)
        out3 = self.out3(torch.cat((self.up(n4), p3), 1))  # (B,w3,4h,4w)
        out4 = self.out4(torch.cat((self.down3(out3), n4), 1))
        return [out3, out4, self.out5(torch.cat((self.down4(out4), n5), 1))]


def cross_stages(
    widths: Sequence[int], depths: Sequence[int], *, smooth: bool = False, stem: int = 6
) -> list[nn.Module]:
    """Return the four stages of the backbone; `stem` is the side of the first kernel."""
    stages: list[list[nn.Module]] = []
    for c1, c2, depth in zip(widths[:-1], widths[1:], depths, strict=True):
        block = CrossStage(c2, c2, depth, smooth=smooth)
        stages.append([Convolution(c1, c2, 3, 2, smooth=smooth), block])
    stages[0].insert(0, Convolution(3, widths[0], stem, 2, smooth=smooth))
    stages[3].append(Pyramid(widths[4], smooth=smooth))
    return [nn.Sequential(*stage) for stage in stages]


class AnchorHead(nn.Module):
    """Say for every cell and each of three anchors: x, y, width, height, objectness, classes."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, 3 * (5 + classes), 1)
        nn.init.constant_(self.out.bias, -math.log(99.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B,3*(5+C),H,W)."""
        return self.out(x)


class AnchorNetwork(Network):
    """Decode as published: xy = (2s - 0.5 + cell) * stride, wh = (2s)^2 * anchor, score = object * class."""

    def forward(self, pictures: Tensor) -> Raw:
        maps = [m.unflatten(1, (3, 5 + self.classes)).flatten(3) for m in self.levels(pictures)]
        said = torch.cat(maps, 3).float().sigmoid()  # (B,3,5+C,A)
        corner, strides, anchors = anchor_grid(pictures.shape[2], pictures.shape[3])
        xy = said[:, :, :2] * 2 * strides + corner  # (B,3,2,A)
        half = (said[:, :, 2:4] * 2) ** 2 * anchors / 2
        xyxy = torch.cat((xy - half, xy + half), 2).transpose(2, 3).flatten(1, 2)  # (B,3A,4)
        scores = (said[:, :, 4:5] * said[:, :, 5:]).transpose(2, 3).flatten(1, 2)
        return Raw(scores.logit(1e-6), xyxy)


def anchor_grid(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return, pixels: corner (2,A) = (cell - 0.5) * stride, strides (A,), anchors (3,2,A)."""
    corners = []
    strides = []
    anchors = []
    for stride, boxes in zip(STRIDES, ANCHORS, strict=True):
        h = height // stride
        w = width // stride
        grid = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy")).flatten(1)
        corners.append((grid - 0.5) * stride)
        strides.append(torch.full((h * w,), float(stride)))
        anchors.append(torch.tensor(boxes)[:, :, None].expand(3, 2, h * w))
    return torch.cat(corners, 1), torch.cat(strides), torch.cat(anchors, 2)


def yolov5(
    classes: int,
    width: float,
    depth: float,
    *,
    published: bool = False,
    smooth: bool | None = None,
    stem: int = 6,
) -> Network:
    """Return a network of YOLOv5's shape: multiples 0.25 and 0.33 are its n, 0.5 and 0.33 its s."""
    smooth = published if smooth is None else smooth
    widths = [int(width * w) for w in (64, 128, 256, 512, 1024)]
    depths = [max(1, round(depth * d)) for d in (3, 6, 9, 3)]
    stages = cross_stages(widths, depths, smooth=smooth, stem=stem)
    neck = PANet(widths[2:], smooth=smooth)
    if published:
        return AnchorNetwork(classes, stages, neck, [AnchorHead(w, classes) for w in widths[2:]])
    return Network(classes, stages, neck, [Head(w, widths[2], classes) for w in widths[2:]])
