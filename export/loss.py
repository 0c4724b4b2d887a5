"""What the network is punished for: task-aligned assignment, then BCE on classes and CIoU on boxes.

Sources: TOOD (arXiv 2108.07755) for the assignment, CIoU (arXiv 1911.08287) for the boxes. What always holds:
no gradient flows through the assignment, and unlabelled classes carry weight 0 where they are unlabelled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from export.augment import Batch
from export.model import Raw, cells

TOP, ALPHA, BETA = 10, 0.5, 6.0
BOX_GAIN, CLASS_GAIN = 7.5, 1.0
SURE = 0.1  # a teacher's box below this score teaches nothing


class Assignment(NamedTuple):
    """Say what each cell shall learn: target (A,C) soft, weight (A,C), owner (A,) row of its box or -1."""

    target: Tensor
    weight: Tensor
    owner: Tensor


class Loss(NamedTuple):
    """Hold the sum and its two parts."""

    total: Tensor
    box: Tensor
    classes: Tensor


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the overlaps (N,M) of boxes a (N,4) and b (M,4)."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (high - low).clamp_(min=0).prod(2)
    sizes = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return overlap / (sizes[0][:, None] + sizes[1][None] - overlap).clamp(min=1e-6)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Return the complete IoU (N,) of matching rows: IoU less centre distance less difference of shape."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    iou = overlap / (size_a.prod(1) + size_b.prod(1) - overlap + 1e-6)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    distance = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(1) / 4
    angle = [torch.atan(size[:, 0] / (size[:, 1] + 1e-6)) for size in (size_a, size_b)]
    shape = (4 / math.pi**2) * (angle[0] - angle[1]) ** 2
    with torch.no_grad():
        balance = shape / (1 - iou + shape + 1e-6)
    return iou - distance / ((hull**2).sum(1) + 1e-6) - balance * shape


def inside(centres: Tensor, boxes: Tensor, margin: float = 0.0) -> Tensor:
    """Say (M,A) which centres (A,2) lie in which boxes (M,4), grown by `margin` pixels."""
    low = centres[None] - boxes[:, None, :2] + margin  # (M,A,2)
    high = boxes[:, None, 2:] - centres[None] + margin
    return torch.minimum(low, high).amin(2) > 0


def assign(scores: Tensor, xyxy: Tensor, centres: Tensor, boxes: Tensor, allowed: Tensor) -> Assignment:
    """Give each box its best cells: scores (A,C), xyxy (A,4), boxes (M,4), allowed (M,C).

    t = s^alpha * u^beta with s the score of the box's class (the best allowed one) and u the IoU. The ten
    best cells with their centre in the box take it; a cell wanted by two takes the one it overlaps more.
    """
    cells_ = len(scores)
    target, weight = torch.zeros_like(scores), torch.ones_like(scores)
    owner = torch.full((cells_,), -1, dtype=torch.long, device=scores.device)
    if not len(boxes):
        return Assignment(target, weight, owner)
    overlap = pair_iou(boxes, xyxy)  # (M,A)
    score = scores.T[None].masked_fill(~allowed[:, :, None], -1).amax(1)  # (M,A)
    small = ((boxes[:, 2:] - boxes[:, :2]).amin(1) < 8).float()
    within = inside(centres, boxes + small[:, None] * boxes.new_tensor((-4, -4, 4, 4)))
    metric = score.clamp(min=0) ** ALPHA * overlap**BETA * within
    chosen = torch.zeros_like(within).scatter_(1, metric.topk(min(TOP, cells_), 1).indices, True) & within
    best = torch.where(chosen, overlap, -1.0).max(0)  # (A,)
    taken = chosen.any(0)
    owner[taken] = best.indices[taken]
    rows = taken.nonzero()[:, 0]
    mine = owner[rows]
    own_metric, own_overlap = metric[mine, rows], overlap[mine, rows]
    nothing = metric.new_zeros(len(boxes))
    peak = nothing.scatter_reduce(0, mine, own_metric, "amax")
    reach = nothing.scatter_reduce(0, mine, own_overlap, "amax")
    quality = own_metric / (peak[mine] + 1e-12) * reach[mine]
    label = scores[rows].masked_fill(~allowed[mine], -1).argmax(1)
    weight[rows] = (~allowed[mine]).to(weight.dtype)  # the group's other classes are neither right nor wrong
    weight[rows, label] = 1.0
    target[rows, label] = quality
    return Assignment(target, weight, owner)


def _hide(assignment: Assignment, centres: Tensor, regions: Tensor, unlabelled: Tensor) -> Tensor:
    """Return the weights (A,C) with unlabelled classes taken out where they are unlabelled."""
    hidden = (inside(centres, regions).T.float() @ unlabelled.float()) > 0  # (A,C)
    return assignment.weight.masked_fill(hidden & (assignment.target == 0), 0.0)


def detection_loss(raw: Raw, batch: Batch) -> Loss:
    """Compare what the network said, logits (B,A,C) and xyxy (B,A,4), with a batch's boxes."""
    device = raw.logits.device
    height, width = batch.pictures.shape[1:3]
    centres, _ = cells(height, width, device)
    targets, weights, predicted, wanted, quality = [], [], [], [], []
    for index in range(len(batch.boxes)):
        columns = (batch.boxes, batch.allowed, batch.regions, batch.unlabelled)
        boxes, allowed, regions, unlabelled = (
            torch.from_numpy(column[index]).to(device, non_blocking=True) for column in columns
        )
        with torch.no_grad():
            given = assign(raw.logits[index].sigmoid(), raw.xyxy[index].detach(), centres, boxes, allowed)
            weights.append(_hide(given, centres, regions, unlabelled))
        targets.append(given.target)
        rows = (given.owner >= 0).nonzero()[:, 0]
        predicted.append(raw.xyxy[index][rows])
        wanted.append(boxes[given.owner[rows]])
        quality.append(given.target[rows].sum(1))
    target = torch.stack(targets)
    norm = target.sum().clamp(min=1.0)
    bce = functional.binary_cross_entropy_with_logits(
        raw.logits, target, torch.stack(weights), reduction="sum"
    )
    lost = ((1 - ciou(torch.cat(predicted), torch.cat(wanted))) * torch.cat(quality)).sum()
    box, classes = BOX_GAIN * lost / norm, CLASS_GAIN * bce / norm
    return Loss(box + classes, box, classes)


def distillation_loss(raw: Raw, teacher: Raw) -> Tensor:
    """Compare what the network said with what a larger one says of the same pictures, cell by cell.

    Its scores are soft targets for all cells; its boxes count where it is sure, as much as it is.
    """
    target = teacher.logits.sigmoid()  # (B,A,C)
    sure = target.amax(2)  # (B,A)
    norm = sure.sum().clamp(min=1.0)
    bce = functional.binary_cross_entropy_with_logits(raw.logits, target, reduction="sum")
    taught = sure > SURE
    lost = ((1 - ciou(raw.xyxy[taught], teacher.xyxy[taught])) * sure[taught]).sum()
    return (BOX_GAIN * lost + CLASS_GAIN * bce) / norm
