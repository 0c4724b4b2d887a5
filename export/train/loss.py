"""What the network is punished for: task-aligned assignment, then BCE on classes and CIoU on boxes.

Sources: TOOD (arXiv 2108.07755) for the assignment, CIoU (arXiv 1911.08287) for the boxes. What always holds:
no gradient flows through the assignment, and unlabelled classes carry weight 0 where they are unlabelled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agent.boxes import Float32
from export.data.augment import Batch
from export.data.sample import Bool
from export.model.network import Raw, cells

TOP = 10
ALPHA = 0.5
BETA = 6.0
SMALL = 8.0  # pixels: a box thinner than this may also take cells so far outside
MARGIN = 4.0
BOX_GAIN = 7.5
CLASS_GAIN = 1.0
SURE = 0.1  # a teacher's box below this score teaches nothing


class Assignment(NamedTuple):
    """Say what each cell shall learn: target (B,A,C) soft, weight (B,A,C), owner (B,A): its box or -1."""

    target: Tensor
    weight: Tensor
    owner: Tensor


class Loss(NamedTuple):
    """Hold the sum and its two parts."""

    total: Tensor
    box: Tensor
    classes: Tensor


def row_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the overlaps (M,A) of each box a (M,4) with its own boxes b (M,A,4)."""
    low = torch.maximum(a[:, None, :2], b[..., :2])
    high = torch.minimum(a[:, None, 2:], b[..., 2:])
    overlap = (high - low).clamp_(min=0).prod(2)
    sizes = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (a, b)]
    return overlap / (sizes[0][:, None] + sizes[1] - overlap).clamp(min=1e-6)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Return the complete IoU (N,) of matching rows: IoU less centre distance less difference of shape."""
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    size_a = a[:, 2:] - a[:, :2]
    size_b = b[:, 2:] - b[:, :2]
    iou = overlap / (size_a.prod(1) + size_b.prod(1) - overlap + 1e-6)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    distance = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(1) / 4
    angle = [torch.atan(size[:, 0] / (size[:, 1] + 1e-6)) for size in (size_a, size_b)]
    shape = (4 / math.pi**2) * (angle[0] - angle[1]) ** 2
    with torch.no_grad():
        balance = shape / (1 - iou + shape + 1e-6)
    return iou - distance / ((hull**2).sum(1) + 1e-6) - balance * shape


class Boxes(NamedTuple):
    """Hold the boxes of a whole batch: boxes (M,4), kinds (M,C), pictures (M,) they are in, ascending."""

    boxes: Tensor
    kinds: Tensor
    pictures: Tensor

    @classmethod
    def of(cls, boxes: list[Float32], kinds: list[Bool], device: torch.device) -> Boxes:
        """Put what each picture has below one another."""
        owner = np.repeat(np.arange(len(boxes)), [len(rows) for rows in boxes])
        columns = (np.concatenate(boxes), np.concatenate(kinds), owner)
        return cls(*(torch.from_numpy(column).to(device, non_blocking=True) for column in columns))


def inside(centres: Tensor, boxes: Tensor, margin: Tensor | None = None) -> Tensor:
    """Say (M,A) which centres (A,2) lie in which boxes (M,4), each grown by its `margin` (M,) pixels."""
    low = centres[None] - boxes[:, None, :2]  # (M,A,2)
    high = boxes[:, None, 2:] - centres[None]
    reach = torch.minimum(low, high).amin(2)
    return reach > 0 if margin is None else reach > -margin[:, None]


def assign(scores: Tensor, xyxy: Tensor, centres: Tensor, taught: Boxes) -> Assignment:
    """Give each box its best cells of its own picture: scores (B,A,C), xyxy (B,A,4), kinds = classes allowed.

    t = s^alpha * u^beta with s the score of the box's class (the best allowed one) and u the IoU. The ten
    best cells with their centre in the box take it; a cell wanted by two takes the one it overlaps more.
    """
    count, cells_, _ = scores.shape
    flat = scores.flatten(0, 1)  # (B*A,C), picture by picture
    target = flat.new_zeros(flat.shape)
    weight = flat.new_ones(flat.shape)
    owner = torch.full((count * cells_,), -1, dtype=torch.long, device=scores.device)
    boxes, allowed, picture = taught
    if len(boxes):
        overlap = row_iou(boxes, xyxy[picture])  # (M,A)
        score = scores[picture].masked_fill(~allowed[:, None], -1).amax(2)  # (M,A)
        small = ((boxes[:, 2:] - boxes[:, :2]).amin(1) < SMALL).to(boxes.dtype)
        within = inside(centres, boxes, small * MARGIN)
        metric = score.clamp(min=0) ** ALPHA * overlap**BETA * within
        chosen = torch.zeros_like(within).scatter_(1, metric.topk(min(TOP, cells_), 1).indices, True) & within
        box, place = _settle(chosen, overlap, picture)
        cell = place % cells_
        own_metric = metric[box, cell]
        own_overlap = overlap[box, cell]
        nothing = metric.new_zeros(len(boxes))
        peak = nothing.scatter_reduce(0, box, own_metric, "amax")
        reach = nothing.scatter_reduce(0, box, own_overlap, "amax")
        label = flat[place].masked_fill(~allowed[box], -1).argmax(1)
        owner[place] = box
        weight[place] = (~allowed[box]).to(weight.dtype)  # the group's others are neither right nor wrong
        weight[place, label] = 1.0
        target[place, label] = own_metric / (peak[box] + 1e-12) * reach[box]
    shape = (count, cells_)
    return Assignment(target.unflatten(0, shape), weight.unflatten(0, shape), owner.unflatten(0, shape))


def _settle(chosen: Tensor, overlap: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Give every cell that boxes have chosen (M,A) to the one it overlaps most, the first of equals.

    Returns (K,) boxes and (K,) places, which count the cells of all pictures one after the other.
    """
    boxes, cells_ = chosen.shape
    box, cell = chosen.nonzero(as_tuple=True)  # (K,) who wants what
    place = picture[box] * cells_ + cell
    wanted = overlap[box, cell]
    places = int(picture[-1] + 1) * cells_
    most = wanted.new_full((places,), -1.0).scatter_reduce(0, place, wanted, "amax")
    claim = torch.where(wanted < most[place], boxes, box)  # what is not a number stays in, to be seen
    first = box.new_full((places,), boxes).scatter_reduce(0, place, claim, "amin")
    kept = first[place] == box
    return box[kept], place[kept]


def _hide(assignment: Assignment, centres: Tensor, unknown: Boxes) -> Tensor:
    """Return the weights (B,A,C) with classes taken out where `unknown` says that nobody labelled them."""
    covered = inside(centres, unknown.boxes)[:, :, None] & unknown.kinds[:, None]  # (R,A,C)
    hidden = torch.zeros_like(assignment.weight).index_add_(0, unknown.pictures, covered.to(torch.float32))
    return assignment.weight.masked_fill((hidden > 0) & (assignment.target == 0), 0.0)


def detection_loss(raw: Raw, batch: Batch) -> Loss:
    """Compare what the network said, logits (B,A,C) and xyxy (B,A,4), with a batch's boxes."""
    device = raw.logits.device
    height, width = batch.pictures.shape[1:3]
    centres, _ = cells(height, width, device)
    taught = Boxes.of(batch.boxes, batch.allowed, device)
    with torch.no_grad():
        given = assign(raw.logits.sigmoid(), raw.xyxy, centres, taught)
        weight = _hide(given, centres, Boxes.of(batch.regions, batch.unlabelled, device))
    rows = given.owner >= 0  # (B,A)
    quality = given.target[rows].sum(1)
    norm = given.target.sum().clamp(min=1.0)
    bce = functional.binary_cross_entropy_with_logits(raw.logits, given.target, weight, reduction="sum")
    lost = ((1 - ciou(raw.xyxy[rows], taught.boxes[given.owner[rows]])) * quality).sum()
    box = BOX_GAIN * lost / norm
    classes = CLASS_GAIN * bce / norm
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
